//! Uploads in progress.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::{Mutex, TryLockError};

use super::census::Counted;
use super::text::harmless;
use crate::limits::UPLOADS_SHOWN;

/// An upload is over after this many looks in a row without new bytes: ten seconds.
const QUIET: u32 = 20;

/// The upload of one connection, counted by its session and its APPEND.
#[derive(Debug)]
pub struct Progress {
    counted: Rc<Counted>,
    connection: Box<str>,
    peer: SocketAddr,
    user: Box<str>,
    /// The mailbox that the last APPEND named.
    asked: RefCell<Box<str>>,
    /// The mailbox that mail goes to.
    mailbox: RefCell<Box<str>>,
    since: Cell<u64>,
    messages: Cell<u64>,
    octets: Cell<u64>,
    /// Messages that became durable, in all mailboxes.
    durable: Cell<u64>,
    /// Bytes at the last look, and for how many looks that has not changed.
    looked: Cell<(u64, u32)>,
}

impl Progress {
    /// For the connection of this name, which `counted` shows as uploading while mail arrives.
    #[must_use]
    pub fn new(counted: Rc<Counted>, connection: &str, peer: SocketAddr, user: &str) -> Progress {
        Progress {
            counted,
            connection: connection.into(),
            peer,
            user: user.into(),
            asked: RefCell::default(),
            mailbox: RefCell::default(),
            since: Cell::new(0),
            messages: Cell::new(0),
            octets: Cell::new(0),
            durable: Cell::new(0),
            looked: Cell::new((0, 0)),
        }
    }

    /// An APPEND names this mailbox; its mail may yet be refused.
    pub fn asks_for(&self, mailbox: &str) {
        if **self.asked.borrow() != *mailbox {
            *self.asked.borrow_mut() = mailbox.into();
        }
    }

    /// Mail goes into this mailbox since `now`, a Unix time in seconds. A new mailbox restarts the
    /// counts.
    pub fn goes_to(&self, mailbox: &str, now: u64) {
        if **self.mailbox.borrow() == *mailbox && self.since.get() > 0 {
            return;
        }
        *self.mailbox.borrow_mut() = mailbox.into();
        self.since.set(now);
        self.messages.set(0);
        self.octets.set(0);
        self.looked.set((0, 0));
    }

    /// Adds bytes of a message that arrived.
    pub fn octets(&self, octets: usize) {
        self.octets.set(self.octets.get() + octets as u64);
        self.counted.set_uploads(true);
    }

    /// Counts a message that arrived whole.
    pub fn message(&self) {
        self.messages.set(self.messages.get() + 1);
    }

    /// Adds messages that became durable.
    pub fn committed(&self, messages: u32) {
        self.durable.set(self.durable.get() + u64::from(messages));
    }

