//! Options of the tools that put load on a server.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What the demo does.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// An mbox file, a Maildir or a folder of .eml files; mail is generated without it.
    pub path: Option<PathBuf>,
    /// Parallel connections.
    pub connections: u16,
    /// Messages per APPEND.
    pub batch: u32,
    /// Messages to generate without a path.
    pub messages: u32,
    /// Seed of the generated mail.
    pub seed: u64,
    /// Folder for the temporary data; the system's without it.
    pub temp: Option<PathBuf>,
}

/// What the benchmark does.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Server to load; without it one is started in this process for each round.
    pub connect: Option<SocketAddr>,
    /// User to log in as; `%n` is replaced by the number of the connection.
    pub user: String,
    /// Password of that user.
    pub password: String,
    /// Process whose CPU time is measured, with its children.
    pub server_pid: Option<u32>,
    /// Connections, each with its own thread and mailbox.
    pub connections: u16,
    /// Messages per APPEND.
    pub batch: u32,
    /// Whether literals wait for the server's `+`.
    pub synchronising: bool,
    /// APPENDs in flight per connection.
    pub pipeline: u32,
    /// Size of each message in bytes.
    pub size: u64,
    /// Where messages are read from instead.
    pub mbox: Option<PathBuf>,
    /// Whether messages are generated with the sizes of a real archive.
    pub generated: bool,
    /// Seed of the generated messages.
    pub seed: u64,
    /// Bytes of distinct messages to keep in memory.
    pub pool: u64,
    /// Duration of a round in seconds.
    pub seconds: u32,
    /// Bytes after which a round ends early.
    pub limit: u64,
    /// Rounds.
    pub rounds: u32,
    /// Whether the machine is measured without IMAP as well.
    pub floor: bool,
    /// Whether TLS is measured as well; with `connect`, TLS alone.
    pub tls: bool,
    /// PEM file of the CA that signed the server's certificate.
    pub tls_ca: Option<PathBuf>,
    /// Host name in the server's certificate.
    pub tls_name: String,
    /// Whether every message is fetched and compared, and not just a sample.
    pub check_all: bool,
    /// Folder for temporary data; the system's without it.
    pub temp: Option<PathBuf>,
    /// Reactors of the server in this process; one per core without it.
    pub reactors: Option<usize>,
    /// File that the report is also written to as JSON.
    pub json: Option<PathBuf>,
}

impl Default for BenchOptions {
    fn default() -> BenchOptions {
        BenchOptions {
            connect: None,
            user: "bench%n".into(),
            password: "bench".into(),
            server_pid: None,
            connections: 8,
            batch: 100,
            synchronising: false,
            pipeline: 1,
            size: 64 << 10,
            mbox: None,
            generated: false,
            seed: 1,
            pool: 64 << 20,
            seconds: 10,
            limit: 16 << 30,
            rounds: 1,
            floor: false,
            tls: false,
            tls_ca: None,
            tls_name: "localhost".into(),
            check_all: false,
            temp: None,
            reactors: None,
            json: None,
        }
    }
}
