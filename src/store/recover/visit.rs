//! What recovery finds, and who is told.

use super::error::{Damage, RecoveryError, VisitError};
use super::medium::Medium;
use crate::store::format::{
    Commit, Epoch, LogId, LogPosition, Lsn, MessageRecord, Record, SegmentId,
};

/// Whoever is told what recovery finds.
pub trait Visitor {
    /// A change, in the order of the logs.
    ///
    /// # Errors
    /// Ends recovery.
    fn change(&mut self, replayed: Replayed) -> Result<(), VisitError>;

    /// Acknowledged data is damaged. With `Ok` recovery goes on without it: behind lost frames
    /// where the log can be found again, with messages as their records have them. Nothing that is
    /// damaged is ever cut, removed or written over.
    ///
    /// # Errors
    /// Ends recovery; the damage itself, where it is not to be put up with.
    fn damage(&mut self, damage: Damage) -> Result<(), RecoveryError>;

    /// All is read, and nothing cut yet.
    ///
    /// # Errors
    /// Ends recovery.
    fn end(&mut self, _medium: &dyn Medium) -> Result<(), RecoveryError> {
        Ok(())
    }
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
    /// A committed batch; the octets of every message that came with it have been checked.
    Append {
        /// The footer.
        commit: Commit,
        /// The messages, as many as the footer says.
        messages: Vec<MessageRecord>,
    },
    /// Any other change: never `Messages`, `References`, `Fragments`, `Commit` or `Cancel`.
    Other(Record),
}

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