    /// Messages that became durable, in all mailboxes.
    pub fn durable(&self) -> u64 {
        self.durable.get()
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Address of the client.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The mailbox that the last APPEND named.
    pub fn asked(&self) -> String {
        self.asked.borrow().clone().into()
    }

    /// Bytes since the last look; `None` after [`QUIET`] looks without any.
    fn look(&self) -> Option<u64> {
        let (before, quiet) = self.looked.get();
        let octets = self.octets.get();
        let arrived = octets.saturating_sub(before);
        let quiet = if arrived > 0 { 0 } else { quiet + 1 };
        self.looked.set((octets, quiet.min(QUIET)));
        let active = octets > 0 && quiet < QUIET;
        self.counted.set_uploads(active);
        active.then_some(arrived)
    }

    fn view(&self) -> UploadView {
        UploadView {
            connection: self.connection.clone(),
            peer: self.peer,
            user: harmless(&self.user).into(),
            mailbox: harmless(&self.mailbox.borrow()).into(),
            since: self.since.get(),
            messages: self.messages.get(),
            octets: self.octets.get(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.counted.set_uploads(false);
    }
}

/// A snapshot of an upload. The texts are [`harmless`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadView {
    /// ID of the connection, as in the log.
    pub connection: Box<str>,
    /// Address of the client.
    pub peer: SocketAddr,
    /// The user.
    pub user: Box<str>,
    /// The mailbox.
    pub mailbox: Box<str>,
    /// When the upload to that mailbox began, in seconds since 1970 UTC.
    pub since: u64,
    /// Messages that arrived since then, durable or not.
    pub messages: u64,
    /// Bytes of those, and of the message in progress.
    pub octets: u64,
}

/// A snapshot of the uploads of one reactor.
#[derive(Debug, Default)]
pub struct UploadsView {
    /// Number of uploads in progress.
    pub active: usize,
    /// The busiest of them.
    pub busiest: Vec<UploadView>,
}

/// The uploads of one reactor.
#[derive(Debug, Default)]
pub struct Uploads {
    /// Whether they are shown to an operator.
    keep: bool,
    /// How many there were at the last [`Uploads::publish`].
    active: Cell<u64>,
    all: RefCell<Vec<Weak<Progress>>>,
}

impl Uploads {
    /// No uploads. They are kept only if `keep`.
    #[must_use]
    pub fn new(keep: bool) -> Uploads {
        Uploads { keep, ..Uploads::default() }
    }

    /// Adds an upload, for as long as its session holds it.
    pub fn add(&self, progress: &Rc<Progress>) {
        if self.keep {
            self.all.borrow_mut().push(Rc::downgrade(progress));
        }
    }

    /// How many uploads were in progress when they were last published.
    pub fn active(&self) -> u64 {
        self.active.get()
    }

    /// Copies the busiest to the board that other threads read. If one of them holds the lock, the
    /// next call does. To be called twice a second.
    pub fn publish(&self, board: &Mutex<UploadsView>) {
        if !self.keep {
            return;
        }
        let mut board = match board.try_lock() {
            Ok(board) => board,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let mut active = Vec::new();
        self.all.borrow_mut().retain(|one| {
            let Some(one) = one.upgrade() else { return false };
            if let Some(arrived) = one.look() {
                active.push((arrived, one));
            }
            true
        });
        board.active = active.len();
        self.active.set(active.len() as u64);
        active.sort_by_key(|(arrived, _)| std::cmp::Reverse(*arrived));
        board.busiest.clear();
        board.busiest.extend(active.iter().take(UPLOADS_SHOWN).map(|(_, one)| one.view()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Census, Standing};

    fn progress(number: u16) -> Rc<Progress> {
        let peer = SocketAddr::from(([127, 0, 0, 1], number));
        let counted = Rc::new(Rc::new(Census::default()).count(Standing::Selected));
        let name = format!("0-{number}");
        let progress = Rc::new(Progress::new(counted, &name, peer, "ali\x1bce"));
        progress.goes_to("box", 1000);
        progress
    }

    #[test]
    fn the_busiest_are_shown_until_they_end() {
        let (uploads, board) = (Uploads::new(true), Mutex::default());
        let all: Vec<_> = (0..UPLOADS_SHOWN as u16 + 5).map(progress).collect();
        for (number, one) in all.iter().enumerate() {
            uploads.add(one);
            one.octets(number + 1);
            one.message();
        }
        uploads.publish(&board);
        let view = std::mem::take(&mut *board.lock().unwrap());
        assert_eq!((view.active, view.busiest.len()), (UPLOADS_SHOWN + 5, UPLOADS_SHOWN));
        let first = &view.busiest[0];
        assert_eq!((first.octets, first.messages), (UPLOADS_SHOWN as u64 + 5, 1));
        assert_eq!(&*first.user, "ali\u{fffd}ce");
        drop(all);
        uploads.publish(&board);
        assert_eq!(board.lock().unwrap().active, 0);
        assert!(uploads.all.borrow().is_empty());
    }

    #[test]
    fn one_that_is_quiet_for_long_is_over_until_it_goes_on() {
        let (uploads, board, one) = (Uploads::new(true), Mutex::default(), progress(1));
        uploads.add(&one);
        let active = || {
            uploads.publish(&board);
            board.lock().unwrap().active
        };
        assert_eq!(active(), 0, "nothing has arrived");
        one.octets(10);
        assert!((0..QUIET).all(|_| active() == 1));
        assert_eq!(active(), 0);
        one.octets(1);
        assert_eq!(active(), 1);
    }

    #[test]
    fn another_mailbox_is_another_upload() {
        let one = progress(1);
        one.octets(10);
        one.goes_to("box", 1001);
        assert_eq!((one.view().octets, one.view().since), (10, 1000));
        one.goes_to("other", 1002);
        assert_eq!((one.view().octets, one.view().since), (0, 1002));
    }
}
