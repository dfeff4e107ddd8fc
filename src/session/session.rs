//! A session: one client, what it has selected, and what it is owed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::BytesMut;

use super::deadline::Deadline;
use super::enabled::Enabled;
use super::input::Input;
use super::selected::{NoSuchMessage, Selected};
use crate::auth::User;
use crate::home::{Attending, ConnectionPermit, Farewell, Home, Owner, Seat, Trail};
use crate::ingest::Pending;
use crate::net::{Output, Security, Transport};
use crate::stats::{Counted, Progress};
use crate::store::MailboxId;
use imap::protocol::response::Code;
use imap::protocol::{SequenceSet, Tag};
use imap::types::UidRange;

/// One client.
pub(super) struct Session {
    pub home: Rc<Home>,
    pub conn: Rc<Transport>,
    pub output: Rc<Output>,
    pub input: Input,
    /// How the connection is protected.
    pub security: Security,
    /// Counts it among the connections of the server.
    pub permit: ConnectionPermit,
    /// Counts it among the sessions of its user, after login.
    pub seat: Option<Seat>,
    /// Registers it with the account, after login.
    pub attending: Option<Attending>,
    /// Generation of the users file in which the user was last looked up.
    pub generation: u64,
    /// Failed logins.
    pub failures: u32,
    /// Commands before login.
    pub commands: u32,
    /// The user who logged in, and the account.
    pub user: Option<(User, Rc<Owner>)>,
    /// The selected mailbox. Shared with the task that answers APPENDs: it announces new messages
    /// before the OK.
    pub selected: Rc<RefCell<Option<Selected>>>,
    /// Answers to APPENDs that are owed.
    pub pending: Rc<Pending>,
    /// Levels of the hierarchy that went with mailboxes this session has deleted.
    pub levels: Vec<Box<str>>,
    /// Ends the connection unless there is a login in time.
    pub deadline: Option<Deadline>,
    /// What the client has asked for beyond the base protocol.
    pub enabled: Enabled,
    /// How the current command ends; sent after the news.
    pub reply: RefCell<Reply>,
    /// The BYE at the end, sent after every reply that is owed.
    pub farewell: RefCell<Option<Farewell>>,
    /// The log broke during a command.
    pub broken: Cell<bool>,
    /// Commands before login that could not be read.
    pub nonsense: u32,
    /// Its number among the sessions of this reactor.
    pub number: u64,
    /// What the audit trail tells of it.
    pub trail: Trail,
    /// Counts it by what it does, for the operator.
    pub counted: Rc<Counted>,
    /// What it has uploaded, since its first APPEND.
    pub progress: Option<Rc<Progress>>,
}

/// What happens after a command.
pub(super) enum Flow {
    /// The next command.
    On,
    /// The session is over, and the client was told.
    Over,
    /// The account lives on another reactor.
    Move(User, Tag),
}

/// The tagged response of the current command, until the news have been told.
#[derive(Default)]
pub(super) struct Reply {
    /// The response, when it is written already.
    pub octets: BytesMut,
    /// A tagged OK without a response code: it can carry HIGHESTMODSEQ.
    pub plain: Option<(Tag, Box<str>)>,
}

impl Session {
    pub(super) fn selected_mailbox(&self) -> Option<MailboxId> {
        self.selected.borrow().as_ref().map(|selected| selected.mailbox)
    }

    /// The selected mailbox; BAD when there is none.
    pub(super) fn mailbox(&self, tag: &Tag) -> Option<MailboxId> {
        let mailbox = self.selected_mailbox();
        if mailbox.is_none() {
            self.bad(tag, "no mailbox is selected");
        }
        mailbox
    }

    /// The selected mailbox, and the messages in it that a set names; BAD when it cannot be.
    pub(super) fn messages(
        &self,
        tag: &Tag,
        set: &SequenceSet,
        uid: bool,
    ) -> Option<(MailboxId, Vec<UidRange>)> {
        let mailbox = self.mailbox(tag)?;
        let resolved = self.selected.borrow().as_ref()?.shown.resolve(set, uid);
        match resolved {
            Ok(uids) => Some((mailbox, uids)),
            Err(NoSuchMessage(number)) => {
                self.bad(tag, &format!("there is no message number {number}"));
                None
            }
        }
    }

    /// Whether messages of the selected mailbox may be changed; NO when they may not.
    pub(super) fn may_change(&self, tag: &Tag) -> bool {
        let read_only = self.is_read_only();
        if read_only {
            self.no(tag, Some(Code::ReadOnly), "the mailbox was opened with EXAMINE");
        }
        !read_only
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.selected.borrow().as_ref().is_some_and(|selected| selected.read_only)
    }
}
