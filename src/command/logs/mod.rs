//! The logs of a process: where they go. No thread ever waits for them.

mod journal;
mod lines;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::path::{Path, PathBuf};
use std::{panic, thread};

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use super::exit::{self, Failure};
use crate::limits::{AUDIT_QUEUE, LOG_QUEUE};
use crate::stats::{self, AUDIT_TARGET};
use journal::{Journal, Place, Tell, Trouble};
use lines::{Lines, Look};

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

/// What is logged, and where to.
pub(super) struct LogOptions<'a> {
    /// The text of an [`EnvFilter`].
    pub filter: &'a str,
    pub format: LogFormat,
    /// The file; standard error without one.
    pub file: Option<&'a Path>,
    /// The file of the audit trail; part of the log without one.
    pub audit: Option<&'a Path>,
}

/// The logs of this process. Dropping them waits briefly for pending lines.
pub(super) struct Logs {
    log: Journal,
    audit: Option<Journal>,
}

impl Logs {
    /// Starts logging everything, panics included.
    ///
    /// # Errors
    /// If a file cannot be opened.
    pub(super) fn start(options: LogOptions) -> Result<Logs, Failure> {
        let json = options.format == LogFormat::Json;
        let (place, look) = match options.file {
            None => (Place::Stderr, Look::of_stderr(json)),
            Some(path) => (Place::File(path.into()), Look { json, ..Look::default() }),
        };
        let log = Journal::start(place, LOG_QUEUE, &stats::LOG, troubles_of_log(look))
            .map_err(|error| unopened("--log-file", options.file, &error))?;
        let audit = options.audit.map(|path| {
            let tell = troubles_of_audit(path.into(), log.clone(), look);
            Journal::start(Place::File(path.into()), AUDIT_QUEUE, &stats::AUDIT, tell)
                .map_err(|error| unopened("--audit-log", Some(path), &error))
        });
        let audit = audit.transpose()?;
        subscribe(options.filter, &log, look, audit.as_ref());
        flush_on_panic(log.clone());
        Ok(Logs { log, audit })
    }

    /// Reopens the files by their names, so that the previous files can be moved away.
    pub(super) fn reopen(&self) {
        self.log.reopen();
        self.audit.iter().for_each(Journal::reopen);
    }
}

impl Logs {
    /// Waits briefly until pending lines are written.
    pub(super) fn flush(&self) {
        self.audit.iter().for_each(Journal::flush);
        self.log.flush();
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.flush();
    }
}

fn subscribe(filter: &str, log: &Journal, look: Look, audit: Option<&Journal>) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // The writer adds colors, after it has escaped what the formatter wrote.
    let lines = fmt::layer().with_ansi(false);
    let writer = Lines { journal: log.clone(), look };
    let lines = match look.json {
        false => lines.with_writer(writer).boxed(),
        true => lines.json().with_writer(writer).boxed(),
    };
    let Some(audit) = audit else {
        return tracing_subscriber::registry().with(lines).with(filter).init();
    };
    // The log leaves out what is in the audit trail.
    let filter = filter.and(filter_fn(|event| event.target() != AUDIT_TARGET));
    let writer = Lines { journal: audit.clone(), look: Look { json: true, ..Look::default() } };
    let trail = fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer);
    // There is one kind of span: the connection and its user.
    let trail = trail.with_filter(filter_fn(|it| it.is_span() || it.target() == AUDIT_TARGET));
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(trail).init();
}

/// Why the log cannot start.
fn unopened(flag: &str, path: Option<&Path>, error: &io::Error) -> Failure {
    match path {
        Some(path) => Failure::new(
            exit::Code::Create,
            format!(
                "{flag} {}: cannot open the file for appending: {error}; its folder must exist and \
                 be writable by the user mailrace runs as",
                path.display()
            ),
        ),
        None => {
            Failure::new(exit::Code::System, format!("cannot start the thread of the log: {error}"))
        }
    }
}

/// Reports trouble of the log in the log itself, once it can be written again.
fn troubles_of_log(look: Look) -> Tell {
    Box::new(move |trouble| {
        match trouble {
        Trouble::Lost(lines) => Some(look.line(
            Level::WARN,
            &format!(
                "{lines} lines of the log were lost because its reader or its disk was too slow \
                 or failed"
            ),
        )),
        Trouble::NotReopened(error) => Some(look.line(
            Level::ERROR,
            &format!("cannot reopen the log, keeping the previous file: {error}"),
        )),
        // Only the metrics can tell.
        Trouble::Full | Trouble::Failed(_) | Trouble::Mended => None,
    }
    })
}

/// Reports trouble of the audit trail in the log.
fn troubles_of_audit(path: PathBuf, log: Journal, look: Look) -> Tell {
    let trail = Look { json: true, ..Look::default() };
    Box::new(move |trouble| {
        let shown = path.display();
        let (level, text) = match trouble {
            Trouble::Full => (
                Level::ERROR,
                format!("the disk of the audit log {shown} is too slow: lines are being lost"),
            ),
            Trouble::Lost(lines) => {
                (Level::ERROR, format!("{lines} lines of the audit log {shown} were lost"))
            }
            Trouble::Failed(error) => (
                Level::ERROR,
                format!(
                    "cannot write the audit log {shown}: {error}; keeping up to {} MiB of lines in \
                     memory and retrying every second",
                    AUDIT_QUEUE >> 20
                ),
            ),
            Trouble::NotReopened(error) => (
                Level::ERROR,
                format!("cannot reopen the audit log {shown}, keeping the previous file: {error}"),
            ),
            Trouble::Mended => (Level::INFO, format!("the audit log {shown} can be written again")),
        };
        log.push(&look.line(level, &text));
        matches!(trouble, Trouble::Lost(_)).then(|| trail.line(level, &text))
    })
}

/// Logs panics, because the standard library would write to standard error and wait for its reader.
/// If the panic ends the process, its line is the last.
fn flush_on_panic(log: Journal) {
    panic::set_hook(Box::new(move |info| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        let trace = Backtrace::capture();
        match trace.status() {
            BacktraceStatus::Captured => tracing::error!("thread {name}: {info}\n{trace}"),
            _ => tracing::error!("thread {name}: {info}"),
        }
        log.flush();
    }));
}
