//! The account's limit on the metadata of its mailboxes.

use super::Account;
use crate::limits::METADATA_OCTETS_OF_ACCOUNT;
use crate::store::{MailboxId, MetadataEntry};

impl Account {
    /// Whether the mailbox and the account have room for these changes, which name each entry at
    /// most once. Changes that free room always pass. If `false`: `NO [METADATA TOOMANY]`.
    #[must_use]
    pub fn has_room_for_metadata(&self, mailbox: MailboxId, changes: &[MetadataEntry]) -> bool {
        let Some(mailbox) = self.mailbox(mailbox) else { return false };
        let before = mailbox.metadata().octets();
        let after = mailbox.metadata().octets_after(changes);
        after.is_some_and(|after| {
            let all = self.metadata_octets - before + after;
            after <= before || all <= METADATA_OCTETS_OF_ACCOUNT
        })
    }
}
