//! The header block of a segment. Octet by octet: [`crate::manual::format`].

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use super::ids::{Epoch, LogId, Lsn, SegmentId};
use super::octets::{Put, Take};
use crate::limits::BLOCK;

/// Version of the whole format: segments, frames and records. Version 1 spelled out the keywords of
/// each message. Up to version 2 the place of a message was its EMAILID, and numbers of segments
/// had no epoch.
pub const VERSION: u16 = 3;

const LENGTH: usize = SegmentHeader::LENGTH;
const MAGIC: &[u8; 8] = b"mailrace";
const READY: &[u8; 8] = b"prepared";
const CHECKSUM_AT: usize = LENGTH - 8;

/// The first block of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The segment's own number, as in its file name.
    pub segment: SegmentId,
    /// The run of the server that wrote it.
    pub epoch: Epoch,
    /// The log it belongs to.
    pub log: LogId,
    /// How many logs that epoch has.
    pub logs: u16,
    /// A random number for each log of each epoch, repeated in every frame. Clients never see it,
    /// so a message that contains the image of a frame is never mistaken for one.
    pub salt: u64,
    /// LSN of the first frame in this segment.
    pub first_lsn: Lsn,
    /// The highest LSN known durable when this header was composed.
    pub watermark: Lsn,
    /// The segment that the log comes from, and the offset at which its last frame ends. `None` in
    /// the first segment of a log.
    pub previous: Option<(SegmentId, u32)>,
    /// Length of the file in bytes when it was prepared. Recovery cuts off what was not used.
    pub size: u32,
    /// When it was taken into use, in seconds since 1970 UTC.
    pub created: u64,
    /// Whether the file had another use before, so that old frames and old mail may stand behind
    /// the end of the log.
    pub reused: bool,
}

/// The first block of a segment that is prepared and not in use yet. It is written last and names
/// no segment, so the file may be renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyHeader {
    /// Whether something other than zeros may stand behind it.
    pub reused: bool,
}

/// Why octets are not a valid header of a segment or frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Only zeros: never written.
    Zeros,
    /// The header of a segment that is prepared and not in use.
    Ready(ReadyHeader),
    /// Something other than a header.
    Magic,
    /// Written by a mailrace of another version of the format.
    OtherVersion {
        /// Version of the format, which is not [`VERSION`].
        version: u16,
    },
    /// The octets changed since they were written, or were written in part only.
    Checksum {
        /// In the header.
        expected: u64,
        /// Computed from its octets.
        got: u64,
    },
    /// The checksum is right, but this field is not: a bug in the program that wrote it.
    Field(&'static str),
}

impl SegmentHeader {
    /// Bytes of the header that are used. Zeros fill the rest of the block.
    pub(in crate::store) const LENGTH: usize = 96;

