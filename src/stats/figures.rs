//! Every figure that the server publishes, declared once.
//!
//! `/metrics`, the `figures` of `/status.json`, the page, `mailrace top` and the table in the
//! manual are made from this list. A new counter is a line here, and
//! [`Counters::one`](super::Counters::one) where the event happens.

use super::census::Standing;
use super::histogram::BUCKETS;
use super::lines::LINE_COUNTS;
use super::refusals::What;

/// The declaration of a figure.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// Its name, without the prefix `mailrace_`, the unit and `_total`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// What it is measured in.
    pub unit: Unit,
    /// Whether each reactor has one.
    pub scope: Scope,
    /// Name and values of the label, for a figure with several values.
    pub label: Option<Label>,
    /// What it is: one sentence without the full stop.
    pub help: &'static str,
    /// What an operator watches for, in Markdown; may be empty.
    pub watch: &'static str,
}

/// How a figure behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; starts at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution. `/metrics` has the buckets with the bounds `2^from` to `2^to`.
    Histogram {
        /// Exponent of the first bound.
        from: usize,
        /// Exponent of the last bound.
        to: usize,
    },
}

/// What a figure is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    None,
    /// Bytes.
    Bytes,
    /// Kept in microseconds, shown in seconds.
    Micros,
    /// A point in time, in seconds since 1970 UTC.
    Time,
}

/// Whose figure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each reactor's; the process has their sum.
    Reactor,
    /// Each reactor's. A sum would mean nothing, so the process has the largest.
    Largest,
    /// The process's.
    Process,
}

/// A label: the figure has a value for each of its values.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values, in the order in which they are stored.
    pub values: &'static [&'static str],
}

const fn counter(name: &'static str, help: &'static str) -> Declared {
    let (kind, unit, scope, label) = (Kind::Counter, Unit::None, Scope::Reactor, None);
    Declared { name, kind, unit, scope, label, help, watch: "" }
}

const fn gauge(name: &'static str, help: &'static str) -> Declared {
    Declared { kind: Kind::Gauge, ..counter(name, help) }
}

/// A histogram of times from 16 microseconds to 8.4 seconds.
const fn times(name: &'static str, help: &'static str) -> Declared {
    let kind = Kind::Histogram { from: 4, to: BUCKETS - 2 };
    Declared { kind, unit: Unit::Micros, ..counter(name, help) }
}

/// A histogram of numbers from 1 to 4,096.
const fn sizes(name: &'static str, help: &'static str) -> Declared {
    Declared { kind: Kind::Histogram { from: 0, to: 12 }, ..counter(name, help) }
}

impl Declared {
    const fn bytes(self) -> Declared {
        Declared { unit: Unit::Bytes, ..self }
    }

    const fn micros(self) -> Declared {
        Declared { unit: Unit::Micros, ..self }
    }

    const fn time(self) -> Declared {
        Declared { unit: Unit::Time, ..self }
    }

    const fn largest(self) -> Declared {
        Declared { scope: Scope::Largest, ..self }
    }

    const fn process(self) -> Declared {
        Declared { scope: Scope::Process, ..self }
    }

