//! The state of one reactor, for its sessions and uploads.

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
    /// Its number, counted from 0.
    pub number: usize,
    /// Number of this run of the server.
    pub epoch: Epoch,
    /// Memory for input and for frames.
    pub arena: Arena,
    /// The log. A [`Ledger`] writes to it.
    pub log: GuardedLog,
    /// Segment files, for reading.
    pub files: Files,
    /// The index on disk.
    pub catalog: Catalog,
    /// Threads for long work, such as parsing a large message.
    pub offload: Offload,
    /// Checks passwords.
    pub verifier: Verifier,
    /// The operator's configuration.
    pub settings: Settings,
    /// Channels to all reactors, including this one, by number.
    pub reactors: Arc<OnceLock<Vec<mpsc::UnboundedSender<Arrival>>>>,
    /// Counts the mailboxes created in this epoch, on all reactors.
    pub mailboxes: Arc<AtomicU64>,
    /// Limits the connections of the whole server.
    pub connections: Arc<ConnectionLimit>,
    /// Sessions and memory of the users on this reactor.
    pub seats: Seats,
    /// Published counters, for the operator.
    pub tally: Arc<Tally>,
    /// Counters that are published in the tally.
    pub counters: Rc<Counters>,
    /// Counts the messages of unfinished uploads.
    pub unfinished: Rc<Unfinished>,
    /// Totals of committed mail.
    pub committed: Cell<Committed>,
    /// Accounts in use.
    pub owners: RefCell<BTreeMap<Box<str>, Loading>>,
    /// Connections of all sessions, to end them.
    pub roster: RefCell<BTreeMap<u64, Rc<Transport>>>,
    /// Set when all sessions must end: the BYE to send.
    pub ending: RefCell<Option<Farewell>>,
    /// Notified when a session has ended.
    pub ended: Notify,
    /// Number of the next session.
    pub next_session: Cell<u64>,
}

/// Totals committed by a reactor since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Committed {
    /// Number of batches.
    pub batches: u64,
    /// Number of messages in them.
    pub messages: u64,
    /// Octets of those messages.
    pub octets: u64,
}

impl Home {
    /// A ledger for changes of this account.
    #[must_use]
    pub fn ledger<'a>(&'a self, owner: &'a Rc<Owner>) -> Ledger<'a> {
        Ledger::new(&self.log.0, &self.arena, owner)
    }

    /// A reader for one command, which reads ahead about `reach` octets of each message.
    #[must_use]
    pub fn reader<M: Stored>(&self, reach: u64) -> Reader<'_, M> {
        Reader::new(&self.files, &self.arena, &self.settings.quarantine.messages, reach)
    }

    /// Ends all sessions: none starts another command. Replies that are owed are still sent,
    /// including those for batches in flight, and then a BYE with the reason.
    pub fn end_sessions(&self, code: Option<Code<'static>>, why: &str) {
        self.ending.borrow_mut().get_or_insert((code, why.into()));
        self.roster.borrow().values().for_each(|conn| conn.shutdown_read());
    }
}
