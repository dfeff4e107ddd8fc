//! Who uploads, and how the client hears of it: answers go to the session, which sends them.

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

/// A connection, as its uploads need it.
pub struct Client {
    /// Where mail comes from.
    pub conn: Rc<Transport>,
    /// Where invitations to go on are sent.
    pub output: Rc<Output>,
    /// Where answers go; the receiver sends them to the client. Boxed, because a channel allocates
    /// room for 32 at once, and ten thousand connections may wait in an APPEND.
    pub answers: UnboundedSender<Box<Answer>>,
    /// Answers that are owed.
    pub pending: Rc<Pending>,
    /// What this connection uploads, for the operator.
    pub progress: Rc<Progress>,
    /// Whether the client enabled IMAP4rev2 or UTF8=ACCEPT: see [`Machine::new`].
    pub utf8: bool,
    /// Whether each APPEND must be answered before the next is carried out.
    pub one_by_one: bool,
}

/// Who uploads, and where to. Shared with what is done when a batch is durable.
pub(super) struct Uploader {
    pub home: Rc<Home>,
    pub owner: Rc<Owner>,
    pub client: Client,
    /// The connection, for the log.
    pub span: Span,
}

impl Uploader {
    /// Hands the answer to a batch that is durable to the session.
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

    /// Hands a refusal to the session.
    pub(super) fn refuse(&self, tag: Option<Tag>, refusal: Refusal, reply: PendingReply) {
        self.refused(&refusal);
        self.answer(tag, Err(refusal), reply);
    }

    fn answer(&self, tag: Option<Tag>, outcome: Result<Appended, Refusal>, reply: PendingReply) {
        // A session that is gone has nobody to tell.
        let _ = self.client.answers.send(Box::new(Answer { tag, outcome, reply }));
    }
}
