//! What to cut off, collected while the logs are read.

use super::error::RecoveryError;
use super::medium::Medium;
use crate::store::format::SegmentId;

/// What to cut off, once all logs have been read without finding damage.
#[derive(Default)]
pub(super) struct Plan {
    /// To remove, in this order: newest first, so that what is left is always a log.
    pub(super) remove: Vec<SegmentId>,
    /// Files in which nothing stands but something in place of their header: to remove unless there
    /// is damage that it may be a part of.
    doubtful: Vec<SegmentId>,
    /// To shorten to so many octets and sync.
    pub(super) shorten: Vec<(SegmentId, u64)>,
    pub(super) cut: Vec<String>,
}

impl Plan {
    /// Takes a file out that belongs to no log.
    pub(super) fn remove(&mut self, segment: SegmentId, why: &str) {
        self.remove.push(segment);
        self.cut.push(format!("segment {segment} was removed: it has no header, and {why}"));
    }

    /// Notes a file in which nothing stands but something in place of its header.
    pub(super) fn doubt(&mut self, segment: SegmentId) {
        self.doubtful.push(segment);
    }

    /// Decides about those files, once it is known whether frames are lost.
    pub(super) fn settle(&mut self, damaged: bool) {
        for segment in std::mem::take(&mut self.doubtful) {
            if !damaged {
                self.remove(segment, "it was not in use yet");
            }
        }
    }

    /// Cuts. What was cut comes back in words.
    pub(super) fn apply(self, medium: &mut dyn Medium) -> Result<Vec<String>, RecoveryError> {
        for segment in self.remove {
            medium.remove(segment).map_err(RecoveryError::io(segment, 0))?;
        }
        for (segment, length) in self.shorten {
            medium.truncate(segment, length).map_err(RecoveryError::io(segment, length))?;
        }
        Ok(self.cut)
    }
}
