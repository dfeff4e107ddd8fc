//! `mailrace verify`: reads a whole store and reports what is damaged.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::error::{ToolError, say};
use crate::index::{self, Comparison, Finding, LOSSES, Verified};
use crate::server::StartError;
use crate::stats::escaped;
use crate::store::{DataLock, LockError, ReadAhead};

/// The folder of the log, within the data folder.
const SEGMENTS: &str = "segments";

/// What `verify` does.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// The data folder.
    pub data: PathBuf,
    /// Report as JSON.
    pub json: bool,
    /// Accept the damage.
    pub repair: bool,
}

/// What `verify` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is sound.
    Sound,
    /// Number of findings.
    Damaged(usize),
    /// There were findings, and the loss was accepted.
    Repaired,
}

/// The report. Members may be added; if one is removed or changes its meaning, `version` is raised.
#[derive(Serialize)]
pub(super) struct Report {
    version: u32,
    data: String,
    /// A server uses the folder, so only complete segments were checked.
    running: bool,
    sound: bool,
    segments: usize,
    bytes: u64,
    seconds: f64,
    frames: u64,
    /// Messages that the log has committed, including those expunged since.
    messages: u64,
    /// Messages in mailboxes, according to the log.
    living: u64,
    /// Damaged messages that no mailbox has any more.
    expunged: u64,
    /// `agrees`, `contradicts`, `none` or `in use`.
    catalog: &'static str,
    /// The damage is recorded, so a server starts in spite of it.
    recorded: bool,
    repaired: bool,
    damaged: Vec<Damaged>,
}

#[derive(Serialize)]
struct Damaged {
    file: String,
    offset: u64,
    what: String,
    user: Option<String>,
    mailbox: Option<String>,
    first_uid: Option<u32>,
    last_uid: Option<u32>,
    /// The finding as a line.
    #[serde(skip)]
    line: String,
}

/// Checks a data folder and prints the report on standard output; with a terminal, progress on
/// standard error.
///
/// # Errors
/// When the check cannot be done. Damage is no error.
pub fn run(options: &VerifyOptions) -> Result<Verdict, ToolError> {
    let report = examine(options)?;
    say(&if options.json { report.json() } else { report.text() })?;
    Ok(match report.findings() {
        0 => Verdict::Sound,
        _ if report.repaired => Verdict::Repaired,
        count => Verdict::Damaged(count),
    })
}

/// The same without printing the report.
pub(super) fn examine(options: &VerifyOptions) -> Result<Report, ToolError> {
    let data = &options.data;
    let refused = |error| StartError::Data(data.clone(), error);
    let folder = data.join(SEGMENTS);
    folder.metadata().map_err(|error| StartError::Data(folder.clone(), error))?;
    let (lock, running) = lock(data, options.repair)?;
    let work = tempfile::Builder::new().prefix("mailrace-verify-").tempdir();
    let work = work.map_err(|error| ToolError::Io {
        doing: "cannot create a folder for temporary files (TMPDIR)".into(),
        error,
    })?;
    let begun = Instant::now();
    let (bar, read) = (bar(), Arc::new(AtomicU64::new(0)));
    let progress = {
        let (bar, read) = (bar.clone(), read.clone());
        move |bytes| {
            read.fetch_add(bytes, Ordering::Relaxed);
            bar.inc(bytes);
        }
    };
    let mut medium = ReadAhead::open(&folder, running, progress).map_err(refused)?;
    let (segments, length) = medium.size();
    bar.set_length(length);
    let active = running.then(|| medium.active().to_vec());
    let verified = index::verify(data, work.path(), active.as_deref(), &mut medium);
    bar.finish_and_clear();
    let verified = verified.map_err(StartError::Replay)?;
    let mut damaged: Vec<_> = verified.findings.iter().map(Damaged::of).collect();
    for (file, offset) in medium.unreadable() {
        damaged.push(Damaged::plain(file.file_name(), offset, "the disk cannot read this block"));
    }
    if let Some(why) = &verified.unusable_losses {
        damaged.push(Damaged::plain(LOSSES.into(), 0, why));
    }
    let sound = damaged.is_empty();
    let repaired = options.repair && !sound;
    if options.repair {
        index::repair(data, &verified).map_err(refused)?;
    }
    drop(lock);
    Ok(Report {
        version: 1,
        data: data.display().to_string(),
        running,
        sound,
        segments,
        bytes: read.load(Ordering::Relaxed),
        seconds: begun.elapsed().as_secs_f64(),
        frames: verified.frames,
        messages: verified.messages,
        living: verified.living,
        expunged: verified.expunged,
        catalog: catalog(&verified),
        recorded: verified.recorded || repaired,
        repaired,
        damaged,
    })
}

