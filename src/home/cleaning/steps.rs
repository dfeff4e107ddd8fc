//! The steps that a reactor is asked for, and what it answers.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::pace::Pace;
use crate::index::{CatalogError, Rot};
use crate::store::{LogError, Purpose, SegmentId};

/// A step that a reactor is asked for. The answer is dropped when the server stops.
pub enum Cleaning {
    /// Write everything again that messages of its accounts have in this segment.
    Empty {
        /// The segment.
        segment: SegmentId,
        /// Which of the room that is held back on a full disk may be used.
        purpose: Purpose,
        /// How fast.
        pace: Arc<Pace>,
        /// What was done.
        reply: oneshot::Sender<Result<Emptied, CleanError>>,
    },
    /// Bring the catalog up to everything that was written to the log so far.
    Cover {
        /// Sent when that is durable.
        reply: oneshot::Sender<Result<(), CleanError>>,
    },
    /// Write to another segment, if the log writes to this one.
    MoveOn {
        /// The segment.
        segment: SegmentId,
        /// Sent when nothing is written to it any more.
        reply: oneshot::Sender<Result<(), CleanError>>,
    },
    /// Wait for the readers, and close the segment.
    Leave {
        /// The segment.
        segment: SegmentId,
        /// Sent when that is done.
        reply: oneshot::Sender<()>,
    },
}

/// What was done to empty a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Emptied {
    /// Messages that have a new place. A copy counts as one.
    pub messages: u64,
    /// Octets of messages that were written again.
    pub octets: u64,
    /// Octets written to the log for that, with headers, records and the rest of blocks.
    pub written: u64,
    /// Messages that stay where they are, because they cannot be read or have too many pieces.
    pub stuck: u64,
}

/// Why a segment cannot be emptied now.
#[derive(Debug)]
pub enum CleanError {
    /// It is being written to, or an unfinished batch has octets in it.
    InUse,
    /// The log does not accept the octets, for example because the disk is full.
    Log(LogError),
    /// The catalog cannot be read.
    Catalog(CatalogError),
    /// The catalog contradicts itself.
    Rot(Rot),
}

impl Emptied {
    /// Adds what another reactor has done.
    pub fn add(&mut self, other: Emptied) {
        self.messages += other.messages;
        self.octets += other.octets;
        self.written += other.written;
        self.stuck += other.stuck;
    }
}

impl From<LogError> for CleanError {
    fn from(error: LogError) -> CleanError {
        CleanError::Log(error)
    }
}

impl From<CatalogError> for CleanError {
    fn from(error: CatalogError) -> CleanError {
        CleanError::Catalog(error)
    }
}

impl fmt::Display for CleanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CleanError::InUse => f.write_str("it is in use"),
            CleanError::Log(error) => error.fmt(f),
            CleanError::Catalog(error) => error.fmt(f),
            CleanError::Rot(rot) => {
                write!(f, "{rot}; stop mailrace and delete catalog.redb: it is rebuilt")
            }
        }
    }
}

impl std::error::Error for CleanError {}
