//! STATUS (RFC 3501 section 6.3.10, RFC 9051 section 6.3.11; SIZE of RFC 8438, APPENDLIMIT of RFC
//! 7889, MAILBOXID of RFC 8474).

use std::rc::Rc;

use bytes::BytesMut;

use crate::home::Owner;
use crate::index::Mailbox;
use crate::session::session::Session;
use crate::store::MailboxId;
use imap::protocol::response::{self, Code, StatusValue};
use imap::protocol::{MailboxName, NameError, StatusItem, Tag};

impl Session {
    pub(in crate::session) fn status(
        &mut self,
        tag: &Tag,
        name: Result<MailboxName, NameError>,
        items: &[StatusItem],
        owner: &Rc<Owner>,
    ) {
        let Some(name) = self.valid(tag, name) else { return };
        // Asking for HIGHESTMODSEQ enables CONDSTORE (RFC 7162 section 3.1).
        if items.contains(&StatusItem::HighestModSeq) {
            self.enable_condstore();
        }
        let account = owner.account.borrow();
        let found = owner.mailbox_named(name.as_str()).and_then(|id| account.mailbox(id));
        let Some(mailbox) = found else {
            return self.no(tag, Some(Code::NonExistent), "there is no mailbox of that name");
        };
        self.output.push(|out| self.write_status(out, &name, items, mailbox));
        self.ok(tag, "STATUS completed");
    }

    pub(super) fn write_status(
        &self,
        out: &mut BytesMut,
        name: &MailboxName,
        items: &[StatusItem],
        mailbox: &Mailbox,
    ) {
        let (counts, id) = (mailbox.counts(), mailbox_id(mailbox.id()));
        let value = |item| {
            StatusValue::Number(match item {
                StatusItem::Messages => counts.messages.into(),
                StatusItem::Recent => counts.recent.into(),
                StatusItem::UidNext => counts.uid_next.0.into(),
                StatusItem::UidValidity => mailbox.uid_validity().0.into(),
                StatusItem::Unseen => counts.unseen.into(),
                StatusItem::Deleted => counts.deleted.into(),
                StatusItem::Size => counts.octets,
                StatusItem::HighestModSeq => counts.highest_modseq.0,
                StatusItem::AppendLimit => self.home.settings.append_limit,
                StatusItem::MailboxId => return StatusValue::Id(&id),
            })
        };
        let values: Vec<_> = items.iter().map(|&item| (item, value(item))).collect();
        response::status(out, name, self.enabled.names(), &values);
    }
}

/// MAILBOXID: letters and digits (RFC 8474 section 4).
pub(in crate::session) fn mailbox_id(id: MailboxId) -> String {
    format!("m{:x}", id.0)
}
