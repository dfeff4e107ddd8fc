//! The cleaning of segments: which one is next, how fast, and the order of the steps.
//!
//! Nothing that was acknowledged may depend on a file that is about to go. So each step is durable
//! before the next one begins, and a crash between any two leaves every message in its old place or
//! in its new one:
//!
//! ```text
//! empty, cover   on all reactors, again and again, until the catalog names nothing in the segment
//! leave          on all reactors
//! strip          its records are durable in a file of their own
//! take back      the file is ready for other mail, or it goes
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::purge::Purge;
use super::steps::NotCleaned;
use super::survey::{Candidate, LEAST, MOST, Survey, gain, needed_at_most};
use crate::home::Pace;
use crate::index::Live;
use crate::limits::RESERVE;
use crate::reactor::fault::{Fault, made};
use crate::reactor::{Instant, Jobs, files, timeout, unix_seconds};
use crate::server::asked::{AskedToClean, Cleaned};
use crate::server::config::CleaningConfig;
use crate::server::shared::Shared;
use crate::stats::SpaceCounts;
use crate::store::{MailboxId, Purpose, SegmentId};

/// Time between two glances at how much mail has come in.
const GLANCE: Duration = Duration::from_millis(500);

/// Segments' worth of mail that is written again before the next look, when cleaning must catch up.
const STRIDE: u64 = 2;

/// Time between two looks on a full disk, at most: users who have deleted mail wait for its space.
const SHORT_LOOK: Duration = Duration::from_secs(5);

/// Pause after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// The same when an operator asks for everything. Less than this may be the frames and records of
/// messages that all live: writing them again would give nothing back.
const LEAST_ASKED: f64 = 1.0 / 32.0;

/// The same for a server that is told to clean whatever it can.
const EAGER: f64 = 0.02;

/// The slowest automatic rate, in octets a second, when cleaning begins.
const SLOWEST: u64 = 32 << 20;

/// The fastest automatic rate.
const FASTEST: u64 = 1 << 30;

/// Mailboxes counted at a time.
const ROWS: usize = 1 << 10;

/// Cleans the segments of a server.
pub(in crate::server) struct Cleaner {
    pub(super) shared: Arc<Shared>,
    pub(super) how: CleaningConfig,
    pub(super) pace: Arc<Pace>,
    pub(super) counts: Arc<SpaceCounts>,
    /// A thread that writes record files.
    pub(super) jobs: Jobs,
    /// Requests of operators.
    asked: mpsc::Receiver<AskedToClean>,
    /// Segments with messages that cannot be relocated.
    pub(super) stuck: BTreeSet<SegmentId>,
    /// Segments that were in use when their turn came. They are asked for again when there is no
    /// other: an upload may take hours.
    pub(super) busy: BTreeSet<SegmentId>,
    /// What has to go in time.
    pub(super) purge: Purge,
    /// When the server started, in seconds since 1970 UTC.
    pub(super) begun: u64,
    /// Octets that relocating has written lately for each octet that it should need. Small mail in
    /// many mailboxes costs more than its octets: without this, its segments would be cleaned
    /// again and again, and nothing would come back.
    pub(super) cost: f64,
}

impl Cleaner {
    pub(in crate::server) fn new(shared: Arc<Shared>) -> io::Result<Cleaner> {
        let (how, counts) = (shared.cleaning.clone(), shared.space.clone());
        let pace = Arc::new(Pace::new(how.rate.unwrap_or(SLOWEST)));
        let jobs = Jobs::start("cleaner", 1, Jobs::ANY)?;
        let asked = shared.asked.take_receiver();
        let (stuck, busy) = (BTreeSet::new(), BTreeSet::new());
        let (purge, begun) = (Purge::default(), unix_seconds());
        Ok(Cleaner { shared, how, pace, counts, jobs, asked, stuck, busy, purge, begun, cost: 1.0 })
    }

    /// Cleans for as long as the server runs.
    pub(in crate::server) async fn run(mut self) {
        self.forget_gone().await;
        let mut pause = self.look();
        loop {
            let asked = self.wait(pause).await;
            pause = match self.is_short_of_room() {
                true => self.look().min(SHORT_LOOK),
                false => self.look(),
            };
            if let Some(asked) = asked {
                if let Err(NotCleaned::Stopping) = self.answer(asked).await {
                    return;
                }
                continue;
            }
            let next = match self.next().await {
                Ok(next) => next,
                Err(NotCleaned::Stopping) => return,
                Err(why) => {
                    tracing::warn!("no segment is cleaned for now: {why}");
                    pause = AFTER_FAILURE;
                    continue;
                }
            };
            if next.is_empty() {
                self.busy.clear();
                continue;
            }
            // Perhaps there is more to do.
            pause = Duration::ZERO;
            for (segment, _, done) in self.clean(next).await {
                match done {
                    Ok(_) => {}
                    Err(NotCleaned::Stopping) => return,
                    Err(NotCleaned::Busy) => {
                        self.busy.insert(segment);
                    }
                    Err(NotCleaned::Stuck | NotCleaned::Gone) => {
                        self.stuck.insert(segment);
                    }
                    Err(NotCleaned::NoRoom(why)) => {
                        tracing::warn!("segment {segment} is not cleaned for now: {why}");
                        // The next one may need less.
                        self.busy.insert(segment);
                        pause = AFTER_FAILURE;
                    }
                    Err(NotCleaned::Failed(why)) => {
                        tracing::warn!("segment {segment} is not cleaned for now: {why}");
                        pause = AFTER_FAILURE;
                    }
                }
            }
        }
    }

