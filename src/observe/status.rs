//! The content of `/status.json`, which the live page and `mailrace top` show.
//!
//! One JSON object, updated every second. Members may be added; if one is removed or changes its
//! meaning, [`Status::version`] is raised. Times are seconds since 1970 UTC, sizes bytes. User and
//! mailbox names contain no control characters and are cut to 200 characters. They are not escaped
//! for HTML.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::{Figure, Kind, Unit};

/// Version of the format.
pub(crate) const STATUS_VERSION: u32 = 1;

/// The whole object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Version of this format: [`STATUS_VERSION`].
    pub version: u32,
    /// Version of the server.
    pub mailrace: String,
    /// When this status was taken.
    pub time: u64,
    /// Seconds since the start.
    pub uptime: u64,
    /// The address that the server listens on.
    pub listen: String,
    /// Whether mail is accepted.
    pub ready: bool,
    /// Why mail is not accepted; empty if it is.
    pub problems: Vec<String>,
    /// Counts since the start.
    pub totals: Totals,
    /// Means over the last five seconds, per second.
    pub rates: Rates,
    /// The last ten minutes.
    pub history: History,
    /// Connections by state: login, authenticated, selected, append, idle.
    pub connections: BTreeMap<String, u64>,
    /// Largest number of connections.
    pub connections_limit: u64,
    /// Every figure of `/metrics`, in the order of the manual, all reactors taken together.
    #[serde(default)]
    pub figures: Vec<FigureStatus>,
    /// The disk of the log.
    pub disk: Disk,
    /// The files of the log.
    pub segments: Segments,
    /// Number of uploads in progress.
    pub uploads_active: u64,
    /// The busiest uploads, at most 100.
    pub uploads: Vec<Upload>,
    /// The latest refusals, newest first, at most 100.
    pub refusals: Vec<Refusal>,
    /// Each reactor.
    pub reactors: Vec<Reactor>,
}

/// A figure: its declaration, and its values now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FigureStatus {
    /// Name in `/metrics`, such as `mailrace_log_bytes_total`.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// `bytes`, `seconds`, `time` (seconds since 1970 UTC), or empty for a plain number.
    pub unit: String,
    /// What it is.
    pub help: String,
    /// One value; with a label, one for each value of the label; of a histogram its mean, median
    /// and 99th percentile. Reactors are summed up, or the largest is taken where a sum would mean
    /// nothing.
    pub values: Vec<FigureValue>,
}

/// A value of a figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FigureValue {
    /// Value of the label; `mean`, `p50` or `p99` of a histogram; else empty.
    pub of: String,
    /// The value, in the unit of the figure.
    pub value: f64,
}

impl FigureStatus {
    pub(super) fn new(figure: Figure, values: Vec<FigureValue>) -> FigureStatus {
        let declared = figure.declared();
        let kind = match declared.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram { .. } => "histogram",
        };
        let unit = match declared.unit {
            Unit::None => "",
            Unit::Bytes => "bytes",
            Unit::Micros => "seconds",
            Unit::Time => "time",
        };
        let (kind, unit, help) = (kind.into(), unit.into(), declared.help.into());
        FigureStatus { name: declared.metric(), kind, unit, help, values }
    }
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Messages that became durable.
    pub messages: u64,
    /// Bytes of those messages.
    pub octets: u64,
    /// APPEND commands that became durable.
    pub batches: u64,
    /// fdatasync calls.
    pub fdatasyncs: u64,
    /// Refused APPENDs, logins and connections.
    pub refusals: u64,
    /// Commands that could not be parsed.
    pub parse_errors: u64,
    /// Accepted logins.
    pub logins: u64,
}

/// Throughput per second.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rates {
    /// Bytes of messages that became durable.
    pub octets: f64,
    /// Messages that became durable.
    pub messages: f64,
    /// fdatasync calls.
    pub fdatasyncs: f64,
}

/// Throughput in each of the last seconds, oldest first; the last is the second before
/// [`Status::time`]. Covers ten minutes, or the time since the start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    /// Seconds from one value to the next.
    pub interval: u64,
    /// Bytes of messages that became durable.
    pub octets: Vec<u64>,
    /// Messages that became durable.
    pub messages: Vec<u64>,
    /// fdatasync calls.
    pub fdatasyncs: Vec<u64>,
}

/// The file system that holds the log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Disk {
    /// The data folder.
    pub path: String,
    /// Size of the file system; 0 if it cannot be read.
    pub size: u64,
    /// Free space.
    pub available: u64,
    /// Seconds until the disk is full if the log grows as in the last minute; `null` if it does not
    /// grow.
    pub full_in: Option<u64>,
}

/// Files of the log.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Segments {
    /// Written with zeros and ready for use.
    pub ready: u64,
    /// In use.
    pub active: u64,
    /// Reserved for changes without mail on a full disk.
    #[serde(default)]
    pub reserve: u64,
    /// Full, or left by an earlier run.
    pub sealed: u64,
    /// Since the start: taken into use allocated but not yet written.
    pub unwritten: u64,
}

/// An upload in progress: what one connection appends to one mailbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// ID of the connection, as in the log.
    pub connection: String,
    /// Address of the client.
    pub peer: String,
    /// The user.
    pub user: String,
    /// The mailbox.
    pub mailbox: String,
    /// When the upload began.
    pub since: u64,
    /// Messages that arrived, durable or not.
    pub messages: u64,
    /// Bytes of those messages, and of the one in progress.
    pub octets: u64,
    /// Bytes per second, averaged over five seconds.
    pub octets_per_second: f64,
    /// Messages per second, averaged over five seconds.
    pub messages_per_second: f64,
}

/// A refusal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// When it happened.
    pub time: u64,
    /// Address of the client.
    pub peer: String,
    /// The user, or the name the client tried to log in as; may be empty.
    pub user: String,
    /// The mailbox; may be empty.
    pub mailbox: String,
    /// `append`, `login` or `connection`.
    pub what: String,
    /// The reason. For a limit it names the flag.
    pub reason: String,
}

/// One reactor.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Reactor {
    /// Connections.
    pub connections: u64,
    /// Messages that became durable.
    pub messages: u64,
    /// Bytes of those messages.
    pub octets: u64,
    /// APPEND commands that became durable.
    pub batches: u64,
    /// Duration of fdatasync.
    pub fdatasync: Latency,
    /// Mean number of batches and changes that one fdatasync makes durable.
    pub group_size: f64,
    /// How late timers fire.
    pub lateness: Latency,
    /// CPU time in seconds.
    pub cpu_seconds: f64,
    /// Leases handed out.
    pub leases: u64,
    /// Leases the reactor has.
    pub leases_limit: u64,
    /// Times that a task waited for a lease.
    pub lease_waits: u64,
    /// The segment being written.
    pub segment: u64,
    /// Where in that segment the durable log ends.
    pub segment_offset: u64,
    /// Bytes of log since the last checkpoint.
    pub checkpoint_lag: u64,
}

/// Summary of a histogram. The quantiles are upper bounds, powers of two.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// Number of values.
    pub count: u64,
    /// Mean, in microseconds.
    pub mean_micros: f64,
    /// Median in microseconds.
    pub median_micros: u64,
    /// 99th percentile in microseconds.
    pub p99_micros: u64,
}
