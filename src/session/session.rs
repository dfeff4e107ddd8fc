//! A session: one client, its selected mailbox, and the replies it is owed.

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

/// The state of a session.
pub(super) struct Session {
    pub home: Rc<Home>,
    pub conn: Rc<Transport>,
    pub output: Rc<Output>,
    pub input: Input,
    /// The protection of the connection.
    pub security: Security,
    /// Counts the connection against the server's limit.
    pub permit: ConnectionPermit,
    /// After login: counts the session against the user's limit.
    pub seat: Option<Seat>,
    /// After login: registers the session with the account.
    pub attending: Option<Attending>,
    /// Generation of the users file in which the user was last verified.
    pub generation: u64,
    /// Number of failed logins.
    pub failures: u32,
    /// Number of commands before login.
    pub commands: u32,
    /// The user who logged in, and the owner of the account.
    pub user: Option<(User, Rc<Owner>)>,
    /// The selected mailbox. Shared with the task that answers APPENDs, which announces new
    /// messages before the OK.
    pub selected: Rc<RefCell<Option<Selected>>>,
    /// Replies to APPENDs that are still owed.
    pub pending: Rc<Pending>,
    /// Hierarchy levels that disappeared with mailboxes deleted by this session.
    pub levels: Vec<Box<str>>,
    /// Ends the connection if there is no login in time.
    pub deadline: Option<Deadline>,
    /// The extensions that the client has enabled.
    pub enabled: Enabled,
    /// The tagged response of the current command, sent after the mailbox changes.
    pub reply: RefCell<Reply>,
    /// The BYE, sent after every reply that is owed.
    pub farewell: RefCell<Option<Farewell>>,
    /// Whether the log failed during a command.
    pub broken: Cell<bool>,
    /// Number of unparseable commands before login.
    pub nonsense: u32,
    /// The session's number on this reactor.
    pub number: u64,
    /// Figures for the audit trail.
    pub trail: Trail,
    /// Counts the session by its state, for the operator.
    pub counted: Rc<Counted>,
    /// The upload progress, since the first APPEND.
    pub progress: Option<Rc<Progress>>,
}

/// How the session continues after a command.
pub(super) enum Flow {
    /// With the next command.
    On,
    /// Not at all; the client was told.
    Over,
    /// On another reactor, which has the account.
    Move(User, Tag),
}

/// The tagged response of the current command, kept until the mailbox changes have been sent.
#[derive(Default)]
pub(super) struct Reply {
    /// A complete response.
    pub octets: BytesMut,
    /// A tagged OK without a response code, to which HIGHESTMODSEQ can be added.
    pub plain: Option<(Tag, Box<str>)>,
}

impl Session {
    pub(super) fn selected_mailbox(&self) -> Option<MailboxId> {
        self.selected.borrow().as_ref().map(|selected| selected.mailbox)
    }

    /// The selected mailbox; without one, replies BAD.
    pub(super) fn mailbox(&self, tag: &Tag) -> Option<MailboxId> {
        let mailbox = self.selected_mailbox();
        if mailbox.is_none() {
            self.bad(tag, "no mailbox is selected");
        }
        mailbox
    }

    /// The selected mailbox and its messages that a set names; replies BAD on failure.
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

    /// Whether the selected mailbox may be changed; if not, replies NO.
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
