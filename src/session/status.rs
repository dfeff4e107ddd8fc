//! STATUS (RFC 3501 section 6.3.10; SIZE of RFC 8438, APPENDLIMIT of RFC 7889).

use std::rc::Rc;

use super::dispatch::Session;
use crate::ingest::Owner;
use crate::protocol::response::{self, Code, StatusValue};
use crate::protocol::{MailboxName, NameError, StatusItem, Tag};
use crate::types::MailboxId;

impl Session {
    pub(super) fn status(
        &self,
        tag: &Tag,
        name: Result<MailboxName, NameError>,
        items: &[StatusItem],
        owner: &Rc<Owner>,
    ) {
        let Some(name) = self.valid(tag, name) else { return };
        let account = owner.account.borrow();
        let found = owner.mailbox_named(name.as_str()).and_then(|id| account.mailbox(id));
        let Some(mailbox) = found else {
            return self.no(tag, Some(Code::NonExistent), "there is no mailbox of that name");
        };
        let (counts, id) = (mailbox.counts(), mailbox_id(mailbox.id()));
        let number = |item| match item {
            StatusItem::Messages => counts.messages.into(),
            StatusItem::Recent => counts.recent.into(),
            StatusItem::UidNext => counts.uid_next.0.into(),
            StatusItem::UidValidity => mailbox.uid_validity().0.into(),
            StatusItem::Unseen => counts.unseen.into(),
            StatusItem::Deleted => counts.deleted.into(),
            StatusItem::Size => counts.octets,
            StatusItem::HighestModSeq => counts.highest_modseq.0,
            StatusItem::AppendLimit => self.home.settings.append_limit,
            StatusItem::MailboxId => mailbox.id().0,
        };
        let value = |item| match item {
            StatusItem::MailboxId => StatusValue::Id(&id),
            item => StatusValue::Number(number(item)),
        };
        let values: Vec<_> = items.iter().map(|&item| (item, value(item))).collect();
        self.output.push(|out| response::status(out, &name, &values));
        drop(account);
        self.ok(tag, "STATUS completed");
    }
}

/// MAILBOXID (RFC 8474 section 4): letters and digits.
pub(super) fn mailbox_id(id: MailboxId) -> String {
    format!("m{:x}", id.0)
}
