//! The steps of cleaning some segments, in their order.

use std::fmt;
use std::io;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::cleaner::Cleaner;
use super::survey::{Candidate, needed};
use crate::home::{Arrival, CleanError, Cleaning, Emptied};
use crate::index::Live;
use crate::reactor::fault::{Fault, made};
use crate::store::{LogError, SegmentId, strip};

/// Rounds of emptying, after which a segment is left alone for this time: copies of its messages
/// are made faster than they are relocated.
const ROUNDS: usize = 8;

/// Segments that a reactor empties at the same time. One waits for the disk most of its time.
const LANES: usize = 2;

/// Why a segment was not cleaned.
#[derive(Clone, Debug)]
pub(super) enum NotCleaned {
    /// The server stops.
    Stopping,
    /// It has messages that cannot be relocated.
    Stuck,
    /// It is in use, or copies came in faster than they were relocated.
    Busy,
    /// It was empty, and the pool has removed it.
    Gone,
    /// The disk is full, and the room held for cleaning does not suffice.
    NoRoom(String),
    /// The log, the catalog or the disk failed.
    Failed(String),
}

/// A segment that is being cleaned.
struct Work {
    segment: SegmentId,
    length: u64,
    live: Live,
    emptied: Emptied,
}

/// What became of a segment: its number, its length, and what was done.
pub(super) type Outcome = (SegmentId, u64, Result<Emptied, NotCleaned>);

/// Answers of all reactors to a step.
struct Answers<T>(Vec<oneshot::Receiver<T>>);

impl<T> Answers<T> {
    async fn all(self) -> Result<Vec<T>, NotCleaned> {
        let mut all = Vec::with_capacity(self.0.len());
        for answer in self.0 {
            all.push(answer.await.map_err(|_| NotCleaned::Stopping)?);
        }
        Ok(all)
    }
}

impl Work {
    fn ends(self, why: NotCleaned) -> Outcome {
        (self.segment, self.length, Err(why))
    }
}

impl Cleaner {
    /// Empties segments, and gives their files back. They share the checkpoints of each round. One
    /// that cannot be emptied does not keep the others.
    pub(super) async fn clean(&mut self, batch: Vec<Candidate>) -> Vec<Outcome> {
        let work = batch.into_iter().map(|(segment, length, live)| {
            let emptied = Emptied::default();
            Work { segment, length, live, emptied }
        });
        let mut ended = Vec::new();
        let (empty, mut work): (Vec<_>, Vec<_>) = work.partition(|one| one.live.fragments == 0);
        if made(Fault::EmptyByOldCheckpoint) {
            work.extend(empty);
        } else if !empty.is_empty() {
            // They may have been left a moment ago, full of mail that the catalog lacks.
            let (empty, others) = self.covered(empty, &mut ended).await;
            work.extend(empty);
            ended.extend(others.into_iter().map(|one| one.ends(NotCleaned::Busy)));
        }
        for _ in 0..ROUNDS {
            if work.is_empty() {
                break;
            }
            let done = self.empty(work, &mut ended).await;
            let (empty, others) = match made(Fault::EmptyByOldCheckpoint) {
                true => self.look_at(done, &mut ended).await,
                false => self.covered(done, &mut ended).await,
            };
            self.give_back(empty, &mut ended).await;
            work = others;
        }
        ended.extend(work.into_iter().map(|one| one.ends(NotCleaned::Busy)));
        ended
    }

    /// Has all reactors write again what lives in these segments. Those of which that is done.
    async fn empty(&self, work: Vec<Work>, ended: &mut Vec<Outcome>) -> Vec<Work> {
        let (mut rest, mut done) = (work.into_iter().peekable(), Vec::new());
        while rest.peek().is_some() {
            let lanes: Vec<_> = rest.by_ref().take(LANES).collect();
            let asked = lanes.into_iter().map(|one| {
                let (segment, purpose) = (one.segment, self.purpose(one.live));
                let asked = self.ask(|reply| {
                    let pace = self.pace.clone();
                    Cleaning::Empty { segment, purpose, pace, reply }
                });
                (one, asked)
            });
            // Both are under way before the first is awaited.
            for (mut one, asked) in asked.collect::<Vec<_>>() {
                match emptied(asked).await {
                    Ok(emptied) => {
                        one.emptied.add(emptied);
                        done.push(one);
                    }
                    Err(why) => ended.push(one.ends(why)),
                }
            }
        }
        done
    }

    /// Brings the catalog up to date, and divides segments into those in which nothing lives and
    /// others.
    async fn covered(&self, work: Vec<Work>, ended: &mut Vec<Outcome>) -> (Vec<Work>, Vec<Work>) {
        match self.cover().await {
            Ok(()) => self.look_at(work, ended).await,
            Err(why) => {
                ended.extend(work.into_iter().map(|one| one.ends(why.clone())));
                (Vec::new(), Vec::new())
            }
        }
    }

