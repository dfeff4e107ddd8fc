//! Reading a sealed segment frame by frame. Headers and records are checked, payloads are skipped.

use std::fmt::Display;
use std::io;

use super::format::Head;
use super::reader::continues;
use crate::limits::BLOCK;
use crate::reactor::files::File;
use crate::store::format::{FrameHeader, HEADER, Lsn, SegmentId, decode_records, records_at};
use crate::store::segments::Segments;

/// A segment, open for reading.
pub(super) struct Source {
    file: File,
    segment: SegmentId,
}

/// Why a part of a segment cannot be used.
pub(super) enum Unusable {
    /// The disk does not read it.
    Disk(u64, io::Error),
    /// It is not what was written. `skips` has the length of the frame, if that is known.
    Damaged { offset: u64, what: String, skips: Option<u32> },
}

/// Where a frame is expected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) offset: u64,
    pub(super) lsn: Lsn,
    pub(super) salt: u64,
}

impl Expected {
    /// The first frame of a segment.
    pub(super) fn first(head: &Head) -> Expected {
        let (lsn, salt) = (head.header.first_lsn, head.header.salt);
        Expected { offset: BLOCK as u64, lsn, salt }
    }

    /// The frame after one of this length.
    pub(super) fn after(self, length: u32) -> Expected {
        let Expected { offset, lsn, salt } = self;
        Expected { offset: offset + u64::from(length), lsn: lsn.next(), salt }
    }
}

impl Source {
    pub(super) fn open(segments: &Segments, segment: SegmentId) -> io::Result<Source> {
        Ok(Source { file: segments.open_as_stored(segment)?, segment })
    }

    /// The header of the segment, whose last frame ends at `end`.
    pub(super) fn head(&self, end: u32) -> Result<Head, Unusable> {
        let mut block = [0; BLOCK];
        let read = self.read(&mut block, 0)?;
        let head = Head::new(&block[..read], end).map_err(|error| damaged(0, error))?;
        match head.header.segment == self.segment {
            true => Ok(head),
            false => Err(damaged(0, "the header of another segment stands here")),
        }
    }

    /// Reads the header of a frame, and its records into `records`.
    pub(super) fn frame(
        &self,
        Expected { offset, lsn, salt }: Expected,
        records: &mut Vec<u8>,
    ) -> Result<([u8; HEADER], FrameHeader), Unusable> {
        let mut octets = [0; HEADER];
        let read = self.read(&mut octets, offset)?;
        let frame = FrameHeader::decode(&octets[..read]);
        let frame = frame.map_err(|error| damaged(offset, error))?;
        if !continues(&frame, self.segment, salt) || frame.lsn != lsn {
            return Err(damaged(offset, format_args!("frame {} stands here", frame.lsn)));
        }
        records.resize(frame.records as usize, 0);
        let at = offset + records_at(frame.payload as usize) as u64;
        let skips = Some(frame.length);
        let wrong = |what| Err(Unusable::Damaged { offset: at, what, skips });
        if self.read(records, at)? < records.len() {
            return wrong("the file ends here".to_owned());
        }
        match decode_records(records, frame.count) {
            Ok(_) => Ok((octets, frame)),
            Err(error) => wrong(error.to_string()),
        }
    }

    fn read(&self, out: &mut [u8], offset: u64) -> Result<usize, Unusable> {
        self.file.read_at(out, offset).map_err(|error| Unusable::Disk(offset, error))
    }
}

fn damaged(offset: u64, what: impl Display) -> Unusable {
    Unusable::Damaged { offset, what: what.to_string(), skips: None }
}
