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
    /// It uploads, whatever is selected.
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
}

impl Census {
    /// One more.
    #[must_use]
    pub fn count(self: &Rc<Self>, standing: Standing) -> Counted {
        self.change(standing, 1);
        Counted { census: self.clone(), standing: Cell::new(standing) }
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
        self.census.change(self.standing.replace(standing), -1);
        self.census.change(standing, 1);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.change(self.standing.get(), -1);
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
        one.set(Standing::Append);
        assert_eq!(census.counts(), [1, 0, 0, 1, 0]);
        drop((one, other));
        assert_eq!(census.counts(), [0; 5]);
    }
}
