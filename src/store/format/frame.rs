//! Frames. Each is one write: a header, received octets, records. Octet by octet:
//! [`crate::manual::format`].
//!
//! To write one: compute its length from those of payload and records ([`sealed_len`]), have the
//! [`Sequencer`](crate::store::Sequencer) reserve a place, tell the messages where they lie
//! ([`payload_offset`]), then [`seal`] it.

use xxhash_rust::xxh3::xxh3_64;

use super::ids::{BatchId, Epoch, LogId, Lsn, SegmentId};
use super::octets::{Put, Take};
use super::place::Place;
use super::record::Record;
use super::segment::{HeaderError, VERSION, opening};
use crate::limits::{BLOCK, FRAME};

/// Length of a frame's header in bytes. The payload begins here.
pub const HEADER: usize = 128;

const MAGIC: &[u8; 4] = b"mrfr";
const CHECKSUM_AT: usize = HEADER - 8;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The run of the server that wrote it.
    pub epoch: Epoch,
    /// The log it belongs to.
    pub log: LogId,
    /// The salt in the header of the segment.
    pub salt: u64,
    /// The segment it was written to.
    pub segment: SegmentId,
    /// Its number in the log.
    pub lsn: Lsn,
    /// The highest LSN known durable when this frame was composed. It proves that all frames up to
    /// that one were on the disk.
    pub watermark: Lsn,
    /// The batch that the octets belong to, or the first of several small ones. For people with a
    /// hex dump; recovery does not use it.
    pub stream: BatchId,
    /// How many frames of that batch come before this one.
    pub position: u32,
    /// Length of the frame in bytes, a multiple of [`BLOCK`].
    pub length: u32,
    /// Bytes of payload, from [`HEADER`] on.
    pub payload: u32,
    /// Bytes of records, from [`records_at`] on; a multiple of 8.
    pub records: u32,
    /// How many records those are.
    pub count: u32,
}

/// Offset in the frame of the records, after this many bytes of payload.
#[must_use]
pub fn records_at(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(8)
}

/// Length of a frame with this many bytes of payload and of records (the sum of
/// [`Record::encoded_len`](super::Record::encoded_len)). A multiple of [`BLOCK`].
#[must_use]
pub fn sealed_len(payload: usize, records: usize) -> usize {
    (records_at(payload) + records).next_multiple_of(BLOCK)
}

/// Offset in the segment of payload octet `at` of the frame at `place`.
#[must_use]
pub fn payload_offset(place: &Place, at: usize) -> u32 {
    assert!(HEADER + at <= place.length as usize, "payload octet {at} lies behind its frame");
    place.offset + (HEADER + at) as u32
}

/// Completes the frame around the payload that is already in `frame` from [`HEADER`] on: the
/// header before it, the records after it, zeros to the end of the last block. Returns the length
/// to write, which is that of `place`.
///
/// # Panics
/// When `place` was reserved for another length, or `frame` is shorter than that.
pub fn seal<'r>(
    frame: &mut [u8],
    place: &Place,
    stream: BatchId,
    position: u32,
    payload: usize,
    records: impl IntoIterator<Item = &'r Record>,
) -> usize {
    let start = records_at(payload);
    let length = place.length as usize;
    let frame = &mut frame[..length];
    frame[HEADER + payload..start].fill(0);
    let (mut end, mut count) = (start, 0);
    for record in records {
        end += record.encode(&mut frame[end..]);
        count += 1;
    }
    frame[end..].fill(0);
    assert_eq!(
        length,
        sealed_len(payload, end - start),
        "the place of frame {} was reserved for another length",
        place.lsn
    );
    let header = FrameHeader {
        epoch: place.epoch,
        log: place.log,
        salt: place.salt,
        segment: place.segment,
        lsn: place.lsn,
        watermark: place.watermark,
        stream,
        position,
        length: place.length,
        payload: payload as u32,
        records: (end - start) as u32,
        count,
    };
    // The counterpart of the check in `decode`.
    assert_eq!(header.check(), Ok(()), "frame {} of segment {}", header.lsn, header.segment);
    header.encode(&mut frame[..HEADER]);
    length
}

