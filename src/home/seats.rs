//! Limits per user: sessions, and memory for long commands. All sessions of a user are on one
//! reactor.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::limits::SORT_OCTETS;

/// The totals of all sessions of a user.
#[derive(Debug, Default)]
pub struct UserTotals {
    sessions: Cell<usize>,
    /// Memory in bytes of sorts, threads and results with updates.
    held: Cell<usize>,
}

/// Users of a reactor that have sessions.
pub(super) type Seats = Rc<RefCell<BTreeMap<Box<str>, Rc<UserTotals>>>>;

/// One session of a user, counted until this is dropped.
pub(crate) struct Seat {
    seats: Seats,
    user: Box<str>,
    totals: Rc<UserTotals>,
}

impl Seat {
    /// Counts a session of this user. `None` if the user already has `most`.
    #[must_use]
    pub(crate) fn take(seats: &Seats, user: &str, most: usize) -> Option<Seat> {
        let mut users = seats.borrow_mut();
        let totals = users.entry(user.into()).or_default().clone();
        if totals.sessions.get() >= most {
            return None;
        }
        totals.sessions.set(totals.sessions.get() + 1);
        Some(Seat { seats: seats.clone(), user: user.into(), totals })
    }

    /// A memory reservation for a command, empty at first.
    #[must_use]
    pub(crate) fn held(&self) -> HeldMemory {
        HeldMemory { totals: self.totals.clone(), bytes: 0 }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let left = self.totals.sessions.get() - 1;
        self.totals.sessions.set(left);
        if left == 0 {
            self.seats.borrow_mut().remove(&self.user);
        }
    }
}

/// Memory of a sort, of threads, or of a result with updates. It counts against the user's limit
/// ([`SORT_OCTETS`]) until this is dropped.
pub(crate) struct HeldMemory {
    totals: Rc<UserTotals>,
    bytes: usize,
}

impl HeldMemory {
    /// Sets the number of bytes in use. `false` if the user is over the limit.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let all = self.totals.held.get() - self.bytes + bytes;
        self.bytes = bytes;
        self.totals.held.set(all);
        all <= SORT_OCTETS
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_run_out_and_come_back() {
        let seats = Seats::default();
        let first = Seat::take(&seats, "alice", 2).unwrap();
        let second = Seat::take(&seats, "alice", 2).unwrap();
        assert!(Seat::take(&seats, "alice", 2).is_none());
        assert!(Seat::take(&seats, "bob", 2).is_some());
        drop(first);
        let third = Seat::take(&seats, "alice", 2).unwrap();
        drop((second, third));
        assert!(seats.borrow().is_empty());
    }

    #[test]
    fn sessions_of_a_user_share_one_limit_of_memory() {
        let seats = Seats::default();
        let one = Seat::take(&seats, "alice", 2).unwrap();
        let two = Seat::take(&seats, "alice", 2).unwrap();
        let other = Seat::take(&seats, "bob", 2).unwrap();
        let (mut first, mut second) = (one.held(), two.held());
        assert!(first.set(SORT_OCTETS) && !second.set(1));
        assert!(other.held().set(SORT_OCTETS));
        assert!(first.set(SORT_OCTETS - 1) && second.set(1));
        drop(first);
        assert!(second.set(SORT_OCTETS));
    }
}
