//! The log of one reactor at run time: writes frames, and syncs them with one fdatasync for all
//! that wait.
//!
//! A frame goes through these steps: a place is reserved, the frame is written, an fdatasync that
//! started later returns, its action runs. Actions run in the order of their LSNs, so sessions see
//! batches in the order in which their UIDs were assigned. A long action yields to sessions, while
//! later actions wait.

mod actions;
mod error;
mod moving;
pub mod sequencer;
mod sync;
#[cfg(test)]
mod tests;
mod unnamed;

use std::cell::{Cell, RefCell};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use self::actions::Action;
use crate::limits::BLOCK;
use crate::reactor::fault::{Fault, made};
use crate::reactor::{Arena, Instant, Lease, LeaseClass, LogFile, spawn};
use crate::stats::Histogram;
use crate::store::format::{
    BatchId, Epoch, LogId, LogPosition, Lsn, Place, Record, SegmentId, seal, sealed_len,
};
use crate::store::pool::{NoSegment, Prepared, Purpose, SegmentPool};
pub use error::{Cause, LogError};
use sequencer::Sequencer;
pub use unnamed::{Unfinished, Unnamed};

const STOPPING: &str = "the server is stopping";

/// The log of one reactor. Clones are handles to the same log.
#[derive(Clone)]
pub struct Log {
    inner: Rc<Inner>,
}

/// Counters for the operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogStats {
    /// Frames written.
    pub frames: u64,
    /// Octets written, including headers and padding.
    pub octets: u64,
    /// fdatasync calls.
    pub syncs: u64,
    /// Time spent in fdatasync, in microseconds.
    pub sync_micros: u64,
    /// Segments taken into use that were allocated but not written in advance: each fdatasync in
    /// them waits for the file system's journal.
    pub unwritten_segments: u64,
}

/// Gauges and histograms for the operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogGauges {
    /// Durations of fdatasync calls, in microseconds.
    pub sync_latency: Histogram,
    /// Number of writers that waited for one fdatasync: batches, and changes of flags and names.
    pub group: Histogram,
    /// The last durable LSN.
    pub durable: Lsn,
    /// Segments being written, not synced yet, or prepared for the next frame.
    pub open_segments: usize,
    /// How long tasks have waited for the disk without an answer from it.
    pub stalled: Duration,
    /// The largest frame of mail that fits without requesting another segment, in octets.
    pub room: u32,
}

struct Inner {
    state: RefCell<State>,
    pool: SegmentPool,
    /// Octets written by all reactors: the pool reduces its work while this grows.
    ingested: Arc<AtomicU64>,
    /// Notified when a write has completed or an action waits for a sync.
    work: Notify,
    /// Notified when the log has moved to the next segment, or failed.
    moved: Notify,
    /// Notified when the log has failed.
    broken: Notify,
    stats: Cell<LogStats>,
    histograms: RefCell<Histograms>,
    /// Whether the warning about segments without O_DIRECT was logged.
    buffered: Cell<bool>,
    /// Messages processed since the last yield.
    worked: Cell<usize>,
}

#[derive(Default)]
struct Histograms {
    sync_latency: Histogram,
    group: Histogram,
}

struct State {
    sequencer: Sequencer,
    epoch: Epoch,
    log: LogId,
    /// Files that are being written or not synced yet.
    files: BTreeMap<SegmentId, LogFile>,
    /// The next segment, requested in advance.
    next: Option<Next>,
    /// The lowest purpose that may write to the current segment.
    open_to: Purpose,
    /// Whether a task is moving to the next segment; that task holds the lease for its header.
    moving: bool,
    header: Option<Lease>,
    actions: VecDeque<(Lsn, Action)>,
    /// Whether an action is running. Later ones may be due too.
    acting: bool,
    /// Since when tasks have waited for the disk without an answer from it.
    owed: Option<Instant>,
    /// Frames that are not durable, oldest first.
    pending: VecDeque<Place>,
    /// The latest start of a replay that misses nothing that is not durable.
    durable_end: Option<(SegmentId, u32)>,
    /// First frames of batches whose records are in the log without their commit.
    held: BTreeMap<Lsn, (SegmentId, u32)>,
    last_batch: BatchId,
    /// Segments of this log, in the order in which it came to them.
    order: BTreeMap<SegmentId, usize>,
    /// Batches whose octets no record names yet, by the number of segments at their beginning.
    begun: BTreeMap<usize, usize>,
    /// The same of octets of mail that no record names yet.
    unnamed: BTreeMap<usize, usize>,
    /// Segments with octets of mail that nothing will name, and that the catalog was not told of.
    dead: BTreeSet<SegmentId>,
    broken: Option<Cause>,
}

