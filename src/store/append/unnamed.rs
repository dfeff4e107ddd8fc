//! Octets of mail that no record names: which segments have some for good.
//!
//! Octets are written before the record that names them. When a batch is given up, or a message is
//! expunged while cleaning writes it again, they stay in the log and belong to nobody. The catalog
//! is told, so that they go in time.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use super::Log;
use crate::reactor::fault::{Fault, made};
use crate::store::format::{Epoch, LogId, SegmentId};

/// Octets of mail that are being written and that no record names yet. Unless it is told that all
/// of them are named, they are dead when it is dropped.
pub struct Unnamed {
    log: Log,
    after: usize,
    named: Cell<bool>,
}

/// Where a log has octets that no record names yet.
#[derive(Clone, Copy, Debug)]
pub struct Unfinished {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The log.
    pub log: LogId,
    /// The first segment that may have some; `None` if there are none.
    pub from: Option<SegmentId>,
}

impl Unnamed {
    /// Notes that records name all of the octets, durably.
    pub fn named(self) {
        self.named.set(true);
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        let mut state = self.log.inner.state.borrow_mut();
        if let Entry::Occupied(mut count) = state.unnamed.entry(self.after) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        if !self.named.get() && !made(Fault::GivenUpUncounted) {
            let after = self.after;
            let written = state.order.iter().filter(|(_, at)| **at + 1 >= after);
            let written: Vec<_> = written.map(|(segment, _)| *segment).collect();
            state.dead.extend(written);
        }
    }
}

impl Log {
    /// Begins to write octets of mail that a later record names.
    #[must_use]
    pub fn writes_unnamed(&self) -> Unnamed {
        let mut state = self.inner.state.borrow_mut();
        let after = state.order.len();
        *state.unnamed.entry(after).or_default() += 1;
        Unnamed { log: self.clone(), after, named: Cell::new(false) }
    }

    /// Notes that a segment gets octets of mail that nothing will name.
    pub fn has_dead(&self, segment: SegmentId) {
        self.inner.state.borrow_mut().dead.insert(segment);
    }

    /// Whether there is something for [`Log::take_dead`].
    #[must_use]
    pub fn knows_dead(&self) -> bool {
        !self.inner.state.borrow().dead.is_empty()
    }

    /// Takes the segments with octets of mail that nothing will name, and tells where there are
    /// some that no record names yet. If the catalog is not told, [`Log::has_dead`] has to be.
    #[must_use]
    pub fn take_dead(&self) -> (BTreeSet<SegmentId>, Unfinished) {
        let mut state = self.inner.state.borrow_mut();
        let dead = std::mem::take(&mut state.dead);
        let from = state.unnamed.first_key_value().and_then(|(&after, _)| {
            let reached = state.order.iter().filter(|(_, at)| **at + 1 >= after);
            reached.map(|(segment, _)| *segment).min()
        });
        (dead, Unfinished { epoch: state.epoch, log: state.log, from })
    }
}