    /// Writes the header block into the first [`BLOCK`] octets of `out`.
    ///
    /// # Panics
    /// When `out` is shorter.
    pub fn encode(&self, out: &mut [u8]) {
        let block = &mut out[..BLOCK];
        block.fill(0);
        let (previous, end) = self.previous.unwrap_or_default();
        let mut put = Put::new(block);
        put.octets(MAGIC);
        put.u16(VERSION);
        put.u16(self.log.0);
        put.u32(self.epoch.0);
        put.u64(self.segment.0);
        put.u64(self.salt);
        put.u64(self.first_lsn.0);
        put.u64(self.watermark.0);
        put.u64(previous.0);
        put.u32(end);
        put.u32(self.size);
        put.u64(self.created);
        put.u16(self.logs);
        put.u8(self.reused.into());
        assert!(put.len() <= CHECKSUM_AT, "the fields of a segment header run into its checksum");
        let checksum = xxh3_64(&block[..CHECKSUM_AT]);
        block[CHECKSUM_AT..LENGTH].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Reads the header block.
    ///
    /// # Errors
    /// When there is none, or it is not of this version.
    pub fn decode(block: &[u8]) -> Result<SegmentHeader, HeaderError> {
        let octets = block.get(..LENGTH).ok_or(HeaderError::Magic)?;
        if block.iter().all(|&o| o == 0) {
            return Err(HeaderError::Zeros);
        }
        if octets.starts_with(READY) {
            opening(octets, READY, CHECKSUM_AT)?;
            let reused = flag(octets[READY.len() + 2]).ok_or(HeaderError::Field("reused"))?;
            return Err(HeaderError::Ready(ReadyHeader { reused }));
        }
        opening(octets, MAGIC, CHECKSUM_AT)?;
        let header = SegmentHeader::fields(&octets[MAGIC.len() + 2..]);
        let header = header.ok_or(HeaderError::Field("length"))?;
        header.check()?;
        Ok(header)
    }

    /// Whether the header is coherent: before it is written, and after it was read.
    pub(in crate::store) fn check(&self) -> Result<(), HeaderError> {
        if self.first_lsn.0 == 0 || self.watermark >= self.first_lsn {
            return Err(HeaderError::Field("first LSN"));
        }
        if self.epoch > Epoch::LAST {
            return Err(HeaderError::Field("epoch"));
        }
        // A number without an epoch is not taken for one of another epoch.
        if ![Epoch(0), self.epoch].contains(&self.segment.epoch()) {
            return Err(HeaderError::Field("segment"));
        }
        if self.log.0 >= self.logs {
            return Err(HeaderError::Field("log"));
        }
        let is_end = |end: u32| (end as usize).is_multiple_of(BLOCK) && end != 0;
        if self.previous.is_some_and(|(_, end)| !is_end(end)) {
            return Err(HeaderError::Field("end of the previous segment"));
        }
        Ok(())
    }

    fn fields(octets: &[u8]) -> Option<SegmentHeader> {
        let mut take = Take::new(octets);
        let log = LogId(take.u16()?);
        let epoch = Epoch(take.u32()?);
        let segment = SegmentId(take.u64()?);
        let salt = take.u64()?;
        let first_lsn = Lsn(take.u64()?);
        let watermark = Lsn(take.u64()?);
        let previous = (SegmentId(take.u64()?), take.u32()?);
        let size = take.u32()?;
        let created = take.u64()?;
        let logs = take.u16()?;
        let reused = flag(take.u8()?)?;
        let previous = (previous.0.0 != 0).then_some(previous);
        Some(SegmentHeader {
            segment,
            epoch,
            log,
            logs,
            salt,
            first_lsn,
            watermark,
            previous,
            size,
            created,
            reused,
        })
    }
}

impl ReadyHeader {
    /// Writes the header block into the first [`BLOCK`] octets of `out`.
    ///
    /// # Panics
    /// When `out` is shorter.
    pub fn encode(&self, out: &mut [u8]) {
        let block = &mut out[..BLOCK];
        block.fill(0);
        let mut put = Put::new(block);
        put.octets(READY);
        put.u16(VERSION);
        put.u8(self.reused.into());
        let checksum = xxh3_64(&block[..CHECKSUM_AT]);
        block[CHECKSUM_AT..LENGTH].copy_from_slice(&checksum.to_le_bytes());
    }
}

fn flag(octet: u8) -> Option<bool> {
    match octet {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Checks what headers of segments, frames and record files have in common: magic, version, and a
/// checksum at `checksum_at` over everything before it.
pub(in crate::store) fn opening(
    header: &[u8],
    magic: &[u8],
    checksum_at: usize,
) -> Result<(), HeaderError> {
    let mut take = Take::new(header);
    if take.octets(magic.len()) != Some(magic) {
        let zeros = header.iter().all(|&o| o == 0);
        return Err(if zeros { HeaderError::Zeros } else { HeaderError::Magic });
    }
    let version = take.u16().ok_or(HeaderError::Magic)?;
    let expected = Take::new(&header[checksum_at..]).u64().ok_or(HeaderError::Magic)?;
    let got = xxh3_64(&header[..checksum_at]);
    if expected != got {
        return Err(HeaderError::Checksum { expected, got });
    }
    match version {
        VERSION => Ok(()),
        0 => Err(HeaderError::Field("version")),
        _ => Err(HeaderError::OtherVersion { version }),
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Zeros => f.write_str("nothing was written here"),
            HeaderError::Ready(_) => f.write_str("its header says that it is not in use"),
            HeaderError::Magic => f.write_str("no header stands here"),
            HeaderError::OtherVersion { version } => {
                write!(f, "format version {version}, this mailrace reads {VERSION}")
            }
            HeaderError::Checksum { expected, got } => {
                write!(f, "checksum {got:016x}, written was {expected:016x}")
            }
            HeaderError::Field(name) => write!(f, "field \"{name}\" makes no sense"),
        }
    }
}

impl std::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            segment: SegmentId(7),
            epoch: Epoch(3),
            log: LogId(1),
            logs: 2,
            salt: 0x1122_3344_5566_7788,
            first_lsn: Lsn(100),
            watermark: Lsn(98),
            previous: Some((SegmentId(5), 8192)),
            size: 1 << 20,
            created: 1_700_000_000,
            reused: false,
        }
    }

    #[test]
    fn a_header_comes_back_as_it_was_written() {
        let mut block = vec![0xAA; BLOCK];
        let first = SegmentHeader { previous: None, first_lsn: Lsn(1), ..header() };
        let reused = SegmentHeader { reused: true, ..header() };
        for header in [header(), reused, SegmentHeader { watermark: Lsn(0), ..first }] {
            header.encode(&mut block);
            assert_eq!(SegmentHeader::decode(&block), Ok(header));
        }
    }

    #[test]
    fn every_octet_counts() {
        let mut block = vec![0; BLOCK];
        header().encode(&mut block);
        for at in 0..LENGTH {
            block[at] ^= 0x10;
            assert!(SegmentHeader::decode(&block).is_err(), "octet {at}");
            block[at] ^= 0x10;
        }
    }

    #[test]
    fn zeros_are_no_header() {
        assert_eq!(SegmentHeader::decode(&[0; BLOCK]), Err(HeaderError::Zeros));
        assert_eq!(SegmentHeader::decode(&[]), Err(HeaderError::Magic));
    }

    /// `src/manual/format.rs`, octet by octet.
    #[test]
    fn a_segment_that_is_ready_says_so() {
        for reused in [false, true] {
            let mut block = vec![0xAA; BLOCK];
            let ready = ReadyHeader { reused };
            ready.encode(&mut block);
            assert_eq!(block[..10], *b"prepared\x03\0");
            assert_eq!((block[10], &block[11..CHECKSUM_AT]), (reused.into(), &[0; 77][..]));
            assert!(block[LENGTH..].iter().all(|&octet| octet == 0));
            assert_eq!(SegmentHeader::decode(&block), Err(HeaderError::Ready(ready)));
            for at in 0..LENGTH {
                block[at] ^= 0x10;
                let damaged = SegmentHeader::decode(&block).expect_err("no segment header");
                assert!(!matches!(damaged, HeaderError::Ready(_)), "octet {at}");
                block[at] ^= 0x10;
            }
        }
    }

    #[test]
    fn numbers_belong_to_their_epoch() {
        let first = SegmentId::first_of(Epoch(3));
        assert_eq!((first, first.epoch()), (SegmentId(3 << 40 | 1), Epoch(3)));
        assert_eq!(SegmentId(u64::MAX).epoch(), Epoch::LAST);
        let mut block = vec![0; BLOCK];
        for (segment, epoch, wrong) in [
            (first, Epoch(3), None),
            (first, Epoch(4), Some("segment")),
            (SegmentId(7), Epoch(1 << 24), Some("epoch")),
        ] {
            let header = SegmentHeader { segment, epoch, ..header() };
            header.encode(&mut block);
            let decoded = SegmentHeader::decode(&block);
            assert_eq!(decoded, wrong.map_or(Ok(header), |field| Err(HeaderError::Field(field))));
        }
    }

    #[test]
    fn another_version_is_told_from_rot() {
        let mut block = vec![0; BLOCK];
        header().encode(&mut block);
        block[8] = 9;
        let checksum = xxh3_64(&block[..CHECKSUM_AT]);
        block[CHECKSUM_AT..LENGTH].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&block), Err(HeaderError::OtherVersion { version: 9 }));
    }
}
