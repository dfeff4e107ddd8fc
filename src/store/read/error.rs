//! Why octets of a message cannot be had.

use std::path::PathBuf;
use std::{error, fmt, io};

use super::message::Stored;
use crate::store::format::SegmentId;

/// Why octets of a message cannot be had.
#[derive(Debug)]
pub enum ReadError {
    /// The segment cannot be opened.
    Open {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The disk failed.
    Disk {
        /// The segment.
        segment: SegmentId,
        /// Where in it, in bytes.
        offset: u64,
        /// What the system said.
        error: io::Error,
    },
    /// The disk has other octets than were stored, or fewer.
    Damaged {
        /// The segment in which the message begins.
        segment: SegmentId,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong with it: the end of a sentence that begins with the message.
        what: &'static str,
    },
}

impl ReadError {
    /// The octets of this message are not those that were stored. `what` ends a sentence that
    /// begins with the message.
    pub fn damaged(message: &impl Stored, what: &'static str) -> ReadError {
        let first = message.fragment(0).map(|first| (first.segment, first.offset));
        let (segment, offset) = first.unwrap_or_default();
        ReadError::Damaged { segment, offset: offset.into(), what }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Open { path, error } => {
                write!(f, "cannot open {}: {error}", path.display())
            }
            ReadError::Disk { segment, offset, error } => {
                write!(f, "cannot read segment {segment} at offset {offset}: {error}")
            }
            ReadError::Damaged { segment, offset, what } => {
                write!(f, "the message at offset {offset} of segment {segment} {what}")
            }
        }
    }
}

impl error::Error for ReadError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            ReadError::Open { error, .. } | ReadError::Disk { error, .. } => Some(error),
            ReadError::Damaged { .. } => None,
        }
    }
}
