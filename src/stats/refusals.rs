//! The latest refusals and their reasons.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, TryLockError};

use super::text::harmless;
use crate::limits::REFUSALS_SHOWN;

/// The kind of thing that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An APPEND.
    Append,
    /// A login.
    Login,
    /// A connection: there were too many, or its TLS handshake failed.
    Connection,
}

impl What {
    /// Names of all kinds for the operator, each at the index `what as usize`.
    pub const NAMES: [&str; 3] = ["append", "login", "connection"];
}

/// One refusal. The texts are [`harmless`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Seconds since 1970 UTC.
    pub time: u64,
    /// Address of the client.
    pub peer: SocketAddr,
    /// The user, or the name the client tried to log in as; may be empty.
    pub user: Box<str>,
    /// The mailbox; may be empty.
    pub mailbox: Box<str>,
    /// What was refused.
    pub what: What,
    /// The reason as the client was told.
    pub reason: Box<str>,
}

impl Refused {
    /// A refusal at `time`, without user and mailbox.
    #[must_use]
    pub fn new(time: u64, peer: SocketAddr, what: What, reason: &str) -> Refused {
        let (user, mailbox) = (Box::default(), Box::default());
        Refused { time, peer, user, mailbox, what, reason: harmless(reason).into() }
    }

    /// Adds the user.
    #[must_use]
    pub fn of(self, user: &str) -> Refused {
        Refused { user: harmless(user).into(), ..self }
    }

    /// Adds the mailbox.
    #[must_use]
    pub fn in_mailbox(self, mailbox: &str) -> Refused {
        Refused { mailbox: harmless(mailbox).into(), ..self }
    }
}

/// The refusals of one reactor.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Whether the latest are kept, and not only counted.
    keep: bool,
    counts: [Cell<u64>; What::NAMES.len()],
    latest: RefCell<VecDeque<Refused>>,
    changed: Cell<bool>,
}

impl Refusals {
    /// Starts at zero. The latest refusals are kept only if `keep`.
    #[must_use]
    pub fn new(keep: bool) -> Refusals {
        Refusals { keep, ..Refusals::default() }
    }

    /// Counts a refusal.
    pub fn add(&self, what: What, refused: impl FnOnce() -> Refused) {
        let count = &self.counts[what as usize];
        count.set(count.get() + 1);
        if !self.keep {
            return;
        }
        let mut latest = self.latest.borrow_mut();
        if latest.len() == REFUSALS_SHOWN {
            latest.pop_front();
        }
        latest.push_back(refused());
        self.changed.set(true);
    }

    /// The counts in the order of [`What::NAMES`].
    #[must_use]
    pub fn counts(&self) -> [u64; What::NAMES.len()] {
        std::array::from_fn(|at| self.counts[at].get())
    }

    /// Copies the latest to the board that other threads read. If one of them holds the lock, the
    /// next call does.
    pub fn publish(&self, board: &Mutex<Vec<Refused>>) {
        if !self.changed.get() {
            return;
        }
        let mut board = match board.try_lock() {
            Ok(board) => board,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        board.clear();
        board.extend(self.latest.borrow().iter().cloned());
        self.changed.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reason: &str) -> Refused {
        let peer = SocketAddr::from(([127, 0, 0, 1], 5));
        Refused::new(7, peer, What::Append, reason).of("al\x07ice").in_mailbox("in\nbox")
    }

    #[test]
    fn the_latest_are_kept_and_all_are_counted() {
        let refusals = Refusals::new(true);
        for number in 0..REFUSALS_SHOWN + 3 {
            refusals.add(What::Append, || refused(&number.to_string()));
        }
        let board = Mutex::default();
        refusals.publish(&board);
        let shown = board.lock().unwrap();
        assert_eq!((shown.len(), &*shown[0].reason), (REFUSALS_SHOWN, "3"));
        assert_eq!((&*shown[0].user, &*shown[0].mailbox), ("al\u{fffd}ice", "in\u{fffd}box"));
        assert_eq!(refusals.counts(), [REFUSALS_SHOWN as u64 + 3, 0, 0]);
    }

    #[test]
    fn a_reader_does_not_block_publishing() {
        let (refusals, board) = (Refusals::new(true), Mutex::default());
        refusals.add(What::Login, || refused("why"));
        let looking = board.lock().unwrap();
        refusals.publish(&board);
        drop(looking);
        assert!(board.lock().unwrap().is_empty());
        refusals.publish(&board);
        assert_eq!(board.lock().unwrap().len(), 1);
    }

    #[test]
    fn without_an_observer_only_counts_are_kept() {
        let refusals = Refusals::new(false);
        refusals.add(What::Login, || panic!("not to be made"));
        assert_eq!(refusals.counts(), [0, 1, 0]);
    }
}
