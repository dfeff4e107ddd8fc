//! COPY and MOVE (RFC 3501 section 6.4.7, RFC 6851). The copy refers to the same octets in the log.

use std::rc::Rc;

use crate::home::Owner;
use crate::ingest::{CopyError, copy_messages};
use crate::session::observed::changes;
use crate::session::session::Session;
use crate::store::MailboxId;
use imap::protocol::response::{Code, Condition, untagged};
use imap::protocol::{MailboxName, NameError, SequenceSet, Tag};
use imap::types::UidRange;

impl Session {
    /// Copies messages; with `moves` it also expunges them from the source.
    pub(in crate::session) async fn copy(
        &mut self,
        tag: &Tag,
        (set, uid): (&SequenceSet, bool),
        name: Result<MailboxName, NameError>,
        moves: bool,
        owner: &Rc<Owner>,
    ) {
        let Some((source, uids)) = self.messages(tag, set, uid) else { return };
        let Some(name) = self.valid(tag, name) else { return };
        if moves && !self.may_change(tag) {
            return;
        }
        let Some(target) = owner.mailbox_named(name.as_str()) else {
            return self.no(tag, Some(Code::TryCreate), "no such mailbox; CREATE it first");
        };
        if !moves && self.has_damaged(source, &uids, owner) {
            // A copy of a damaged message would be a second unreadable message.
            let text = "a message is damaged; copy the others without it";
            return self.no(tag, Some(Code::Corruption), text);
        }
        let ledger = self.home.ledger(owner);
        let copied = match copy_messages(ledger, source, &uids, target, moves).await {
            Ok(copied) => copied,
            Err(error) => return self.not_copied(tag, &error, source),
        };
        changes::copied(owner, source, name.as_str(), &copied, moves);
        let text = if moves { "MOVE completed" } else { "COPY completed" };
        if copied.from.is_empty() {
            return match uids.is_empty() {
                true => self.ok(tag, "no message was named"),
                false => self.no(tag, Some(Code::ExpungeIssued), "the messages have gone"),
            };
        }
        let uids = Code::CopyUid { validity: copied.validity, from: &copied.from, to: &copied.to };
        if !moves {
            return self.ok_code(tag, uids, text);
        }
        // Sent before the first EXPUNGE, so that clients know where a message went (section 4.3).
        self.output.push(|out| untagged(out, Condition::Ok, Some(&uids), "moved"));
        if let Some(error) = &copied.unfinished {
            return self.not_copied(tag, error, source);
        }
        self.owes_highest();
        self.ok(tag, text);
    }

    /// Whether the check at startup found any of these messages damaged.
    fn has_damaged(&self, mailbox: MailboxId, uids: &[UidRange], owner: &Owner) -> bool {
        let damaged = &self.home.settings.quarantine.messages;
        if damaged.is_empty() {
            return false;
        }
        let account = owner.account.borrow();
        let Some(mailbox) = account.mailbox(mailbox) else { return false };
        let mut entries = uids.iter().flat_map(|range| mailbox.range(*range));
        entries.any(|entry| damaged.has(&entry))
    }

    /// Replies that a copy from this mailbox failed.
    pub(in crate::session) fn not_copied(&self, tag: &Tag, error: &CopyError, source: MailboxId) {
        let code = match error {
            CopyError::Quota => Code::OverQuota,
            CopyError::Keywords | CopyError::Uids => Code::Limit,
            CopyError::NoMailbox(gone) if *gone == source => Code::NonExistent,
            CopyError::NoMailbox(_) => Code::TryCreate,
            CopyError::Log(error) => return self.not_written(tag, error),
        };
        self.no(tag, Some(code), &error.to_string());
    }
}
