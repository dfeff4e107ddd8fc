//! The scrub: everything sealed is read and checked once in a period, beside the service.
//!
//! A pass goes through segments and record files in the order of their numbers:
//!
//! ```text
//! segment      headers and records of its frames, then the messages that begin in it: the catalog
//!              knows where they lie, and their checksums
//! record file  its checksum
//! ```
//!
//! Octets that no mailbox names are not read: nothing can need them. Files come and go meanwhile,
//! so a flaw counts only if the file, or the message's place in it, is still the same afterwards:
//! a segment is given back only after the catalog names nothing in it, and a file only changes once
//! its state has changed.
//!
//! A thread of low priority reads. It never has a file open while it rests.

mod progress;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) use self::progress::{Progress, read as read_progress};
use crate::index::{CatalogError, Finding, Resident};
use crate::reactor::{JobError, Jobs, sleep, unix_seconds};
use crate::server::shared::Shared;
use crate::stats::ScrubCounts;
use crate::store::{
    Flaw, FlawKind, FrameCheck, MailboxId, MessageCheck, SegmentId, SegmentState, Step, Stored,
    check_record_file,
};
use imap::types::Uid;

/// Bytes that are read between two rests.
const STEP: u64 = 256 << 10;

/// The slowest rate in bytes a second. A small store is done in a fraction of the period.
const SLOWEST: u64 = 1 << 20;

/// Bytes that a look into the catalog counts as.
const LOOK: u64 = 64 << 10;

/// A pass that is late goes no faster than one that has this part of the period.
const HURRY: u32 = 10;

/// The shortest rest: shorter ones are taken together.
const REST: Duration = Duration::from_millis(2);

/// The longest wait at a time for the next pass, so that a clock that is set counts.
const NAP: Duration = Duration::from_secs(60);

/// Pause after the catalog could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Mailboxes asked for at a time.
const MAILBOXES: usize = 64;

/// Scrubs for as long as the server runs.
pub(in crate::server) struct Scrub {
    shared: Arc<Shared>,
    period: Duration,
    data: PathBuf,
    counts: Arc<ScrubCounts>,
    jobs: Jobs,
    progress: Progress,
    /// Bytes a second.
    rate: u64,
    /// Bytes read since the last rest.
    unrested: u64,
}

/// Why the scrub stops before the end of a pass.
enum Ended {
    /// The server stops.
    Stopping,
    /// The disk cannot be read.
    Unreadable,
    /// The catalog cannot be read.
    Catalog(CatalogError),
}

impl From<JobError> for Ended {
    fn from(_: JobError) -> Ended {
        Ended::Stopping
    }
}

impl From<CatalogError> for Ended {
    fn from(error: CatalogError) -> Ended {
        match error {
            CatalogError::Closed => Ended::Stopping,
            error => Ended::Catalog(error),
        }
    }
}

impl Scrub {
    /// `None` when it is off.
    pub(in crate::server) fn new(shared: Arc<Shared>) -> io::Result<Option<Scrub>> {
        let Some(period) = shared.scrub_every else { return Ok(None) };
        let data = shared.segments.folder().parent().unwrap_or(Path::new(".")).to_owned();
        let jobs = Jobs::start_behind("scrub", 1, Jobs::ANY)?;
        let counts = shared.scrub.clone();
        let progress = progress::read(&data).unwrap_or_default();
        let (rate, unrested) = (SLOWEST, 0);
        Ok(Some(Scrub { shared, period, data, counts, jobs, progress, rate, unrested }))
    }

