//! The accounts of a reactor, loaded from the catalog when a session needs them.

use std::fmt;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use tokio::sync::OnceCell;

use super::owner::{Owner, Pinned};
use super::state::Home;
use crate::auth::User;
use crate::index::{Account, CatalogError, Rot};
use crate::store::{LogId, MailboxId};

/// An account in use, or being loaded by the first session that needs it.
pub(super) type Loading = Rc<OnceCell<Rc<Owner>>>;

/// Why a mailbox was not loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The mailbox was deleted.
    Gone,
    /// The catalog cannot be read.
    Catalog(CatalogError),
    /// The catalog contradicts itself.
    Rot(Rot),
}

impl Home {
    /// The reactor of an account, which depends only on its name and the number of reactors.
    #[must_use]
    pub fn reactor_of(&self, account: &str) -> usize {
        let reactors = self.reactors.get().map_or(1, Vec::len);
        let logs = u16::try_from(reactors).expect("a start allows no more");
        LogId::of_account(account, logs).0.into()
    }

    /// The account of a user. It is loaded from the catalog if it is not in use.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn owner(&self, user: &User) -> Result<Rc<Owner>, CatalogError> {
        let owner = self.owner_named(&user.account()).await?;
        owner.quota.set(user.quota);
        Ok(owner)
    }

    /// The account of this name. If no session of it has set a quota, it has none.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub(crate) async fn owner_named(&self, name: &str) -> Result<Rc<Owner>, CatalogError> {
        let name: Box<str> = name.into();
        let cell = self.owners.borrow_mut().entry(name.clone()).or_default().clone();
        let owner = cell.get_or_try_init(async || {
            let stored = self.catalog.account(&name).await?;
            let account = stored.unwrap_or_else(|| Account::new(&name));
            Ok::<_, CatalogError>(Owner::new(account, None))
        });
        owner.await.cloned()
    }

    /// Loads all messages of a mailbox into memory, and keeps them there until the guard is
    /// dropped.
    ///
    /// # Errors
    /// When the catalog cannot be read; the mailbox is not pinned then.
    pub async fn load(&self, owner: &Rc<Owner>, id: MailboxId) -> Result<Pinned, LoadError> {
        let pinned = owner.pin(id).ok_or(LoadError::Gone)?;
        loop {
            let from = owner.account.borrow().mailbox(id).ok_or(LoadError::Gone)?.to_load();
            let Some(from) = from else { break };
            let piece = self.catalog.chunks(id, from).await.map_err(LoadError::Catalog)?;
            let mut account = owner.account.borrow_mut();
            let mailbox = account.mailbox_mut(id).ok_or(LoadError::Gone)?;
            mailbox.load(piece).map_err(LoadError::Rot)?;
        }
        Ok(pinned)
    }

    /// An identifier that no mailbox ever had: the epoch in the upper 24 bits.
    #[must_use]
    pub fn new_mailbox_id(&self) -> MailboxId {
        let number = self.mailboxes.fetch_add(1, Ordering::Relaxed);
        MailboxId(u64::from(self.epoch.0) << 40 | number)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Gone => f.write_str("it was deleted meanwhile"),
            LoadError::Catalog(error) => error.fmt(f),
            LoadError::Rot(error) => {
                write!(f, "{error}; stop mailrace and delete catalog.redb: it is rebuilt")
            }
        }
    }
}
