//! Writing the record file of a segment.

use std::io;

use xxhash_rust::xxh3::Xxh3Default;

use super::ending::end_of;
use super::format::{Head, tail};
use super::source::{Expected, Source, Unusable};
use crate::reactor::files::File;
use crate::store::format::SegmentId;
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
    let end = end_of(segments, segment).ok_or_else(|| {
        let what = format!("{} is not sealed, so it keeps its octets", segment.file_name());
        io::Error::other(what)
    })?;
    let source = Source::open(segments, segment)?;
    let head = source.head(end).map_err(|error| Failed::Segment(error).of(segment))?;
    let written = segments.create_record_file(segment).and_then(|file| {
        let mut output = Output { file, pending: Vec::new(), written: 0, hash: Xxh3Default::new() };
        copy(&source, &head, &mut output).map_err(|failed| failed.of(segment))?;
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

/// Copies the headers and the records of all frames, each checked.
fn copy(source: &Source, head: &Head, output: &mut Output) -> Result<(), Failed> {
    output.put(&head.encode())?;
    let end = u64::from(head.end);
    let (mut next, mut frames, mut records) = (Expected::first(head), 0, Vec::new());
    while next.offset < end {
        let (octets, frame) = source.frame(next, &mut records)?;
        output.put(&octets)?;
        output.put(&records)?;
        next = next.after(frame.length);
        frames += 1;
    }
    if next.offset != end {
        let what = format!("its last frame should end at {end}");
        return Err(Unusable::Damaged { offset: next.offset, what, skips: None }.into());
    }
    Ok(output.put(&tail(frames))?)
}

/// Why a record file is not written.
enum Failed {
    Segment(Unusable),
    Output(io::Error),
}

impl Failed {
    fn of(self, segment: SegmentId) -> io::Error {
        match self {
            Failed::Output(error) | Failed::Segment(Unusable::Disk(_, error)) => error,
            Failed::Segment(Unusable::Damaged { offset, what, .. }) => {
                let file = segment.file_name();
                let what =
                    format!("{file} keeps its octets, because it is damaged at {offset}: {what}");
                io::Error::new(io::ErrorKind::InvalidData, what)
            }
        }
    }
}

impl From<Unusable> for Failed {
    fn from(unusable: Unusable) -> Failed {
        Failed::Segment(unusable)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Output(error)
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
