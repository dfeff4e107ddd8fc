//! Reading the log after a start.

use std::fmt;
use std::io;

use super::record::{Commit, MessageRecord, Record};
use crate::types::{Epoch, LogId, Lsn, MailboxId, SegmentId};

/// Where segments are kept: a folder, or memory in tests.
pub trait Medium {
    /// All segments with their lengths in octets, in any order.
    ///
    /// # Errors
    /// Those of the medium; likewise below.
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>>;

    /// Reads into `out` from `offset` on. Less than asked for only at the end of the file.
    #[allow(clippy::missing_errors_doc)]
    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize>;

    /// Shortens a segment. Durable on return.
    #[allow(clippy::missing_errors_doc)]
    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()>;

    /// Deletes a segment. Durable on return.
    #[allow(clippy::missing_errors_doc)]
    fn remove(&mut self, segment: SegmentId) -> io::Result<()>;
}

/// A point in a log between two frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The log.
    pub log: LogId,
    /// The segment the next frame is expected in.
    pub segment: SegmentId,
    /// Where in it.
    pub offset: u32,
    /// LSN of that frame.
    pub lsn: Lsn,
    /// Changes up to this LSN are in the catalog already. Not below `lsn - 1`; above it when a
    /// batch was open at the checkpoint and its first frame has to be read again.
    pub applied: Lsn,
}

/// A change that recovery found in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The log.
    pub log: LogId,
    /// The frame that made the change valid.
    pub lsn: Lsn,
    /// What changed.
    pub change: Change,
}

/// See [`Replayed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A committed batch; the octets of every message have been checked.
    Append {
        /// The footer.
        commit: Commit,
        /// The messages, as many as the footer says.
        messages: Vec<MessageRecord>,
    },
    /// Any other change: never `Messages`, `Fragments`, `Commit` or `Cancel`.
    Other(Record),
}

/// An error of the visitor, passed through.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// What recovery leaves behind: the log is cut clean, a new epoch may begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Above all epochs there have been.
    pub next_epoch: Epoch,
    /// Above all segments there have been.
    pub next_segment: SegmentId,
    /// Segments that were prepared and not used, with their lengths.
    pub ready: Vec<(SegmentId, u64)>,
    /// The end of every log that was read. Once the catalog holds all that was visited, these
    /// are its positions.
    pub ends: Vec<LogPosition>,
    /// Logs that were not read, because their epoch lies below all positions given.
    pub closed: Vec<(Epoch, LogId)>,
    /// What was cut off, in words, one sentence each.
    pub cut: Vec<String>,
    /// Frames read.
    pub frames: u64,
    /// Octets of those frames.
    pub octets: u64,
}

/// Acknowledged data that is not there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub file: SegmentId,
    /// Where in it, in octets.
    pub offset: u64,
    /// The log.
    pub epoch: Epoch,
    /// The log.
    pub log: LogId,
    /// The frame that should be there.
    pub lsn: Lsn,
    /// What is wrong with it.
    pub what: String,
    /// How many messages of which mailboxes are affected, as far as that can be told.
    pub messages: Vec<(MailboxId, u32)>,
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
    /// Written by a newer mailrace.
    Newer {
        /// The segment.
        file: SegmentId,
        /// Version of its format.
        version: u16,
    },
    /// The visitor failed.
    Visit(VisitError),
}

/// Reads all logs from the positions `from` on, visits every change in order of epoch, log and
/// LSN, and cuts off what was never acknowledged.
///
/// # Errors
/// See [`RecoveryError`].
pub fn recover(
    medium: &mut dyn Medium,
    from: &[LogPosition],
    visit: &mut dyn FnMut(Replayed) -> Result<(), VisitError>,
) -> Result<Recovered, RecoveryError> {
    let _ = (medium, from, visit);
    todo!()
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for RecoveryError {}
