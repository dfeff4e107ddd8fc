//! Why recovery stopped, for the operator who has to act on it.

use std::fmt;
use std::io;

use crate::store::format::{Epoch, Fragment, LogId, Lsn, MailboxId, SegmentId, VERSION, reserved};
use imap::types::Uid;

/// Acknowledged data that is lost or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub file: SegmentId,
    /// It is stripped, so the damaged file is its record file. Recovery sets this.
    pub stripped: bool,
    /// Where in the segment, in bytes.
    pub offset: u64,
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The log.
    pub log: LogId,
    /// The frame that should be there.
    pub lsn: Lsn,
    /// What is wrong with it, and how it is known that it was acknowledged.
    pub what: String,
    /// Mailboxes, and how many messages of each are affected, as far as that is known.
    pub messages: Vec<(MailboxId, u32)>,
    /// What is lost.
    pub lost: Lost,
}

/// What is lost by a [`Damage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Octets of messages whose records are sound: the first fragment of each message.
    Octets(Vec<Fragment>),
    /// Frames, with all changes in them.
    Frames(LostFrames),
    /// Messages of a batch whose records were in lost frames, while its commit is sound.
    Messages {
        /// Owner of the mailbox.
        account: Box<str>,
        /// First and last UID of the batch's messages that are lost.
        uids: (Uid, Uid),
    },
    /// No known change: a header that can be replaced by what the frames after it say, or a file
    /// that fits into no log.
    File,
}

/// A hole in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostFrames {
    /// The first frame after the hole. `None` when there is none, and so the number of lost frames
    /// is unknown.
    pub until: Option<Lsn>,
    /// The most UIDs, or mod-sequences, that a mailbox may have given in them.
    pub given: u32,
    /// How many logs its epoch had, which tells whose changes the log had. 0 when unknown.
    pub logs: u16,
}

/// Why the log could not be read to its end.
#[derive(Debug)]
pub enum RecoveryError {
    /// The medium failed.
    Io {
        /// The segment, unless it was the folder.
        file: Option<SegmentId>,
        /// Where in it, in bytes.
        offset: u64,
        /// What the system said.
        error: io::Error,
    },
    /// Acknowledged data is damaged. Nothing was changed.
    Damaged(Box<Damage>),
    /// The segment has another version of the format. Nothing was changed.
    OtherVersion {
        /// The segment.
        file: SegmentId,
        /// Version of its format.
        version: u16,
    },
    /// A sound record that only a newer mailrace can have written. Nothing was changed.
    UnknownRecord {
        /// The segment.
        file: SegmentId,
        /// Kind of the record.
        kind: u16,
        /// Version of it.
        version: u16,
    },
    /// The epoch of this segment is the last there can be. Nothing was changed.
    LastEpoch {
        /// The segment.
        file: SegmentId,
        /// Its epoch.
        epoch: Epoch,
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
    /// Name of the damaged file.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self.stripped {
            true => self.file.record_file_name(),
            false => self.file.file_name(),
        }
    }

    /// Whether the octets of the message that begins with this fragment are damaged.
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
        let Damage { offset, epoch, log, lsn, what, messages, .. } = self;
        let file = self.file_name();
        write!(f, "acknowledged data is damaged: {file} at octet {offset}")?;
        if (*epoch, *lsn) != (Epoch(0), Lsn(0)) {
            write!(f, " (frame {lsn} of log {log}, epoch {epoch})")?;
        }
        write!(f, ": {what}.")?;
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
                 --quarantine, which serves what is sound and lists what is not. `mailrace verify` \
                 names all damage, and with --repair accepts the loss"
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
            RecoveryError::UnknownRecord { file, kind, .. } if let Some(name) = reserved(*kind) => {
                let file = file.file_name();
                write!(f, "{file} was written by a mailrace that runs on several machines ")?;
                write!(f, "(a \"{name}\" record). This one serves folders of a single machine ")?;
                f.write_str("only. Start it with the former one. Nothing was changed")
            }
            RecoveryError::UnknownRecord { file, kind, version } => {
                let file = file.file_name();
                write!(f, "{file} was written by a newer mailrace (a record of kind {kind}, ")?;
                write!(f, "version {version}). Upgrade. Nothing was changed")
            }
            RecoveryError::LastEpoch { file, epoch } => {
                let (file, last) = (file.file_name(), Epoch::LAST);
                write!(f, "{file} belongs to epoch {epoch}. Epochs end with {last}, and this ")?;
                f.write_str("start needs a higher one. No server gets that far by starting: ")?;
                f.write_str("remove the file if it was named or copied by mistake. ")?;
                f.write_str("Nothing was changed")
            }
            RecoveryError::Visit(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecoveryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RecoveryError::Io { error, .. } => Some(error),
            RecoveryError::Visit(error) => Some(&**error),
            RecoveryError::Damaged(_)
            | RecoveryError::OtherVersion { .. }
            | RecoveryError::UnknownRecord { .. }
            | RecoveryError::LastEpoch { .. } => None,
        }
    }
}
