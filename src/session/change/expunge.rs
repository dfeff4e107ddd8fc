//! EXPUNGE, UID EXPUNGE and CLOSE (RFC 3501 sections 6.4.2 and 6.4.3, RFC 4315 section 2.1).

use std::rc::Rc;

use super::{ChangeError, Changed, MessageChange, Verdict};
use crate::home::Owner;
use crate::index::{AsWritten, Mailbox};
use crate::reactor::fault::{Fault, made};
use crate::session::observed::changes;
use crate::session::session::Session;
use crate::store::{MailboxId, Purpose, Record};
use imap::protocol::{SequenceSet, Tag};
use imap::types::{Flags, ModSeq, Uid, UidRange};

impl Session {
    /// Expunges messages marked `\Deleted`; with a set, only messages in it.
    pub(in crate::session) async fn expunge(
        &mut self,
        tag: &Tag,
        set: Option<SequenceSet>,
        owner: &Rc<Owner>,
    ) {
        let Some((mailbox, uids)) = (match &set {
            Some(set) => self.messages(tag, set, true),
            None => self.mailbox(tag).map(|mailbox| (mailbox, vec![UidRange::ALL])),
        }) else {
            return;
        };
        if !self.may_change(tag) {
            return;
        }
        let done = match self.expunge_deleted(mailbox, &uids, owner).await {
            Ok(done) => done,
            Err(error) => return self.not_changed(tag, &error),
        };
        if let Some((from, error)) = &done.unfinished {
            return self.not_finished(tag, *from, error);
        }
        if !done.modseqs.is_empty() {
            self.owes_highest();
        }
        self.ok(tag, "EXPUNGE completed");
    }

    /// CLOSE expunges messages marked `\Deleted`, unless the mailbox is read-only.
    pub(in crate::session) async fn close(&mut self, tag: &Tag, owner: &Rc<Owner>) {
        let Some(mailbox) = self.mailbox(tag) else { return };
        if !self.is_read_only() {
            match self.expunge_deleted(mailbox, &[UidRange::ALL], owner).await {
                Ok(Changed { unfinished: Some((from, error)), .. }) => {
                    return self.not_finished(tag, from, &error);
                }
                Ok(_) => {}
                Err(error) => return self.not_changed(tag, &error),
            }
        }
        self.leave();
        self.ok(tag, "CLOSE completed");
    }

    /// Expunges the messages of the view that are marked `\Deleted`.
    async fn expunge_deleted(
        &self,
        mailbox: MailboxId,
        uids: &[UidRange],
        owner: &Rc<Owner>,
    ) -> Result<Changed, ChangeError> {
        let marked = owner
            .account
            .borrow()
            .mailbox(mailbox)
            .is_some_and(|found| found.counts().deleted > 0 || found.unapplied() > 0);
        let last = self.selected.borrow().as_ref().and_then(|selected| selected.shown.view.last());
        let Some(last) = last.filter(|_| marked) else { return Ok(Changed::default()) };
        let known = UidRange { first: Uid(1), last };
        let uids = UidRange::intersection(uids, &[known]);
        let done =
            self.home.change_messages(owner, mailbox, &uids, &mut Expunge { mailbox }).await?;
        changes::expunged(owner, mailbox, &done.changed);
        Ok(done)
    }
}

struct Expunge {
    mailbox: MailboxId,
}

impl MessageChange for Expunge {
    fn purpose(&self) -> Purpose {
        Purpose::Removes
    }

    fn judge(&mut self, _: &Mailbox, message: &AsWritten<'_>) -> Verdict {
        let flags = match made(Fault::ExpungeOfApplied) {
            true => message.entry.flags(),
            false => message.flags,
        };
        match flags.contains(Flags::DELETED) {
            true => Verdict::Change,
            false => Verdict::Keep,
        }
    }

    fn admit(&self, _: &mut Mailbox, _: &[UidRange]) -> bool {
        true
    }

    fn record(&self, account: Box<str>, modseq: ModSeq, uids: Vec<UidRange>) -> Record {
        Record::Expunge { account, mailbox: self.mailbox, modseq, uids }
    }
}
