//! `mailrace clean`: gives the space of dead messages back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ask::{Answers, ask, unexpected};
use super::server_on;
use crate::control::{Answer, Control, Request};
use crate::server::{Cleaned, StartError, of_stopped};
use crate::store::SegmentId;
use crate::tools::error::{ToolError, say};
use crate::tools::size::show_size;

/// Size of a segment that is made while no server runs. The living messages of some segments fit
/// into one of them; what it does not use is cut off by the next start.
const SEGMENT: u32 = 64 << 20;

/// A server of our own deletes files of expunged mail if it purges within any time. Longer than the
/// command takes: it is told what to purge.
const PURGED: Duration = Duration::from_secs(365 * 24 * 3600);

/// What `clean` does.
#[derive(Clone, Debug)]
pub struct CleanOptions {
    /// The data folder.
    pub data: PathBuf,
    /// Whether everything is cleaned that gives something back; else what a server would clean by
    /// itself now.
    pub all: bool,
    /// Whether everything is cleaned that may have octets of expunged mail, too.
    pub purge: bool,
}

/// Cleans, and prints what came back. With a terminal, progress is shown on standard error.
///
/// # Errors
/// When the folder cannot be read, its server does not answer, or the disk fails.
pub fn run(options: &CleanOptions) -> Result<(), ToolError> {
    let CleanOptions { data, all, purge } = options;
    let before = taken(data)?;
    let mut report = Report::new();
    match ask(data, Request::Clean { all: *all, purge: *purge })? {
        Some(answers) => report.follow(answers)?,
        None => in_this_process(options, &mut report)?,
    }
    say(&report.text(before, taken(data)?))
}

/// Bytes that the folder takes on the disk.
fn taken(data: &Path) -> Result<u64, ToolError> {
    let space = of_stopped(data, None);
    Ok(space.map_err(|error| StartError::Data(data.to_owned(), error))?.total)
}

/// Cleans a folder that no server uses.
fn in_this_process(options: &CleanOptions, report: &mut Report) -> Result<(), ToolError> {
    let CleanOptions { data, all, purge } = options;
    let server = server_on(data, SEGMENT, purge.then_some(PURGED))?;
    let control = Control::start(data, server.handle());
    let asked = server.handle().clean(*all, *purge);
    let mut told = asked.map_err(|error| ToolError::Refused(error.to_string()))?;
    let mut done = Ok(false);
    while let (Ok(false), Some(cleaned)) = (&done, told.blocking_recv()) {
        done = report.add(cleaned);
    }
    drop(control);
    server.stop()?;
    match done? {
        true => Ok(()),
        false => Err(unexpected()),
    }
}

/// What was cleaned so far.
struct Report {
    bar: ProgressBar,
    segments: u64,
    bytes: u64,
    rewritten: u64,
    left: Vec<(SegmentId, String)>,
}

impl Report {
    fn new() -> Report {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("[{bar:40}] {pos} of {len} segments, {msg}");
        bar.set_style(style.expect("the template is well-formed").progress_chars("=> "));
        Report { bar, segments: 0, bytes: 0, rewritten: 0, left: Vec::new() }
    }

    fn follow(&mut self, answers: Answers) -> Result<(), ToolError> {
        for answer in answers {
            let Answer::Cleaned(cleaned) = answer? else { break };
            if self.add(cleaned)? {
                return Ok(());
            }
        }
        Err(unexpected())
    }

    /// Adds what is told. `true` when that was all.
    fn add(&mut self, cleaned: Cleaned) -> Result<bool, ToolError> {
        match cleaned {
            Cleaned::Begun { segments, bytes } => {
                self.bar.set_length(segments);
                self.bar.set_message(format!("some {} to give back", show_size(bytes)));
                return Ok(false);
            }
            Cleaned::Segment { bytes, rewritten, .. } => {
                self.segments += 1;
                self.bytes += bytes;
                self.rewritten += rewritten;
                self.bar.set_message(format!("{} given back", show_size(self.bytes)));
            }
            Cleaned::Left { segment, why } => self.left.push((SegmentId(segment), why)),
            Cleaned::All => {
                self.bar.finish_and_clear();
                return Ok(true);
            }
            Cleaned::Failed { why } => {
                self.bar.finish_and_clear();
                let doing = format!("cleaning ended after {} segments", self.segments);
                return Err(ToolError::Io { doing, error: std::io::Error::other(why) });
            }
        }
        self.bar.inc(1);
        Ok(false)
    }

    fn text(&self, before: u64, after: u64) -> String {
        let mut text = String::new();
        for (segment, why) in &self.left {
            text.push_str(&format!("{} stays: {why}\n", segment.file_name()));
        }
        let Report { segments, bytes, rewritten, .. } = *self;
        let segments = match segments {
            0 => return text + "No segment was cleaned: there is nothing to give back\n",
            1 => "One segment".to_owned(),
            segments => format!("{segments} segments"),
        };
        let (bytes, rewritten) = (show_size(bytes), show_size(rewritten));
        let (before, after) = (show_size(before), show_size(after));
        text + &format!(
            "{segments} of {bytes} cleaned, {rewritten} of messages written again\n\
             The data folder takes {after}; it took {before}\n"
        )
    }
}
