//! Batches of one connection that are on their way to the disk.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// Counts them, so that a command after them can wait for their replies.
#[derive(Default)]
pub struct Pending {
    count: Cell<usize>,
    /// One of them vanished without a reply: the log broke.
    lost: Cell<bool>,
    done: Notify,
}

impl Pending {
    /// One more. The guard is told when its reply has been sent.
    #[must_use]
    pub fn begin(self: &Rc<Self>) -> PendingBatch {
        self.count.set(self.count.get() + 1);
        PendingBatch { pending: self.clone(), replied: false }
    }

    /// Waits until there is none. `false` when one was lost: the connection must end.
    pub async fn none(&self) -> bool {
        loop {
            let done = self.done.notified();
            if self.count.get() == 0 || self.lost.get() {
                return !self.lost.get();
            }
            done.await;
        }
    }
}

/// See [`Pending::begin`].
pub struct PendingBatch {
    pending: Rc<Pending>,
    replied: bool,
}

impl PendingBatch {
    /// Its reply is on the way.
    pub fn replied(mut self) {
        self.replied = true;
    }
}

impl Drop for PendingBatch {
    fn drop(&mut self) {
        self.pending.count.set(self.pending.count.get() - 1);
        if !self.replied {
            self.pending.lost.set(true);
        }
        self.pending.done.notify_waiters();
    }
}
