//! Group commit: one fdatasync for all who wait. It is put off while others are still receiving,
//! until [`SYNC_EVERY`] octets were written: fewer syncs, each worth more.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

use crate::reactor::{Lease, LogFile, spawn};

/// Octets after which those who wait are made durable even though others still receive.
const SYNC_EVERY: u64 = 16 << 20;

/// A file that is written round and round, and made durable for whoever asks.
pub struct Ring {
    file: LogFile,
    size: u64,
    position: Cell<u64>,
    /// Octets written since the last sync began.
    unsynced: Cell<u64>,
    /// Connections in the middle of a batch.
    receiving: Cell<usize>,
    /// How many have asked for durability so far.
    asked: Cell<u64>,
    wake: Notify,
    /// How many of them have it.
    durable: watch::Sender<u64>,
    fdatasyncs: Arc<AtomicU64>,
}

impl Ring {
    /// A ring over `size` octets of `file`; starts the task that syncs it.
    pub fn start(file: LogFile, size: u64, fdatasyncs: Arc<AtomicU64>) -> Rc<Ring> {
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

    /// Writes the first `length` octets of the lease, whole blocks, at the next place.
    pub async fn write(&self, lease: Lease, length: usize) -> io::Result<()> {
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

    /// Says that a batch is being received, until the guard is dropped.
    pub fn receiving(self: &Rc<Self>) -> Receiving {
        self.receiving.set(self.receiving.get() + 1);
        Receiving(self.clone())
    }

    /// Waits until a sync has returned that began after this call.
    pub async fn durable(&self) -> io::Result<()> {
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
            let nobody_waits = *self.durable.borrow() == asked;
            let more_will = self.receiving.get() > 0 && self.unsynced.get() < SYNC_EVERY;
            if nobody_waits || more_will {
                continue;
            }
            self.unsynced.set(0);
            if let Err(error) = self.file.sync_data().await {
                // Nothing is acknowledged any more: the senders notice.
                let _ = writeln!(io::stderr(), "fdatasync: {error}");
                std::process::exit(1);
            }
            self.fdatasyncs.fetch_add(1, Ordering::Relaxed);
            self.durable.send_replace(asked);
        }
    }
}

/// See [`Ring::receiving`].
pub struct Receiving(Rc<Ring>);

impl Drop for Receiving {
    fn drop(&mut self) {
        self.0.receiving.set(self.0.receiving.get() - 1);
        self.0.wake.notify_one();
    }
}
