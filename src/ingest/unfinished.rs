//! Messages of batches that are not committed: what is known of them is kept in memory, and a
//! client needs six octets to send one.

use std::cell::Cell;
use std::rc::Rc;

use crate::reactor::thresholds;

/// Those of all uploads of a reactor.
#[derive(Default)]
pub struct Unfinished {
    messages: Cell<usize>,
}

impl Unfinished {
    /// The share of a batch that has no messages yet.
    #[must_use]
    pub fn share(self: &Rc<Self>) -> Share {
        Share { of: self.clone(), messages: 0 }
    }
}

/// The messages of one batch; counted until it is dropped.
pub struct Share {
    of: Rc<Unfinished>,
    messages: usize,
}

impl Share {
    /// Whether the batch may have one more message. A small batch may always: those who send
    /// millions must not keep others from sending one.
    #[must_use]
    pub fn one_more(&mut self) -> bool {
        let all = self.of.messages.get();
        let limits = thresholds();
        if self.messages >= limits.small_batch && all >= limits.unfinished_messages {
            return false;
        }
        self.messages += 1;
        self.of.messages.set(all + 1);
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.messages.set(self.of.messages.get() - self.messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{SMALL_BATCH, UNFINISHED_MESSAGES};

    #[test]
    fn who_sends_millions_leaves_room_for_small_batches() {
        let unfinished = Rc::new(Unfinished::default());
        let (mut large, mut small) = (unfinished.share(), unfinished.share());
        assert!((0..UNFINISHED_MESSAGES).all(|_| large.one_more()));
        assert!(!large.one_more());
        assert!((0..SMALL_BATCH).all(|_| small.one_more()));
        assert!(!small.one_more());
        drop(large);
        assert!((0..UNFINISHED_MESSAGES - SMALL_BATCH).all(|_| small.one_more()));
        assert!(!small.one_more());
        drop(small);
        assert_eq!(unfinished.messages.get(), 0);
    }
}
