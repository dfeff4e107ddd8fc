//! The thread of the [pool](super): fills files with zeros, step by step, and looks for
//! requests between the steps.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::preparation::{Preparation, Zeros, explain, no_room};
use super::{PoolConfig, PoolCounts, Prepared, is_full, is_shortage};
use crate::limits::{BLOCK, LARGE_LEASE};
use crate::reactor::files::{self, File};
use crate::reactor::{Instant, hesitate, timeout};
use crate::store::format::SegmentId;
use crate::store::segments::usable;

/// Pause before each step while mail comes in at [`BUSY`] or more: leaves the disk to it, and still
/// prepares some 60 MB/s. It has to end, since under load that never ends all segments would be
/// unprepared. With less mail the pause is shorter in proportion.
const PAUSE: Duration = Duration::from_millis(15);

/// Octets a second of mail that a disk is busy with.
const BUSY: f64 = 400e6;

/// Smallest segment that is held back: it holds the header and the largest step of a change.
const RESERVE_LEAST: u32 = (LARGE_LEASE + 2 * BLOCK) as u32;

/// How often the thread looks around when nobody asks for anything: whether the folder is still
/// there, and whether there is room again.
const LOOK: Duration = Duration::from_millis(500);

/// Which segment is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A reactor's first, written through.
    First,
    /// Any later one.
    Usual,
    /// One that is held back; the last ones, too, if need be.
    Reserve { last: bool },
}

pub(super) enum Request {
    Segment { kind: Kind, reply: oneshot::Sender<io::Result<Prepared>> },
    Settled(oneshot::Sender<()>),
    Delete(SegmentId),
    ReleaseSpare,
}

pub(super) struct Worker {
    config: PoolConfig,
    next: SegmentId,
    ready: VecDeque<(SegmentId, u32)>,
    reserve: VecDeque<(SegmentId, u32)>,
    current: Option<Preparation>,
    zeros: Zeros,
    /// Preparing failed when the disk had so much room; it is tried again when it has more, or by
    /// the next request.
    stalled: Option<u64>,
    /// That it failed was said, and it has not succeeded since.
    complained: bool,
    /// The folder as it was when the thread began; `None` when it could not be opened.
    folder: Option<File>,
    /// When the thread last looked around.
    around: Option<Instant>,
    ingested: u64,
    /// When `ingested` was read.
    looked: Instant,
    /// Who waits until all is prepared.
    settled: Vec<oneshot::Sender<()>>,
    counts: Arc<PoolCounts>,
}

impl Worker {
    pub(super) fn new(config: PoolConfig, counts: Arc<PoolCounts>) -> Worker {
        let (mut ready, mut reserve) = (VecDeque::new(), VecDeque::new());
        for &(segment, length) in config.ready.iter().filter(|&&(_, length)| usable(length)) {
            config.segments.note_ready(segment, length);
            let length = length as u32;
            let small = (RESERVE_LEAST..=config.reserve).contains(&length);
            match small && reserve.len() < config.reserves {
                true => reserve.push_back((segment, length)),
                false => ready.push_back((segment, length)),
            }
        }
        Worker {
            next: config.first_id,
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
        // Before mail takes all there is: whoever has a segment has these behind it.
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
                // Whoever waited has perhaps gone.
                for waiting in self.settled.drain(..) {
                    let _ = waiting.send(());
                }
            }
            let request = timeout(pause, queue.recv()).await;
            hesitate().await;
            match request {
                Some(Some(Request::Segment { kind, reply })) => {
                    // Whoever asked may be gone: then the file is ready for the next.
                    if let Err(Ok(unused)) = reply.send(self.provide(kind)) {
                        let entry = (unused.segment, unused.size);
                        match kind {
                            Kind::Reserve { .. } => self.reserve.push_front(entry),
                            Kind::First | Kind::Usual => self.ready.push_front(entry),
                        }
                    }
                }
                Some(Some(Request::Settled(waiting))) => self.settled.push(waiting),
                Some(Some(Request::Delete(segment))) => self.delete(segment),
                Some(Some(Request::ReleaseSpare)) => self.release_spare(),
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
        let wants_more = self.lacks_reserve() || self.ready.len() < self.config.ahead;
        self.stalled.is_none() && (self.current.is_some() || wants_more)
    }

    fn lacks_reserve(&self) -> bool {
        self.reserve.len() < self.config.reserves
    }

    fn pause(&mut self) -> Duration {
        let (now, ingested) = (Instant::now(), self.config.ingested.load(Ordering::Relaxed));
        let octets = ingested - std::mem::replace(&mut self.ingested, ingested);
        let elapsed = now - std::mem::replace(&mut self.looked, now);
        pause_for(octets, elapsed)
    }

    /// Now and then: whether the folder is the one that it was, and whether there is more room.
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
        let ready = self.ready.iter().map(|&(_, size)| size).max();
        let room = ready.map_or_else(|| self.room_for_mail(), u64::from);
        let room = if room < u64::from(self.config.least) { 0 } else { room };
        self.counts.ready.store(self.ready.len() as u64, Ordering::Relaxed);
        self.counts.reserve.store(self.reserve.len() as u64, Ordering::Relaxed);
        self.counts.room.store(room, Ordering::Relaxed);
    }

