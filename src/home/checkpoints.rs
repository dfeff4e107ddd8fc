//! Checkpoints copy changes from a reactor's memory to the catalog, so that memory stays small and
//! a start reads little of the log. Durability does not depend on them: the log has everything.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};

use super::accounts::Loading;
use super::owner::Owner;
use super::state::Home;
use crate::index::{CatalogError, Checkpoint};
use crate::reactor::{Instant, Thresholds, sleep, thresholds};
use crate::stats::Checkpointed;
use crate::store::{LogError, Lsn, SegmentPool};

/// Time between two checks for a due checkpoint.
const TICK: Duration = Duration::from_millis(50);

/// A change reaches the catalog within this time, even if it is the only one.
const INTERVAL: Duration = Duration::from_secs(10);

/// Pause after a failed checkpoint.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Writes the checkpoints of one reactor.
pub(crate) struct Checkpoints {
    home: Rc<Home>,
    pool: SegmentPool,
    last: RefCell<Last>,
    /// When unused accounts were last dropped from memory.
    forgot: Cell<Instant>,
    /// The catalog has all changes of this log up to here.
    covered: Cell<Lsn>,
    /// The highest LSN that somebody waits for.
    wanted: Cell<Lsn>,
    /// Notified when `covered` has grown.
    written: Notify,
    /// Notified when somebody waits for it.
    asked: Notify,
    stop: Notify,
}

#[derive(Clone, Copy)]
struct Last {
    at: Instant,
    /// Octets in the log at that time.
    log: u64,
}

impl Checkpoints {
    /// No checkpoint is written before [`Checkpoints::run`].
    #[must_use]
    pub(crate) fn new(home: Rc<Home>, pool: SegmentPool) -> Checkpoints {
        let last = Last { at: Instant::now(), log: 0 };
        let forgot = Cell::new(last.at);
        Checkpoints {
            home,
            pool,
            last: RefCell::new(last),
            forgot,
            covered: Cell::default(),
            wanted: Cell::default(),
            written: Notify::new(),
            asked: Notify::new(),
            stop: Notify::new(),
        }
    }

    /// Writes checkpoints as they become due, and a last one after [`Checkpoints::stop`].
    pub(crate) async fn run(&self) {
        let (mut pause, mut failed) = (TICK, false);
        while !self.told_to_stop(pause, !failed).await {
            (pause, failed) = (TICK, false);
            if self.is_due() {
                if !self.write().await {
                    (pause, failed) = (AFTER_FAILURE, true);
                }
            } else if self.forgot.get().elapsed() >= INTERVAL {
                self.forget().await;
            }
        }
        // If it fails, nothing is lost: the next start reads the log instead.
        self.write().await;
    }

    /// Waits until the catalog has everything that was written to the log so far.
    ///
    /// # Errors
    /// When the log fails first.
    pub(super) async fn cover(&self) -> Result<(), LogError> {
        self.home.log.durable().await?;
        let wanted = self.home.log.0.gauges().durable;
        while self.covered.get() < wanted {
            let written = self.written.notified();
            self.wanted.set(self.wanted.get().max(wanted));
            self.asked.notify_one();
            written.await;
        }
        Ok(())
    }

    /// Ends [`Checkpoints::run`].
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Waits for the end of the pause, or until somebody waits for a checkpoint and `hears` it.
    async fn told_to_stop(&self, pause: Duration, hears: bool) -> bool {
        tokio::select! {
            biased;
            () = self.stop.notified() => true,
            () = self.asked.notified(), if hears => false,
            () = sleep(pause) => false,
        }
    }

    fn is_due(&self) -> bool {
        let last = *self.last.borrow();
        let owners = self.home.owners.borrow();
        let in_use = owners.values().filter_map(|cell| cell.get());
        let dirty: usize = in_use.map(|owner| owner.account.borrow().dirty_octets()).sum();
        let log = self.home.log.0.stats().octets - last.log;
        let news = dirty > 0 || log > 0 || self.keeps_unused() || self.home.log.0.knows_dead();
        let aged = last.at.elapsed() >= INTERVAL && news;
        let Thresholds { checkpoint_dirty, checkpoint_log, .. } = thresholds();
        let wanted = self.wanted.get() > self.covered.get();
        wanted || dirty >= checkpoint_dirty || log >= checkpoint_log || aged
    }

    /// Whether an unused account must stay in memory, because it has a change that is not in the
    /// catalog.
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

    /// Writes a checkpoint; `false` if that failed. Only one may be written at a time.
    async fn write(&self) -> bool {
        let Some(position) = self.home.log.0.position() else {
            self.forget().await;
            return true;
        };
        let owners = self.owners();
        if owners.iter().any(|owner| owner.is_faulty()) {
            // The position would cover changes that the catalog does not have.
            return true;
        }
        let log = self.home.log.0.stats().octets;
        *self.last.borrow_mut() = Last { at: Instant::now(), log };
        let mut checkpoint = Checkpoint::new(vec![position]);
        let (dead, unfinished) = self.home.log.0.take_dead();
        checkpoint.unnamed(&dead, unfinished);
        for owner in &owners {
            owner.account.borrow_mut().begin_saving(&mut checkpoint);
        }
        let result = self.home.catalog.write(checkpoint).await;
        if result.is_ok() {
            self.covered.set(position.applied);
            self.written.notify_waiters();
        } else {
            dead.iter().for_each(|&segment| self.home.log.0.has_dead(segment));
        }
        for owner in &owners {
            owner.account.borrow_mut().end_saving(result.is_ok());
        }
        drop(owners);
        self.forget().await;
        self.count(log, result.is_ok());
        if let Err(error) = &result {
            tracing::error!("a checkpoint failed and is tried again; nothing is lost: {error}");
            // The disk may be full.
            if matches!(error, CatalogError::Io { .. }) {
                self.pool.release_spare();
            }
        }
        result.is_ok()
    }

    /// Counts a checkpoint that began when the log had `log` octets.
    fn count(&self, log: u64, written: bool) {
        let counted = &self.home.counters.checkpoints;
        let before = counted.get();
        counted.set(match written {
            true => Checkpointed { written: before.written + 1, log, ..before },
            false => Checkpointed { failed: before.failed + 1, ..before },
        });
    }

    /// Drops accounts from memory that are unused and that the catalog has.
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

/// Whether a session uses the account, or is loading it.
fn is_used(cell: &Loading) -> bool {
    Rc::strong_count(cell) > 1 || cell.get().is_some_and(|owner| Rc::strong_count(owner) > 1)
}
