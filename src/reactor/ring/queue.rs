//! Keeps the submission queue from filling up, so that it is never flushed because it is full.
//!
//! tokio-uring submits the queue each time the executor parks. If the kernel refuses for the moment
//! (EAGAIN for lack of memory, EBUSY while completions wait), the entries stay in the queue and go
//! with the next park, at most 50 ms later, when a reactor publishes its counters. But an operation
//! that finds the queue full flushes it immediately, and there EAGAIN is a panic, which ends the
//! server. So operations wait here instead when the queue may be full.
//!
//! The queue is private to tokio-uring, so its length must be inferred. The kernel takes entries in
//! order: when one has completed, all entries before it have left the queue. Operations are
//! numbered, and completions move the known front. For a queue of 8 entries:
//!
//! ```text
//! prepared 5, left 0    at most 5 entries wait in the queue: there is room
//! 3 completes           left 3: at most 2 entries wait
//! prepared 10, left 3   7 may wait: full, so operation 11 waits for a completion
//! ```
//!
//! Operations that wait for long, such as receives, complete late and would leave the front
//! unknown. So when half of the queue may be used, a mark is submitted: a no-op, which completes as
//! soon as the kernel has taken it. One entry is always left for it.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

use super::size::RingSize;

/// The queue of this thread. Operations are numbered from 1.
struct Queue {
    /// Capacity of the queue.
    entries: Cell<u32>,
    /// Number of the last prepared operation.
    prepared: Cell<u64>,
    /// Highest operation known to have left the queue.
    left: Cell<u64>,
    /// Whether a mark is in flight.
    marked: Cell<bool>,
    moved: Notify,
}

thread_local!(static QUEUE: Rc<Queue> = Rc::new(Queue::new()));

/// Sets the capacity of this thread's queue, before the first operation.
pub(super) fn set_entries(entries: u32) {
    QUEUE.with(|queue| queue.entries.set(entries));
}

/// The entry of one operation in the queue. Drop it when the operation has completed, and not
/// before.
pub(super) struct Ticket {
    number: u64,
    marks: bool,
}

impl Ticket {
    /// The next ticket, and whether a [`Ticket::mark`] is due; `None` if the queue may be full.
    pub(super) fn take() -> Option<(Ticket, bool)> {
        QUEUE.with(|queue| {
            let waiting = queue.prepared.get() - queue.left.get();
            // One entry is kept free for a mark. A mark is due when half of the entries may be
            // used.
            let most = u64::from(queue.entries.get()) - 1;
            let ticket = (waiting < most).then(|| queue.next(false))?;
            Some((ticket, waiting >= most / 2 && !queue.marked.get()))
        })
    }

    /// The ticket of a mark, which always has room when [`Ticket::take`] says that one is due.
    pub(super) fn mark() -> Ticket {
        QUEUE.with(|queue| {
            queue.marked.set(true);
            queue.next(true)
        })
    }

    /// Waits until there may be room.
    pub(super) async fn moved() {
        let queue = QUEUE.with(Rc::clone);
        queue.moved.notified().await;
    }
}

impl Queue {
    fn new() -> Queue {
        Queue {
            entries: Cell::new(RingSize::ALL[0].submissions),
            prepared: Cell::new(0),
            left: Cell::new(0),
            marked: Cell::new(false),
            moved: Notify::new(),
        }
    }

    fn next(&self, marks: bool) -> Ticket {
        let number = self.prepared.get() + 1;
        self.prepared.set(number);
        Ticket { number, marks }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // If there is no queue, the thread is ending.
        let _ = QUEUE.try_with(|queue| {
            if self.marks {
                queue.marked.set(false);
            }
            if self.number > queue.left.get() {
                queue.left.set(self.number);
                queue.moved.notify_waiters();
            }
        });
    }
}
