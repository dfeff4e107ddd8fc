//! What `/status.json` says: the data of the live page and of `mailrace top`.
//!
//! One JSON object, made anew every second. Members may be added; when one is removed or changes
//! its meaning, [`Status::version`] ascends. Times are seconds since 1970 UTC, sizes octets. User
//! and mailbox names are free of control characters and cut to 200, and nothing else: whoever shows
//! them as HTML has to escape them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the format.
pub const STATUS_VERSION: u32 = 1;

/// The whole object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of this format: [`STATUS_VERSION`].
    pub version: u32,
    /// Version of the server.
    pub mailrace: String,
    /// When it was made.
    pub time: u64,
    /// Seconds since the start.
    pub uptime: u64,
    /// Where the server listens.
    pub listen: String,
    /// Whether it takes mail.
    pub ready: bool,
    /// Why not, and what else is wrong.
    pub problems: Vec<String>,
    /// Since the start.
    pub totals: Totals,
    /// Mean over the last five seconds, each second.
    pub rates: Rates,
    /// The last ten minutes.
    pub history: History,
    /// Connections by what they do: login, authenticated, selected, append, idle.
    pub connections: BTreeMap<String, u64>,
    /// How many there may be.
    pub connections_limit: u64,
    /// The disk of the log.
    pub disk: Disk,
    /// The files of the log.
    pub segments: Segments,
    /// How many uploads are under way.
    pub uploads_active: u64,
    /// The busiest of them, at most 100.
    pub uploads: Vec<Upload>,
    /// What was refused lately, the latest first, at most 100.
    pub refusals: Vec<Refusal>,
    /// Each reactor.
    pub reactors: Vec<Reactor>,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Messages that became durable.
    pub messages: u64,
    /// Octets of those.
    pub octets: u64,
    /// APPEND commands that brought them.
    pub batches: u64,
    /// fdatasync calls.
    pub fdatasyncs: u64,
    /// APPENDs, logins and connections that were refused.
    pub refusals: u64,
    /// Commands that could not be read.
    pub parse_errors: u64,
    /// Logins.
    pub logins: u64,
}

/// Figures a second.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Octets of messages that became durable.
    pub octets: f64,
    /// Those messages.
    pub messages: f64,
    /// fdatasync calls.
    pub fdatasyncs: f64,
}

/// Figures of the last seconds, oldest first, the last of them the second before
/// [`Status::time`]. Shorter than ten minutes only after the start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// Seconds from one figure to the next.
    pub interval: u64,
    /// Octets of messages that became durable.
    pub octets: Vec<u64>,
    /// Those messages.
    pub messages: Vec<u64>,
    /// fdatasync calls.
    pub fdatasyncs: Vec<u64>,
}

/// The file system that the log is on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Disk {
    /// The data folder.
    pub path: String,
    /// All of it; 0 when it cannot be asked.
    pub size: u64,
    /// What is free.
    pub available: u64,
    /// Seconds until it is full if the log grows as in the last minute; `null` when it does not.
    pub full_in: Option<u64>,
}

/// Files of the log.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Segments {
    /// Written with zeros, waiting for use.
    pub ready: u64,
    /// Written to.
    pub active: u64,
    /// Held back for changes without mail on a full disk.
    #[serde(default)]
    pub reserve: u64,
    /// Full, or left by an earlier run.
    pub sealed: u64,
    /// Taken into use merely allocated, since the start.
    pub unwritten: u64,
}

/// An upload under way: what a connection has appended to one mailbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upload {
    /// The connection, as it is called in the log.
    pub connection: String,
    /// The other end.
    pub peer: String,
    /// Whose mail it is.
    pub user: String,
    /// The mailbox.
    pub mailbox: String,
    /// When it began.
    pub since: u64,
    /// Messages that have arrived, durable or not.
    pub messages: u64,
    /// Octets of those, and of the one under way.
    pub octets: u64,
    /// Octets a second, mean of the last five.
    pub octets_per_second: f64,
    /// Messages a second, likewise.
    pub messages_per_second: f64,
}

/// Something that was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// When.
    pub time: u64,
    /// The other end.
    pub peer: String,
    /// The user, or the name given for one; may be empty.
    pub user: String,
    /// The mailbox; may be empty.
    pub mailbox: String,
    /// `append`, `login` or `connection`.
    pub what: String,
    /// Why. Of a limit it names the flag.
    pub reason: String,
}

/// One reactor.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reactor {
    /// Connections.
    pub connections: u64,
    /// Messages that became durable.
    pub messages: u64,
    /// Octets of those.
    pub octets: u64,
    /// Batches.
    pub batches: u64,
    /// How long fdatasync takes.
    pub fdatasync: Latency,
    /// Batches and changes that one fdatasync makes durable, on average.
    pub group_size: f64,
    /// How late timers fire.
    pub lateness: Latency,
    /// Processor time in seconds.
    pub cpu_seconds: f64,
    /// Leases handed out.
    pub leases: u64,
    /// How many there are.
    pub leases_limit: u64,
    /// Times that somebody waited for one.
    pub lease_waits: u64,
    /// The segment that it writes to.
    pub segment: u64,
    /// Up to where.
    pub segment_offset: u64,
    /// Octets of log that came after the last checkpoint.
    pub checkpoint_lag: u64,
}

/// A histogram in brief. The quantiles are upper bounds, powers of two.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Mean, in microseconds.
    pub mean_micros: f64,
    /// What half of them do not exceed, in microseconds.
    pub median_micros: u64,
    /// What 99 of 100 do not exceed, in microseconds.
    pub p99_micros: u64,
}
