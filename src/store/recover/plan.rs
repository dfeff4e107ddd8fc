//! What to cut off, collected while the logs are read.

use super::error::RecoveryError;
use super::medium::Medium;
use crate::store::format::SegmentId;

/// What to cut off once all logs were read.
#[derive(Default)]
pub(super) struct Plan {
    /// Segments to remove, in this order: of a log newest first, so that what is left is always a
    /// log.
    pub(super) remove: Vec<SegmentId>,
    /// Files in which there is nothing but an invalid header: to remove unless there is damage,
    /// which they may be a part of.
    doubtful: Vec<SegmentId>,
    /// Segments to shorten to this many bytes, and to sync.
    pub(super) shorten: Vec<(SegmentId, u64)>,
    pub(super) cut: Vec<String>,
}

impl Plan {
    /// Removes a file that belongs to no log.
    pub(super) fn remove(&mut self, segment: SegmentId, why: &str) {
        self.remove.push(segment);
        self.cut.push(format!("segment {segment} was removed: it has no header, and {why}"));
    }

    /// Notes a file in which there is nothing but an invalid header.
    pub(super) fn doubt(&mut self, segment: SegmentId) {
        self.doubtful.push(segment);
    }

    /// Decides about those files once it is known whether there is damage. They are removed first:
    /// without the later segments that name them, some would count as prepared.
    pub(super) fn settle(&mut self, damaged: bool) {
        let doubtful = std::mem::take(&mut self.doubtful);
        if damaged {
            return;
        }
        let others = std::mem::take(&mut self.remove);
        for segment in doubtful {
            self.remove(segment, "it was not in use yet");
        }
        self.remove.extend(others);
    }

    /// Cuts, but no stripped segment: all of it was durable. Returns what was cut, one sentence
    /// each.
    pub(super) fn apply(self, medium: &mut dyn Medium) -> Result<Vec<String>, RecoveryError> {
        for segment in self.remove {
            if medium.is_stripped(segment) {
                continue;
            }
            medium.remove(segment).map_err(RecoveryError::io(segment, 0))?;
        }
        for (segment, length) in self.shorten {
            if medium.is_stripped(segment) {
                continue;
            }
            medium.truncate(segment, length).map_err(RecoveryError::io(segment, length))?;
        }
        Ok(self.cut)
    }
}