    /// Waits for a request, for this time. The wait ends early when mail has come in that may have
    /// made cleaning due: as much as half a segment.
    async fn wait(&mut self, pause: Duration) -> Option<AskedToClean> {
        let (begun, ingested) = (Instant::now(), self.shared.ingested.load(Ordering::Relaxed));
        loop {
            let left = pause.saturating_sub(begun.elapsed());
            let asked = timeout(left.min(GLANCE), self.asked.recv()).await.flatten();
            let more = self.shared.ingested.load(Ordering::Relaxed) - ingested;
            let much = pause <= self.look() && more >= self.shared.segment_size / 2;
            if asked.is_some() || much || left <= GLANCE {
                return asked;
            }
        }
    }

    /// The segments to clean now.
    async fn next(&mut self) -> Result<Vec<Candidate>, NotCleaned> {
        let mut next = Vec::new();
        for is_known in [false, true] {
            self.look_for_dead(false).await?;
            let survey = self.survey().await.map_err(NotCleaned::Failed)?;
            self.set_pace(&survey);
            let (least, stride) = (self.least(&survey), self.stride(&survey, false));
            let without = &self.stuck | &self.busy;
            next = self.fitting(&survey, without, least, stride).await?;
            if next.is_empty() {
                break;
            }
            if !is_known && !made(Fault::EmptyByOldCheckpoint) {
                // The segments that were left last have mail that the catalog lacks: they seem
                // emptier than they are.
                self.cover().await?;
            }
        }
        Ok(next)
    }

    /// The segments to clean next, for which there is room.
    async fn fitting(
        &self,
        survey: &Survey,
        mut without: BTreeSet<SegmentId>,
        least: f64,
        stride: u64,
    ) -> Result<Vec<Candidate>, NotCleaned> {
        loop {
            let mut next = self.due(survey, &without, stride, MOST);
            if next.is_empty() {
                next = survey.next(&without, least, self.cost, stride);
            }
            let mut left = false;
            for &(segment, _, live) in next.iter().filter(|_| self.is_short_of_room()) {
                if !self.fits(segment, live).await? {
                    left |= without.insert(segment);
                }
            }
            if !left {
                return Ok(next);
            }
        }
    }

    /// Whether a full disk has room for what lives in this segment. If cleaning stopped half-way,
    /// the room would be used up and nothing would come back.
    async fn fits(&self, segment: SegmentId, live: Live) -> Result<bool, NotCleaned> {
        let pool = self.shared.pool.counts();
        let room = pool.cleaning.load(Ordering::Relaxed);
        // Each reactor may leave the end of a segment unused.
        let ends = u64::from(self.shared.count) * u64::from(self.shared.piece);
        let is_enough = |mailboxes| needed_at_most(live, mailboxes) + ends <= room;
        if self.purpose(live) == Purpose::Changes || is_enough(live.fragments) {
            return Ok(true);
        }
        let (mut mailboxes, mut after) = (0, ("".into(), MailboxId(0)));
        while is_enough(mailboxes) {
            let rows = self.shared.catalog.live_in(segment, after, ROWS).await;
            let rows = rows.map_err(|error| NotCleaned::Failed(error.to_string()))?;
            let Some(last) = rows.last() else { return Ok(true) };
            mailboxes += rows.len() as u64;
            after = (last.account.clone(), last.mailbox);
        }
        Ok(false)
    }

    /// Which of the room that is held back on a full disk a segment is emptied into. That for
    /// changes, if little lives in it: more comes back than it takes.
    pub(super) fn purpose(&self, live: Live) -> Purpose {
        let little = (u64::from(RESERVE) / 2).min(self.shared.segment_size / 8);
        if live.octets <= little { Purpose::Changes } else { Purpose::Cleans }
    }

    /// Octets to write again before the next look: as much as is written anyway until one segment
    /// is full, and more in a hurry, or when cleaning must catch up. On a full disk there is room
    /// for little.
    fn stride(&self, survey: &Survey, hurry: bool) -> u64 {
        let hurry = hurry || survey.dead > survey.live / self.how.end;
        match (self.is_short_of_room(), hurry) {
            (true, _) => 0,
            (false, true) => STRIDE * self.shared.segment_size,
            (false, false) => self.shared.segment_size,
        }
    }

