//! How full the submission queue is, so that it is never flushed because it is full.
//!
//! tokio-uring hands the queue to the kernel each time the executor parks. When the kernel refuses
//! that for now (EAGAIN for want of memory, EBUSY while completions wait), the entries stay in the
//! queue and go with the next park, at most 50 ms later, when a reactor publishes its counters. But
//! an operation that finds the queue full makes it flush at once, and EAGAIN is a panic there: it
//! ends the server. So operations that find no room wait here instead.
//!
//! The queue is private to tokio-uring. What can be told without looking: the kernel takes entries
//! in their order, so that all before one that has completed have left it.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

use super::size::RingSize;

/// The queue of this thread. Operations are numbered from 1 on.
struct Queue {
    /// Entries that it has room for.
    entries: Cell<u32>,
    /// The last that was prepared.
    prepared: Cell<u64>,
    /// The last that is known to have left.
    left: Cell<u64>,
    /// A mark is under way.
    marked: Cell<bool>,
    moved: Notify,
}

thread_local!(static QUEUE: Rc<Queue> = Rc::new(Queue::new()));

/// Says how many entries the queue of this thread has room for, before the first operation.
pub(super) fn set_entries(entries: u32) {
    QUEUE.with(|queue| queue.entries.set(entries));
}

/// The place of one operation; to be dropped when it has completed, and not before.
pub(super) struct Place {
    number: u64,
    marks: bool,
}

impl Place {
    /// The next place, and whether a [`Place::mark`] is to follow now; `None` when there may be no
    /// room.
    pub fn take() -> Option<(Place, bool)> {
        QUEUE.with(|queue| {
            let waiting = queue.prepared.get() - queue.left.get();
            // One more is kept free for a mark, which is under way from half of them on.
            let most = u64::from(queue.entries.get()) - 1;
            let place = (waiting < most).then(|| queue.next(false))?;
            Some((place, waiting >= most / 2 && !queue.marked.get()))
        })
    }

    /// The place of a mark, for which there is room when [`Place::take`] says so.
    pub fn mark() -> Place {
        QUEUE.with(|queue| {
            queue.marked.set(true);
            queue.next(true)
        })
    }

    /// Waits until there may be room again.
    pub async fn moved() {
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

    fn next(&self, marks: bool) -> Place {
        let number = self.prepared.get() + 1;
        self.prepared.set(number);
        Place { number, marks }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Without a queue the thread is ending.
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
