//! The log of one reactor in motion: frames to the disk, one fdatasync for all that wait.
//!
//! What becomes of a frame, in this order: a place is reserved, the frame is written, an fdatasync
//! begun after that returns, its action runs. Actions run in the order of their LSNs; that is how
//! sessions come to see batches in the order in which their UIDs were given. One that takes long
//! lets sessions have their turns meanwhile, and keeps the actions behind it waiting.

mod actions;
mod error;
mod moving;
pub mod sequencer;
mod sync;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
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

const STOPPING: &str = "the server is stopping";

/// One reactor's log. A handle: clones mean the same log.
#[derive(Clone)]
pub struct Log {
    inner: Rc<Inner>,
}

/// Counters for the operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogStats {
    /// Frames written.
    pub frames: u64,
    /// Octets written, headers and padding included.
    pub octets: u64,
    /// fdatasync calls.
    pub syncs: u64,
    /// Microseconds spent in them.
    pub sync_micros: u64,
    /// Segments taken into use that were merely allocated, not written: each fdatasync in them
    /// waits for the file system's journal.
    pub unwritten_segments: u64,
}

/// What else there is to know for the operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogGauges {
    /// How long calls of fdatasync took, in microseconds.
    pub sync_latency: Histogram,
    /// How many waited for one and the same: batches, and changes of flags and names.
    pub group: Histogram,
    /// The last LSN that is durable.
    pub durable: Lsn,
    /// Segments that are written to, or written and not synced yet, or wait for the first frame.
    pub open_segments: usize,
    /// How long the disk has owed an answer for which somebody waits.
    pub stalled: Duration,
    /// The largest frame of mail that needs no other segment than those it has, in octets.
    pub room: u32,
}

struct Inner {
    state: RefCell<State>,
    pool: SegmentPool,
    /// Octets that all reactors have written: the pool steps back while it grows.
    ingested: Arc<AtomicU64>,
    /// Something was written or wants to be durable.
    work: Notify,
    /// The log moved to the next segment, or broke.
    moved: Notify,
    /// The log broke.
    broken: Notify,
    stats: Cell<LogStats>,
    histograms: RefCell<Histograms>,
    /// It was said that segments are written without O_DIRECT.
    buffered: Cell<bool>,
    /// Messages that actions have dealt with in this turn.
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
    /// Files that are written to or not synced yet.
    files: BTreeMap<SegmentId, LogFile>,
    /// The next segment, asked for ahead of time.
    next: Option<Next>,
    /// What the segment that is written to is for, at least.
    open_to: Purpose,
    /// Somebody is moving to the next segment; holds the lease for its header meanwhile.
    moving: bool,
    header: Option<Lease>,
    actions: VecDeque<(Lsn, Action)>,
    /// An action is being carried out. Those behind it may be due as well.
    acting: bool,
    /// Since when the disk has owed an answer to those who wait: none has come since then.
    owed: Option<Instant>,
    /// Frames that are not durable, oldest first.
    pending: VecDeque<Place>,
    /// Where replay may begin so as to miss nothing that is not durable.
    durable_end: Option<(SegmentId, u32)>,
    /// First frames of batches whose records are in the log and whose commit is not.
    held: BTreeMap<Lsn, (SegmentId, u32)>,
    last_batch: BatchId,
    broken: Option<Cause>,
}

impl State {
    /// The disk has answered: those who still wait do so from now on.
    fn answered(&mut self) {
        self.owed = (!self.actions.is_empty()).then(Instant::now);
    }
}

/// A segment that was asked for ahead of time.
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

/// Keeps the records of an unfinished batch within reach of recovery. See [`Log::hold`].
pub struct Hold {
    log: Log,
    lsn: Lsn,
}

impl Log {
    /// Begins a log in its first segment and starts the task that syncs it. The header there says
    /// that the logs of earlier epochs were complete: damage at their end would not show without
    /// it. Where the disk is full there is no segment: then what is stored can be read, and changes
    /// go to one that was held back.
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

    /// Waits until a frame of up to `length` bytes can be written, then runs `work` in that moment.
    /// The slot cannot leave `work`, and `work` cannot await: nothing else can take the room in
    /// between. On a full disk some purposes have room that is held back for them.
    ///
    /// # Errors
    /// When there will be no room soon; `work` has not run.
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
            // In time for it to be there when this one is full, and not before: a segment that
            // waits here cannot be used by another log.
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

    /// A number for a batch.
    #[must_use]
    pub fn next_batch(&self) -> BatchId {
        let mut state = self.inner.state.borrow_mut();
        state.last_batch = state.last_batch.next();
        state.last_batch
    }

    /// The first frame with records of a batch stays within reach of recovery until the guard is
    /// dropped, which must not be before the commit is durable.
    #[must_use]
    pub fn hold(&self, place: &Place) -> Hold {
        let at = (place.segment, place.offset);
        if !made(Fault::NothingHeld) {
            self.inner.state.borrow_mut().held.insert(place.lsn, at);
        }
        Hold { log: self.clone(), lsn: place.lsn }
    }

    /// The position that a checkpoint of this moment covers: everything durable has been seen by
    /// its action. `None` before the first frame, and while an action is being carried out.
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

    /// Waits until the log breaks; says why.
    pub async fn broken(&self) -> Cause {
        loop {
            let broken = self.inner.broken.notified();
            if let Some(why) = &self.inner.state.borrow().broken {
                return why.clone();
            }
            broken.await;
        }
    }

    /// A segment that is written to, or not synced yet, and that somebody deleted.
    #[must_use]
    pub fn nameless(&self) -> Option<SegmentId> {
        let state = self.inner.state.borrow();
        let deleted = |file: &LogFile| file.names().is_ok_and(|names| names == 0);
        state.files.iter().find(|(_, file)| deleted(file)).map(|(&segment, _)| segment)
    }

    /// Breaks the log, because what is written to it would not be found again.
    pub fn lose(&self, why: &str) {
        self.poison(why.into());
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> LogStats {
        self.inner.stats.get()
    }

    /// The same of what is more than counters.
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
                (_, Purpose::Changes | Purpose::Removes) => 0,
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

/// Room in the log for one frame, in the moment in which it can be written: see [`Log::slot`].
pub struct Slot<'a> {
    log: &'a Log,
    length: usize,
}

impl Slot<'_> {
    /// The segment and offset where the frame will begin.
    #[must_use]
    pub fn begins_at(&self) -> (SegmentId, u32) {
        self.log.inner.state.borrow().sequencer.end().expect("there is room in a slot")
    }

    /// Writes the frame. The records must take as many bytes as the frame says. The lease and
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

/// What [`Slot::write`] writes.
pub struct Frame {
    /// The payload lies in it from [`crate::store::HEADER`] on.
    pub lease: Lease,
    /// Whose octets these are; of several batches the first.
    pub stream: BatchId,
    /// Frames of that batch before this one.
    pub position: u32,
    /// Octets of payload.
    pub payload: usize,
    /// Octets that the records will take.
    pub records_len: usize,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.log.inner.state.borrow_mut().held.remove(&self.lsn);
    }
}
