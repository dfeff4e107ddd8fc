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
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::home::{Arrival, CleanError, Cleaning, Emptied, Pace};
use crate::index::Live;
use crate::reactor::fault::{Fault, made};
use crate::reactor::{Jobs, files, timeout};
use crate::server::asked::{AskedToClean, Cleaned};
use crate::server::config::CleaningConfig;
use crate::server::shared::Shared;
use crate::stats::SpaceCounts;
use crate::store::{SegmentId, strip};

/// Pause after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Rounds of emptying, after which a segment is left alone for this time: copies of its messages
/// are made faster than they are relocated.
const ROUNDS: usize = 8;

/// Octets of records that relocating a message takes, about.
const RECORD: u64 = 40;

/// A segment is worth cleaning when at least this part of it comes back.
pub(super) const LEAST: f64 = 0.125;

/// The same when an operator asks for everything. Less than this may be the frames and records of
/// messages that all live: writing them again would give nothing back.
const LEAST_ASKED: f64 = 1.0 / 32.0;

/// The same for a server that is told to clean whatever it can.
const EAGER: f64 = 0.02;

/// The slowest automatic rate, in octets a second, when cleaning begins.
const SLOWEST: u64 = 32 << 20;

/// The fastest automatic rate.
const FASTEST: u64 = 1 << 30;

/// Cleans the segments of a server.
pub(in crate::server) struct Cleaner {
    shared: Arc<Shared>,
    how: CleaningConfig,
    pace: Arc<Pace>,
    counts: Arc<SpaceCounts>,
    /// A thread that writes record files.
    jobs: Jobs,
    /// Requests of operators.
    asked: mpsc::Receiver<AskedToClean>,
    /// Segments with messages that cannot be relocated.
    stuck: BTreeSet<SegmentId>,
    /// Segments that were in use when their turn came. They are asked for again when there is no
    /// other: an upload may take hours.
    busy: BTreeSet<SegmentId>,
    /// Octets that relocating has written lately for each octet that it should need. Small mail in
    /// many mailboxes costs more than its octets: without this, its segments would be cleaned
    /// again and again, and nothing would come back.
    cost: f64,
}

/// What the catalog and the folder say.
pub(super) struct Survey {
    /// Sealed segments with their lengths and what lives in them.
    pub(super) segments: Vec<(SegmentId, u64, Live)>,
    /// Octets of messages in all segments.
    pub(super) live: u64,
    /// Octets that cleaning would give back.
    pub(super) dead: u64,
}

/// Why a segment was not cleaned.
enum NotCleaned {
    /// The server stops.
    Stopping,
    /// It has messages that cannot be relocated.
    Stuck,
    /// It is in use, or copies came in faster than they were relocated.
    Busy,
    /// It was empty, and the pool has removed it.
    Gone,
    /// The log, the catalog or the disk failed, or has no room.
    Failed(String),
}

impl Survey {
    pub(super) fn of(live: Vec<(SegmentId, Live)>, sealed: Vec<(SegmentId, u64)>) -> Survey {
        let octets = live.iter().map(|(_, live)| live.octets).sum();
        let live: BTreeMap<_, _> = live.into_iter().collect();
        let named = |segment: SegmentId| live.get(&segment).copied().unwrap_or_default();
        let segments: Vec<_> =
            sealed.iter().map(|&(segment, length)| (segment, length, named(segment))).collect();
        let dead = segments.iter().map(|&(_, length, live)| gain(length, live)).sum();
        Survey { segments, live: octets, dead }
    }

    /// The segment to clean next: of those in which nothing lives, or of which at least this part
    /// comes back, the one that gives back the largest part.
    pub(super) fn next(
        &self,
        stuck: &BTreeSet<SegmentId>,
        least: f64,
        cost: f64,
    ) -> Option<(SegmentId, u64, Live)> {
        let candidates = self.worth(least, cost);
        let candidates = candidates.filter(|(segment, ..)| !stuck.contains(segment));
        candidates.max_by(|one, other| {
            part(one.1, one.2, cost).total_cmp(&part(other.1, other.2, cost)) //
        })
    }

