//! Group commit: one fdatasync for all who wait at that moment.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

use crate::reactor::{Lease, LogFile, spawn};

/// A file that is written round and round, and made durable for whoever asks.
pub struct Ring {
    file: LogFile,
    size: u64,
    position: Cell<u64>,
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
        self.file.write_at(lease, length, at).await.0
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
            if let Err(error) = self.file.sync_data().await {
                // Nothing is acknowledged any more: the senders notice.
                eprintln!("fdatasync: {error}");
                std::process::exit(1);
            }
            self.fdatasyncs.fetch_add(1, Ordering::Relaxed);
            self.durable.send_replace(asked);
        }
    }
}
