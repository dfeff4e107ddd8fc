//! What recovery finds, and who is told.

use super::error::{Damage, RecoveryError, VisitError};
use super::medium::Medium;
use crate::store::format::{
    Commit, Epoch, LogId, LogPosition, Lsn, MessageRecord, Record, SegmentId,
};
use crate::store::segments::ReadySegment;

/// Is told what recovery finds.
pub trait Visitor {
    /// A change, in the order of the logs.
    ///
    /// # Errors
    /// Ends recovery.
    fn change(&mut self, replayed: Replayed) -> Result<(), VisitError>;

    /// Acknowledged data is damaged. After `Ok` recovery continues without it: after lost frames it
    /// continues where the log can be found again, and messages are as their records say. Nothing
    /// that is damaged is ever cut, removed or overwritten.
    ///
    /// # Errors
    /// Ends recovery. To refuse the damage, return it as the error.
    fn damage(&mut self, damage: Damage) -> Result<(), RecoveryError>;

    /// Whether damage is known that may lie where this recovery does not look. Then files without a
    /// valid header are kept: they may be a part of it.
    fn knows_damage(&self) -> bool {
        false
    }

    /// All logs were read, and nothing was cut yet.
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

/// What a [`Replayed`] changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A committed batch. The octets of every message that came with it were checked.
    Append {
        /// The commit footer.
        commit: Commit,
        /// The messages, as many as the footer says.
        messages: Vec<MessageRecord>,
    },
    /// Any other change: never `Messages`, `References`, `Fragments`, `Commit` or `Cancel`.
    Other(Record),
}

/// The result of recovery: all logs are cut clean, and a new epoch may begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Above all epochs so far, and above that of every segment so far.
    pub next_epoch: Epoch,
    /// Segments that were prepared and not used.
    pub ready: Vec<ReadySegment>,
    /// Segments without a frame that no log continues behind. They say no more than that their
    /// epoch has begun, and can be removed in this order once a later one has, durably.
    pub stale: Vec<SegmentId>,
    /// The end of every log that was read and has a frame. They are the positions of the catalog
    /// once it has all that was visited. None of them is in a segment of `stale`.
    pub ends: Vec<LogPosition>,
    /// What was cut off, one sentence each.
    pub cut: Vec<String>,
    /// Frames read.
    pub frames: u64,
    /// Bytes of those frames.
    pub octets: u64,
}
