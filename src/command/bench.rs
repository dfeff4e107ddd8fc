//! Arguments of `mailrace bench` and `mailrace demo`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::size::parse_size;
use crate::tools::{BenchOptions, DemoOptions};

/// Upload mail to a temporary server, fetch it back and compare every byte
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// An mbox file, a Maildir or a folder of .eml files [default: generated mail]
    path: Option<PathBuf>,

    /// Parallel connections
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,

    /// Messages per APPEND
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,

    /// Messages to generate if no path is given
    #[arg(long, value_name = "N", default_value_t = 20_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,

    /// Seed of the generated mail
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Folder for the temporary data [default: the system's]
    #[arg(long, value_name = "DIR")]
    temp: Option<PathBuf>,
}

/// Put load on an IMAP server, measure it and check the result
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Server to load [default: one started in this process for each round]
    #[arg(long, value_name = "ADDR:PORT")]
    connect: Option<SocketAddr>,

    /// User to log in as; %n is replaced by the number of the connection, starting at 0
    #[arg(long, value_name = "NAME", default_value = "bench%n")]
    user: String,

    /// Password of that user
    #[arg(long, value_name = "TEXT", default_value = "bench")]
    password: String,

    /// Process ID of the server; its CPU time and that of its children is measured
    #[arg(long, value_name = "PID", requires = "connect")]
    server_pid: Option<u32>,

    /// Connections, each with its own thread and mailbox
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,

    /// Messages per APPEND
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,

    /// Send one message per APPEND, like --batch 1
    #[arg(long, conflicts_with = "batch")]
    single: bool,

    /// Send synchronizing literals: wait for the server's `+`, one round trip per message
    #[arg(long)]
    synchronising: bool,

    /// APPENDs in flight per connection
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pipeline: u32,

    /// Size of each message
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = parse_message_size)]
    size: u64,

    /// Send messages from an mbox file, a Maildir or a folder of .eml files, repeatedly
    #[arg(long, value_name = "PATH", conflicts_with_all = ["size", "generated"])]
    mbox: Option<PathBuf>,

    /// Send generated messages with the sizes of a real archive
    #[arg(long, conflicts_with = "size")]
    generated: bool,

    /// Seed of the generated messages
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Bytes of distinct messages to keep in memory and send repeatedly
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = parse_size)]
    pool: u64,

    /// Duration of a round in seconds
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,

    /// End a round early after this many bytes
    #[arg(long, value_name = "SIZE", default_value = "16G", value_parser = parse_size)]
    limit: u64,

    /// Rounds; the report shows median, minimum and maximum
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,

    /// Alternate each round with one that measures the machine without IMAP
    #[arg(long)]
    floor: bool,

    /// Alternate each round with one over TLS; with --connect, use TLS only
    #[arg(long)]
    tls: bool,

    /// PEM file of the CA that signed the server's certificate
    #[arg(long, value_name = "FILE", requires = "tls", requires = "connect")]
    tls_ca: Option<PathBuf>,

    /// Host name in the server's certificate
    #[arg(long, value_name = "NAME", default_value = "localhost", requires = "tls")]
    tls_name: String,

    /// Fetch and compare every message afterwards, not just a sample
    #[arg(long)]
    check_all: bool,

    /// Folder for temporary data [default: the system's]
    #[arg(long, value_name = "DIR")]
    temp: Option<PathBuf>,

    /// Reactors of the server in this process [default: one per core]
    #[arg(long, value_name = "N", conflicts_with = "connect")]
    reactors: Option<usize>,

    /// Also write the report to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl From<DemoArgs> for DemoOptions {
    fn from(args: DemoArgs) -> DemoOptions {
        let DemoArgs { path, connections, batch, messages, seed, temp } = args;
        DemoOptions { path, connections, batch, messages, seed, temp }
    }
}

impl From<BenchArgs> for BenchOptions {
    fn from(args: BenchArgs) -> BenchOptions {
        BenchOptions {
            connect: args.connect,
            user: args.user,
            password: args.password,
            server_pid: args.server_pid,
            connections: args.connections,
            batch: if args.single { 1 } else { args.batch },
            synchronising: args.synchronising,
            pipeline: args.pipeline,
            size: args.size,
            mbox: args.mbox,
            generated: args.generated,
            seed: args.seed,
            pool: args.pool,
            seconds: args.seconds,
            limit: args.limit,
            rounds: args.rounds,
            floor: args.floor,
            tls: args.tls,
            tls_ca: args.tls_ca,
            tls_name: args.tls_name,
            check_all: args.check_all,
            temp: args.temp,
            reactors: args.reactors,
            json: args.json,
        }
    }
}

fn parse_message_size(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        size @ 1..=0x4000_0000 => Ok(size),
        _ => Err("must be between 1 byte and 1G".into()),
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
        let options = BenchOptions::from(args);
        assert_eq!((options.size, options.connections, options.batch), (1 << 20, 8, 100));
        let single = Bench::parse_from(["bench", "--single"]).args;
        assert_eq!(BenchOptions::from(single).batch, 1);
    }

    #[test]
    fn the_options_of_the_tool_begin_with_the_same_defaults() {
        let parsed = BenchOptions::from(Bench::parse_from(["bench"]).args);
        assert_eq!(format!("{parsed:?}"), format!("{:?}", BenchOptions::default()));
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