    const fn by(self, name: &'static str, values: &'static [&'static str]) -> Declared {
        Declared { label: Some(Label { name, values }), ..self }
    }

    const fn watch(self, watch: &'static str) -> Declared {
        Declared { watch, ..self }
    }

    /// How many values each owner of the figure has.
    #[must_use]
    pub const fn width(&self) -> usize {
        match (self.kind, self.label) {
            (Kind::Histogram { .. }, _) => 0,
            (_, None) => 1,
            (_, Some(label)) => label.values.len(),
        }
    }

    /// The whole name in `/metrics`: `mailrace_log_bytes_total`.
    #[must_use]
    pub fn metric(&self) -> String {
        let unit = match self.unit {
            Unit::None => "",
            Unit::Bytes => "_bytes",
            Unit::Micros | Unit::Time => "_seconds",
        };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("mailrace_{}{unit}{total}", self.name)
    }
}

/// Makes the enum [`Figure`] and the list of declarations in the same order.
macro_rules! figures {
    ($($figure:ident = $declared:expr;)*) => {
        /// A figure. Its [declaration](Figure::declared) says what it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Figure { $($figure),* }

        impl Figure {
            /// All of them, in the order of their declarations.
            pub const ALL: &[Figure] = &[$(Figure::$figure),*];
        }

        const FIGURES: usize = [$(stringify!($figure)),*].len();

        static DECLARED: [Declared; FIGURES] = [$($declared),*];
    };
}

figures! {
    Messages = counter("messages", "Messages that became durable")
        .watch("Grows during a migration");
    MailBytes = counter("message", "Bytes of messages that became durable").bytes();
    Batches = counter("batches", "APPEND commands that became durable")
        .watch("Messages divided by batches: below 10 the client sends single messages, and the \
                latency of the disk is the limit");
    UploadsActive = gauge("uploads_active", "Connections that sent mail in the last 10 seconds");

    Fdatasync = times("fdatasync", "Duration of each fdatasync")
        .watch("The mean doubles: the disk is slow, or segments are used unwritten");
    FdatasyncGroup = sizes("fdatasync_group_size", "Batches and changes that one fdatasync made \
                            durable")
        .watch("Above 1 under load: connections share it");
    LogStalled = gauge("log_stalled", "How long the disk has owed an answer that a command waits \
                        for").micros().largest()
        .watch("Above 1: the disk is ailing. From 5 on `/readyz` fails");
    LogFrames = counter("log_frames", "Frames written to the log");
    LogBytes = counter("log", "Bytes written to the log, headers and padding included").bytes()
        .watch("Far above the bytes of messages: batches are small");
    LogWaits = counter("log_waits", "Commands delayed because their account, which has a quota, \
                        logged too much beside its mail")
        .watch("It grows: a client changes flags or moves mail without end, or tries to fill the \
                disk");
    LogDurableLsn = gauge("log_durable_lsn", "The last log sequence number that is durable")
        .largest();
    LogSegment = gauge("log_segment", "The segment that the log is written to").largest();
    LogPosition = gauge("log_position", "Where in that segment the durable log ends").bytes()
        .largest();
    UnwrittenSegments = counter("unwritten_segments", "Segments taken into use allocated but not \
                                 yet written, which slows fdatasync")
        .watch("It grows: raise `--segments-ahead`");
    CheckpointLag = gauge("checkpoint_lag", "Bytes of log that the next start would read").bytes()
        .watch("**Alert** above 1 GiB for 10 minutes: checkpoints fail or are too slow");
    Checkpoints = counter("checkpoints", "Checkpoints written");
    CheckpointFailures = counter("checkpoint_failures", "Checkpoints that failed and were retried")
        .watch("**Alert** when it grows: the server's log has the reason");

    Connections = gauge("connections", "Connections by state: append if mail came in the last 10 \
                         seconds, otherwise login, authenticated, selected or idle")
        .by("state", &Standing::NAMES)
        .watch("Many in `login`: clients that cannot log in");
    Accounts = gauge("accounts", "Accounts in memory: those in use, and others for some ten \
                      seconds, until the catalog has their changes");
    Logins = counter("logins", "Accepted logins");
    Refusals = counter("refusals", "Refused APPENDs, logins and connections")
        .by("what", &What::NAMES)
        .watch("**Alert** when `append` grows during a migration: mail is refused. `login`: \
                passwords are being guessed");
    ParseErrors = counter("parse_errors", "Commands that could not be parsed")
        .watch("A broken client, or one that does not speak IMAP");

    ReactorLateness = times("reactor_lateness", "How late a timer fires, which is how long any \
                             event waits for its turn; one millisecond is the timer's own")
        .watch("**Alert** when the 99th percentile exceeds 100 ms: the reactor has too much to \
                do, or too little CPU");
    ReactorTurns = counter("reactor_turns", "Signs of life, 20 a second")
        .watch("**Alert** when it stands still, as `/healthz` does");
    ReactorCpu = counter("reactor_cpu", "CPU time of the reactor").micros()
        .watch("Near 1 a second: the CPU is the limit");
    LeasesInUse = gauge("leases_in_use", "Leases handed out").by("size", &LEASE_SIZES);
    Leases = gauge("leases", "Leases that each reactor has").by("size", &LEASE_SIZES).process();
    LeaseWaits = counter("lease_waits", "Times that a task waited for a lease")
        .watch("It grows: the disk is slower than the network, which is fine");

    Segments = gauge("segments", "Files of the log by state; reserve is held back for changes \
                      without mail on a full disk")
        .by("state", &["ready", "active", "reserve", "sealed"]).process()
        .watch("`ready` at 0 for long: see unwritten segments");
    LiveBytes = gauge("live", "Bytes of the messages in all mailboxes, copies included, as of the \
                       last checkpoints").bytes().process();
    DeadBytes = gauge("dead", "Bytes of sealed segments that no mailbox names: expunged mail, \
                       records, and the rest of blocks").bytes().process()
        .watch("Above a quarter of the live bytes for long: cleaning does not keep up; see \
                `--clean-rate`");
    CleanedSegments = counter("cleaned_segments", "Segments that were emptied and given back")
        .process();
    CleanedBytes = counter("cleaned", "Bytes of those segments").bytes().process();
    RewrittenBytes = counter("rewritten", "Bytes of messages that cleaning wrote again").bytes()
        .process()
        .watch("Divided by the bytes of messages: the write amplification of cleaning");
    PurgeOldestDead = gauge("purge_oldest_dead", "For how many seconds octets of expunged mail may \
                            have been on the disk, the oldest of them; 0 without `--purge-within`")
        .micros().process()
        .watch("**Alert** above `--purge-within` for an hour: the log says why they do not go");
    ScrubbedBytes = counter("scrubbed", "Bytes of stored mail that the scrub has read and checked; \
                             this and the next only without `--scrub-every off`").bytes().process();
    ScrubbedFiles = counter("scrubbed_files", "Segments and record files that the scrub has \
                             checked").process();
    ScrubLeft = gauge("scrub_left", "Bytes of the files that this pass of the scrub has still to \
                       check").bytes().process();
    ScrubLast = gauge("scrub_last", "When the last complete pass of the scrub ended, in seconds \
                       since 1970 UTC; 0 before the first").time().process()
        .watch("Older than two periods: it does not keep up, or is off");
    ScrubFindings = gauge("scrub_findings", "Damaged places that the scrub has found in the last \
                           complete pass or in this one").process()
        .watch("**Alert** above 0: the log names them; run `mailrace verify`");
    ScrubOff = gauge("scrub_off", "1 when the scrub has stopped because the disk fails to read")
        .process()
        .watch("**Alert** when 1: replace the disk");
    DiskSize = gauge("disk_size", "Size of the file system that holds the log").bytes().process();
    DiskFree = gauge("disk_free", "Free space on that file system").bytes().process()
        .watch("**Alert** on `predict_linear(mailrace_disk_free_bytes[10m], 4 * 3600) < 0`");
    ConnectionsLimit = gauge("connections_limit", "Largest number of connections").process()
        .watch("**Alert** when `mailrace_connections` comes near");
    Ready = gauge("ready", "1 while mail is accepted, else 0, as `/readyz` says").process()
        .watch("**Alert** when 0 for a minute");
    DamagedMessages = gauge("damaged_messages", "Messages in mailboxes whose bytes the start found \
                             damaged, copies included").process()
        .watch("**Alert** above 0: `quarantine.json` in the data folder lists them");
    Damages = gauge("damages", "Holes in the log and other damage that the start skipped")
        .process()
        .watch("**Alert** above 0");
    LogLinesLost = counter("log_lines_lost", "Log lines lost because their reader or disk was too \
                            slow or failed").by("of", &LINE_COUNTS).process()
        .watch("**Alert** when it grows for `audit`: changes of mail are missing from the trail");
    LogFailing = gauge("log_failing", "1 while that log cannot be written, else 0")
        .by("of", &LINE_COUNTS).process()
        .watch("**Alert** when 1: its disk is full, or its reader is gone");
    StartTime = gauge("start_time", "When the server started, in seconds since 1970 UTC").time()
        .process()
        .watch("It changes: the server was restarted, or it crashed");
    CertificateExpires = gauge("tls_certificate_expires", "When the TLS certificate expires, in \
                                seconds since 1970 UTC; only with TLS").time().process()
        .watch("**Alert** on `mailrace_tls_certificate_expires_seconds - time() < 14 * 86400`");
    BuildInfo = gauge("build_info", "1, with the running version as its label")
        .by("version", &[env!("CARGO_PKG_VERSION")]).process();
}

const LEASE_SIZES: [&str; 2] = ["small", "large"];

/// Where the numbers of each figure begin in [`Values`](super::Values), and the end of the last.
const FIRST: [usize; FIGURES + 1] = offsets(false);

/// Where the histograms of each figure begin.
const FIRST_HISTOGRAM: [usize; FIGURES + 1] = offsets(true);

/// Room for the numbers of all figures, each label's value counted. A literal, and not the exact
/// number, because the compiler cannot compute the length of an array that a `Send` future holds
/// from functions of the same crate.
pub(super) const NUMBERS: usize = 128;

/// Room for the histograms of all figures.
pub(super) const HISTOGRAMS: usize = 4;

const _: () = assert!(FIRST[FIGURES] <= NUMBERS && FIRST_HISTOGRAM[FIGURES] <= HISTOGRAMS);

const fn offsets(histograms: bool) -> [usize; FIGURES + 1] {
    let mut first = [0; FIGURES + 1];
    let mut at = 0;
    while at < FIGURES {
        let is_histogram = matches!(DECLARED[at].kind, Kind::Histogram { .. });
        let width = if histograms { is_histogram as usize } else { DECLARED[at].width() };
        first[at + 1] = first[at] + width;
        at += 1;
    }
    first
}

impl Figure {
    /// What it is.
    #[must_use]
    pub const fn declared(self) -> &'static Declared {
        &DECLARED[self as usize]
    }

