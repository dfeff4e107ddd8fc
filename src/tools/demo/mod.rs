//! `mailrace demo`: uploads mail with MULTIAPPEND over several connections, fetches it all back and
//! compares every byte.
//!
//! Mail is processed in chapters: one is read into memory, uploaded, fetched back and compared,
//! then the next. So the figures are those of the server, not of the mail's source, and an archive
//! may be larger than memory.

mod chapter;
mod progress;

use std::time::Duration;

use self::chapter::Chapter;
use self::progress::Bar;
use super::error::{ToolError, say};
use super::generator::Generator;
use super::lane::Lane;
use super::latency::Latency;
use super::local::{LocalOptions, LocalServer, PASSWORD};
use super::options::DemoOptions;
use super::size::show_size;
use client::{Comparison, Mail, Source};

/// Segment size of the demo's server in bytes: small, so that a short run uses more than one.
const SEGMENT: u32 = 256 << 20;

/// Runs the demonstration and prints its results.
///
/// # Errors
/// If the server does not start or refuses, or if a message comes back changed.
pub fn run(options: &DemoOptions) -> Result<(), ToolError> {
    let mut mail = open(options)?.peekable();
    if mail.peek().is_none() {
        return Err(ToolError::Usage("there is no mail to upload".into()));
    }
    let users: Vec<_> = (0..options.connections).map(|number| format!("demo{number}")).collect();
    let (temp, segment_size) = (options.temp.as_deref(), Some(SEGMENT));
    let server = LocalServer::start(&LocalOptions {
        temp,
        reactors: None,
        segment_size,
        users: users.clone(),
        tls: false,
    })?;
    let lane = |user: &String| Lane::open(server.address(), None, user, PASSWORD, "Archive".into());
    let mut lanes = users.iter().map(lane).collect::<Result<Vec<_>, _>>()?;
    let mut totals = Totals::new();
    for number in 1.. {
        let Some(chapter) = Chapter::read(&mut mail, options.batch as usize)? else { break };
        let progress = Bar::new(number, chapter.octets());
        let before = server.fdatasyncs();
        totals.uploaded(&chapter, &chapter.upload(&mut lanes, &progress)?);
        totals.fdatasyncs += server.fdatasyncs() - before;
        totals.fetched(chapter.compare(&mut lanes, &progress)?);
    }
    for mut lane in lanes {
        lane.check_count()?;
        lane.client.logout()?;
    }
    server.stop()?;
    say(&(totals.table(options) + "\n"))?;
    totals.verdict()
}

/// The mail to send, read or generated.
fn open(
    options: &DemoOptions,
) -> Result<Box<dyn Iterator<Item = Result<Mail, ToolError>>>, ToolError> {
    Ok(match &options.path {
        Some(path) => Box::new(Source::open(path)?.map(|mail| mail.map_err(ToolError::from))),
        None => Box::new(Generator::new(options.seed).take(options.messages as usize).map(Ok)),
    })
}

/// Result of uploading a chapter, or of fetching it back.
struct Phase {
    elapsed: Duration,
    /// CPU time of this process without the clients.
    server_cpu: Duration,
    latency: Latency,
    comparison: Comparison,
}

/// Sums over all chapters.
struct Totals {
    messages: u64,
    octets: u64,
    upload: Duration,
    upload_cpu: Duration,
    fetch: Duration,
    fetch_cpu: Duration,
    latency: Latency,
    comparison: Comparison,
    fdatasyncs: u64,
}

impl Totals {
    fn new() -> Totals {
        Totals {
            messages: 0,
            octets: 0,
            upload: Duration::ZERO,
            upload_cpu: Duration::ZERO,
            fetch: Duration::ZERO,
            fetch_cpu: Duration::ZERO,
            latency: Latency::new(),
            comparison: Comparison::default(),
            fdatasyncs: 0,
        }
    }

    fn uploaded(&mut self, chapter: &Chapter, phase: &Phase) {
        self.messages += chapter.messages();
        self.octets += chapter.octets();
        self.upload += phase.elapsed;
        self.upload_cpu += phase.server_cpu;
        self.latency.add(&phase.latency);
    }

    fn fetched(&mut self, phase: Phase) {
        self.fetch += phase.elapsed;
        self.fetch_cpu += phase.server_cpu;
        self.comparison.add(phase.comparison);
    }

    fn table(&self, options: &DemoOptions) -> String {
        let (messages, megabytes) = (self.messages as f64, self.octets as f64 / 1e6);
        let (upload, fetch) = (seconds(self.upload), seconds(self.fetch));
        let milliseconds = |share| self.latency.milliseconds(share);
        let mean = show_size(self.octets / self.messages.max(1));
        let gigabytes = self.octets.max(1) as f64 / 1e9;
        let rows = [
            ("messages", format!("{messages:.0}, mean {mean}")),
            ("bytes", format!("{}", self.octets)),
            (
                "upload",
                format!("{:.0} messages/s, {:.1} MB/s", messages / upload, megabytes / upload),
            ),
            ("fetch", format!("{:.0} messages/s, {:.1} MB/s", messages / fetch, megabytes / fetch)),
            ("batches", format!("{} of up to {}", self.latency.count(), options.batch)),
            ("fdatasyncs", format!("{}", self.fdatasyncs)),
            (
                "latency of a batch",
                format!("p50 {:.2} ms, p99 {:.2} ms", milliseconds(0.5), milliseconds(0.99)),
            ),
            (
                "server CPU",
                format!(
                    "{:.2} s/GB upload, {:.2} s/GB fetch",
                    seconds(self.upload_cpu) / gigabytes,
                    seconds(self.fetch_cpu) / gigabytes
                ),
            ),
            ("compared", self.outcome()),
        ];
        rows.map(|(name, value)| format!("{name:<20}{value}")).join("\n")
    }

    fn outcome(&self) -> String {
        match self.comparison.differing {
            0 => "every byte, flag, date and UID matches".into(),
            differing => format!("{differing} of {} messages DIFFER", self.comparison.messages),
        }
    }

    fn verdict(&self) -> Result<(), ToolError> {
        if self.comparison.differing == 0 && self.comparison.messages == self.messages {
            return Ok(());
        }
        let (differing, messages) = (self.comparison.differing, self.comparison.messages);
        let first = self.comparison.differences.join("; ");
        let text = format!("{differing} of {messages} messages differ: {first}");
        Err(ToolError::Differs(text))
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().max(1e-9)
}
