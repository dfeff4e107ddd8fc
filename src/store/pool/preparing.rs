//! The thread of the [pool](super). It fills files with zeros, step by step, and answers requests
//! between the steps.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::holding::held;
use super::preparation::{Preparation, Zeros};
use super::{NoSegment, PoolConfig, PoolCounts, Prepared};
use crate::limits::{BLOCK, LARGE_LEASE};
use crate::reactor::files::{self, File};
use crate::reactor::{Instant, hesitate, timeout};
use crate::store::format::{ReadyHeader, SegmentId};
use crate::store::segments::{ReadySegment, usable};

/// Pause before each step while mail comes in at [`BUSY`] or faster. It leaves the disk to the
/// mail, and still prepares some 60 MB/s: without that, under load that never ends, no segment
/// would be prepared. With less mail the pause is shorter in proportion.
const PAUSE: Duration = Duration::from_millis(15);

/// Bytes of mail a second that keep a disk busy.
const BUSY: f64 = 400e6;

/// Length of the smallest segment that is held back: room for the header and the largest step of a
/// change.
pub(super) const RESERVE_LEAST: u32 = (LARGE_LEASE + 2 * BLOCK) as u32;

/// How often the idle thread checks whether the folder is still there, and whether there is room
/// again.
const LOOK: Duration = Duration::from_millis(500);

/// Which segment is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first of a reactor, filled with zeros.
    First,
    /// Any later one.
    Usual,
    /// One that is held back, even one of the last if `last` is set.
    Reserve { last: bool },
    /// One for cleaning.
    Piece,
}

pub(super) enum Request {
    Segment { kind: Kind, reply: oneshot::Sender<Result<Prepared, NoSegment>> },
    Settled(oneshot::Sender<()>),
    Delete(SegmentId),
    Shorten(SegmentId, u32),
    TakeBack(SegmentId, oneshot::Sender<()>),
    ReleaseSpare,
    MakeRoom(oneshot::Sender<()>),
    HasBegun,
}

pub(super) struct Worker {
    pub(super) config: PoolConfig,
    next: SegmentId,
    /// Bytes of room that are held back for cleaning: in segments that are ready, or free.
    pub(super) held: u64,
    pub(super) ready: VecDeque<ReadySegment>,
    pub(super) reserve: VecDeque<ReadySegment>,
    pub(super) current: Option<Preparation>,
    zeros: Zeros,
    /// Preparation failed when the disk had this many bytes of room. It is tried again when there
    /// is more, or for the next request.
    pub(super) stalled: Option<u64>,
    /// The failure was logged, and no preparation has succeeded since.
    complained: bool,
    /// The folder when the thread began; `None` when it could not be opened.
    folder: Option<File>,
    /// When the folder was last checked.
    around: Option<Instant>,
    ingested: u64,
    /// When `ingested` was read.
    looked: Instant,
    /// Told when everything is prepared.
    settled: Vec<oneshot::Sender<()>>,
    counts: Arc<PoolCounts>,
}

impl Worker {
    pub(super) fn new(config: PoolConfig, counts: Arc<PoolCounts>) -> Worker {
        let (mut ready, mut reserve) = (VecDeque::new(), VecDeque::new());
        // Nobody else may use or clean what is about to be removed.
        config.stale.iter().for_each(|&stale| config.segments.forget(stale));
        for &found in config.ready.iter().filter(|found| usable(found.length)) {
            config.segments.note_ready(found.segment, found.length);
            let lengths = u64::from(RESERVE_LEAST)..=config.reserve.into();
            match lengths.contains(&found.length) && reserve.len() < config.reserves {
                true => reserve.push_back(found),
                false => ready.push_back(found),
            }
        }
        Worker {
            next: config.first_id,
            held: held(&config),
            ready,
            reserve,
            current: None,
            zeros: Zeros::new(),
            stalled: None,
            complained: false,
            folder: files::hold_folder(config.segments.folder()),
            around: None,
            ingested: 0,
            looked: Instant::now(),
            settled: Vec::new(),
            counts,
            config,
        }
    }