    /// The segments of which at least this part comes back.
    fn worth(&self, least: f64, cost: f64) -> impl Iterator<Item = (SegmentId, u64, Live)> {
        let worthy = move |&&(_, length, live): &&(SegmentId, u64, Live)| {
            live.fragments == 0 || part(length, live, cost) >= least
        };
        self.segments.iter().filter(worthy).copied()
    }

    /// Whether there is enough to give back that cleaning begins.
    pub(super) fn is_due(&self, how: &CleaningConfig) -> bool {
        self.dead >= (self.live / how.begin).max(how.least)
    }
}

/// The part of a segment of this length that comes back.
fn part(length: u64, live: Live, cost: f64) -> f64 {
    1.0 - needed(live) as f64 * cost / length as f64
}

/// What cleaning a segment of this length gives back.
pub(super) fn gain(length: u64, live: Live) -> u64 {
    length.saturating_sub(needed(live))
}

/// Octets of log that living messages need.
fn needed(live: Live) -> u64 {
    live.octets + live.fragments * RECORD
}

impl Cleaner {
    pub(in crate::server) fn new(shared: Arc<Shared>) -> io::Result<Cleaner> {
        let (how, counts) = (shared.cleaning.clone(), shared.space.clone());
        let pace = Arc::new(Pace::new(how.rate.unwrap_or(SLOWEST)));
        let jobs = Jobs::start("cleaner", 1, Jobs::ANY)?;
        let asked = shared.asked.take_receiver();
        let (stuck, busy) = (BTreeSet::new(), BTreeSet::new());
        Ok(Cleaner { shared, how, pace, counts, jobs, asked, stuck, busy, cost: 1.0 })
    }

    /// Cleans for as long as the server runs.
    pub(in crate::server) async fn run(mut self) {
        let mut pause = self.how.look;
        loop {
            let asked = timeout(pause, self.asked.recv()).await.flatten();
            pause = self.how.look;
            if let Some(asked) = asked {
                if let Err(NotCleaned::Stopping) = self.answer(asked).await {
                    return;
                }
                continue;
            }
            let next = match self.next().await {
                Ok(Some(next)) => next,
                Ok(None) => {
                    self.busy.clear();
                    continue;
                }
                Err(NotCleaned::Stopping) => return,
                Err(why) => {
                    tracing::warn!("no segment is cleaned for now: {why}");
                    pause = AFTER_FAILURE;
                    continue;
                }
            };
            let (segment, length, live) = next;
            match self.clean(segment, length, live).await {
                // Perhaps there is more to do.
                Ok(_) => pause = Duration::ZERO,
                Err(NotCleaned::Stopping) => return,
                Err(NotCleaned::Busy) => {
                    self.busy.insert(segment);
                    pause = Duration::ZERO;
                }
                Err(NotCleaned::Stuck | NotCleaned::Gone) => {
                    self.stuck.insert(segment);
                }
                Err(NotCleaned::Failed(why)) => {
                    tracing::warn!("segment {segment} is not cleaned for now: {why}");
                    pause = AFTER_FAILURE;
                }
            }
        }
    }

