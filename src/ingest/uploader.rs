//! The client of an upload, and the channel for its replies: the session sends them.

use std::rc::Rc;

use tokio::sync::mpsc::UnboundedSender;
use tracing::Span;

#[cfg(doc)]
use super::machine::Machine;
use super::pending::{Answer, Appended, Pending, PendingReply};
use super::refusal::Refusal;
use crate::home::{Home, Owner};
use crate::index::Mailbox;
use crate::net::{Output, Transport};
use crate::stats::Progress;
use crate::store::MailboxId;
use imap::protocol::Tag;
use imap::types::{UidRange, UidValidity};

/// The parts of a connection that an upload needs.
pub struct Client {
    /// The connection that sends mail.
    pub conn: Rc<Transport>,
    /// The output for continuation requests.
    pub output: Rc<Output>,
    /// The channel for replies. The receiver sends them to the client. Boxed, because a channel
    /// allocates room for 32 at once, and ten thousand connections may wait in an APPEND.
    pub answers: UnboundedSender<Box<Answer>>,
    /// Counts the replies that are owed.
    pub pending: Rc<Pending>,
    /// Upload progress, for the operator.
    pub progress: Rc<Progress>,
    /// Whether the client enabled IMAP4rev2 or UTF8=ACCEPT: see [`Machine::new`].
    pub utf8: bool,
    /// Whether each APPEND must be answered before the next is run.
    pub one_by_one: bool,
}

/// The client and the account of an upload. Shared with actions that run when a batch is durable.
pub(super) struct Uploader {
    pub home: Rc<Home>,
    pub owner: Rc<Owner>,
    pub client: Client,
    /// The log span of the connection.
    pub span: Span,
}

impl Uploader {
    /// Passes the reply for a durable batch to the session.
    pub(super) fn acknowledge(
        &self,
        tag: Tag,
        mailbox: MailboxId,
        uids: UidRange,
        reply: PendingReply,
    ) {
        let validity = {
            let account = self.owner.account.borrow();
            account.mailbox(mailbox).map_or_else(UidValidity::default, Mailbox::uid_validity)
        };
        self.answer(Some(tag), Ok(Appended { validity, uids }), reply);
    }

    /// Passes a refusal to the session.
    pub(super) fn refuse(&self, tag: Option<Tag>, refusal: Refusal, reply: PendingReply) {
        self.refused(&refusal);
        self.answer(tag, Err(refusal), reply);
    }

    fn answer(&self, tag: Option<Tag>, outcome: Result<Appended, Refusal>, reply: PendingReply) {
        // Fails if the session is gone; then there is no client to tell.
        let _ = self.client.answers.send(Box::new(Answer { tag, outcome, reply }));
    }
}
