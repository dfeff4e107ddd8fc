//! The arguments of `mailrace demo` and `mailrace bench`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::size::parse_size;

/// `mailrace demo`: the whole path in one go, on real mail.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// An mbox, a Maildir or a folder of .eml files; without it mail is made up
    pub path: Option<PathBuf>,

    /// Connections that upload and fetch at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub connections: u16,

    /// Messages in one APPEND
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,

    /// Messages to make up when no path is given
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub messages: u32,

    /// Seed of the mail that is made up
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Folder in which the temporary data folder is made [default: the system's]
    #[arg(long)]
    pub temp: Option<PathBuf>,
}

/// `mailrace bench`: load on an IMAP server, measured and checked.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Server to load; without it one is started in this process for each round
    #[arg(long, value_name = "ADDR:PORT")]
    pub connect: Option<SocketAddr>,

    /// User to log in as; %n stands for the number of the connection, from 0
    #[arg(long, default_value = "bench%n")]
    pub user: String,

    /// Password of that user
    #[arg(long, default_value = "bench")]
    pub password: String,

    /// Process of the server, whose CPU time is read together with that of its children
    #[arg(long, value_name = "PID", requires = "connect")]
    pub server_pid: Option<u32>,

    /// Connections, each with a thread and a mailbox of its own
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub connections: u16,

    /// Messages in one APPEND
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,

    /// One message in each APPEND, as --batch 1
    #[arg(long, conflicts_with = "batch")]
    pub single: bool,

    /// Literals that wait for the server's `+`, one round trip a message
    #[arg(long)]
    pub synchronising: bool,

    /// APPENDs under way on a connection at the same time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub pipeline: u32,

    /// Messages of this size
    #[arg(long, default_value = "64K", value_parser = parse_message_size)]
    pub size: u64,

    /// Messages from an mbox, a Maildir or a folder of .eml files, again and again
    #[arg(long, value_name = "PATH", conflicts_with_all = ["size", "generated"])]
    pub mbox: Option<PathBuf>,

    /// Messages made up, with the sizes of a real archive
    #[arg(long, conflicts_with = "size")]
    pub generated: bool,

    /// Seed of the messages that are made up
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Octets of different messages that are kept ready to be sent again and again
    #[arg(long, default_value = "64M", value_parser = parse_size)]
    pub pool: u64,

    /// Seconds a round sends
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,

    /// Octets after which a round ends early
    #[arg(long, default_value = "16G", value_parser = parse_size)]
    pub limit: u64,

    /// Rounds; the report gives the median and the extremes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,

    /// Measure in turns with each round what the machine does without IMAP
    #[arg(long)]
    pub floor: bool,

    /// Measure by TLS as well, in turns with each round in clear text; a server under --connect is
    /// spoken to by TLS alone
    #[arg(long)]
    pub tls: bool,

    /// PEM file of the authority of that server's certificate
    #[arg(long, value_name = "FILE", requires = "tls", requires = "connect")]
    pub tls_ca: Option<PathBuf>,

    /// Name in that server's certificate
    #[arg(long, value_name = "NAME", default_value = "localhost", requires = "tls")]
    pub tls_name: String,

    /// Fetch everything back afterwards instead of a sample
    #[arg(long)]
    pub check_all: bool,

    /// Folder in which temporary data folders are made [default: the system's]
    #[arg(long)]
    pub temp: Option<PathBuf>,

    /// Reactors of the server in this process [default: one per core]
    #[arg(long, conflicts_with = "connect")]
    pub reactors: Option<usize>,

    /// Write the report as JSON, too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

fn parse_message_size(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        size @ 1..=0x4000_0000 => Ok(size),
        _ => Err("a message has from 1 octet to 1G".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Demo {
        #[command(flatten)]
        args: DemoArgs,
    }

    #[derive(Parser)]
    struct Bench {
        #[command(flatten)]
        args: BenchArgs,
    }

    #[test]
    fn defaults_and_sizes() {
        let args = Demo::parse_from(["demo"]).args;
        assert_eq!((args.path, args.batch), (None, 100));
        let args = Bench::parse_from(["bench", "--size", "1M", "--connect", "127.0.0.1:143"]).args;
        assert_eq!((args.size, args.connections), (1 << 20, 8));
    }

    #[test]
    fn contradictions_are_refused() {
        for arguments in [
            &["bench", "--size", "0"][..],
            &["bench", "--size", "2G"],
            &["bench", "--size", "1K", "--generated"],
            &["bench", "--mbox", "x", "--generated"],
            &["bench", "--single", "--batch", "5"],
            &["bench", "--connections", "0"],
            &["bench", "--server-pid", "1"],
        ] {
            assert!(Bench::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }
}