impl State {
    /// The disk has answered, so the time of the remaining waiters starts again.
    fn answered(&mut self) {
        self.owed = (!self.actions.is_empty()).then(Instant::now);
    }
}

/// A segment requested in advance.
enum Next {
    Asked(oneshot::Receiver<Result<Prepared, NoSegment>>),
    Here(Prepared),
}

impl Next {
    async fn come(self) -> Result<Result<Prepared, NoSegment>, oneshot::error::RecvError> {
        match self {
            Next::Asked(asked) => asked.await,
            Next::Here(prepared) => Ok(Ok(prepared)),
        }
    }
}

/// A batch that has begun: see [`Log::begin`].
pub struct Begun {
    log: Log,
    id: BatchId,
    after: usize,
}

impl Begun {
    /// The number of the batch.
    #[must_use]
    pub fn id(&self) -> BatchId {
        self.id
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let begun = &mut self.log.inner.state.borrow_mut().begun;
        if let Entry::Occupied(mut count) = begun.entry(self.after) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Keeps the records of an unfinished batch within reach of recovery. See [`Log::hold`].
pub struct Hold {
    log: Log,
    lsn: Lsn,
}

impl Log {
    /// Starts a log in its first segment, and the task that syncs it. The segment header records
    /// that the logs of earlier epochs were complete: without it, damage at their end would go
    /// unnoticed. If the disk is full, there is no segment: stored data can be read, and changes go
    /// to a reserved segment.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn start(
        sequencer: Sequencer,
        epoch: Epoch,
        log: LogId,
        pool: SegmentPool,
        ingested: Arc<AtomicU64>,
        arena: &Arena,
    ) -> Result<Log, LogError> {
        let next = match pool.request_small().await {
            Ok(Ok(prepared)) => Some(Next::Here(prepared)),
            Ok(Err(error)) if error.is_shortage() => {
                tracing::warn!("reactor {} starts without room for mail: {error}", log.0);
                None
            }
            Ok(Err(error)) => return Err(LogError::Poisoned(error.into())),
            Err(_) => return Err(LogError::Full(STOPPING.into())),
        };
        let state = State {
            sequencer,
            epoch,
            log,
            files: BTreeMap::new(),
            next,
            open_to: Purpose::Adds,
            moving: false,
            header: Some(arena.lease(LeaseClass::Small).await),
            actions: VecDeque::new(),
            acting: false,
            owed: None,
            pending: VecDeque::new(),
            durable_end: None,
            held: BTreeMap::new(),
            last_batch: BatchId(0),
            order: BTreeMap::new(),
            begun: BTreeMap::new(),
            unnamed: BTreeMap::new(),
            dead: BTreeSet::new(),
            broken: None,
        };
        let inner = Inner {
            state: RefCell::new(state),
            pool,
            ingested,
            work: Notify::new(),
            moved: Notify::new(),
            broken: Notify::new(),
            stats: Cell::default(),
            histograms: RefCell::default(),
            buffered: Cell::new(false),
            worked: Cell::new(0),
        };
        let log = Log { inner: Rc::new(inner) };
        let has_segment = log.inner.state.borrow().next.is_some();
        if has_segment {
            log.ready_for(BLOCK, Purpose::Adds).await?;
        }
        spawn(log.clone().sync_for_ever());
        Ok(log)
    }

    /// Waits until a frame of up to `length` bytes can be written, then runs `work` immediately.
    /// The slot cannot leave `work`, and `work` cannot await, so nothing else can take the room. A
    /// full disk has reserved room for some purposes.
    ///
    /// # Errors
    /// When there is no room and none is expected soon; `work` has not run.
    pub async fn slot<T>(
        &self,
        length: usize,
        purpose: Purpose,
        work: impl FnOnce(Slot<'_>) -> T,
    ) -> Result<T, LogError> {
        self.ready_for(length, purpose).await?;
        Ok(work(Slot { log: self, length }))
    }

    async fn ready_for(&self, length: usize, purpose: Purpose) -> Result<(), LogError> {
        let length = u32::try_from(length).expect("a frame is small");
        loop {
            let moved = self.inner.moved.notified();
            let (fits, moving) = {
                let state = self.inner.state.borrow();
                if let Some(why) = &state.broken {
                    return Err(LogError::Poisoned(why.clone()));
                }
                let open = purpose >= state.open_to;
                (open && state.sequencer.fits(length), state.moving)
            };
            match (fits, moving) {
                (true, _) => return Ok(()),
                (false, true) => moved.await,
                (false, false) => self.move_on(purpose).await?,
            }
        }
    }

    fn write<'r>(
        &self,
        frame: Frame,
        records: impl IntoIterator<Item = &'r Record>,
        permit: impl Sized + 'static,
    ) -> Place {
        let Frame { mut lease, stream, position, payload, records_len } = frame;
        let length = u32::try_from(sealed_len(payload, records_len)).expect("a frame is small");
        let (place, file) = {
            let mut state = self.inner.state.borrow_mut();
            let place = state.sequencer.reserve(length).expect("there is room in a slot");
            // Early enough to be there when this segment is full, but no earlier: no other log can
            // use a segment that waits here.
            if state.next.is_none() && state.sequencer.is_nearly_full() {
                state.next = Some(Next::Asked(self.inner.pool.request()));
            }
            state.pending.push_back(place);
            (place, state.files[&place.segment].clone())
        };
        let sealed = seal(lease.octets_mut(), &place, stream, position, payload, records);
        let log = self.clone();
        spawn(async move {
            let (result, lease) = file.write_at(lease, sealed, place.offset.into()).await;
            drop((lease, permit));
            match result {
                Ok(()) => log.written(&place),
                Err(error) => {
                    let what = format!("writing segment {} failed", place.segment);
                    log.poison(Cause::new(what, error));
                }
            }
        });
        place
    }

    /// Begins a batch. Keep the guard until the batch is in its mailbox, or given up.
    #[must_use]
    pub fn begin(&self) -> Begun {
        let mut state = self.inner.state.borrow_mut();
        state.last_batch = state.last_batch.next();
        let (id, after) = (state.last_batch, state.order.len());
        *state.begun.entry(after).or_default() += 1;
        Begun { log: self.clone(), id, after }
    }

    /// Whether the log may still write to a segment, or a batch that no record names yet may have
    /// octets in it.
    #[must_use]
    pub fn is_using(&self, segment: SegmentId) -> bool {
        let state = self.inner.state.borrow();
        let Some(&at) = state.order.get(&segment) else { return false };
        let earliest = state.begun.first_key_value().map(|(&after, _)| after);
        // A batch begun when there were `n` segments has octets in the last of them, or later.
        let unnamed = earliest.is_some_and(|after| at + 1 >= after);
        state.files.contains_key(&segment) || unnamed && !made(Fault::UnfinishedForgotten)
    }

    /// Keeps the first frame with records of a batch within reach of recovery until the guard is
    /// dropped. Drop it only when the commit is durable.
    #[must_use]
    pub fn hold(&self, place: &Place) -> Hold {
        let at = (place.segment, place.offset);
        if !made(Fault::NothingHeld) {
            self.inner.state.borrow_mut().held.insert(place.lsn, at);
        }
        Hold { log: self.clone(), lsn: place.lsn }
    }

    /// The position that a checkpoint taken now covers: the actions of everything durable have run.
    /// `None` before the first frame, and while an action runs.
    #[must_use]
    pub fn position(&self) -> Option<LogPosition> {
        let state = self.inner.state.borrow();
        if state.acting && !made(Fault::CheckpointAmidBatch) {
            return None;
        }
        let applied = state.sequencer.durable();
        let (segment, offset) = state.durable_end?;
        let (lsn, (segment, offset)) = match state.held.first_key_value() {
            Some((&lsn, &at)) if lsn <= applied => (lsn, at),
            _ => (applied.next(), (segment, offset)),
        };
        Some(LogPosition { epoch: state.epoch, log: state.log, segment, offset, lsn, applied })
    }

    /// Waits until the log fails. Returns the cause.
    pub async fn broken(&self) -> Cause {
        loop {
            let broken = self.inner.broken.notified();
            if let Some(why) = &self.inner.state.borrow().broken {
                return why.clone();
            }
            broken.await;
        }
    }

    /// Counters since the start of the log.
    #[must_use]
    pub fn stats(&self) -> LogStats {
        self.inner.stats.get()
    }

    /// Gauges and histograms for the operator.
    #[must_use]
    pub fn gauges(&self) -> LogGauges {
        let (state, histograms) = (self.inner.state.borrow(), self.inner.histograms.borrow());
        LogGauges {
            sync_latency: histograms.sync_latency,
            group: histograms.group,
            durable: state.sequencer.durable(),
            open_segments: state.files.len()
                + usize::from(matches!(state.next, Some(Next::Here(_)))),
            stalled: state.owed.map_or(Duration::ZERO, |since| since.elapsed()),
            room: match (&state.next, state.open_to) {
                (Some(Next::Here(prepared)), _) => prepared.size - BLOCK as u32,
                (_, Purpose::Adds) => state.sequencer.left(),
                (_, Purpose::Cleans | Purpose::Changes | Purpose::Removes) => 0,
            },
        }
    }

    fn count(&self, change: impl FnOnce(&mut LogStats)) {
        let mut stats = self.inner.stats.get();
        change(&mut stats);
        self.inner.stats.set(stats);
    }

    fn written(&self, place: &Place) {
        self.count(|stats| {
            stats.frames += 1;
            stats.octets += u64::from(place.length);
        });
        self.inner.ingested.fetch_add(u64::from(place.length), Ordering::Relaxed);
        self.inner.state.borrow_mut().sequencer.written(place.lsn);
        self.inner.work.notify_one();
    }

    fn error(&self) -> LogError {
        let state = self.inner.state.borrow();
        LogError::Poisoned(state.broken.clone().unwrap_or_else(|| STOPPING.into()))
    }
}

/// Room in the log for one frame, valid only inside the closure of [`Log::slot`].
pub struct Slot<'a> {
    log: &'a Log,
    length: usize,
}

