//! An account that lives on this reactor, shared by all its sessions.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, RwLock};

use super::allowance::Allowance;
use crate::index::{Account, ApplyError};
#[cfg(doc)]
use crate::limits::LOG_ALLOWANCE;
use crate::net::Transport;
use crate::reactor::contain;
use crate::reactor::fault::{Fault, made};
use crate::store::MailboxId;

/// An account, its quota, and its changes in flight.
pub struct Owner {
    /// Mailboxes and messages that are durable.
    pub account: RefCell<Account>,
    /// The quota in octets of mail; `None` is no limit.
    pub quota: Cell<Option<u64>>,
    /// Notified after each change of the account.
    pub changed: Notify,
    /// Held while mailboxes are created, deleted or renamed, and while subscriptions change.
    pub structure: Mutex<()>,
    /// Shared by steps that change messages. A copy takes it exclusively, because its messages must
    /// not change while several frames name them.
    pub changing: Arc<RwLock<()>>,
    /// Mailboxes with a deletion in flight. They accept no more mail.
    pub dying: RefCell<HashSet<MailboxId>>,
    /// Octets of the quota claimed by uploads and copies in progress.
    uploading: Cell<u64>,
    allowance: Allowance,
    /// Whether the index failed to apply a durable change.
    faulty: Cell<bool>,
    /// Whether its user was removed, and it is being emptied.
    removed: Cell<bool>,
    /// Connections of the sessions of this account.
    attending: RefCell<Vec<Rc<Transport>>>,
}

impl Owner {
    /// An account without sessions and without changes in flight.
    #[must_use]
    pub fn new(account: Account, quota: Option<u64>) -> Rc<Owner> {
        Rc::new(Owner {
            account: RefCell::new(account),
            quota: Cell::new(quota),
            changed: Notify::new(),
            structure: Mutex::new(()),
            changing: Arc::default(),
            dying: RefCell::default(),
            uploading: Cell::new(0),
            allowance: Allowance::default(),
            faulty: Cell::new(false),
            removed: Cell::new(false),
            attending: RefCell::default(),
        })
    }

    /// Charges octets that were logged besides mail to the allowance.
    pub fn logged(&self, octets: usize) {
        if self.quota.get().is_some() {
            self.allowance.spend(octets);
        }
    }

