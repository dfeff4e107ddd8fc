//! Beginning and end of a record file. Octet by octet: [`crate::manual::format`].

use xxhash_rust::xxh3::xxh3_64;

use crate::limits::BLOCK;
use crate::store::format::octets::{Put, Take};
use crate::store::format::{HeaderError, SegmentHeader, SegmentId, VERSION, opening};

/// Bytes before the first frame.
pub(super) const HEAD: usize = 128;
/// Bytes after the last frame.
pub(super) const TAIL: usize = 16;
/// Bytes of the checksum of the whole file, at its end.
pub(super) const CHECKSUM: usize = 8;

const MAGIC: &[u8; 8] = b"mailrecs";
const CHECKSUM_AT: usize = HEAD - CHECKSUM;

/// The beginning of a record file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Where the last frame of the segment ended.
    pub(super) end: u32,
    /// The header of the segment, as it was.
    pub(super) octets: [u8; SegmentHeader::LENGTH],
    /// The same, decoded.
    pub(super) header: SegmentHeader,
}

impl Head {
    /// From the first block of a segment, and the offset at which its last frame ends.
    pub(super) fn new(block: &[u8], end: u32) -> Result<Head, HeaderError> {
        let header = SegmentHeader::decode(block)?;
        let octets = *block.first_chunk().ok_or(HeaderError::Magic)?;
        if (end as usize) < BLOCK || !(end as usize).is_multiple_of(BLOCK) {
            return Err(HeaderError::Field("end"));
        }
        Ok(Head { end, octets, header })
    }

    pub(super) fn encode(&self) -> [u8; HEAD] {
        let mut octets = [0; HEAD];
        let mut put = Put::new(&mut octets);
        put.octets(MAGIC);
        put.u16(VERSION);
        put.u16(0);
        put.u32(self.end);
        put.u64(self.header.segment.0);
        put.octets(&self.octets);
        assert_eq!(put.len(), CHECKSUM_AT, "the head of a record file has another length");
        let checksum = xxh3_64(&octets[..CHECKSUM_AT]);
        octets[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        octets
    }

    /// Reads the beginning of the record file of this segment.
    pub(super) fn decode(octets: &[u8], segment: SegmentId) -> Result<Head, HeaderError> {
        let octets = octets.get(..HEAD).ok_or(HeaderError::Magic)?;
        opening(octets, MAGIC, CHECKSUM_AT)?;
        let mut take = Take::new(&octets[MAGIC.len() + 2..]);
        let fields = (take.u16(), take.u32(), take.u64(), take.octets(SegmentHeader::LENGTH));
        let (Some(0), Some(end), Some(number), Some(header)) = fields else {
            return Err(HeaderError::Field("reserved"));
        };
        let head = Head::new(header, end)?;
        if number != segment.0 || head.header.segment != segment {
            return Err(HeaderError::Field("segment"));
        }
        Ok(head)
    }
}

/// What follows the last frame, before the checksum of all that is before it.
pub(super) fn tail(frames: u32) -> [u8; TAIL - CHECKSUM] {
    let mut octets = [0; TAIL - CHECKSUM];
    octets[..4].copy_from_slice(&frames.to_le_bytes());
    octets
}
