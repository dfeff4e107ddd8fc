//! Errors of the index: of the catalog's file, and of a change that does not fit.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::{EmailId, MailboxId};
use imap::types::{ModSeq, Uid};

/// A row of the catalog is not what was written: what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rot(pub(super) &'static str);

impl fmt::Display for Rot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Rot {}

/// The error behind a [`CatalogError`]. Shared, because one failure may be reported to several.
type Cause = Arc<dyn Error + Send + Sync>;

/// Why the catalog cannot be used.
#[derive(Clone, Debug)]
pub enum CatalogError {
    /// A newer mailrace wrote the file.
    Newer {
        /// The file.
        path: PathBuf,
        /// Version of its format.
        found: u64,
        /// Newest version that this mailrace reads.
        known: u64,
    },
    /// The file is not what was written. The log still has everything.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: Cause,
    },
    /// The file is open in another process.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written, for example because the disk is full.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: Cause,
    },
    /// The catalog was closed.
    Closed,
}

impl CatalogError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> CatalogError {
        let path = path.to_owned();
        move |error| CatalogError::Io { path, cause: Arc::new(error) }
    }

    pub(super) fn damaged(path: &Path, error: impl Error + Send + Sync + 'static) -> CatalogError {
        CatalogError::Damaged { path: path.to_owned(), cause: Arc::new(error) }
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CatalogError::Newer { path, found, known } => write!(
                f,
                "{} has format {found}, written by a newer mailrace; this version reads up to \
                 {known}. Run the newer version, or delete the file: it is rebuilt from the \
                 segments",
                path.display()
            ),
            CatalogError::Damaged { path, cause } => write!(
                f,
                "{} is damaged: {cause}. It is safe to delete it while mailrace is stopped: the \
                 next start rebuilds it from the segments, and nothing is lost",
                path.display()
            ),
            CatalogError::InUse { path } => {
                write!(f, "{} is in use by another process", path.display())
            }
            CatalogError::Io { path, cause } => write!(f, "{}: {cause}", path.display()),
            CatalogError::Closed => f.write_str("the catalog is closed"),
        }
    }
}

impl Error for CatalogError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CatalogError::Damaged { cause, .. } | CatalogError::Io { cause, .. } => Some(&**cause),
            CatalogError::Newer { .. } | CatalogError::InUse { .. } | CatalogError::Closed => None,
        }
    }
}

/// Why a change does not fit the account. In operation this is a bug; at startup, a log that
/// contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyError {
    /// The mailbox does not exist.
    NoMailbox(MailboxId),
    /// The mailbox, or another one with its name, exists.
    MailboxExists(MailboxId),
    /// The messages of the change are not in memory.
    NotLoaded(MailboxId),
    /// The first UID of a batch is below UIDNEXT, or the batch runs past the highest UID.
    UidOutOfOrder {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its UIDNEXT.
        next: Uid,
        /// First UID of the batch.
        found: Uid,
    },
    /// The mod-sequence of a change is not above HIGHESTMODSEQ.
    ModSeqOutOfOrder {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its HIGHESTMODSEQ.
        highest: ModSeq,
        /// Mod-sequence of the change.
        found: ModSeq,
    },
    /// The first EMAILID of a batch was given before.
    EmailIdOutOfOrder {
        /// The lowest EMAILID that the account has not given.
        next: EmailId,
        /// First EMAILID of the batch.
        found: EmailId,
    },
    /// A commit gives no EMAILID to messages that need one.
    NoEmailId(MailboxId),
    /// A commit names another number of messages than its batch has.
    WrongCount {
        /// Number in the commit.
        announced: u32,
        /// Number of messages in the batch.
        found: u32,
    },
    /// A message is relocated to a place of another size.
    OtherSize {
        /// The mailbox.
        mailbox: MailboxId,
        /// The message.
        uid: Uid,
        /// Its size in octets.
        size: u64,
    },
    /// The counts of the mailbox do not fit its messages.
    Miscounted(MailboxId),
    /// The mailbox has more keywords than 16 bits can number.
    TooManyKeywords(MailboxId),
    /// The account has used up its UIDVALIDITY values.
    NoUidValidity,
    /// The record is part of a batch and no change by itself.
    NotAChange,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::NoMailbox(mailbox) => write!(f, "mailbox {mailbox} does not exist"),
            ApplyError::MailboxExists(mailbox) => {
                write!(f, "mailbox {mailbox}, or another one with its name, exists already")
            }
            ApplyError::NotLoaded(mailbox) => {
                write!(f, "the messages of mailbox {mailbox} are not in memory")
            }
            ApplyError::UidOutOfOrder { mailbox, next, found } => {
                write!(f, "a batch for mailbox {mailbox} begins at UID {found}, UIDNEXT is {next}")
            }
            ApplyError::ModSeqOutOfOrder { mailbox, highest, found } => write!(
                f,
                "a change of mailbox {mailbox} has mod-sequence {found}, HIGHESTMODSEQ is {highest}"
            ),
            ApplyError::EmailIdOutOfOrder { next, found } => {
                write!(f, "a batch begins at EMAILID {found}, the next of the account is {next}")
            }
            ApplyError::NoEmailId(mailbox) => {
                write!(f, "a batch for mailbox {mailbox} has messages without EMAILID")
            }
            ApplyError::WrongCount { announced, found } => {
                write!(f, "a commit names {announced} messages, its batch has {found}")
            }
            ApplyError::OtherSize { mailbox, uid, size } => write!(
                f,
                "message {uid} of mailbox {mailbox} has {size} octets, its new place has not"
            ),
            ApplyError::Miscounted(mailbox) => {
                write!(f, "the counts of mailbox {mailbox} do not fit its messages")
            }
            ApplyError::TooManyKeywords(mailbox) => {
                write!(f, "mailbox {mailbox} has more keywords than can be numbered")
            }
            ApplyError::NoUidValidity => f.write_str("the account has no UIDVALIDITY left"),
            ApplyError::NotAChange => f.write_str("a part of a batch is no change by itself"),
        }
    }
}

impl Error for ApplyError {}