    /// How long a command that writes has to wait for its allowance ([`LOG_ALLOWANCE`]); `None` if
    /// not at all.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.quota.get().and_then(|_| self.allowance.wait())
    }

    /// Runs work on the account that fails only because of a bug or a wrong catalog: composing a
    /// change, or applying a durable one. `None` if it fails or panics, or did before. The account
    /// is then abandoned: it is emptied and its sessions end, while other accounts go on. Nothing
    /// is lost, because the log has all of it.
    pub fn risk<T>(&self, work: impl FnOnce(&mut Account) -> Result<T, ApplyError>) -> Option<T> {
        if self.faulty.get() {
            return None;
        }
        match contain(|| work(&mut self.account.borrow_mut())) {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => self.give_up(&error.to_string()),
            Err(panic) => self.give_up(&panic),
        }
    }

    fn give_up<T>(&self, why: &str) -> Option<T> {
        let user = self.name();
        #[cfg(test)]
        assert!(!crate::reactor::files::are_simulated(), "the index of {user} is at fault: {why}");
        tracing::error!(
            %user,
            "the index of this account is at fault: {why}. Its sessions end; other accounts go on, \
             and no checkpoint is written. Nothing is lost: stop mailrace, delete catalog.redb, \
             which is rebuilt from the segments, and start it. This may be a bug, report it"
        );
        self.faulty.set(true);
        self.account.replace(Account::new(&user));
        self.changed.notify_waiters();
        self.attending.borrow().iter().for_each(|conn| conn.shutdown_read());
        None
    }

    /// Whether the account was abandoned: see [`Owner::risk`].
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.faulty.get()
    }

    /// Ends all sessions with a BYE, because the user was removed; until the guard is dropped, new
    /// ones end as well.
    #[must_use]
    pub fn remove(self: &Rc<Self>) -> Removal {
        self.removed.set(true);
        self.changed.notify_waiters();
        self.attending.borrow().iter().for_each(|conn| conn.shutdown_read());
        Removal { owner: self.clone() }
    }

    /// Whether the account is being emptied: see [`Owner::remove`].
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.removed.get()
    }

    /// Whether there are sessions.
    #[must_use]
    pub fn is_attended(&self) -> bool {
        !self.attending.borrow().is_empty()
    }

    /// Closes the connections of all sessions.
    pub fn shut_down(&self) {
        self.attending.borrow().iter().for_each(|conn| conn.shutdown());
    }

    /// Registers a session of this connection until the guard is dropped. The connection is woken
    /// if the account is abandoned.
    #[must_use]
    pub fn attend(self: &Rc<Self>, conn: &Rc<Transport>) -> Attending {
        self.attending.borrow_mut().push(conn.clone());
        Attending { owner: self.clone(), conn: conn.clone() }
    }

    /// Whether the account can be dropped from memory and loaded again without loss.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.is_faulty() && self.allowance.is_full() && self.account.borrow().is_idle()
    }

    /// Ends the sharing and returns the account.
    #[must_use]
    pub fn into_account(self) -> Account {
        self.account.into_inner()
    }

    /// The name of the account, as it is in records.
    #[must_use]
    pub fn name(&self) -> Box<str> {
        self.account.borrow().name().into()
    }

    /// The mailbox of this name, unless it is being deleted.
    #[must_use]
    pub fn mailbox_named(&self, name: &str) -> Option<MailboxId> {
        let found = self.account.borrow().find(name);
        found.filter(|&mailbox| !self.is_dying(mailbox))
    }

    /// Whether the mailbox exists and accepts mail.
    #[must_use]
    pub fn has(&self, mailbox: MailboxId) -> bool {
        self.account.borrow().mailbox(mailbox).is_some() && !self.is_dying(mailbox)
    }

    /// Whether a deletion of the mailbox is in flight.
    #[must_use]
    pub fn is_dying(&self, mailbox: MailboxId) -> bool {
        self.dying.borrow().contains(&mailbox) && !made(Fault::DyingTakesMail)
    }

    /// Keeps the messages of a mailbox in memory until the guard is dropped. The account must not
    /// be borrowed at that moment. `None` when there is no such mailbox.
    #[must_use]
    pub fn pin(self: &Rc<Self>, mailbox: MailboxId) -> Option<Pinned> {
        self.account.borrow_mut().mailbox_mut(mailbox)?.pin();
        Some(Pinned { owner: self.clone(), mailbox })
    }

    /// Claims quota for messages of this size, in octets, until the claim is dropped. `None` if
    /// there is not enough.
    #[must_use]
    pub fn claim(self: &Rc<Self>, octets: u64) -> Option<Claim> {
        self.claim_within(octets, self.quota.get())
    }

    /// Like [`Owner::claim`], for a copy to the trash, which may take the account to twice its
    /// quota. Clients without MOVE delete by COPY and EXPUNGE, and that must work when the quota is
    /// full. A copy stores no octets, and appended mail must fit in the quota, so the octets on
    /// disk never exceed it.
    #[must_use]
    pub fn claim_in_trash(self: &Rc<Self>, octets: u64) -> Option<Claim> {
        self.claim_within(octets, self.quota.get().map(|quota| quota.saturating_mul(2)))
    }

    fn claim_within(self: &Rc<Self>, octets: u64, most: Option<u64>) -> Option<Claim> {
        if !self.has_room(octets, most) {
            return None;
        }
        self.uploading.set(self.uploading.get().saturating_add(octets));
        Some(Claim { owner: self.clone(), octets })
    }

    /// Whether the quota has room for a message of this size now, in addition to existing claims.
    #[must_use]
    pub fn may_hold(&self, octets: u64) -> bool {
        self.has_room(octets, self.quota.get())
    }

    fn has_room(&self, octets: u64, most: Option<u64>) -> bool {
        let claimed = if made(Fault::UploadsUncounted) { 0 } else { self.uploading.get() };
        let stored = self.account.borrow().octets();
        let all = stored.saturating_add(claimed).saturating_add(octets);
        most.is_none_or(|most| all <= most)
    }
}

/// The removal of an account: see [`Owner::remove`].
pub struct Removal {
    owner: Rc<Owner>,
}

impl Drop for Removal {
    fn drop(&mut self) {
        self.owner.removed.set(false);
    }
}

/// Registers a session: see [`Owner::attend`].
pub struct Attending {
    owner: Rc<Owner>,
    conn: Rc<Transport>,
}

impl Drop for Attending {
    fn drop(&mut self) {
        let mut attending = self.owner.attending.borrow_mut();
        if let Some(index) = attending.iter().position(|conn| Rc::ptr_eq(conn, &self.conn)) {
            attending.swap_remove(index);
        }
    }
}

/// Keeps a mailbox in memory: see [`Owner::pin`].
pub struct Pinned {
    owner: Rc<Owner>,
    mailbox: MailboxId,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(mailbox) = self.owner.account.borrow_mut().mailbox_mut(self.mailbox) {
            mailbox.unpin();
        }
    }
}

/// A claimed part of the quota: see [`Owner::claim`].
pub struct Claim {
    owner: Rc<Owner>,
    octets: u64,
}

impl Claim {
    /// Claims more octets. `false` if the quota has no room for them.
    #[must_use]
    pub fn grow(&mut self, octets: u64) -> bool {
        let Some(more) = self.owner.claim(octets) else { return false };
        self.add(more);
        true
    }

    /// Merges another claim of the same account into this one.
    pub fn add(&mut self, mut other: Claim) {
        assert!(Rc::ptr_eq(&self.owner, &other.owner), "claims of one account");
        self.octets += std::mem::take(&mut other.octets);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.owner.uploading.set(self.owner.uploading.get() - self.octets);
    }
}
