//! Copies what has changed from a reactor's memory to the catalog, so that memory stays small and
//! a start has little to read. Nothing here is needed for a promise: the log has everything.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};

use crate::index::{CatalogError, Checkpoint};
use crate::ingest::Owner;
use crate::reactor::{Instant, Thresholds, sleep, thresholds};
use crate::session::{Home, Loading};
use crate::stats::Checkpointed;
use crate::store::SegmentPool;

/// How often the state is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Changes are in the catalog after so long, however few.
const INTERVAL: Duration = Duration::from_secs(10);

/// A checkpoint that failed is tried again after so long.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What one reactor has to say about its checkpoints.
pub(super) struct Checkpoints {
    home: Rc<Home>,
    pool: SegmentPool,
    last: RefCell<Last>,
    /// When accounts left the memory last.
    forgot: Cell<Instant>,
    stop: Notify,
}

#[derive(Clone, Copy)]
struct Last {
    at: Instant,
    /// Octets in the log at that time.
    log: u64,
}

impl Checkpoints {
    pub fn new(home: Rc<Home>, pool: SegmentPool) -> Checkpoints {
        let last = Last { at: Instant::now(), log: 0 };
        let forgot = Cell::new(last.at);
        Checkpoints { home, pool, last: RefCell::new(last), forgot, stop: Notify::new() }
    }

    /// Makes checkpoints as they become due, and a last one when told to stop.
    pub async fn run(&self) {
        let mut pause = TICK;
        while !self.told_to_stop(pause).await {
            pause = TICK;
            if self.is_due() {
                if !self.write().await {
                    pause = AFTER_FAILURE;
                }
            } else if self.forgot.get().elapsed() >= INTERVAL {
                self.forget().await;
            }
        }
        // One that fails is no loss: the next start reads the log instead.
        self.write().await;
    }

    /// Ends [`Checkpoints::run`].
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    async fn told_to_stop(&self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.notified() => true,
            () = sleep(pause) => false,
        }
    }

    fn is_due(&self) -> bool {
        let last = *self.last.borrow();
        let owners = self.home.owners.borrow();
        let in_use = owners.values().filter_map(|cell| cell.get());
        let dirty: usize = in_use.map(|owner| owner.account.borrow().dirty_octets()).sum();
        let log = self.home.log.stats().octets - last.log;
        let aged = last.at.elapsed() >= INTERVAL && (dirty > 0 || log > 0 || self.keeps_unused());
        let Thresholds { checkpoint_dirty, checkpoint_log, .. } = thresholds();
        dirty >= checkpoint_dirty || log >= checkpoint_log || aged
    }

    /// Whether an account stays in memory that nobody uses, for something that a reader has left.
    fn keeps_unused(&self) -> bool {
        let owners = self.home.owners.borrow();
        owners.values().filter(|cell| !is_used(cell)).any(|cell| {
            cell.get().is_some_and(|owner| !owner.account.borrow().is_idle()) //
        })
    }

    fn owners(&self) -> Vec<Rc<Owner>> {
        let owners = self.home.owners.borrow();
        owners.values().filter_map(|cell| cell.get().cloned()).collect()
    }

    /// Writes one; `false` when it failed. Another must not run meanwhile.
    async fn write(&self) -> bool {
        let Some(position) = self.home.log.position() else {
            self.forget().await;
            return true;
        };
        let owners = self.owners();
        if owners.iter().any(|owner| owner.is_faulty()) {
            // It would put the catalog ahead of changes that it does not have.
            return true;
        }
        let log = self.home.log.stats().octets;
        *self.last.borrow_mut() = Last { at: Instant::now(), log };
        let mut checkpoint = Checkpoint::new(vec![position]);
        for owner in &owners {
            owner.account.borrow_mut().begin_saving(&mut checkpoint);
        }
        let result = self.home.catalog.write(checkpoint).await;
        for owner in &owners {
            owner.account.borrow_mut().end_saving(result.is_ok());
        }
        drop(owners);
        self.forget().await;
        self.count(log, result.is_ok());
        if let Err(error) = &result {
            tracing::error!("a checkpoint failed and is tried again; nothing is lost: {error}");
            // For want of room, perhaps.
            if matches!(error, CatalogError::Io { .. }) {
                self.pool.release_spare();
            }
        }
        result.is_ok()
    }

    /// For the operator: the last one that was written began when the log had so many octets.
    fn count(&self, log: u64, written: bool) {
        let counted = &self.home.counters.checkpoints;
        let before = counted.get();
        counted.set(match written {
            true => Checkpointed { written: before.written + 1, log, ..before },
            false => Checkpointed { failed: before.failed + 1, ..before },
        });
    }

    /// Accounts that nobody uses, and that the catalog has, leave the memory.
    async fn forget(&self) {
        self.forgot.set(Instant::now());
        let mut idle = Vec::new();
        self.home.owners.borrow_mut().retain(|_, cell| {
            let stays = is_used(cell) || cell.get().is_some_and(|owner| !owner.is_idle());
            if !stays && let Some(owner) = Rc::get_mut(cell).and_then(OnceCell::take) {
                idle.extend(Rc::into_inner(owner).map(Owner::into_account));
            }
            stays
        });
        if !idle.is_empty() {
            self.home.catalog.free(idle).await;
        }
    }
}

/// Whether somebody uses the account, or loads it.
fn is_used(cell: &Loading) -> bool {
    Rc::strong_count(cell) > 1 || cell.get().is_some_and(|owner| Rc::strong_count(owner) > 1)
}
