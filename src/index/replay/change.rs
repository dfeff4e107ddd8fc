//! Whose a change is, and the messages that it needs.

use std::borrow::Cow;

use crate::index::account::Account;
use crate::index::error::{CatalogError, Rot};
use crate::index::file::CatalogFile;
use crate::store::{Change, MailboxId, Record};
use imap::types::UidRange;

pub(super) fn owner(change: &Change) -> Option<&str> {
    match change {
        Change::Append { commit, .. } => Some(&commit.account),
        Change::Other(
            Record::CreateMailbox { account, .. }
            | Record::DeleteMailbox { account, .. }
            | Record::RenameMailbox { account, .. }
            | Record::Subscribe { account, .. }
            | Record::SetMetadata { account, .. }
            | Record::SetFlags { account, .. }
            | Record::Expunge { account, .. }
            | Record::Relocate { account, .. },
        ) => Some(account),
        Change::Other(_) => None,
    }
}

/// The messages that must be in memory to apply a change.
pub(super) fn needs(change: &Change) -> Option<(MailboxId, Cow<'_, [UidRange]>)> {
    match change {
        Change::Other(
            Record::SetFlags { mailbox, uids, .. } | Record::Expunge { mailbox, uids, .. },
        ) => Some((*mailbox, uids.into())),
        Change::Other(Record::Relocate { mailbox, messages, .. }) => {
            let mut uids = Vec::new();
            messages.iter().for_each(|message| UidRange::push(&mut uids, message.uid));
            Some((*mailbox, uids.into()))
        }
        _ => None,
    }
}

/// Loads them. Returns the bytes of memory that they take.
pub(super) fn load(
    catalog: &CatalogFile,
    account: &mut Account,
    mailbox: MailboxId,
    uids: &[UidRange],
) -> Result<usize, CatalogError> {
    let Some(mailbox) = account.mailbox_mut(mailbox) else { return Ok(0) };
    let id = mailbox.id();
    let rotten = |rot: Rot| CatalogError::damaged(catalog.path(), rot);
    mailbox.load_for(uids, |uids, known| catalog.chunks_of(id, uids, known), rotten)
}