    /// The segment to clean now.
    async fn next(&mut self) -> Result<Option<(SegmentId, u64, Live)>, NotCleaned> {
        let mut next = None;
        for is_known in [false, true] {
            let survey = self.survey().await.map_err(NotCleaned::Failed)?;
            self.set_pace(&survey);
            let least = self.least(&survey);
            next = survey.next(&(&self.stuck | &self.busy), least, self.cost);
            if next.is_none() {
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

    /// Cleans as an operator asked, and tells what is done.
    async fn answer(&mut self, asked: AskedToClean) -> Result<(), NotCleaned> {
        let done = self.clean_as_asked(&asked).await;
        // An operator who has gone need not be told.
        let _ = asked.tell.send(match &done {
            Ok(()) => Cleaned::All,
            Err(NotCleaned::Failed(why)) => Cleaned::Failed { why: why.clone() },
            // The end of the channel says it.
            Err(_) => return done,
        });
        done
    }

    async fn clean_as_asked(&mut self, asked: &AskedToClean) -> Result<(), NotCleaned> {
        let AskedToClean { all, tell } = asked;
        // What was expunged a moment ago counts too.
        self.cover().await?;
        let survey = self.survey().await.map_err(NotCleaned::Failed)?;
        let least = if *all { LEAST_ASKED } else { self.least(&survey) };
        // Segments that fill up because of this are not cleaned in turn: there would be no end.
        let mut wanted: BTreeMap<_, _> = survey
            .worth(least, self.cost)
            .map(|(segment, length, live)| (segment, gain(length, live)))
            .collect();
        let bytes = wanted.values().sum();
        let _ = tell.send(Cleaned::Begun { segments: wanted.len() as u64, bytes });
        while !tell.is_closed() {
            let survey = self.survey().await.map_err(NotCleaned::Failed)?;
            let least = if *all { LEAST_ASKED } else { self.least(&survey) };
            let others = survey.segments.iter().map(|(segment, ..)| *segment);
            let others = others.filter(|segment| !wanted.contains_key(segment)).collect();
            let next = survey.next(&others, least, self.cost);
            let Some((segment, length, live)) = next else { break };
            wanted.remove(&segment);
            match all {
                true => self.pace.set(FASTEST),
                false => self.set_pace(&survey),
            }
            let left = |why: &str| Cleaned::Left { segment: segment.0, why: why.into() };
            let _ = tell.send(match self.clean(segment, length, live).await {
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
                Err(NotCleaned::Gone) => continue,
                Err(error) => return Err(error),
            });
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

    fn is_short_of_room(&self) -> bool {
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
            match self.is_short_of_room() || !beyond.is_finite() || beyond >= 1.0 {
                true => FASTEST,
                false => SLOWEST + (beyond * (FASTEST - SLOWEST) as f64) as u64,
            }
        });
        self.pace.set(rate);
    }

    /// Empties a segment, and gives its file back.
    async fn clean(
        &mut self,
        segment: SegmentId,
        length: u64,
        live: Live,
    ) -> Result<Emptied, NotCleaned> {
        let mut emptied = Emptied::default();
        let mut round = 0;
        if live.fragments == 0 && !made(Fault::EmptyByOldCheckpoint) {
            // It may have been left a moment ago, full of mail that the catalog lacks.
            self.cover().await?;
            if !self.is_empty(segment).await? {
                return Err(NotCleaned::Busy);
            }
        }
        loop {
            let (segment, pace) = (segment, self.pace.clone());
            let done = self
                .all(move |reply| {
                    let pace = pace.clone();
                    Cleaning::Empty { segment, octets: live.octets, pace, reply }
                })
                .await?;
            let mut stuck = 0;
            for done in done {
                let done = done.map_err(NotCleaned::from)?;
                stuck += done.stuck;
                emptied.add(done);
            }
            if stuck > 0 {
                return Err(NotCleaned::Stuck);
            }
            if !made(Fault::EmptyByOldCheckpoint) {
                self.cover().await?;
            }
            if self.is_empty(segment).await? || made(Fault::CopiesForgotten) {
                break;
            }
            round += 1;
            if round == ROUNDS {
                return Err(NotCleaned::Busy);
            }
        }
        self.all(|reply| Cleaning::Leave { segment, reply }).await?;
        let segments = self.shared.segments.clone();
        let stripped = self.jobs.run(move || strip(&segments, segment)).await;
        match stripped {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(NotCleaned::Gone);
            }
            Ok(Err(error)) => return Err(NotCleaned::Failed(error.to_string())),
            Err(_) => return Err(NotCleaned::Stopping),
        }
        let taken = self.shared.pool.take_back(segment).await;
        taken.map_err(|_| NotCleaned::Stopping)?;
        let Emptied { messages, octets, written, .. } = emptied;
        if live.fragments > 0 {
            let cost = written as f64 / needed(live) as f64;
            self.cost = ((3.0 * self.cost + cost) / 4.0).max(1.0);
        }
        tracing::debug!("segment {segment} was cleaned: {messages} messages were relocated");
        self.counts.cleaned.fetch_add(1, Ordering::Relaxed);
        self.counts.given_back.fetch_add(length, Ordering::Relaxed);
        self.counts.rewritten.fetch_add(octets, Ordering::Relaxed);
        Ok(emptied)
    }

    /// Brings the catalog up to everything that was written so far.
    async fn cover(&self) -> Result<(), NotCleaned> {
        for covered in self.all(|reply| Cleaning::Cover { reply }).await? {
            covered.map_err(NotCleaned::from)?;
        }
        Ok(())
    }

    async fn is_empty(&self, segment: SegmentId) -> Result<bool, NotCleaned> {
        let named = self.shared.catalog.live_in(segment, ("".into(), Default::default()), 1).await;
        let named = named.map_err(|error| NotCleaned::Failed(error.to_string()))?;
        Ok(named.is_empty())
    }

    /// Asks all reactors for a step, and waits for all of them.
    async fn all<T>(
        &self,
        step: impl Fn(oneshot::Sender<T>) -> Cleaning,
    ) -> Result<Vec<T>, NotCleaned> {
        let reactors = self.shared.reactors.get().ok_or(NotCleaned::Stopping)?;
        let mut answers = Vec::new();
        for reactor in reactors {
            let (reply, answer) = oneshot::channel();
            reactor.send(Arrival::Clean(step(reply))).map_err(|_| NotCleaned::Stopping)?;
            answers.push(answer);
        }
        let mut all = Vec::new();
        for answer in answers {
            all.push(answer.await.map_err(|_| NotCleaned::Stopping)?);
        }
        Ok(all)
    }
}

impl fmt::Display for NotCleaned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotCleaned::Stopping => "the server stops",
            NotCleaned::Stuck => "it has messages that cannot be read or moved",
            NotCleaned::Busy => "it is in use",
            NotCleaned::Gone => "it is no longer there",
            NotCleaned::Failed(why) => why,
        })
    }
}

