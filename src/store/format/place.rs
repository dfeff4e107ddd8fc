//! Positions in a log: where a frame goes, and where replay goes on.

use super::ids::{Epoch, LogId, Lsn, SegmentId};

/// The place reserved for one frame, and what its header says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment file.
    pub segment: SegmentId,
    /// Offset in the file, a multiple of [`BLOCK`](crate::limits::BLOCK).
    pub offset: u32,
    /// Bytes reserved, a multiple of [`BLOCK`](crate::limits::BLOCK).
    pub length: u32,
    /// The frame's number in the log.
    pub lsn: Lsn,
    /// The highest LSN known durable when the place was reserved.
    pub watermark: Lsn,
    /// The run of the server.
    pub epoch: Epoch,
    /// The log the frame belongs to.
    pub log: LogId,
    /// The log's salt: see [`SegmentHeader::salt`](super::SegmentHeader::salt).
    pub salt: u64,
}

/// A point in a log between two frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The log.
    pub log: LogId,
    /// The segment in which the next frame is expected.
    pub segment: SegmentId,
    /// Offset of that frame in the segment.
    pub offset: u32,
    /// LSN of that frame.
    pub lsn: Lsn,
    /// The catalog already holds all changes up to this LSN, and they were durable. It is at
    /// least `lsn - 1`. It is higher when a batch was open at the checkpoint and its first frame
    /// has to be read again.
    pub applied: Lsn,
}
