//! Reads with a buffer that reads ahead, so that many small reads cost few system calls.

use super::error::RecoveryError;
use super::medium::Medium;
use crate::store::format::SegmentId;

/// A stretch of one segment in memory.
pub(super) struct Window {
    buffer: Vec<u8>,
    /// Bytes to read at least.
    ahead: usize,
    segment: SegmentId,
    offset: u64,
    /// Bytes of the buffer that were read.
    filled: usize,
}

impl Window {
    pub(super) fn new(ahead: usize) -> Window {
        Window { buffer: Vec::new(), ahead, segment: SegmentId(0), offset: 0, filled: 0 }
    }

    /// `length` bytes from `offset` on; fewer only at the end of the segment.
    pub(super) fn read(
        &mut self,
        medium: &dyn Medium,
        segment: SegmentId,
        offset: u64,
        length: usize,
    ) -> Result<&[u8], RecoveryError> {
        let held = self.offset..=self.offset + self.filled as u64;
        let inside = held.contains(&offset) && held.contains(&(offset + length as u64));
        if self.segment != segment || !inside {
            self.buffer.resize(self.buffer.len().max(self.ahead).max(length), 0);
            let read = medium.read_at(segment, offset, &mut self.buffer);
            self.filled = read.map_err(RecoveryError::io(segment, offset))?;
            (self.segment, self.offset) = (segment, offset);
        }
        let start = (offset - self.offset) as usize;
        Ok(&self.buffer[start..self.filled.min(start + length)])
    }
}