    /// Works until every handle of the pool is gone.
    pub(super) async fn run(mut self, mut queue: UnboundedReceiver<Request>) {
        self.hold_spare();
        // Before mail takes all the room: a reactor that has a segment must have these behind it.
        self.hold_back();
        loop {
            self.look_around();
            self.count();
            let works = self.wants_work();
            let pause = match works {
                true => self.pause(),
                false => LOOK,
            };
            if !works {
                // An error means that the receiver has gone.
                for waiting in self.settled.drain(..) {
                    let _ = waiting.send(());
                }
            }
            let request = timeout(pause, queue.recv()).await;
            hesitate().await;
            match request {
                Some(Some(Request::Segment { kind, reply })) => {
                    // If the log that asked has gone, the segment is ready for the next one.
                    if let Err(Ok(unused)) = reply.send(self.provide(kind)) {
                        let Prepared { segment, size, reused, .. } = unused;
                        let entry = ReadySegment { segment, length: size.into(), reused };
                        match kind {
                            Kind::Reserve { .. } => self.reserve.push_front(entry),
                            Kind::First | Kind::Usual | Kind::Piece => {
                                self.ready.push_front(entry);
                            }
                        }
                    }
                }
                Some(Some(Request::Settled(waiting))) => self.settled.push(waiting),
                Some(Some(Request::Delete(segment))) => self.delete(segment),
                Some(Some(Request::Shorten(segment, end))) => {
                    if let Err(error) = self.config.segments.shorten(segment, end) {
                        tracing::debug!("segment {segment} stays as long as it is: {error}");
                    }
                }
                Some(Some(Request::TakeBack(segment, done))) => {
                    self.take_back(segment);
                    // Nobody waits when the server is stopping.
                    let _ = done.send(());
                }
                Some(Some(Request::ReleaseSpare)) => self.release_spare(),
                Some(Some(Request::MakeRoom(done))) => {
                    self.make_room();
                    let _ = done.send(());
                }
                Some(Some(Request::HasBegun)) => self.remove_stale(),
                None if works => self.step(),
                None => {}
                Some(None) => break,
            }
        }
        if let Some(unfinished) = self.current {
            unfinished.discard();
        }
    }

    fn wants_work(&self) -> bool {
        let wants_more = self.lacks_reserve() || self.ready.len() < self.ahead();
        self.stalled.is_none() && (self.current.is_some() || wants_more)
    }

    fn pause(&mut self) -> Duration {
        let (now, ingested) = (Instant::now(), self.config.ingested.load(Ordering::Relaxed));
        let octets = ingested - std::mem::replace(&mut self.ingested, ingested);
        let elapsed = now - std::mem::replace(&mut self.looked, now);
        pause_for(octets, elapsed)
    }

    /// Checks now and then whether the folder is still the same, and whether there is more room.
    fn look_around(&mut self) {
        if self.around.is_some_and(|around| around.elapsed() < LOOK) {
            return;
        }
        self.around = Some(Instant::now());
        let dir = self.config.segments.folder();
        let held = self.folder.as_ref().and_then(|folder| folder.identity().ok());
        let lost = match (held, files::identity(dir)) {
            (Some(was), Ok(is)) if was != is => {
                Some(format!("{} is another folder now", dir.display()))
            }
            (Some(_), Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                Some(format!("the folder {} was deleted or moved away", dir.display()))
            }
            _ => None,
        };
        if let Some(lost) = lost {
            self.counts.lost.get_or_init(|| lost);
        }
        let room = files::room(self.config.segments.folder()).unwrap_or(0);
        if self.stalled.is_some_and(|stalled| room > stalled) {
            self.stalled = None;
            self.hold_spare();
        }
    }

    fn count(&self) {
        let given = self.ready.iter().map(|ready| ready.length);
        let ready = given.filter(|&length| self.may_give(length)).max();
        let room = ready.unwrap_or_else(|| self.room_for_mail());
        let room = if room < u64::from(self.config.least) { 0 } else { room };
        self.counts.ready.store(self.ready.len() as u64, Ordering::Relaxed);
        self.counts.reserve.store(self.reserve.len() as u64, Ordering::Relaxed);
        self.counts.room.store(room, Ordering::Relaxed);
        self.counts.cleaning.store(self.room_for_cleaning(), Ordering::Relaxed);
    }

