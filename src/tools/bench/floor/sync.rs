//! Group commit: one fdatasync for all waiting batches. While connections are still receiving, it
//! is delayed until [`SYNC_EVERY`] bytes are written, which makes fewer and larger syncs.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

use crate::reactor::{Lease, LogFile, spawn};

/// Bytes after which waiting batches are synced although connections are still receiving.
const SYNC_EVERY: u64 = 16 << 20;

/// A file that is overwritten in a circle, with group commit.
pub(super) struct Ring {
    file: LogFile,
    size: u64,
    position: Cell<u64>,
    /// Bytes written since the last sync began.
    unsynced: Cell<u64>,
    /// Number of connections in the middle of a batch.
    receiving: Cell<usize>,
    /// Number of requests for durability so far.
    asked: Cell<u64>,
    wake: Notify,
    /// Number of these requests that are fulfilled.
    durable: watch::Sender<u64>,
    fdatasyncs: Arc<AtomicU64>,
}

impl Ring {
    /// A ring over `size` bytes of `file`. Starts the task that syncs it.
    pub(super) fn start(file: LogFile, size: u64, fdatasyncs: Arc<AtomicU64>) -> Rc<Ring> {
        let ring = Rc::new(Ring {
            file,
            size,
            position: Cell::new(0),
            unsynced: Cell::new(0),
            receiving: Cell::new(0),
            asked: Cell::new(0),
            wake: Notify::new(),
            durable: watch::Sender::new(0),
            fdatasyncs,
        });
        spawn(ring.clone().sync_for_all());
        ring
    }

    /// Writes the first `length` bytes of the lease, whole blocks, at the current position.
    pub(super) async fn write(&self, lease: Lease, length: usize) -> io::Result<()> {
        let mut at = self.position.get();
        if at + length as u64 > self.size {
            at = 0;
        }
        self.position.set(at + length as u64);
        let (result, _) = self.file.write_at(lease, length, at).await;
        self.unsynced.set(self.unsynced.get() + length as u64);
        if self.unsynced.get() >= SYNC_EVERY {
            self.wake.notify_one();
        }
        result
    }

    /// Counts a connection as receiving until the guard is dropped.
    pub(super) fn receiving(self: &Rc<Self>) -> Receiving {
        self.receiving.set(self.receiving.get() + 1);
        Receiving(self.clone())
    }

    /// Waits for the return of a sync that began after this call.
    pub(super) async fn durable(&self) -> io::Result<()> {
        let mine = self.asked.get() + 1;
        self.asked.set(mine);
        self.wake.notify_one();
        let durable = self.durable.subscribe().wait_for(|&done| done >= mine).await.map(drop);
        durable.map_err(|_| io::Error::other("the sync has failed"))
    }

    async fn sync_for_all(self: Rc<Self>) {
        loop {
            self.wake.notified().await;
            let asked = self.asked.get();
            let is_idle = *self.durable.borrow() == asked;
            let can_wait = self.receiving.get() > 0 && self.unsynced.get() < SYNC_EVERY;
            if is_idle || can_wait {
                continue;
            }
            self.unsynced.set(0);
            if let Err(error) = self.file.sync_data().await {
                // No batch may be acknowledged any more.
                let _ = writeln!(io::stderr(), "fdatasync: {error}");
                std::process::exit(1);
            }
            self.fdatasyncs.fetch_add(1, Ordering::Relaxed);
            self.durable.send_replace(asked);
        }
    }
}

/// See [`Ring::receiving`].
pub(super) struct Receiving(Rc<Ring>);

impl Drop for Receiving {
    fn drop(&mut self) {
        self.0.receiving.set(self.0.receiving.get() - 1);
        self.0.wake.notify_one();
    }
}
