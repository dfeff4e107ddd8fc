//! What can go wrong in the index: with the catalog's file, and with a change that does not fit.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::store::MailboxId;
use imap::types::Uid;

/// A row of the catalog that cannot be what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rot(pub(super) &'static str);

impl fmt::Display for Rot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Rot {}

/// Why the catalog did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogError {
    /// Written by a newer mailrace.
    Newer {
        /// The file.
        path: PathBuf,
        /// Version of its format.
        found: u64,
        /// Newest version that this mailrace reads.
        known: u64,
    },
    /// The file does not hold what was written. The log still has everything.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The file is open in another process.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The disk refused to read or write; when it is full, among others.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// The catalog was closed.
    Closed,
}

impl CatalogError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> CatalogError {
        let path = path.to_owned();
        move |error| CatalogError::Io { path, what: error.to_string() }
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CatalogError::Newer { path, found, known } => write!(
                f,
                "{} has format {found}, written by a newer mailrace; this one reads up to {known}. \
                 Run the newer one, or delete the file: it is rebuilt from the segments",
                path.display()
            ),
            CatalogError::Damaged { path, what } => write!(
                f,
                "{} is damaged: {what}. It is safe to delete it while mailrace is stopped: it is \
                 rebuilt from the segments at the next start, and nothing is lost",
                path.display()
            ),
            CatalogError::InUse { path } => {
                write!(f, "{} is in use by another process", path.display())
            }
            CatalogError::Io { path, what } => write!(f, "{}: {what}", path.display()),
            CatalogError::Closed => f.write_str("the catalog is closed"),
        }
    }
}

impl std::error::Error for CatalogError {}

/// A change that does not fit what is there: in operation a bug, at a start a log that
/// contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyError {
    /// There is no such mailbox.
    NoMailbox(MailboxId),
    /// There is one already, or one of this name.
    MailboxExists(MailboxId),
    /// The messages of the change are not in memory.
    NotLoaded(MailboxId),
    /// The first UID of a batch is not above those that were given out before, or the batch would
    /// run past the highest UID there can be.
    UidOutOfOrder {
        /// The mailbox.
        mailbox: MailboxId,
        /// UIDNEXT there.
        next: Uid,
        /// The batch's first.
        found: Uid,
    },
    /// The footer of a batch announces more or fewer messages than came.
    WrongCount {
        /// Announced.
        announced: u32,
        /// Came.
        found: u32,
    },
    /// The counts of the mailbox are not those of its messages.
    Miscounted(MailboxId),
    /// The keywords of the mailbox are more than can be numbered.
    TooManyKeywords(MailboxId),
    /// The account has no UIDVALIDITY left to give.
    NoUidValidity,
    /// A part of a batch, which by itself changes nothing.
    NotAChange,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::NoMailbox(mailbox) => write!(f, "there is no mailbox {mailbox}"),
            ApplyError::MailboxExists(mailbox) => {
                write!(f, "mailbox {mailbox} or one of its name exists already")
            }
            ApplyError::NotLoaded(mailbox) => {
                write!(f, "the messages of mailbox {mailbox} are not in memory")
            }
            ApplyError::UidOutOfOrder { mailbox, next, found } => {
                write!(f, "a batch in mailbox {mailbox} begins at UID {found}, UIDNEXT is {next}")
            }
            ApplyError::WrongCount { announced, found } => {
                write!(f, "a batch announces {announced} messages and has {found}")
            }
            ApplyError::Miscounted(mailbox) => {
                write!(f, "mailbox {mailbox} counts fewer messages than it has")
            }
            ApplyError::TooManyKeywords(mailbox) => {
                write!(f, "mailbox {mailbox} has more keywords than can be numbered")
            }
            ApplyError::NoUidValidity => f.write_str("the account has no UIDVALIDITY left"),
            ApplyError::NotAChange => f.write_str("part of a batch is no change by itself"),
        }
    }
}

impl std::error::Error for ApplyError {}
