//! Writing the record file of a segment.

use std::io;

use xxhash_rust::xxh3::Xxh3Default;

use super::format::{Head, tail};
use super::reader::continues;
use crate::limits::BLOCK;
use crate::reactor::files::File;
use crate::store::format::{FrameHeader, HEADER, SegmentId, decode_records, records_at};
use crate::store::segments::Segments;

/// Bytes that are collected before they are written.
const PIECE: usize = 1 << 20;

/// Writes the record file of a sealed segment, and returns its length in bytes. It is durable on
/// return, and from then on stands for the segment: no message may need the octets of the segment
/// any more. Blocks.
///
/// # Errors
/// Those of the disk; and when the segment is not sealed, or anything in it up to the end of its
/// last frame is invalid. Then there is no new record file, unless the disk failed at the very end:
/// the next attempt replaces it.
pub fn strip(segments: &Segments, segment: SegmentId) -> io::Result<u64> {
    let end = segments.end(segment).and_then(|end| u32::try_from(end).ok());
    let end = end.ok_or_else(|| {
        let what = format!("{} is not sealed, so it keeps its octets", segment.file_name());
        io::Error::other(what)
    })?;
    let source = Source { file: segments.open_as_stored(segment)?, segment };
    let head = source.head(end)?;
    let written = segments.create_record_file(segment).and_then(|file| {
        let mut output = Output { file, pending: Vec::new(), written: 0, hash: Xxh3Default::new() };
        source.copy(&head, &mut output)?;
        let (file, length) = output.end()?;
        segments.publish_record_file(segment, &file)?;
        Ok(length)
    });
    match written {
        Ok(length) => {
            segments.stripped(segment, length);
            Ok(length)
        }
        Err(error) => {
            segments.discard_record_file(segment);
            Err(error)
        }
    }
}

/// The segment.
struct Source {
    file: File,
    segment: SegmentId,
}

impl Source {
    fn head(&self, end: u32) -> io::Result<Head> {
        let mut block = [0; BLOCK];
        let read = self.file.read_at(&mut block, 0)?;
        let head = Head::new(&block[..read], end).map_err(|error| self.invalid(0, error))?;
        match head.header.segment == self.segment {
            true => Ok(head),
            false => Err(self.invalid(0, "the header of another segment stands here")),
        }
    }

    /// Copies the headers and the records of all frames, each checked.
    fn copy(&self, head: &Head, output: &mut Output) -> io::Result<()> {
        output.put(&head.encode())?;
        let end = u64::from(head.end);
        let (mut offset, mut lsn, mut frames) = (BLOCK as u64, head.header.first_lsn, 0);
        let mut octets = [0; HEADER];
        let mut records = Vec::new();
        while offset < end {
            let read = self.file.read_at(&mut octets, offset)?;
            let frame = FrameHeader::decode(&octets[..read]);
            let frame = frame.map_err(|error| self.invalid(offset, error))?;
            if !continues(&frame, self.segment, head.header.salt) || frame.lsn != lsn {
                return Err(self.invalid(offset, format_args!("frame {} stands here", frame.lsn)));
            }
            records.resize(frame.records as usize, 0);
            let at = offset + records_at(frame.payload as usize) as u64;
            if self.file.read_at(&mut records, at)? < records.len() {
                return Err(self.invalid(at, "the file ends here"));
            }
            decode_records(&records, frame.count).map_err(|error| self.invalid(at, error))?;
            output.put(&octets)?;
            output.put(&records)?;
            offset += u64::from(frame.length);
            lsn = lsn.next();
            frames += 1;
        }
        if offset != end {
            return Err(self.invalid(offset, format_args!("its last frame should end at {end}")));
        }
        output.put(&tail(frames))
    }

    fn invalid(&self, offset: u64, what: impl std::fmt::Display) -> io::Error {
        let file = self.segment.file_name();
        let what = format!("{file} keeps its octets, because it is damaged at {offset}: {what}");
        io::Error::new(io::ErrorKind::InvalidData, what)
    }
}

/// The record file.
struct Output {
    file: File,
    pending: Vec<u8>,
    written: u64,
    hash: Xxh3Default,
}

impl Output {
    fn put(&mut self, octets: &[u8]) -> io::Result<()> {
        self.hash.update(octets);
        self.pending.extend_from_slice(octets);
        match self.pending.len() < PIECE {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.pending, self.written)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes the rest and the checksum. Returns the file and its length in bytes.
    fn end(mut self) -> io::Result<(File, u64)> {
        self.pending.extend_from_slice(&self.hash.digest().to_le_bytes());
        self.flush()?;
        Ok((self.file, self.written))
    }
}
