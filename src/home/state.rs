//! One reactor, as its sessions and uploads see it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use tokio::sync::{Notify, mpsc};

use super::accounts::Loading;
use super::arrival::{Arrival, Farewell};
use super::connections::ConnectionLimit;
use super::guarded::GuardedLog;
use super::ledger::Ledger;
use super::offload::Offload;
use super::owner::Owner;
use super::seats::Seats;
use super::settings::Settings;
use super::unfinished::Unfinished;
use crate::auth::Verifier;
use crate::index::Catalog;
use crate::net::Transport;
use crate::reactor::Arena;
use crate::stats::{Counters, Tally};
use crate::store::{Epoch, Files, Reader, Stored};
use imap::protocol::response::Code;

/// Everything that belongs to one reactor.
pub struct Home {
    /// Its number, from 0.
    pub number: usize,
    /// The run of the server.
    pub epoch: Epoch,
    /// Memory for what is received and written.
    pub arena: Arena,
    /// The log. A [`Ledger`] writes to it.
    pub log: GuardedLog,
    /// Segments, for reading.
    pub files: Files,
    /// The index on disk.
    pub catalog: Catalog,
    /// Threads for long work, such as parsing a large message.
    pub offload: Offload,
    /// Checks passwords.
    pub verifier: Verifier,
    /// What the operator configured.
    pub settings: Settings,
    /// Channels to all reactors, this one included, in order.
    pub reactors: Arc<OnceLock<Vec<mpsc::UnboundedSender<Arrival>>>>,
    /// Counts mailboxes of this epoch over all reactors.
    pub mailboxes: Arc<AtomicU64>,
    /// Limits the connections of the whole server.
    pub connections: Arc<ConnectionLimit>,
    /// Sessions of the users that live here.
    pub seats: Seats,
    /// For the operator.
    pub tally: Arc<Tally>,
    /// What goes into the tally.
    pub counters: Rc<Counters>,
    /// Messages that are being uploaded.
    pub unfinished: Rc<Unfinished>,
    /// What was committed here.
    pub committed: Cell<Committed>,
    /// Accounts in use.
    pub owners: RefCell<BTreeMap<Box<str>, Loading>>,
    /// Connections of all sessions, to end them.
    pub roster: RefCell<BTreeMap<u64, Rc<Transport>>>,
    /// Set when sessions are to end, with what to tell them.
    pub ending: RefCell<Option<Farewell>>,
    /// Notified when a session has ended.
    pub ended: Notify,
    /// Number of the next session.
    pub next_session: Cell<u64>,
}

/// What a reactor has committed since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Committed {
    /// Batches.
    pub batches: u64,
    /// Messages in them.
    pub messages: u64,
    /// Octets of those messages.
    pub octets: u64,
}

impl Home {
    /// The way into the log for changes of this account.
    #[must_use]
    pub fn ledger<'a>(&'a self, owner: &'a Rc<Owner>) -> Ledger<'a> {
        Ledger::new(&self.log.0, &self.arena, owner)
    }

    /// Reads messages for one command: of each about the first `reach` octets.
    #[must_use]
    pub fn reader<M: Stored>(&self, reach: u64) -> Reader<'_, M> {
        Reader::new(&self.files, &self.arena, &self.settings.quarantine.messages, reach)
    }

    /// Ends all sessions: none starts another command. Replies that are owed are still sent, those
    /// for batches on their way to the disk as well, and then a BYE that says why.
    pub fn end_sessions(&self, code: Option<Code<'static>>, why: &str) {
        self.ending.borrow_mut().get_or_insert((code, why.into()));
        self.roster.borrow().values().for_each(|conn| conn.shutdown_read());
    }
}
