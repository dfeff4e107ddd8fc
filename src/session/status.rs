//! STATUS (RFC 3501 section 6.3.10; SIZE of RFC 8438, APPENDLIMIT of RFC 7889).

use std::rc::Rc;

use super::dispatch::Session;
use super::reply;
use crate::ingest::Owner;
use crate::protocol::{MailboxName, NameError, StatusItem};

impl Session {
    pub(super) fn status(&self, tag: &[u8], name: Result<MailboxName, NameError>, items: &[StatusItem], owner: &Rc<Owner>) {
        let name = match name {
            Ok(name) => name,
            Err(error) => return self.no(tag, Some("CANNOT"), &error.to_string()),
        };
        let account = owner.account.borrow();
        let found = owner.mailbox_named(name.as_str()).and_then(|id| account.mailbox(id));
        let Some(mailbox) = found else {
            return self.no(tag, Some("NONEXISTENT"), "there is no mailbox of that name");
        };
        let value = |item| match item {
            StatusItem::Messages => mailbox.messages(),
            StatusItem::Recent => mailbox.recent(),
            StatusItem::UidNext => mailbox.uid_next().0.into(),
            StatusItem::UidValidity => mailbox.uid_validity().0.into(),
            StatusItem::Unseen => mailbox.unseen(),
            StatusItem::Deleted => mailbox.deleted(),
            StatusItem::Size => mailbox.octets(),
            StatusItem::HighestModSeq => mailbox.highest_modseq().0,
            StatusItem::AppendLimit => self.home.settings.append_limit,
            StatusItem::MailboxId => mailbox.id().0,
        };
        let values: Vec<_> = items.iter().map(|&item| (item, value(item))).collect();
        self.output.push(|out| reply::status(out, &name, &values));
        self.ok(tag, "STATUS completed");
    }
}
