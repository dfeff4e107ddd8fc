//! What all sessions of a reactor share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell, mpsc};

use super::fetch::Parser;
use super::observed::Trail;
use super::places::{Place, Places, Seats};
use crate::auth::{MechanismName, User, Verifier};
use crate::index::{Account, Catalog, CatalogError, Quarantine, Rot};
use crate::ingest::{Committed, Owner, Pinned, Unfinished};
use crate::net::{Acceptor, Guest, Output, Transport};
use crate::reactor::Arena;
use crate::stats::{Counters, Tally};
use crate::store::{Epoch, Files, Fragment, Log, LogId, MailboxId};
use imap::protocol::Tag;
use imap::protocol::response::{Code, Condition, untagged};

/// What the operator configured, for sessions.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest message taken, in octets.
    pub append_limit: u64,
    /// Connections of one user.
    pub connections_per_user: usize,
    /// Time to log in.
    pub login_time: Duration,
    /// TLS, where there are certificate and key.
    pub tls: Option<Acceptor>,
    /// Whether somebody looks at uploads and refusals.
    pub observed: bool,
    /// Time after which a session that is silent, or does not read, ends.
    pub idle_time: Duration,
    /// Commands of a connection on which nobody has logged in.
    pub commands_before_login: u32,
    /// Mechanisms that may be offered, in the order in which they are.
    pub mechanisms: Vec<MechanismName>,
    /// Whether passwords and tokens are taken in clear text from everywhere.
    pub allow_plaintext_auth: bool,
    /// What is damaged.
    pub quarantine: Arc<Quarantine>,
}

/// A connection that comes to this reactor.
pub enum Arrival {
    /// From a listener.
    New {
        /// The connection.
        guest: Guest,
        /// Its place among the connections of the server.
        place: Place,
        /// It begins with a TLS handshake (RFC 8314 section 3.2).
        implicit_tls: bool,
    },
    /// From another reactor, which authenticated it.
    LoggedIn {
        /// The connection.
        guest: Guest,
        /// Its user.
        user: User,
        /// Tag of the command that logged in; its OK is still to be sent.
        tag: Tag,
        /// What the client has sent since.
        input: Vec<u8>,
        /// Its place.
        place: Place,
        /// What was said before the login.
        trail: Trail,
    },
    /// The server stops.
    Stop,
}

/// An account in use, or being loaded by the first session that wants it.
pub type Loading = Rc<OnceCell<Rc<Owner>>>;

/// What a session is told at its end.
pub type Farewell = (Option<Code<'static>>, Rc<str>);

/// One reactor, as its sessions see it.
pub struct Home {
    /// Its number, from 0.
    pub number: usize,
    /// The run of the server.
    pub epoch: Epoch,
    /// Memory.
    pub arena: Arena,
    /// Disk, for writing.
    pub log: Log,
    /// Disk, for reading.
    pub files: Files,
    /// The index on disk.
    pub catalog: Catalog,
    /// Large messages are looked at elsewhere.
    pub parser: Parser,
    /// Passwords.
    pub verifier: Verifier,
    /// What the operator configured.
    pub settings: Settings,
    /// The ways to all reactors, this one included, in order.
    pub reactors: Arc<OnceLock<Vec<mpsc::UnboundedSender<Arrival>>>>,
    /// Counts mailboxes of this epoch over all reactors.
    pub mailboxes: Arc<AtomicU64>,
    /// Connections of the whole server.
    pub places: Arc<Places>,
    /// Sessions of the users that live here.
    pub seats: Seats,
    /// For the operator.
    pub tally: Arc<Tally>,
    /// What goes into the tally.
    pub counters: Rc<Counters>,
    /// Messages that are being uploaded.
    pub unfinished: Rc<Unfinished>,
    /// What was committed here.
    pub committed: Rc<Cell<Committed>>,
    /// Accounts in use.
    pub owners: RefCell<BTreeMap<Box<str>, Loading>>,
    /// Sessions, to end them.
    pub roster: RefCell<BTreeMap<u64, Rc<Transport>>>,
    /// Set when sessions are to end, with what to tell them.
    pub ending: RefCell<Option<Farewell>>,
    /// A session has ended.
    pub ended: Notify,
    /// Numbers sessions.
    pub next_session: Cell<u64>,
}

impl Home {
    /// The reactor on which an account lives: always the same for a given number of reactors.
    #[must_use]
    pub fn reactor_of(&self, account: &str) -> usize {
        let reactors = self.reactors.get().map_or(1, Vec::len);
        let logs = u16::try_from(reactors).expect("a start allows no more");
        LogId::of_account(account, logs).0.into()
    }

    /// Whether the start found octets of any message damaged.
    #[must_use]
    pub fn has_damaged(&self) -> bool {
        !self.settings.quarantine.messages.is_empty()
    }

    /// Whether the start found octets damaged of the message that begins here.
    #[must_use]
    pub fn is_damaged(&self, first: Fragment) -> bool {
        self.settings.quarantine.has(first)
    }

    /// The account of a user, loaded from the catalog when it is not in use.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn owner(&self, user: &User) -> Result<Rc<Owner>, CatalogError> {
        let name = user.account();
        let cell = self.owners.borrow_mut().entry(name.clone()).or_default().clone();
        let owner = cell.get_or_try_init(async || {
            let stored = self.catalog.account(&name).await?;
            let account = stored.unwrap_or_else(|| Account::new(&name));
            Ok::<_, CatalogError>(Owner::new(account, user.quota))
        });
        let owner = owner.await?.clone();
        owner.quota.set(user.quota);
        Ok(owner)
    }

    /// Brings all messages of a mailbox into memory, and keeps them there until the guard is
    /// dropped.
    ///
    /// # Errors
    /// When the catalog cannot be read; nothing is kept then.
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

    /// An identifier no mailbox ever had: the epoch in the upper 24 bits.
    #[must_use]
    pub fn new_mailbox_id(&self) -> MailboxId {
        let number = self.mailboxes.fetch_add(1, Ordering::Relaxed);
        MailboxId(u64::from(self.epoch.0) << 40 | number)
    }

    /// Ends all sessions: none takes another command. What they owe their clients is still said,
    /// of batches that are on their way to the disk as well, and then why they end.
    pub fn end_sessions(&self, code: Option<Code<'static>>, why: &str) {
        self.ending.borrow_mut().get_or_insert((code, why.into()));
        self.roster.borrow().values().for_each(|conn| conn.shutdown_read());
    }
}

pub(super) fn bye(output: &Rc<Output>, code: Option<&Code>, why: &str) {
    output.push(|out| untagged(out, Condition::Bye, code, why));
}

/// Whether LOGIN and PLAIN may come in clear text: from this machine only.
pub(super) fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Why a mailbox cannot be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// It was deleted meanwhile.
    Gone,
    /// The catalog cannot be read.
    Catalog(CatalogError),
    /// The catalog contradicts itself.
    Rot(Rot),
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
