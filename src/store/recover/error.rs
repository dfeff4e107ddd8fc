//! Why recovery stopped, in words for the operator who has to do something about it.

use std::fmt;
use std::io;

use crate::store::format::{Epoch, Fragment, LogId, Lsn, MailboxId, SegmentId, VERSION};
use imap::types::Uid;

/// Acknowledged data that is not there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub file: SegmentId,
    /// Where in it, in octets.
    pub offset: u64,
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The log.
    pub log: LogId,
    /// The frame that should be there.
    pub lsn: Lsn,
    /// What is wrong with it, and how it is known that it was acknowledged.
    pub what: String,
    /// How many messages of which mailboxes are affected, as far as that can be told.
    pub messages: Vec<(MailboxId, u32)>,
    /// What is gone.
    pub lost: Lost,
}

/// What a [`Damage`] has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Octets of messages whose records are whole: the first fragment of each message.
    Octets(Vec<Fragment>),
    /// Frames, with all changes that they held.
    Frames(LostFrames),
    /// Messages of a batch whose records stood in lost frames, but whose commit is whole.
    Messages {
        /// Owner of the mailbox.
        account: Box<str>,
        /// First and last UID of the batch's messages that are lost.
        uids: (Uid, Uid),
    },
    /// No change that is known of: a header that the frames behind it replace, or a file that does
    /// not fit into any log.
    File,
}

/// A hole in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostFrames {
    /// The first frame behind the hole; `None` when there is none, and nothing tells how many
    /// frames are gone.
    pub until: Option<Lsn>,
    /// How many UIDs, or mod-sequences, a mailbox may have given in them at most.
    pub given: u32,
    /// How many logs its epoch had, which tells whose changes the log held; 0 when that is not
    /// known.
    pub logs: u16,
}

/// Why the log could not be read to its end.
#[derive(Debug)]
pub enum RecoveryError {
    /// The medium failed.
    Io {
        /// The segment, if it was one.
        file: Option<SegmentId>,
        /// Where in it.
        offset: u64,
        /// Why.
        error: io::Error,
    },
    /// Acknowledged data is damaged. Nothing was changed.
    Damaged(Box<Damage>),
    /// Written by a mailrace of another version of the format. Nothing was changed.
    OtherVersion {
        /// The segment.
        file: SegmentId,
        /// Version of its format.
        version: u16,
    },
    /// A record, whole, that only a newer mailrace can have written. Nothing was changed.
    UnknownRecord {
        /// The segment.
        file: SegmentId,
        /// Kind of the record.
        kind: u16,
        /// Version of it.
        version: u16,
    },
    /// The visitor failed. Nothing was changed.
    Visit(VisitError),
}

/// An error of the visitor, passed through.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

impl RecoveryError {
    pub(super) fn io(
        file: impl Into<Option<SegmentId>>,
        offset: u64,
    ) -> impl FnOnce(io::Error) -> RecoveryError {
        let file = file.into();
        move |error| RecoveryError::Io { file, offset, error }
    }
}

impl Damage {
    /// Whether the octets of this message, by its first fragment, are among what is damaged.
    #[must_use]
    pub fn takes(&self, first: &Fragment) -> bool {
        matches!(&self.lost, Lost::Octets(all) if all.contains(first))
    }
}

impl From<Damage> for RecoveryError {
    fn from(damage: Damage) -> RecoveryError {
        RecoveryError::Damaged(Box::new(damage))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { file, offset, epoch, log, lsn, what, messages, .. } = self;
        let file = file.file_name();
        write!(f, "acknowledged data is damaged: {file} at octet {offset} ")?;
        write!(f, "(frame {lsn} of log {log}, epoch {epoch}): {what}.")?;
        for (mailbox, count) in messages {
            write!(f, " Messages affected in mailbox {mailbox}: {count}.")?;
        }
        Ok(())
    }
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecoveryError::Io { file: Some(file), offset, error } => {
                write!(f, "{} at octet {offset}: {error}", file.file_name())
            }
            RecoveryError::Io { file: None, error, .. } => {
                write!(f, "the folder of segments: {error}")
            }
            RecoveryError::Damaged(damage) => write!(
                f,
                "{damage} Nothing was changed. Restore what is damaged from a copy; or start with \
                 --quarantine, which serves what is sound and lists what is not"
            ),
            RecoveryError::OtherVersion { file, version } if *version < VERSION => {
                let file = file.file_name();
                write!(f, "{file} was written by an older mailrace (format {version}, this one ")?;
                write!(f, "reads {VERSION}). Use that one to copy the mail to a new data folder ")?;
                f.write_str("over IMAP. Nothing was changed")
            }
            RecoveryError::OtherVersion { file, version } => {
                let file = file.file_name();
                write!(f, "{file} was written by a newer mailrace (format {version}, ")?;
                write!(f, "this one reads {VERSION}). Upgrade. Nothing was changed")
            }
            RecoveryError::UnknownRecord { file, kind, version } => {
                let file = file.file_name();
                write!(f, "{file} was written by a newer mailrace (a record of kind {kind}, ")?;
                write!(f, "version {version}). Upgrade. Nothing was changed")
            }
            RecoveryError::Visit(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecoveryError {}