/// Locks the folder, so that no server starts on it. The second value says whether one runs.
fn lock(data: &Path, repair: bool) -> Result<(Option<DataLock>, bool), ToolError> {
    match DataLock::acquire(data) {
        Ok(lock) => Ok((Some(lock), false)),
        Err(LockError::Held { .. }) if !repair => Ok((None, true)),
        // A folder that cannot be written to can be checked.
        Err(LockError::Io { .. }) if !repair => Ok((None, DataLock::is_held(data))),
        Err(error) => Err(StartError::Lock(error).into()),
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let template = "[{bar:40}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    bar.set_style(style.progress_chars("=> "));
    bar
}

fn catalog(verified: &Verified) -> &'static str {
    match verified.comparison {
        Comparison::Done => "agrees",
        Comparison::Unusable => "contradicts",
        Comparison::NoCatalog => "none",
        Comparison::InUse => "in use",
    }
}

impl Damaged {
    fn of(finding: &Finding) -> Damaged {
        Damaged {
            file: finding.file_name(),
            offset: finding.offset,
            what: finding.what.clone(),
            user: finding.user.as_deref().map(Into::into),
            mailbox: finding.mailbox.as_deref().map(Into::into),
            first_uid: finding.uids.map(|(first, _)| first.0),
            last_uid: finding.uids.map(|(_, last)| last.0),
            line: finding.to_string(),
        }
    }

    fn plain(file: String, offset: u64, what: &str) -> Damaged {
        let line = format!("{file} at byte {offset}: {what}");
        let (user, mailbox, first_uid, last_uid) = (None, None, None, None);
        Damaged { file, offset, what: what.into(), user, mailbox, first_uid, last_uid, line }
    }
}

impl Report {
    pub(super) fn findings(&self) -> usize {
        self.damaged.len()
    }

    pub(super) fn value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a report is plain data")
    }

    fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is plain data") + "\n"
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for damaged in &self.damaged {
            let _ = writeln!(text, "damaged: {}", escaped(&damaged.line));
        }
        let (megabytes, seconds) = (self.bytes as f64 / 1e6, self.seconds);
        let speed = megabytes / seconds.max(1e-9);
        let Report { segments, frames, messages, living, expunged, .. } = self;
        let _ = writeln!(
            text,
            "{segments} segments, {frames} frames, {megabytes:.1} MB read in {seconds:.1} s, \
             {speed:.0} MB/s"
        );
        let _ = writeln!(text, "{messages} messages checked, {living} of them in mailboxes");
        if *expunged > 0 {
            let _ = writeln!(text, "{expunged} damaged messages are in no mailbox any more");
        }
        text.push_str(match self.catalog {
            "agrees" if self.sound => "catalog.redb agrees with the log\n",
            "contradicts" if self.repaired => {
                "catalog.redb was set aside: the next start makes it again from the log\n"
            }
            "contradicts" => {
                "catalog.redb cannot be used as it is. Delete it while no server runs: the next \
                 start makes it again from the log\n"
            }
            "none" => "there is no catalog.redb: the next start makes it from the log\n",
            "in use" => {
                "A server uses this folder: segments that it writes to and catalog.redb were not \
                 checked. For a full check, stop the server, or check a snapshot of the folder\n"
            }
            _ => "",
        });
        text.push_str(match (self.sound, self.repaired, self.recorded) {
            (true, ..) => "sound: no damage found\n",
            (_, true, _) => {
                "The loss is recorded in the file losses: later starts serve what is sound, and \
                 refuse only new damage. To undo this, delete that file\n"
            }
            (_, _, true) => "A server starts on this folder in spite of this damage\n",
            _ => {
                "Restore the damaged segments from a copy; or accept the loss with --repair, after \
                 copying the folder\n"
            }
        });
        text
    }
}