impl FrameHeader {
    /// Writes the header into the first [`HEADER`] bytes of `out`.
    ///
    /// # Panics
    /// When `out` is shorter.
    pub fn encode(&self, out: &mut [u8]) {
        let out = &mut out[..HEADER];
        out.fill(0);
        let mut put = Put::new(out);
        put.octets(MAGIC);
        put.u16(VERSION);
        put.u16(self.log.0);
        put.u32(self.epoch.0);
        put.u32(self.length);
        put.u64(self.segment.0);
        put.u64(self.salt);
        put.u64(self.lsn.0);
        put.u64(self.watermark.0);
        put.u64(self.stream.0);
        put.u32(self.position);
        put.u32(self.payload);
        put.u32(self.records);
        put.u32(self.count);
        assert!(put.len() <= CHECKSUM_AT, "the fields of a frame header run into its checksum");
        let checksum = xxh3_64(&out[..CHECKSUM_AT]);
        out[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Reads a header. Its lengths fit each other and are at most [`FRAME`].
    ///
    /// # Errors
    /// When there is none, or it is not of this version.
    pub fn decode(octets: &[u8]) -> Result<FrameHeader, HeaderError> {
        let octets = octets.get(..HEADER).ok_or(HeaderError::Magic)?;
        opening(octets, MAGIC, CHECKSUM_AT)?;
        let header = FrameHeader::fields(&octets[MAGIC.len() + 2..]);
        let header = header.ok_or(HeaderError::Field("length"))?;
        header.check()?;
        Ok(header)
    }

    /// Whether the header is coherent: before it is written, and after it was read.
    fn check(&self) -> Result<(), HeaderError> {
        let (payload, records) = (self.payload as usize, self.records as usize);
        if self.length as usize > FRAME || payload > FRAME || records > FRAME {
            return Err(HeaderError::Field("length"));
        }
        if self.length as usize != sealed_len(payload, records) {
            return Err(HeaderError::Field("length"));
        }
        if self.lsn.0 == 0 || self.watermark >= self.lsn {
            return Err(HeaderError::Field("LSN"));
        }
        Ok(())
    }

    fn fields(octets: &[u8]) -> Option<FrameHeader> {
        let mut take = Take::new(octets);
        let log = LogId(take.u16()?);
        let epoch = Epoch(take.u32()?);
        let length = take.u32()?;
        Some(FrameHeader {
            epoch,
            log,
            length,
            segment: SegmentId(take.u64()?),
            salt: take.u64()?,
            lsn: Lsn(take.u64()?),
            watermark: Lsn(take.u64()?),
            stream: BatchId(take.u64()?),
            position: take.u32()?,
            payload: take.u32()?,
            records: take.u32()?,
            count: take.u32()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode_records;
    use super::*;

    fn place(length: usize) -> Place {
        Place {
            segment: SegmentId(4),
            offset: 8192,
            length: length as u32,
            lsn: Lsn(12),
            watermark: Lsn(9),
            epoch: Epoch(3),
            log: LogId(1),
            salt: 77,
        }
    }

    #[test]
    fn a_sealed_frame_is_read_back_and_carries_no_old_octets() {
        let records = [Record::Cancel { batch: BatchId(1) }, Record::Cancel { batch: BatchId(2) }];
        let length = sealed_len(5, 2 * records[0].encoded_len());
        assert_eq!(length, BLOCK);
        let mut frame = vec![0xEE; 2 * BLOCK];
        frame[HEADER..HEADER + 5].copy_from_slice(b"hello");
        assert_eq!(seal(&mut frame, &place(length), BatchId(1), 6, 5, &records), length);

        let header = FrameHeader::decode(&frame).unwrap();
        assert_eq!((header.lsn, header.watermark, header.position), (Lsn(12), Lsn(9), 6));
        let start = records_at(header.payload as usize);
        let end = start + header.records as usize;
        assert_eq!(decode_records(&frame[start..end], header.count).unwrap(), records);
        assert_eq!(&frame[HEADER..HEADER + 5], b"hello");
        assert!(frame[HEADER + 5..start].iter().chain(&frame[end..BLOCK]).all(|&o| o == 0));
    }

    #[test]
    fn a_full_frame_has_room_for_nothing_else() {
        let payload = BLOCK - HEADER;
        assert_eq!(sealed_len(payload, 0), BLOCK);
        assert_eq!(sealed_len(payload + 1, 0), 2 * BLOCK);
        assert_eq!(payload_offset(&place(BLOCK), payload), 8192 + BLOCK as u32);
        let mut frame = vec![0xEE; BLOCK];
        seal(&mut frame, &place(BLOCK), BatchId(0), 0, payload, &[]);
        assert!(frame[HEADER..].iter().all(|&o| o == 0xEE));
    }

    #[test]
    fn every_octet_of_the_header_counts() {
        let mut frame = vec![0; BLOCK];
        seal(&mut frame, &place(BLOCK), BatchId(0), 0, 100, &[]);
        for at in 0..HEADER {
            frame[at] ^= 1;
            assert!(FrameHeader::decode(&frame).is_err(), "octet {at}");
            frame[at] ^= 1;
        }
    }

    #[test]
    fn lengths_that_do_not_fit_each_other_are_refused() {
        let mut frame = vec![0; BLOCK];
        seal(&mut frame, &place(BLOCK), BatchId(0), 0, 100, &[]);
        let good = FrameHeader::decode(&frame).unwrap();
        let bad = [
            FrameHeader { length: 8192, ..good },
            FrameHeader { payload: u32::MAX, ..good },
            FrameHeader { records: u32::MAX - 7, ..good },
            FrameHeader { length: 0, ..good },
            FrameHeader { watermark: Lsn(12), ..good },
        ];
        for header in bad {
            header.encode(&mut frame);
            assert!(FrameHeader::decode(&frame).is_err(), "{header:?}");
        }
    }
}