    async fn look_at(&self, work: Vec<Work>, ended: &mut Vec<Outcome>) -> (Vec<Work>, Vec<Work>) {
        let (mut empty, mut others) = (Vec::new(), Vec::new());
        for one in work {
            match self.is_empty(one.segment).await {
                Ok(true) => empty.push(one),
                Ok(false) if made(Fault::CopiesForgotten) => empty.push(one),
                Ok(false) => others.push(one),
                Err(why) => ended.push(one.ends(why)),
            }
        }
        (empty, others)
    }

    /// Waits for the readers of empty segments, and gives their files back.
    async fn give_back(&mut self, empty: Vec<Work>, ended: &mut Vec<Outcome>) {
        let leaving = empty.into_iter().map(|one| {
            let segment = one.segment;
            (one, self.ask(|reply| Cleaning::Leave { segment, reply }))
        });
        for (one, asked) in leaving.collect::<Vec<_>>() {
            let left = match asked {
                Ok(answers) => answers.all().await,
                Err(why) => Err(why),
            };
            let given = match left {
                Ok(_) => self.strip(&one).await,
                Err(why) => Err(why),
            };
            ended.push((one.segment, one.length, given.map(|()| one.emptied)));
        }
    }

    /// Makes the records of an empty segment durable in a file of their own, and hands its file to
    /// the pool.
    async fn strip(&mut self, one: &Work) -> Result<(), NotCleaned> {
        let &Work { segment, length, live, emptied } = one;
        let strip = || {
            let segments = self.shared.segments.clone();
            self.jobs.run(move || strip(&segments, segment))
        };
        let mut stripped = strip().await;
        if let Ok(Err(error)) = &stripped
            && matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            // Far more comes back than the record file takes.
            self.shared.pool.make_room().await.map_err(|_| NotCleaned::Stopping)?;
            stripped = strip().await;
        }
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
        Ok(())
    }

    /// Brings the catalog up to everything that was written so far.
    pub(super) async fn cover(&self) -> Result<(), NotCleaned> {
        for covered in self.ask(|reply| Cleaning::Cover { reply })?.all().await? {
            covered.map_err(NotCleaned::from)?;
        }
        Ok(())
    }

    /// Has the log that writes to a segment go on in another one.
    pub(super) async fn move_on(&self, segment: SegmentId) -> Result<(), NotCleaned> {
        for moved in self.ask(|reply| Cleaning::MoveOn { segment, reply })?.all().await? {
            moved.map_err(NotCleaned::from)?;
        }
        Ok(())
    }

    async fn is_empty(&self, segment: SegmentId) -> Result<bool, NotCleaned> {
        let named = self.shared.catalog.live_in(segment, ("".into(), Default::default()), 1).await;
        let named = named.map_err(|error| NotCleaned::Failed(error.to_string()))?;
        Ok(named.is_empty())
    }

    /// Asks all reactors for a step.
    fn ask<T>(
        &self,
        step: impl Fn(oneshot::Sender<T>) -> Cleaning,
    ) -> Result<Answers<T>, NotCleaned> {
        let reactors = self.shared.reactors.get().ok_or(NotCleaned::Stopping)?;
        let mut answers = Vec::with_capacity(reactors.len());
        for reactor in reactors {
            let (reply, answer) = oneshot::channel();
            reactor.send(Arrival::Clean(step(reply))).map_err(|_| NotCleaned::Stopping)?;
            answers.push(answer);
        }
        Ok(Answers(answers))
    }
}

/// What all reactors together have done to empty a segment.
async fn emptied(
    asked: Result<Answers<Result<Emptied, CleanError>>, NotCleaned>,
) -> Result<Emptied, NotCleaned> {
    let mut emptied = Emptied::default();
    for done in asked?.all().await? {
        emptied.add(done.map_err(NotCleaned::from)?);
    }
    match emptied.stuck {
        0 => Ok(emptied),
        _ => Err(NotCleaned::Stuck),
    }
}

impl fmt::Display for NotCleaned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotCleaned::Stopping => "the server stops",
            NotCleaned::Stuck => "it has messages that cannot be read or moved",
            NotCleaned::Busy => "it is in use",
            NotCleaned::Gone => "it is no longer there",
            NotCleaned::NoRoom(why) | NotCleaned::Failed(why) => why,
        })
    }
}

impl From<CleanError> for NotCleaned {
    fn from(error: CleanError) -> NotCleaned {
        match error {
            CleanError::InUse => NotCleaned::Busy,
            CleanError::Log(LogError::Full(why)) => NotCleaned::NoRoom(why.to_string()),
            error => NotCleaned::Failed(error.to_string()),
        }
    }
}
