//! Where the last frame of a sealed segment ends.

use crate::limits::BLOCK;
use crate::store::format::{SegmentHeader, SegmentId};
use crate::store::segments::{SegmentState, Segments};

use super::reader::RecordFile;

/// Where the last frame of a sealed segment ends; `None` when there is no sealed one of this
/// number.
///
/// The file may be longer: a log that leaves a segment has it cut, and a crash can come between. A
/// start does not read what lies before the positions of the catalog, and does not cut it. The
/// header of the next segment of the log says where it ends.
pub(super) fn end_of(segments: &Segments, segment: SegmentId) -> Option<u32> {
    let (end, is_known) = segments.end(segment)?;
    let end = u32::try_from(end).ok()?;
    if is_known {
        return Some(end);
    }
    for (later, state) in segments.later_in_epoch(segment) {
        let header = match state {
            SegmentState::Stripped => header_of_stripped(segments, later),
            SegmentState::Active | SegmentState::Sealed => header_of(segments, later),
            SegmentState::Ready => None,
        };
        if let Some((previous, offset)) = header.and_then(|header| header.previous)
            && previous == segment
            && offset <= end
        {
            segments.note_end(segment, offset);
            return Some(offset);
        }
    }
    Some(end)
}

fn header_of(segments: &Segments, segment: SegmentId) -> Option<SegmentHeader> {
    let mut block = [0; BLOCK];
    segments.open_as_stored(segment).ok()?.read_at(&mut block, 0).ok()?;
    SegmentHeader::decode(&block).ok().filter(|header| header.segment == segment)
}

fn header_of_stripped(segments: &Segments, segment: SegmentId) -> Option<SegmentHeader> {
    Some(*RecordFile::open(segments, segment).ok()?.ok()?.header())
}