impl Slot<'_> {
    /// The segment and offset where the frame begins.
    #[must_use]
    pub fn begins_at(&self) -> (SegmentId, u32) {
        self.log.inner.state.borrow().sequencer.end().expect("there is room in a slot")
    }

    /// Writes the frame. The records must have the size that the frame announces. The lease and
    /// `permit` are dropped when the write is complete.
    ///
    /// # Panics
    /// When the frame is longer than the slot.
    pub fn write<'r>(
        self,
        frame: Frame,
        records: impl IntoIterator<Item = &'r Record>,
        permit: impl Sized + 'static,
    ) -> Place {
        let length = sealed_len(frame.payload, frame.records_len);
        assert!(length <= self.length, "a frame of {length} bytes in a slot of {}", self.length);
        self.log.write(frame, records, permit)
    }
}

/// The contents of [`Slot::write`].
pub struct Frame {
    /// The payload is in it from [`crate::store::HEADER`] on.
    pub lease: Lease,
    /// The batch of these octets; the first one if there are several.
    pub stream: BatchId,
    /// Number of earlier frames of that batch.
    pub position: u32,
    /// Size of the payload, in octets.
    pub payload: usize,
    /// Size of the records, in octets.
    pub records_len: usize,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.log.inner.state.borrow_mut().held.remove(&self.lsn);
    }
}