    /// Makes one pass after the other.
    pub(in crate::server) async fn run(mut self) {
        let mut failing = false;
        self.count();
        loop {
            match self.progress.wait(unix_seconds(), self.period) {
                Some(wait) => {
                    sleep(wait.min(NAP)).await;
                    continue;
                }
                None => self.begin(),
            }
            match self.pass().await {
                Ok(()) => failing = false,
                Err(Ended::Stopping) => return,
                Err(Ended::Unreadable) => {
                    tracing::error!(
                        "the scrub is off until the next start, to spare the disk, which fails to \
                         read: copy the data folder to another disk, then run `mailrace verify`"
                    );
                    self.counts.off.store(1, Ordering::Relaxed);
                    return;
                }
                Err(Ended::Catalog(error)) => {
                    // Logged once per series of failures.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!("the scrub waits: {error}");
                    }
                    sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    fn begin(&mut self) {
        if self.progress.begun.is_none() {
            let last = self.files().into_iter().map(|(segment, _)| segment).max();
            self.progress.begin(unix_seconds(), last.unwrap_or_default());
        }
    }

    /// Goes on with the pass, up to its end.
    async fn pass(&mut self) -> Result<(), Ended> {
        while let Some(segment) = self.next() {
            match self.shared.segments.state(segment) {
                Some(SegmentState::Sealed) => self.segment(segment).await?,
                Some(SegmentState::Stripped) => self.record_file(segment).await?,
                _ => {}
            }
            self.progress.next = segment.next();
            self.counts.files.fetch_add(1, Ordering::Relaxed);
            self.save().await?;
        }
        self.progress.end(unix_seconds());
        let progress::Pass { bytes, findings, .. } = self.progress.last.unwrap_or_default();
        if bytes > 0 {
            tracing::info!(findings, "everything sealed was scrubbed, {bytes} bytes read");
        }
        self.save().await
    }

    /// Segments and record files with their lengths.
    fn files(&self) -> Vec<(SegmentId, u64)> {
        let segments = &self.shared.segments;
        segments.sealed().into_iter().chain(segments.record_files()).collect()
    }

    /// The next file of the pass, if there is one. Sets the rate.
    fn next(&mut self) -> Option<SegmentId> {
        let (from, last) = (self.progress.next, self.progress.until);
        let mut files = self.files();
        files.retain(|(segment, _)| (from..=last).contains(segment));
        let left: u64 = files.iter().map(|(_, length)| length).sum();
        let spent = unix_seconds().saturating_sub(self.progress.begun.unwrap_or_default());
        let time = self.period.saturating_sub(Duration::from_secs(spent));
        let time = time.max(self.period / HURRY).as_secs_f64();
        self.rate = ((left as f64 / time) as u64).max(SLOWEST);
        self.counts.left.store(left, Ordering::Relaxed);
        files.into_iter().map(|(segment, _)| segment).min()
    }

    async fn segment(&mut self, segment: SegmentId) -> Result<(), Ended> {
        let Some(mut check) = FrameCheck::new(&self.shared.segments, segment) else {
            return Ok(());
        };
        loop {
            let step;
            (check, step) = self.step(check, |check| check.step(STEP)).await?;
            for flaw in step.flaws {
                self.flaw_in(segment, SegmentState::Sealed, flaw).await?;
            }
            if step.done {
                break;
            }
        }
        let mut after: (Box<str>, MailboxId) = ("".into(), MailboxId(0));
        loop {
            let catalog = &self.shared.catalog;
            let rows = catalog.live_in(segment, after.clone(), MAILBOXES).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.account.clone(), last.mailbox);
            for row in &rows {
                self.mailbox(segment, &row.account, row.mailbox).await?;
            }
        }
    }

    /// Takes a step of a check on the thread, and rests.
    async fn step<C: Send + 'static, F: Send + 'static>(
        &mut self,
        mut check: C,
        step: impl FnOnce(&mut C) -> Step<F> + Send + 'static,
    ) -> Result<(C, Step<F>), Ended> {
        let stepped = self.jobs.run(move || {
            let step = step(&mut check);
            (check, step)
        });
        let (check, step) = stepped.await?;
        self.rest_after(step.read).await;
        Ok((check, step))
    }

    /// Checks the messages of a mailbox that begin in a segment.
    async fn mailbox(
        &mut self,
        segment: SegmentId,
        account: &str,
        mailbox: MailboxId,
    ) -> Result<(), Ended> {
        let mut from = Some(Uid(1));
        while let Some(first) = from {
            if self.shared.segments.state(segment) != Some(SegmentState::Sealed) {
                return Ok(());
            }
            let found = self.shared.catalog.residents(segment, mailbox, first).await?;
            from = found.next;
            self.rest_after(LOOK).await;
            let mut messages = found.messages;
            messages.retain(|message| message.begins_at().0 == segment);
            let mut check = MessageCheck::new(&self.shared.segments, messages);
            loop {
                let step;
                (check, step) = self.step(check, |check| check.step(STEP)).await?;
                for (message, flaw) in step.flaws {
                    self.flaw_of((account, mailbox), (&message, first), flaw).await?;
                }
                if step.done {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn record_file(&mut self, segment: SegmentId) -> Result<(), Ended> {
        let segments = self.shared.segments.clone();
        let length = segments.length(segment).unwrap_or_default();
        let flaw = self.jobs.run(move || check_record_file(&segments, segment)).await?;
        self.rest_after(length).await;
        match flaw {
            Some(flaw) => self.flaw_in(segment, SegmentState::Stripped, flaw).await,
            None => Ok(()),
        }
    }

    /// Reports a flaw of a file that had this state, if it still has.
    async fn flaw_in(
        &mut self,
        segment: SegmentId,
        state: SegmentState,
        flaw: Flaw,
    ) -> Result<(), Ended> {
        if flaw.kind == FlawKind::Missing {
            // A file may go a moment before its state does.
            sleep(Duration::from_secs(1)).await;
        }
        if self.shared.segments.state(segment) != Some(state) {
            return Ok(());
        }
        let stripped = state == SegmentState::Stripped;
        let Flaw { offset, kind, what } = flaw;
        let (user, mailbox, uids) = (None, None, None);
        let file = Some(segment);
        self.report(kind, Finding { file, stripped, offset, what, user, mailbox, uids }).await
    }

    /// Reports a flaw of a message, if the message still lies where it was read. It was found from
    /// `first` on.
    async fn flaw_of(
        &mut self,
        (account, mailbox): (&str, MailboxId),
        (message, first): (&Resident, Uid),
        flaw: Flaw,
    ) -> Result<(), Ended> {
        let (segment, offset) = message.begins_at();
        if !self.still_lies(mailbox, message, first).await? {
            return Ok(());
        }
        let named = self.shared.catalog.account(account).await?;
        let name = named.and_then(|named| Some(named.mailbox(mailbox)?.name().into()));
        self.report(
            flaw.kind,
            Finding {
                file: Some(segment),
                stripped: false,
                offset: offset.into(),
                what: flaw.what,
                user: Some(account.into()),
                mailbox: name,
                uids: Some((message.uid, message.uid)),
            },
        )
        .await
    }

    async fn still_lies(
        &self,
        mailbox: MailboxId,
        message: &Resident,
        first: Uid,
    ) -> Result<bool, Ended> {
        let (segment, _) = message.begins_at();
        // Chunks may have merged since: then its chunk begins before `first`.
        for begin in [first, Uid(1)] {
            let mut from = Some(begin);
            while let Some(first) = from {
                let found = self.shared.catalog.residents(segment, mailbox, first).await?;
                let same = found.messages.iter().find(|other| other.uid == message.uid);
                if let Some(other) = same {
                    return Ok(lies_like(message, other));
                }
                from = found.next.filter(|next| *next <= message.uid);
            }
        }
        Ok(false)
    }

    async fn report(&mut self, kind: FlawKind, finding: Finding) -> Result<(), Ended> {
        tracing::error!("the scrub has found damage: {finding}");
        self.progress.findings += 1;
        self.save().await?;
        match kind {
            FlawKind::Unreadable => Err(Ended::Unreadable),
            FlawKind::Wrong | FlawKind::Missing => Ok(()),
        }
    }

    fn count(&self) {
        let (last, time) = self.progress.last.map_or((0, 0), |last| (last.findings, last.ended));
        let findings = last.max(self.progress.findings);
        self.counts.findings.store(findings, Ordering::Relaxed);
        self.counts.last.store(time, Ordering::Relaxed);
    }

    /// Keeps the rate.
    async fn rest_after(&mut self, read: u64) {
        self.progress.bytes += read;
        self.counts.bytes.fetch_add(read, Ordering::Relaxed);
        self.unrested += read;
        let rest = Duration::from_secs_f64(self.unrested as f64 / self.rate as f64);
        if rest >= REST {
            self.unrested = 0;
            sleep(rest).await;
        }
    }

    /// Keeps the progress for the next start.
    async fn save(&mut self) -> Result<(), Ended> {
        self.count();
        let (data, progress) = (self.data.clone(), self.progress);
        let saved = self.jobs.run(move || progress::write(&data, &progress)).await?;
        if let Err(error) = saved {
            // The next start begins this pass again.
            tracing::debug!("the progress of the scrub is not kept: {error}");
        }
        Ok(())
    }
}

/// Whether two messages have the same octets in the same places.
fn lies_like(one: &Resident, other: &Resident) -> bool {
    let mut index = 0;
    while one.fragment(index) == other.fragment(index) {
        if one.fragment(index).is_none() {
            return true;
        }
        index += 1;
    }
    false
}