    pub(super) fn numbers(self) -> std::ops::Range<usize> {
        FIRST[self as usize]..FIRST[self as usize + 1]
    }

    pub(super) fn histogram(self) -> usize {
        assert!(matches!(self.declared().kind, Kind::Histogram { .. }), "{self:?} has none");
        FIRST_HISTOGRAM[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_stands_for_one_figure_and_help_is_one_line() {
        let mut names = BTreeSet::new();
        for figure in Figure::ALL {
            let declared = figure.declared();
            assert!(names.insert(declared.metric()), "{} is there twice", declared.name);
            for text in [declared.help, declared.watch] {
                assert!(!text.contains(['\n', '|']) && !text.ends_with('.'), "{text}");
            }
            assert!(!declared.help.is_empty(), "{figure:?}");
        }
    }

    #[test]
    fn metrics_are_named_with_unit_and_kind() {
        let name = |figure: Figure| figure.declared().metric();
        assert_eq!(name(Figure::LogBytes), "mailrace_log_bytes_total");
        assert_eq!(name(Figure::ReactorCpu), "mailrace_reactor_cpu_seconds_total");
        assert_eq!(name(Figure::Fdatasync), "mailrace_fdatasync_seconds");
        assert_eq!(name(Figure::Ready), "mailrace_ready");
    }

    #[test]
    fn each_number_belongs_to_one_figure() {
        let all: Vec<usize> = Figure::ALL.iter().flat_map(|figure| figure.numbers()).collect();
        assert_eq!(all, (0..FIRST[FIGURES]).collect::<Vec<_>>());
        assert_eq!(Figure::Refusals.numbers().len(), What::NAMES.len());
        assert_eq!(FIRST_HISTOGRAM[FIGURES], 3);
    }
}
