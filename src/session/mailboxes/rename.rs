//! RENAME (RFC 3501 section 6.3.5).

use std::rc::Rc;

use crate::home::Owner;
use crate::index::RenameError;
use crate::ingest::{Copied, CopyError, copy_messages};
use crate::session::observed::changes;
use crate::session::session::Session;
use crate::store::{MailboxId, Record};
use imap::protocol::response::Code;
use imap::protocol::{MailboxName, NameError, Tag};
use imap::types::{SpecialUse, UidRange};

impl Session {
    /// Renames a mailbox and all mailboxes below it. Sessions that have it selected are not
    /// affected.
    pub(in crate::session) async fn rename(
        &self,
        tag: &Tag,
        from: Result<MailboxName, NameError>,
        to: Result<MailboxName, NameError>,
        owner: &Rc<Owner>,
    ) {
        let (Some(from), Some(to)) = (self.valid(tag, from), self.valid(tag, to)) else { return };
        if from.is_inbox() {
            return self.rename_inbox(tag, &to, owner).await;
        }
        let _one_at_a_time = owner.structure.lock().await;
        let allowed = owner.account.borrow().can_rename(from.as_str(), to.as_str());
        if let Err(error) = allowed {
            let code = match error {
                RenameError::NoMailbox => Code::NonExistent,
                RenameError::Exists => Code::AlreadyExists,
                RenameError::Inbox | RenameError::Below | RenameError::TooLong => Code::Cannot,
            };
            return self.no(tag, Some(code), &error.to_string());
        }
        let record = Record::RenameMailbox {
            account: owner.name(),
            from: from.as_str().into(),
            to: to.as_str().into(),
        };
        match self.home.ledger(owner).add(record).await {
            Ok(()) => {
                changes::renamed(from.as_str(), to.as_str());
                self.ok(tag, "RENAME completed");
            }
            Err(error) => self.not_written(tag, &error),
        }
    }

    /// INBOX stays: its messages move to a new mailbox. Mailboxes below INBOX are not renamed.
    async fn rename_inbox(&self, tag: &Tag, to: &MailboxName, owner: &Rc<Owner>) {
        let Some(inbox) = owner.mailbox_named(MailboxName::inbox().as_str()) else {
            return self.no(tag, Some(Code::NonExistent), "there is no INBOX");
        };
        let target = match self.home.create(owner, to, SpecialUse::default()).await {
            Ok(target) => target,
            Err(error) => return self.not_created(tag, &error),
        };
        let moved = match self.copy_metadata(inbox, target, owner).await {
            Ok(()) => self.move_all(inbox, target, owner).await,
            Err(error) => Err(error.into()),
        };
        if let Ok(copied) = &moved {
            changes::created(to.as_str());
            changes::copied(owner, inbox, to.as_str(), copied, true);
        }
        match moved {
            Ok(Copied { unfinished: None, .. }) => self.ok(tag, "RENAME completed"),
            Ok(Copied { unfinished: Some(error), .. }) => {
                self.not_copied(tag, &error, inbox);
            }
            Err(error) => {
                // No message has moved, so the new mailbox is deleted.
                if let Err(error) = self.home.delete_unused(owner, target).await {
                    tracing::warn!(mailbox = %to, "an empty mailbox stays behind: {error}");
                }
                self.not_copied(tag, &error, inbox);
            }
        }
    }

    async fn move_all(
        &self,
        from: MailboxId,
        to: MailboxId,
        owner: &Rc<Owner>,
    ) -> Result<Copied, CopyError> {
        let _pinned = self.home.load(owner, from).await.map_err(|error| {
            tracing::error!("INBOX cannot be opened: {error}");
            CopyError::NoMailbox(from)
        })?;
        copy_messages(self.home.ledger(owner), from, &[UidRange::ALL], to, true).await
    }
}