impl From<CleanError> for NotCleaned {
    fn from(error: CleanError) -> NotCleaned {
        match error {
            CleanError::InUse => NotCleaned::Busy,
            error => NotCleaned::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn survey(segments: &[(u64, u64)]) -> Survey {
        let numbered = segments.iter().zip(1..);
        let live = numbered.clone().filter(|((_, live), _)| *live > 0);
        let live = live.map(|(&(_, octets), segment)| {
            (SegmentId(segment), Live { fragments: 1, octets: octets * MIB })
        });
        let sealed = numbered.map(|(&(length, _), segment)| (SegmentId(segment), length * MIB));
        Survey::of(live.collect(), sealed.collect())
    }

    fn next(survey: &Survey, stuck: &[u64], least: f64) -> Option<u64> {
        let stuck = stuck.iter().map(|&segment| SegmentId(segment)).collect();
        survey.next(&stuck, least, 1.0).map(|(segment, ..)| segment.0)
    }

    #[test]
    fn the_segment_that_gives_back_most_is_next() {
        let survey = survey(&[(100, 90), (100, 60), (100, 99), (10, 5)]);
        assert_eq!((survey.live / MIB, survey.dead / MIB), (254, 55));
        assert_eq!(next(&survey, &[], LEAST), Some(4));
        assert_eq!(next(&survey, &[4], LEAST), Some(2));
        assert_eq!(next(&survey, &[2, 4], LEAST), None, "a tenth is not worth the writing");
        assert_eq!(next(&survey, &[], f64::INFINITY), None);
    }

    #[test]
    fn a_segment_in_which_nothing_lives_costs_nothing() {
        let survey = survey(&[(100, 10), (100, 0)]);
        assert_eq!(next(&survey, &[], f64::INFINITY), Some(2));
    }
}