    /// Prepares a little more.
    fn step(&mut self) {
        let done = match self.current.take() {
            None => self.begin_next().map(|begun| self.current = Some(begun)),
            Some(mut current) => match current.step(&self.zeros) {
                Ok(false) => {
                    self.current = Some(current);
                    Ok(())
                }
                Ok(true) => {
                    let (entry, held_back) = ((current.segment, current.size), current.held_back);
                    current.finish().map(|_| match held_back {
                        true => self.reserve.push_back(entry),
                        false => self.ready.push_back(entry),
                    })
                }
                Err(error) => {
                    current.discard();
                    Err(error)
                }
            },
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

    /// Begins what is to be prepared next: what is held back comes first.
    fn begin_next(&mut self) -> io::Result<Preparation> {
        let PoolConfig { size, reserve, .. } = self.config;
        if self.lacks_reserve() {
            let room = files::room(self.config.segments.folder())?.min(reserve.into()) as u32;
            let mut begun = self.begin((room / BLOCK as u32 * BLOCK as u32).max(RESERVE_LEAST))?;
            begun.held_back = true;
            return Ok(begun);
        }
        match u64::from(size) <= self.room_for_mail() {
            true => self.begin(size),
            false => Err(explain(no_room(), size, &self.config)),
        }
    }

    /// Octets of the disk that mail may take.
    fn room_for_mail(&self) -> u64 {
        let missing = self.config.reserves.saturating_sub(self.reserve.len()) as u64;
        let begun = self.current.as_ref().is_some_and(|current| current.held_back);
        let missing = missing.saturating_sub(begun.into()) * u64::from(self.config.reserve);
        // What cannot be asked shows when the file is made.
        files::room(self.config.segments.folder()).unwrap_or(u64::MAX).saturating_sub(missing)
    }

    fn provide(&mut self, kind: Kind) -> io::Result<Prepared> {
        self.stalled = None;
        let PoolConfig { reserve, reserves, .. } = self.config;
        // A quarter of what is held back, if that is more than one segment.
        if kind == (Kind::Reserve { last: false }) && self.reserve.len() <= (reserves + 2) / 4 {
            return Err(explain(no_room(), reserve, &self.config));
        }
        let reserved = matches!(kind, Kind::Reserve { .. });
        let ready = if reserved { &mut self.reserve } else { &mut self.ready };
        while let Some((segment, size)) = ready.pop_front() {
            match self.config.segments.open_to_write(segment) {
                Ok((file, direct)) => {
                    return Ok(Prepared { segment, file, size, written: true, direct });
                }
                Err(error) if is_shortage(&error) => {
                    ready.push_front((segment, size));
                    return Err(explain(error, size, &self.config));
                }
                Err(error) => {
                    self.config.segments.forget(segment);
                    tracing::warn!("segment {segment} was ready, but cannot be opened: {error}");
                }
            }
        }
        match kind {
            Kind::First => self.make_fitting(self.config.first, true),
            Kind::Usual => {
                self.counts.unprepared.fetch_add(1, Ordering::Relaxed);
                self.make_fitting(self.config.size, false)
            }
            Kind::Reserve { .. } => Err(explain(no_room(), reserve, &self.config)),
        }
    }

    /// A segment of this size, or the largest smaller one that the disk has room for.
    fn make_fitting(&mut self, size: u32, written: bool) -> io::Result<Prepared> {
        let fits = |worker: &Worker, size: u32| u64::from(size) <= worker.room_for_mail();
        if !fits(self, size) {
            // What is being prepared for later has taken it, perhaps.
            self.hold_back();
            self.discard_current();
        }
        let PoolConfig { first, least, .. } = self.config;
        let smaller = std::iter::successors(Some(first), |size| Some(size / 2));
        let smaller = smaller.map(|size| size / BLOCK as u32 * BLOCK as u32);
        let smaller = smaller.take_while(|&size| size >= least).filter(|&other| other < size);
        let mut sizes = std::iter::once(size).chain(smaller).peekable();
        loop {
            let size = sizes.next().expect("there is a size, and the last one returns");
            // Some file systems say late that a file has gone, but give its room to who tries.
            let last = sizes.peek().is_none();
            let made = match fits(self, size) || last && !self.lacks_reserve() {
                true => self.make(size, written),
                false => Err(explain(no_room(), size, &self.config)),
            };
            match made {
                Err(error) if is_full(&error) && !last => {}
                made => return made,
            }
        }
    }

    /// Prepares all that is held back, as far as there is room.
    fn hold_back(&mut self) {
        if self.current.as_ref().is_some_and(|current| !current.held_back) {
            self.discard_current();
        }
        while self.lacks_reserve() && self.stalled.is_none() {
            self.step();
        }
    }

    /// A segment at once.
    fn make(&mut self, size: u32, written: bool) -> io::Result<Prepared> {
        let mut begun = self.begin(size)?;
        while written && begun.done < size {
            if let Err(error) = begun.step(&self.zeros) {
                begun.discard();
                return Err(error);
            }
        }
        let (segment, written, direct) = (begun.segment, begun.done == size, begun.direct);
        Ok(Prepared { segment, file: begun.finish()?, size, written, direct })
    }

    fn begin(&mut self, size: u32) -> io::Result<Preparation> {
        let segment = self.next;
        self.next = segment.next();
        Preparation::begin(segment, size, &self.config)
    }

    fn delete(&mut self, segment: SegmentId) {
        if let Err(error) = self.config.segments.remove(segment) {
            tracing::warn!("segment {segment} cannot be deleted: {error}");
        }
    }

    fn discard_current(&mut self) {
        if let Some(current) = self.current.take() {
            current.discard();
        }
    }

    fn hold_spare(&self) {
        if let Err(error) = self.config.spare.hold() {
            tracing::debug!("no room is held for the catalog: {error}");
        }
    }

    fn release_spare(&self) {
        match self.config.spare.release() {
            Ok(true) => tracing::warn!("the disk is full: the catalog gets the room held for it"),
            Ok(false) => {}
            Err(error) => tracing::warn!("room held for the catalog stays held: {error}"),
        }
    }
}

/// How long to leave the disk alone when so much mail came in so short a time.
fn pause_for(octets: u64, elapsed: Duration) -> Duration {
    let rate = octets as f64 / elapsed.as_secs_f64().max(1e-6);
    PAUSE.mul_f64((rate / BUSY).min(1.0))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::pool::Spare;
    use crate::store::segments::Segments;

    fn worker(dir: &tempfile::TempDir, ready: Vec<(SegmentId, u64)>) -> Worker {
        let config = PoolConfig {
            segments: Segments::open(dir.path()).unwrap(),
            size: 5 << 19,
            first: 1 << 20,
            least: 1 << 19,
            reserve: 1 << 19,
            reserves: 0,
            spare: Spare::new(dir.path(), 0),
            ahead: 2,
            first_id: SegmentId(10),
            ready,
            ingested: Arc::default(),
        };
        Worker::new(config, Arc::default())
    }

    #[test]
    fn segments_are_filled_with_zeros_ahead() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = worker(&dir, Vec::new());
        while worker.wants_work() {
            worker.step();
        }
        assert_eq!(worker.ready, [(SegmentId(10), 5 << 19), (SegmentId(11), 5 << 19)]);
        let prepared = worker.provide(Kind::Usual).unwrap();
        assert!(prepared.written && prepared.segment == SegmentId(10));
        let octets = fs::read(dir.path().join(SegmentId(10).file_name())).unwrap();
        assert!(octets.len() == 5 << 19 && octets.iter().all(|&o| o == 0));
        assert_eq!(worker.counts.unprepared.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_empty_pool_hands_out_a_merely_allocated_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = worker(&dir, Vec::new());
        let prepared = worker.provide(Kind::Usual).unwrap();
        assert_eq!(prepared.file.length().unwrap(), 5 << 19);
        assert_eq!(worker.counts.unprepared.load(Ordering::Relaxed), 1);
        let small = worker.provide(Kind::First).unwrap();
        assert!(small.written && small.size == 1 << 20);
    }

    #[test]
    fn what_is_held_back_comes_first_and_outlives_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = worker(&dir, Vec::new());
        first.config.reserves = 2;
        while first.wants_work() {
            first.step();
        }
        assert_eq!(first.reserve, [(SegmentId(10), 1 << 19), (SegmentId(11), 1 << 19)]);
        assert_eq!(first.ready.len(), 2);
        // Mail never gets them, however often it asks.
        for _ in 0..4 {
            assert!(first.provide(Kind::Usual).unwrap().size > 1 << 19);
        }
        // Of two, one is kept for what removes something.
        let (any, last) = (Kind::Reserve { last: false }, Kind::Reserve { last: true });
        assert_eq!(first.provide(any).unwrap().segment, SegmentId(10));
        assert!(is_full(&first.provide(any).unwrap_err()));

        let left = vec![(SegmentId(11), 1 << 19), (SegmentId(12), 5 << 19)];
        let config = PoolConfig { reserves: 2, ready: left, ..first.config };
        let mut second = Worker::new(config, Arc::default());
        assert_eq!(second.reserve, [(SegmentId(11), 1 << 19)]);
        assert_eq!(second.ready, [(SegmentId(12), 5 << 19)]);
        assert!(second.lacks_reserve() && second.provide(last).is_ok());
        assert!(is_full(&second.provide(last).unwrap_err()));
    }

    #[test]
    fn a_folder_that_is_gone_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = worker(&dir, Vec::new());
        worker.look_around();
        assert_eq!(worker.counts.lost.get(), None);
        let (path, moved) = (dir.path().to_owned(), dir.path().with_extension("moved"));
        fs::rename(&path, &moved).unwrap();
        worker.around = None;
        worker.look_around();
        assert!(worker.counts.lost.get().unwrap().contains(path.to_str().unwrap()));
        fs::remove_dir_all(moved).unwrap();
    }

    #[test]
    fn what_earlier_runs_left_is_used_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(SegmentId(3).file_name()), vec![0; 3 * BLOCK]).unwrap();
        let left =
            vec![(SegmentId(2), 100), (SegmentId(3), 3 * BLOCK as u64), (SegmentId(4), 8192)];
        let mut worker = worker(&dir, left);
        let prepared = worker.provide(Kind::Usual).unwrap();
        assert_eq!((prepared.segment, prepared.size), (SegmentId(3), 3 * BLOCK as u32));
        // Segment 4 is gone: passed over.
        assert_eq!(worker.provide(Kind::First).unwrap().segment, SegmentId(10));
    }

    #[test]
    fn preparing_steps_back_only_while_mail_comes_in() {
        let second = Duration::from_secs(1);
        assert_eq!(pause_for(0, second), Duration::ZERO);
        assert_eq!(pause_for(BUSY as u64 / 2, second), PAUSE / 2);
        assert_eq!(pause_for(u64::MAX, Duration::ZERO), PAUSE);
    }
}
