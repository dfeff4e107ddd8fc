//! Names of mailboxes. `/` separates levels. The parent of a mailbox need not exist.

use std::fmt;
use std::ops::Bound;

use super::{Account, canonical};
use crate::index::error::ApplyError;
use crate::limits::{MAILBOX_LEVELS, MAILBOX_NAME};
use crate::store::MailboxId;

/// Why a mailbox cannot be renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameError {
    /// INBOX keeps its name; RENAME moves its messages (RFC 3501 section 6.3.5).
    Inbox,
    /// No mailbox has this name or lies below it.
    NoMailbox,
    /// One of the new names is taken.
    Exists,
    /// The new name lies below the old one.
    Below,
    /// One of the new names is too long, or has too many levels.
    TooLong,
}

impl Account {
    /// The mailbox with this name; INBOX is case-insensitive.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<MailboxId> {
        self.by_name.get(canonical(name)).copied()
    }

    /// Names and identifiers of all mailboxes, ascending by name.
    pub fn names(&self) -> impl Iterator<Item = (&str, MailboxId)> {
        self.by_name.iter().map(|(name, &id)| (&**name, id))
    }

    /// The first mailbox name at or after a bound.
    #[must_use]
    pub fn next_name(&self, from: Bound<&str>) -> Option<&str> {
        let mut names = self.by_name.range::<str, _>((from, Bound::Unbounded));
        names.next().map(|(name, _)| &**name)
    }

    /// Number of mailboxes.
    #[must_use]
    pub fn mailboxes(&self) -> usize {
        self.by_name.len()
    }

    /// Names and identifiers of the mailboxes below this one, ascending by name.
    pub fn below(&self, name: &str) -> impl Iterator<Item = (&str, MailboxId)> {
        let prefix = format!("{}/", canonical(name)).into_boxed_str();
        let from = self.by_name.range(prefix.clone()..);
        let inside = from.take_while(move |(name, _)| name.starts_with(&*prefix));
        inside.map(|(name, &id)| (&**name, id))
    }

    /// Checks whether a mailbox and all mailboxes below it can be renamed. No other change of names
    /// may be in flight from this check until the record is applied; then a rename that passes does
    /// not fail later.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn can_rename(&self, from: &str, to: &str) -> Result<(), RenameError> {
        let (from, to) = (canonical(from), canonical(to));
        if from == "INBOX" {
            return Err(RenameError::Inbox);
        }
        if to.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
            return Err(RenameError::Below);
        }
        let renamed = self.renamed(from, to);
        if renamed.is_empty() {
            return Err(RenameError::NoMailbox);
        }
        // Neither name lies below the other here, so a new name can only be taken by a mailbox that
        // is not renamed, or `from` equals `to`.
        if self.find(to).is_some() || renamed.iter().any(|(_, new)| self.find(new).is_some()) {
            return Err(RenameError::Exists);
        }
        let fits =
            |name: &str| name.len() <= MAILBOX_NAME && name.split('/').count() <= MAILBOX_LEVELS;
        if renamed.iter().all(|(_, new)| fits(new)) { Ok(()) } else { Err(RenameError::TooLong) }
    }

    /// The mailboxes that renaming `from` to `to` affects, with their new names.
    pub(super) fn renamed(&self, from: &str, to: &str) -> Vec<(MailboxId, Box<str>)> {
        let itself = self.by_name.get(from).map(|&id| (id, to.into()));
        let below = self.below(from).map(|(name, id)| {
            let new = format!("{to}{}", &name[from.len()..]);
            (id, new.into())
        });
        itself.into_iter().chain(below).collect()
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), ApplyError> {
        let (from, to) = (canonical(from), canonical(to));
        let renamed = self.renamed(from, to);
        if let Some((_, id)) = renamed.iter().find_map(|(_, new)| self.by_name.get_key_value(new)) {
            return Err(ApplyError::MailboxExists(*id));
        }
        for (id, new) in renamed {
            self.change(id, |mailbox| {
                mailbox.rename(new.clone());
                Ok(())
            })?;
            self.by_name.insert(new, id);
        }
        self.by_name.retain(|name, id| {
            self.mailboxes.get(id).is_some_and(|mailbox| mailbox.name() == &**name)
        });
        Ok(())
    }
}

impl fmt::Display for RenameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RenameError::Inbox => "INBOX keeps its name",
            RenameError::NoMailbox => "there is no mailbox of that name",
            RenameError::Exists => "there is a mailbox of that name",
            RenameError::Below => "a mailbox cannot be moved below itself",
            RenameError::TooLong => "a mailbox name would be too long or have too many levels",
        })
    }
}

impl std::error::Error for RenameError {}
