//! The logs of a process: where they go, and that nobody waits for them.

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
use super::journal::{Journal, Place, Tell, Trouble};
use super::lines::{Lines, Look};
use crate::limits::{AUDIT_QUEUE, LOG_QUEUE};
use crate::stats::{self, AUDIT_TARGET};

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// What is logged, and where.
pub(super) struct LogOptions<'a> {
    /// What: the text of an [`EnvFilter`].
    pub filter: &'a str,
    pub format: LogFormat,
    /// Standard error otherwise.
    pub file: Option<&'a Path>,
    /// Where the audit trail goes, instead of into the log.
    pub audit: Option<&'a Path>,
}

/// The logs of this process. Dropping them waits a moment for what is on its way.
pub(super) struct Logs {
    log: Journal,
    audit: Option<Journal>,
}

impl Logs {
    /// From now on everything is logged, panics included.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn start(options: LogOptions) -> Result<Logs, Failure> {
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

    /// Opens the files anew by their names: what had those names before may be moved away.
    pub fn reopen(&self) {
        self.log.reopen();
        self.audit.iter().for_each(Journal::reopen);
    }
}

impl Logs {
    /// Waits a moment until what is on its way is written.
    pub fn flush(&self) {
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
    // Colors are the writer's: what comes out of the formatter is escaped.
    let lines = fmt::layer().with_ansi(false);
    let writer = Lines { journal: log.clone(), look };
    let lines = match look.json {
        false => lines.with_writer(writer).boxed(),
        true => lines.json().with_writer(writer).boxed(),
    };
    let Some(audit) = audit else {
        return tracing_subscriber::registry().with(lines).with(filter).init();
    };
    // What is in the audit trail is not in the log as well.
    let filter = filter.and(filter_fn(|event| event.target() != AUDIT_TARGET));
    let writer = Lines { journal: audit.clone(), look: Look { json: true, ..Look::default() } };
    let trail = fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer);
    // Of spans there is one kind: which connection it is, and whose.
    let trail = trail.with_filter(filter_fn(|it| it.is_span() || it.target() == AUDIT_TARGET));
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(trail).init();
}

/// Why a file of the log cannot be opened, or its thread not be started.
fn unopened(flag: &str, path: Option<&Path>, error: &io::Error) -> Failure {
    match path {
        Some(path) => Failure::new(
            exit::CREATE,
            format!(
                "{flag} {}: cannot be opened to append to: {error}; its folder must exist, and the \
                 user whom mailrace runs as must be allowed to write there",
                path.display()
            ),
        ),
        None => Failure::new(exit::SYSTEM, format!("no thread for the log: {error}")),
    }
}

/// The log itself tells what became of it, once it can.
fn troubles_of_log(look: Look) -> Tell {
    Box::new(move |trouble| match trouble {
        Trouble::Lost(lines) => Some(look.line(
            Level::WARN,
            &format!(
                "{lines} lines of the log were lost: whatever reads it, or its disk, was too slow, \
                 or failed"
            ),
        )),
        Trouble::NotReopened(error) => Some(look.line(
            Level::ERROR,
            &format!("the log cannot be opened anew, the former file stays in use: {error}"),
        )),
        // There is no way to tell but the metrics.
        Trouble::Full | Trouble::Failed(_) | Trouble::Mended => None,
    })
}

/// Of the audit trail the log tells.
fn troubles_of_audit(path: PathBuf, log: Journal, look: Look) -> Tell {
    let trail = Look { json: true, ..Look::default() };
    Box::new(move |trouble| {
        let shown = path.display();
        let (level, text) = match trouble {
            Trouble::Full => (
                Level::ERROR,
                format!("the audit log {shown} is written too slowly: its lines are being lost"),
            ),
            Trouble::Lost(lines) => {
                (Level::ERROR, format!("{lines} lines of the audit log {shown} were lost"))
            }
            Trouble::Failed(error) => (
                Level::ERROR,
                format!(
                    "the audit log {shown} cannot be written: {error}; up to {} MiB of its lines \
                     wait in memory, and it is tried again every second",
                    AUDIT_QUEUE >> 20
                ),
            ),
            Trouble::NotReopened(error) => (
                Level::ERROR,
                format!(
                    "the audit log {shown} cannot be opened anew, the former file stays in use: \
                     {error}"
                ),
            ),
            Trouble::Mended => (Level::INFO, format!("the audit log {shown} is written again")),
        };
        log.push(&look.line(level, &text));
        matches!(trouble, Trouble::Lost(_)).then(|| trail.line(level, &text))
    })
}

/// A panic is a line of the log, like anything else: the standard library would write to standard
/// error and wait for whoever reads it. Where it ends the process, that line is the last.
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