    /// Cleans as an operator asked, and tells what is done.
    async fn answer(&mut self, asked: AskedToClean) -> Result<(), NotCleaned> {
        let done = self.clean_as_asked(&asked).await;
        // An operator who has gone need not be told.
        let _ = asked.tell.send(match &done {
            Ok(()) => Cleaned::All,
            Err(NotCleaned::NoRoom(why) | NotCleaned::Failed(why)) => {
                Cleaned::Failed { why: why.clone() }
            }
            // The end of the channel says it.
            Err(_) => return done,
        });
        done
    }

    async fn clean_as_asked(&mut self, asked: &AskedToClean) -> Result<(), NotCleaned> {
        let AskedToClean { all, purge, tell } = asked;
        if *purge && self.how.purge_within.is_none() {
            return Err(NotCleaned::Failed(
                "the server runs without --purge-within, and uses files with octets of expunged \
                 mail for other mail; start it with the setting, or clean while it is stopped"
                    .into(),
            ));
        }
        // What was expunged a moment ago counts too.
        self.cover().await?;
        self.look_for_dead(*purge).await?;
        let survey = self.survey().await.map_err(NotCleaned::Failed)?;
        let least = if *all { LEAST_ASKED } else { self.least(&survey) };
        // Segments that fill up because of this are not cleaned in turn: there would be no end.
        let mut wanted: BTreeMap<_, _> = survey
            .worth(least, self.cost)
            .chain(self.due(&survey, &BTreeSet::new(), u64::MAX, usize::MAX))
            .map(|(segment, length, live)| (segment, gain(length, live)))
            .collect();
        let bytes = wanted.values().sum();
        let _ = tell.send(Cleaned::Begun { segments: wanted.len() as u64, bytes });
        while !tell.is_closed() {
            let survey = self.survey().await.map_err(NotCleaned::Failed)?;
            let least = if *all { LEAST_ASKED } else { self.least(&survey) };
            let others = survey.segments.iter().map(|(segment, ..)| *segment);
            let others = others.filter(|segment| !wanted.contains_key(segment)).collect();
            let stride = self.stride(&survey, *all || *purge);
            let next = self.fitting(&survey, others, least, stride).await?;
            if next.is_empty() {
                break;
            }
            match *all || *purge {
                true => self.pace.set(FASTEST),
                false => self.set_pace(&survey),
            }
            for (segment, length, done) in self.clean(next).await {
                wanted.remove(&segment);
                let left = |why: &str| Cleaned::Left { segment: segment.0, why: why.into() };
                let _ = tell.send(match done {
                    Ok(emptied) => {
                        self.stuck.remove(&segment);
                        let (segment, rewritten) = (segment.0, emptied.octets);
                        Cleaned::Segment { segment, bytes: length, rewritten }
                    }
                    Err(NotCleaned::Stuck) => {
                        self.stuck.insert(segment);
                        left("it has messages that cannot be read or moved; see the log")
                    }
                    Err(NotCleaned::Busy) => left("it is in use"),
                    Err(NotCleaned::NoRoom(why)) => left(&why),
                    Err(NotCleaned::Gone) => continue,
                    Err(error) => return Err(error),
                });
            }
        }
        Ok(())
    }

    async fn survey(&self) -> Result<Survey, String> {
        let live = self.shared.catalog.live().await.map_err(|error| error.to_string())?;
        let survey = Survey::of(live, self.shared.segments.sealed());
        self.counts.live.store(survey.live, Ordering::Relaxed);
        self.counts.dead.store(survey.dead, Ordering::Relaxed);
        Ok(survey)
    }

    /// The part of a segment that must come back so that it is cleaned now.
    fn least(&self, survey: &Survey) -> f64 {
        let due = survey.is_due(&self.how) || self.is_short_of_room();
        match (self.how.eager, due) {
            (true, _) => EAGER,
            (false, true) => LEAST,
            (false, false) => f64::INFINITY,
        }
    }

    pub(super) fn is_short_of_room(&self) -> bool {
        let folder = self.shared.segments.folder();
        let (room, size) = (files::room(folder), self.shared.segment_size);
        room.is_ok_and(|room| room < 4 * size)
    }

    /// Cleaning is slow when it begins, and as fast as it can be when the limit is near.
    fn set_pace(&self, survey: &Survey) {
        let rate = self.how.rate.unwrap_or_else(|| {
            let (begin, end) = (survey.live / self.how.begin, survey.live / self.how.end);
            let beyond =
                survey.dead.saturating_sub(begin) as f64 / end.saturating_sub(begin) as f64;
            let hurry = self.is_short_of_room() || self.purge.is_late;
            match hurry || !beyond.is_finite() || beyond >= 1.0 {
                true => FASTEST,
                false => SLOWEST + (beyond * (FASTEST - SLOWEST) as f64) as u64,
            }
        });
        self.pace.set(rate);
    }
}
