//! The number of connections in each state.

use std::cell::Cell;
use std::rc::Rc;

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not logged in.
    Login,
    /// Logged in; no mailbox is selected.
    Authenticated,
    /// A mailbox is selected.
    Selected,
    /// It sent mail in the last ten seconds, whatever is selected.
    Append,
    /// It is in IDLE.
    Idle,
}

impl Standing {
    /// Names of all states for the operator, each at the index `standing as usize`.
    pub const NAMES: [&str; 5] = ["login", "authenticated", "selected", "append", "idle"];
}

/// The counts of one reactor.
#[derive(Debug, Default)]
pub struct Census {
    counts: [Cell<u64>; Standing::NAMES.len()],
}

/// One connection, counted until it is dropped.
#[derive(Debug)]
pub struct Counted {
    census: Rc<Census>,
    standing: Cell<Standing>,
    /// Stays set between two commands of an upload, and while its last batch is written.
    uploads: Cell<bool>,
}

impl Census {
    /// Counts a connection until the result is dropped.
    #[must_use]
    pub fn count(self: &Rc<Self>, standing: Standing) -> Counted {
        self.change(standing, 1);
        Counted { census: self.clone(), standing: Cell::new(standing), uploads: Cell::new(false) }
    }

    /// The counts in the order of [`Standing::NAMES`].
    #[must_use]
    pub fn counts(&self) -> [u64; Standing::NAMES.len()] {
        std::array::from_fn(|at| self.counts[at].get())
    }

    fn change(&self, standing: Standing, by: i64) {
        let count = &self.counts[standing as usize];
        count.set(count.get().wrapping_add_signed(by));
    }
}

impl Counted {
    /// Changes the state.
    pub fn set(&self, standing: Standing) {
        self.change(|| self.standing.set(standing));
    }

    /// Mail arrived, or none has for ten seconds.
    pub fn set_uploads(&self, uploads: bool) {
        if self.uploads.get() != uploads {
            self.change(|| self.uploads.set(uploads));
        }
    }

    fn change(&self, change: impl FnOnce()) {
        self.census.change(self.shown(), -1);
        change();
        self.census.change(self.shown(), 1);
    }

    fn shown(&self) -> Standing {
        if self.uploads.get() { Standing::Append } else { self.standing.get() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.change(self.shown(), -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_at_the_index_of_its_state() {
        assert_eq!(Standing::NAMES[Standing::Login as usize], "login");
        assert_eq!(Standing::NAMES[Standing::Append as usize], "append");
        assert_eq!(Standing::Idle as usize, Standing::NAMES.len() - 1);
    }

    #[test]
    fn each_is_counted_once() {
        let census = Rc::new(Census::default());
        let (one, other) = (census.count(Standing::Login), census.count(Standing::Login));
        one.set_uploads(true);
        one.set(Standing::Selected);
        assert_eq!(census.counts(), [1, 0, 0, 1, 0]);
        one.set_uploads(false);
        assert_eq!(census.counts(), [1, 0, 1, 0, 0]);
        one.set_uploads(true);
        drop((one, other));
        assert_eq!(census.counts(), [0; 5]);
    }
}
