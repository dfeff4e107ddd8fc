//! An account at home on this reactor, shared by all its sessions.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;

use crate::index::Account;

/// An account, its quota, and what is being uploaded to it.
pub struct Owner {
    /// Mailboxes and messages, as far as they are durable.
    pub account: RefCell<Account>,
    /// Octets the account may hold; `None` is no limit.
    pub quota: Cell<Option<u64>>,
    /// Something in the account has changed.
    pub changed: Notify,
    uploading: Cell<u64>,
}

impl Owner {
    /// An account that nobody uploads to.
    #[must_use]
    pub fn new(account: Account, quota: Option<u64>) -> Rc<Owner> {
        Rc::new(Owner {
            account: RefCell::new(account),
            quota: Cell::new(quota),
            changed: Notify::new(),
            uploading: Cell::new(0),
        })
    }

    /// Room for a message of so many octets, kept until the claim is dropped. `None` when the
    /// quota does not allow it.
    #[must_use]
    pub fn claim(self: &Rc<Self>, octets: u64) -> Option<Claim> {
        let uploading = self.uploading.get().saturating_add(octets);
        let stored = self.account.borrow().octets();
        if self.quota.get().is_some_and(|quota| stored.saturating_add(uploading) > quota) {
            return None;
        }
        self.uploading.set(uploading);
        Some(Claim { owner: self.clone(), octets })
    }
}

/// See [`Owner::claim`].
pub struct Claim {
    owner: Rc<Owner>,
    octets: u64,
}

impl Claim {
    /// Makes one claim of two.
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
