//! Reading a record file as the segment that it was made from.

use std::cell::OnceCell;
use std::io;

use xxhash_rust::xxh3::Xxh3Default;

use super::format::{CHECKSUM, HEAD, Head, TAIL, tail};
use crate::limits::BLOCK;
use crate::reactor::files::File;
use crate::store::format::{
    FrameHeader, HEADER, HeaderError, SegmentHeader, SegmentId, records_at,
};
use crate::store::segments::Segments;

/// Bytes read at a time.
const AHEAD: usize = 256 << 10;

/// A record file. Its beginning was checked when it was opened. The rest is checked whole before
/// any of it is shown.
pub(in crate::store) struct RecordFile {
    file: File,
    head: Head,
    frames: OnceCell<Result<Vec<Spot>, HeaderError>>,
}

/// A frame: its offset in the segment, and what the file has of it.
struct Spot {
    offset: u32,
    payload: u32,
    records: u32,
    /// Offset of its header in the file. Its records follow.
    at: u64,
}

impl RecordFile {
    /// Opens the record file of a segment. The inner error says why its beginning cannot be
    /// believed.
    ///
    /// # Errors
    /// Those of the disk, as for the other methods.
    pub(in crate::store) fn open(
        segments: &Segments,
        segment: SegmentId,
    ) -> io::Result<Result<RecordFile, HeaderError>> {
        let file = segments.open_record_file(segment)?;
        let mut octets = [0; HEAD];
        let read = file.read_at(&mut octets, 0)?;
        let head = Head::decode(&octets[..read], segment);
        Ok(head.map(|head| RecordFile { file, head, frames: OnceCell::new() }))
    }

    /// Where the last frame of the segment ended: the length of what is shown.
    pub(in crate::store) fn end(&self) -> u64 {
        self.head.end.into()
    }

    /// The header of the segment.
    pub(super) fn header(&self) -> &SegmentHeader {
        &self.head.header
    }

    /// Checks the whole file. Returns why it cannot be believed, if it cannot.
    #[allow(clippy::missing_errors_doc)]
    pub(in crate::store) fn flaw(&self) -> io::Result<Option<HeaderError>> {
        Ok(self.frames()?.err())
    }

    /// Reads what the segment had at `offset`, with zeros where it had octets of messages. Returns
    /// less than `out` has room for only at the end of the segment. A file that is not whole shows
    /// nothing but the header of the segment.
    #[allow(clippy::missing_errors_doc)]
    pub(in crate::store) fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let length = (out.len() as u64).min(self.end().saturating_sub(offset)) as usize;
        let out = &mut out[..length];
        out.fill(0);
        if let Some(rest) = self.head.octets.get(offset as usize..) {
            let length = rest.len().min(out.len());
            out[..length].copy_from_slice(&rest[..length]);
        }
        let end = offset + out.len() as u64;
        if end <= BLOCK as u64 {
            return Ok(out.len());
        }
        let Ok(frames) = self.frames()? else {
            return Ok((BLOCK as u64).saturating_sub(offset) as usize);
        };
        let first = frames.partition_point(|frame| u64::from(frame.offset) <= offset);
        for frame in &frames[first.saturating_sub(1)..] {
            let start = u64::from(frame.offset);
            if start >= end {
                break;
            }
            self.fill(out, offset, start, frame.at, HEADER)?;
            let start = start + records_at(frame.payload as usize) as u64;
            self.fill(out, offset, start, frame.at + HEADER as u64, frame.records as usize)?;
        }
        Ok(out.len())
    }

    /// Reads the part of `out`, which begins at `offset` in the segment, that lies in the `length`
    /// bytes from `start` on; these begin at `at` in the file.
    fn fill(
        &self,
        out: &mut [u8],
        offset: u64,
        start: u64,
        at: u64,
        length: usize,
    ) -> io::Result<()> {
        let from = start.max(offset);
        let to = (start + length as u64).min(offset + out.len() as u64);
        if from >= to {
            return Ok(());
        }
        let part = &mut out[(from - offset) as usize..(to - offset) as usize];
        let wanted = part.len();
        match self.file.read_at(part, at + (from - start))? == wanted {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The frames, once the file was checked.
    fn frames(&self) -> io::Result<Result<&[Spot], HeaderError>> {
        let frames = match self.frames.get() {
            Some(frames) => frames,
            None => {
                let checked = self.check()?;
                self.frames.get_or_init(|| checked)
            }
        };
        Ok(frames.as_deref().map_err(|error| *error))
    }

    fn check(&self) -> io::Result<Result<Vec<Spot>, HeaderError>> {
        let length = self.file.length()?;
        let Some(checked) = length.checked_sub(CHECKSUM as u64) else {
            return Ok(Err(HeaderError::Field("length")));
        };
        let mut buffer = vec![0; AHEAD];
        let (mut hash, mut at) = (Xxh3Default::new(), 0);
        while at < checked {
            let part = buffer.len().min((checked - at) as usize);
            let read = self.file.read_at(&mut buffer[..part], at)?;
            if read == 0 {
                return Ok(Err(HeaderError::Field("length")));
            }
            hash.update(&buffer[..read]);
            at += read as u64;
        }
        let mut expected = [0; CHECKSUM];
        self.file.read_at(&mut expected, checked)?;
        let (expected, got) = (u64::from_le_bytes(expected), hash.digest());
        if expected != got {
            return Ok(Err(HeaderError::Checksum { expected, got }));
        }
        self.find_frames(length)
    }

    /// Goes from frame to frame, which have to follow each other as they did in the segment.
    fn find_frames(&self, length: u64) -> io::Result<Result<Vec<Spot>, HeaderError>> {
        let segment = &self.head.header;
        let (mut spots, mut offset, mut lsn) = (Vec::new(), BLOCK as u64, segment.first_lsn);
        let mut at = HEAD as u64;
        let mut octets = [0; HEADER];
        while at + TAIL as u64 + HEADER as u64 <= length {
            self.file.read_at(&mut octets, at)?;
            let frame = match FrameHeader::decode(&octets) {
                Ok(frame) => frame,
                Err(error) => return Ok(Err(error)),
            };
            if !continues(&frame, segment.segment, self.head.header.salt) || frame.lsn != lsn {
                return Ok(Err(HeaderError::Field("frame")));
            }
            let FrameHeader { payload, records, .. } = frame;
            let Ok(place) = u32::try_from(offset) else { break };
            spots.push(Spot { offset: place, payload, records, at });
            at += HEADER as u64 + u64::from(records);
            offset += u64::from(frame.length);
            lsn = lsn.next();
        }
        let mut end = [0; TAIL - CHECKSUM];
        self.file.read_at(&mut end, at)?;
        if at + TAIL as u64 != length || offset != self.end() || end != tail(spots.len() as u32) {
            return Ok(Err(HeaderError::Field("length")));
        }
        Ok(Ok(spots))
    }
}

/// Whether a frame belongs to this segment.
pub(super) fn continues(frame: &FrameHeader, segment: SegmentId, salt: u64) -> bool {
    frame.segment == segment && frame.salt == salt
}
