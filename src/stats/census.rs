//! How many connections there are, by what they do.

use std::cell::Cell;
use std::rc::Rc;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has logged in.
    Login,
    /// Somebody has; no mailbox is selected.
    Authenticated,
    /// A mailbox is selected.
    Selected,
    /// Mail came from it in the last ten seconds, whatever is selected.
    Append,
    /// It waits for news in IDLE.
    Idle,
}

/// All of them with their names for the operator.
pub const STANDINGS: [(Standing, &str); 5] = [
    (Standing::Login, "login"),
    (Standing::Authenticated, "authenticated"),
    (Standing::Selected, "selected"),
    (Standing::Append, "append"),
    (Standing::Idle, "idle"),
];

/// The counts of one reactor.
#[derive(Debug, Default)]
pub struct Census {
    counts: [Cell<u64>; STANDINGS.len()],
}

/// One connection, counted until it is dropped.
#[derive(Debug)]
pub struct Counted {
    census: Rc<Census>,
    standing: Cell<Standing>,
    /// An upload goes on between two of its commands, and while its last batch is written.
    uploads: Cell<bool>,
}

impl Census {
    /// One more.
    #[must_use]
    pub fn count(self: &Rc<Self>, standing: Standing) -> Counted {
        self.change(standing, 1);
        Counted { census: self.clone(), standing: Cell::new(standing), uploads: Cell::new(false) }
    }

    /// The counts in the order of [`STANDINGS`].
    #[must_use]
    pub fn counts(&self) -> [u64; STANDINGS.len()] {
        std::array::from_fn(|at| self.counts[at].get())
    }

    fn change(&self, standing: Standing, by: i64) {
        let count = &self.counts[standing as usize];
        count.set(count.get().wrapping_add_signed(by));
    }
}

impl Counted {
    /// It does something else now.
    pub fn set(&self, standing: Standing) {
        self.change(|| self.standing.set(standing));
    }

    /// Mail comes from it, or none came for ten seconds.
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
    fn names_stand_at_the_place_of_their_standing() {
        for (at, (standing, _)) in STANDINGS.into_iter().enumerate() {
            assert_eq!(standing as usize, at);
        }
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
