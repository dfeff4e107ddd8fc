//! EXPUNGE, UID EXPUNGE and CLOSE (RFC 3501 sections 6.4.2 and 6.4.3, RFC 4315 section 2.1).

use std::rc::Rc;

use crate::index::Mailbox;
use crate::ingest::Owner;
use crate::log::Record;
use crate::protocol::response::Code;
use crate::protocol::{SequenceSet, Tag};
use crate::session::change::ChangeError;
use crate::session::dispatch::Session;
use crate::types::{Flags, MailboxId, ModSeq, Uid, UidRange};

impl Session {
    /// With a set, only messages in it are taken out.
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
        match self.expunge_deleted(mailbox, &uids, owner).await {
            // The client learns up to where it has heard of all (RFC 7162 section 3.2.7).
            Ok(modseqs) => match modseqs.last().filter(|_| self.enabled.qresync) {
                Some(&last) => {
                    self.ok_code(tag, Some(Code::HighestModSeq(last)), "EXPUNGE completed");
                }
                None => self.ok(tag, "EXPUNGE completed"),
            },
            Err(error) => self.not_changed(tag, &error),
        }
    }

    /// CLOSE takes messages marked `\Deleted` out for good, unless the mailbox is read-only.
    pub(in crate::session) async fn close(&mut self, tag: &Tag, owner: &Rc<Owner>) {
        let Some(mailbox) = self.mailbox(tag) else { return };
        if !self.is_read_only()
            && let Err(error) = self.expunge_deleted(mailbox, &[UidRange::ALL], owner).await
        {
            return self.not_changed(tag, &error);
        }
        self.leave();
        self.ok(tag, "CLOSE completed");
    }

    /// Takes out the messages marked `\Deleted` that the client knows to be there.
    async fn expunge_deleted(
        &self,
        mailbox: MailboxId,
        uids: &[UidRange],
        owner: &Rc<Owner>,
    ) -> Result<Vec<ModSeq>, ChangeError> {
        let found = owner.account.borrow().mailbox(mailbox).map(Mailbox::counts);
        if found.is_none_or(|counts| counts.deleted == 0) {
            return Ok(Vec::new());
        }
        let last = self.selected.borrow().as_ref().and_then(|selected| selected.view.last());
        let choose = |found: &mut Mailbox| deleted(found, uids, last.unwrap_or_default());
        let record = |account, modseq, uids| Record::Expunge { account, mailbox, modseq, uids };
        self.home.change_messages(owner, mailbox, choose, record).await
    }
}

fn deleted(mailbox: &Mailbox, uids: &[UidRange], last: Uid) -> Vec<UidRange> {
    let mut deleted = Vec::new();
    for range in uids.iter().filter(|range| range.first <= last) {
        for entry in mailbox.range(UidRange { last: range.last.min(last), ..*range }) {
            if entry.flags().contains(Flags::DELETED) {
                UidRange::push(&mut deleted, entry.uid());
            }
        }
    }
    deleted
}