    /// Takes the next step of preparation.
    pub(super) fn step(&mut self) {
        let done = match self.current.take() {
            None => self.begin_next().map(|begun| self.current = Some(begun)),
            Some(current) => current.step(&self.zeros).and_then(|current| {
                if !current.is_written() {
                    self.current = Some(current);
                    return Ok(());
                }
                let (segment, length) = (current.segment, current.size.into());
                let entry = ReadySegment { segment, length, reused: false };
                let held_back = current.held_back;
                current.finish().map(|_| match held_back {
                    true => self.reserve.push_back(entry),
                    false => self.ready.push_back(entry),
                })
            }),
        };
        match done {
            Ok(()) => self.complained &= self.current.is_some(),
            Err(error) => {
                self.stalled = Some(files::room(self.config.segments.folder()).unwrap_or(0));
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!("no segment can be prepared ahead: {error}");
                }
            }
        }
    }

    /// Begins the next preparation. Segments to hold back come first.
    fn begin_next(&mut self) -> Result<Preparation, NoSegment> {
        let PoolConfig { size, reserve, .. } = self.config;
        if self.lacks_reserve() {
            let room = files::room(self.config.segments.folder());
            let room =
                room.map_err(|error| NoSegment::new(error, reserve, &self.config.segments))?;
            let room = room.min(reserve.into()) as u32;
            let mut begun = self.begin((room / BLOCK as u32 * BLOCK as u32).max(RESERVE_LEAST))?;
            begun.held_back = true;
            return Ok(begun);
        }
        match u64::from(size) <= self.free() {
            true => self.begin(size),
            false => Err(NoSegment::no_room(size, &self.config.segments)),
        }
    }

    pub(super) fn provide(&mut self, kind: Kind) -> Result<Prepared, NoSegment> {
        self.stalled = None;
        let PoolConfig { reserve, reserves, .. } = self.config;
        // A quarter of those held back is kept, if there is more than one.
        if kind == (Kind::Reserve { last: false }) && self.reserve.len() <= (reserves + 2) / 4 {
            return Err(NoSegment::no_room(reserve, &self.config.segments));
        }
        let reserved = matches!(kind, Kind::Reserve { .. });
        while let Some(found) = match reserved {
            true => self.reserve.pop_front(),
            false if kind == Kind::Piece => None,
            false => self.pop_for_mail(),
        } {
            match self.open(found) {
                Ok(Some(prepared)) => return Ok(prepared),
                Ok(None) => {}
                Err(error) => {
                    let ready = if reserved { &mut self.reserve } else { &mut self.ready };
                    ready.push_front(found);
                    return Err(error);
                }
            }
        }
        match kind {
            Kind::Piece => self.provide_piece(),
            Kind::First => self.make_fitting(self.config.first, true),
            Kind::Usual => {
                self.counts.unprepared.fetch_add(1, Ordering::Relaxed);
                self.make_fitting(self.config.size, false)
            }
            Kind::Reserve { .. } => Err(NoSegment::no_room(reserve, &self.config.segments)),
        }
    }

    /// Opens a segment that is ready; `None` if it cannot be used any more.
    pub(super) fn open(&self, found: ReadySegment) -> Result<Option<Prepared>, NoSegment> {
        let ReadySegment { segment, length, reused } = found;
        let size = u32::try_from(length).expect("it is usable");
        match self.config.segments.open_to_write(segment) {
            Ok((file, direct)) => {
                Ok(Some(Prepared { segment, file, size, written: true, direct, reused }))
            }
            Err(error) => {
                let error = NoSegment::new(error, size, &self.config.segments);
                if error.is_shortage() {
                    return Err(error);
                }
                self.config.segments.forget(segment);
                tracing::warn!("segment {segment} was ready and cannot be used: {error}");
                Ok(None)
            }
        }
    }

    /// A segment of this size, or the largest smaller one that the disk has room for.
    fn make_fitting(&mut self, size: u32, written: bool) -> Result<Prepared, NoSegment> {
        let fits = |worker: &Worker, size: u32| u64::from(size) <= worker.room_for_mail();
        if !fits(self, size) {
            // Perhaps a preparation for later has taken the room.
            self.hold_back();
            self.discard_superfluous();
        }
        let PoolConfig { first, least, .. } = self.config;
        let smaller = std::iter::successors(Some(first), |size| Some(size / 2));
        let smaller = smaller.map(|size| size / BLOCK as u32 * BLOCK as u32);
        let smaller = smaller.take_while(|&size| size >= least).filter(|&other| other < size);
        let mut sizes = std::iter::once(size).chain(smaller).peekable();
        loop {
            let size = sizes.next().expect("there is a size, and the last one returns");
            // Some file systems count the room of a deleted file late, but give it to a new one.
            let last = sizes.peek().is_none();
            let made = match fits(self, size) || last && !self.lacks() {
                true => self.make(size, written),
                false => Err(NoSegment::no_room(size, &self.config.segments)),
            };
            match made {
                Err(error) if error.is_full() && !last => {}
                made => return made,
            }
        }
    }

    /// Creates a segment while the caller waits.
    pub(super) fn make(&mut self, size: u32, written: bool) -> Result<Prepared, NoSegment> {
        let mut begun = self.begin(size)?;
        while written && !begun.is_written() {
            begun = begun.step(&self.zeros)?;
        }
        let (segment, written, direct) = (begun.segment, begun.is_written(), begun.direct);
        Ok(Prepared { segment, file: begun.finish()?, size, written, direct, reused: false })
    }

    fn begin(&mut self, size: u32) -> Result<Preparation, NoSegment> {
        let segment = self.next;
        self.next = segment.next();
        Preparation::begin(segment, size, self.config.segments.clone())
    }

    fn delete(&mut self, segment: SegmentId) {
        if let Err(error) = self.config.segments.remove(segment) {
            tracing::warn!("segment {segment} cannot be deleted: {error}");
        }
    }

    /// Removes the segments of earlier epochs that have no frame. Those that a failure leaves are a
    /// chain that the next start understands.
    fn remove_stale(&mut self) {
        for segment in std::mem::take(&mut self.config.stale) {
            if let Err(error) = self.config.segments.remove(segment) {
                tracing::warn!("segment {segment} is empty and cannot be deleted: {error}");
                return;
            }
        }
    }

    /// Makes a stripped segment ready for other mail, or deletes its file.
    fn take_back(&mut self, segment: SegmentId) {
        let segments = &self.config.segments;
        if !self.config.purges && self.ready.len() < self.ahead() {
            let header = Zeros::with(ReadyHeader { reused: true });
            let (least, header) = (self.config.size / 2, header.get(BLOCK));
            match segments.reuse(segment, self.next, least, header) {
                Ok(Some(ready)) => {
                    self.next = self.next.next();
                    self.ready.push_back(ready);
                    // The zeros written so far are lost, and those to come are saved.
                    let is_superfluous = self.ready.len() >= self.ahead();
                    if is_superfluous && self.current.as_ref().is_some_and(|one| !one.held_back) {
                        self.discard_current();
                    }
                    return;
                }
                Ok(None) => return,
                Err(error) => tracing::warn!("segment {segment} cannot be used again: {error}"),
            }
            if matches!(segments.has_file(segment), Ok(false)) {
                return;
            }
        }
        if let Err(error) = segments.remove_superseded(&[segment]) {
            tracing::warn!("segment {segment} is stripped and cannot be deleted: {error}");
        }
    }

    pub(super) fn discard_current(&mut self) {
        if let Some(current) = self.current.take() {
            current.discard();
        }
    }

    fn hold_spare(&self) {
        if let Err(error) = self.config.spare.hold() {
            tracing::debug!("no room is held for the catalog: {error}");
        }
    }

    fn release_spare(&mut self) {
        match self.config.spare.release() {
            Ok(true) => tracing::warn!("the disk is full: the catalog gets the room held for it"),
            Ok(false) => self.make_room(),
            Err(error) => tracing::warn!("room held for the catalog stays held: {error}"),
        }
    }
}

/// How long to leave the disk alone when this much mail came in this time.
fn pause_for(octets: u64, elapsed: Duration) -> Duration {
    let rate = octets as f64 / elapsed.as_secs_f64().max(1e-6);
    PAUSE.mul_f64((rate / BUSY).min(1.0))
}

#[cfg(test)]
mod tests;
