//! Record files on a real file system.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Dropped, RecordFile, drop_records, strip, was_dropped};
use crate::limits::BLOCK;
use crate::store::format::{
    BatchId, Epoch, FrameHeader, HEADER, HeaderError, LogId, LogPosition, Lsn, MailboxId, Record,
    SegmentHeader, SegmentId, records_at,
};
use crate::store::{SegmentState, Segments, Sequencer, frame, sealed_len};

const SEVEN: SegmentId = SegmentId(7);

/// A folder with segment 7: frames with these payloads, and some room behind them.
struct Folder {
    dir: TempDir,
    segments: Segments,
    /// The segment up to the end of its last frame.
    octets: Vec<u8>,
}

impl Folder {
    fn new(payloads: &[usize]) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        let segments = Segments::open(&dir.path().join("segments")).unwrap();
        let mut octets = vec![0; 32 * BLOCK];
        let mut sequencer = Sequencer::new(Epoch(2), LogId(0), 1, 99);
        sequencer.open_segment(SEVEN, octets.len() as u32, 5).encode(&mut octets);
        let mut end = BLOCK;
        for &payload in payloads {
            let record = Record::DeleteMailbox { account: "anna".into(), mailbox: MailboxId(3) };
            // Some frames have payload alone.
            let records = if payload == 77 { vec![] } else { vec![record] };
            let length = sealed_len(payload, records.iter().map(Record::encoded_len).sum());
            let place = sequencer.reserve(length as u32).unwrap();
            let room = &mut octets[end..end + length];
            room[HEADER..HEADER + payload].fill(b'x');
            frame::seal(room, &place, BatchId(1), 0, payload, &records);
            end += length;
        }
        fs::write(segments.path(SEVEN), &octets).unwrap();
        segments.note_ready(SEVEN, octets.len() as u64);
        segments.activate(SEVEN);
        segments.seal(SEVEN, end as u32);
        octets.truncate(end);
        Folder { dir, segments, octets }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("records/00000000000000000007.rec")
    }

    fn open(&self) -> Result<RecordFile, HeaderError> {
        RecordFile::open(&self.segments, SEVEN).unwrap()
    }

    /// What is wrong with the record file.
    fn flaw(&self) -> Option<HeaderError> {
        match self.open() {
            Ok(file) => file.flaw().unwrap(),
            Err(error) => Some(error),
        }
    }

    /// The segment without the octets of messages.
    fn without_payload(&self) -> Vec<u8> {
        let mut octets = self.octets.clone();
        let mut at = BLOCK;
        while at < octets.len() {
            let frame = FrameHeader::decode(&octets[at..]).unwrap();
            octets[at + HEADER..at + records_at(frame.payload as usize)].fill(0);
            at += frame.length as usize;
        }
        octets
    }
}

#[test]
fn a_record_file_shows_the_segment_without_its_payload() {
    for payloads in [&[][..], &[0], &[77], &[10, 5_000, 0, 77, 20_000, 3]] {
        let folder = Folder::new(payloads);
        let length = strip(&folder.segments, SEVEN).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().len(), length);
        assert_eq!(folder.segments.state(SEVEN), Some(SegmentState::Stripped));
        assert_eq!(folder.segments.length(SEVEN), Some(length));
        let file = folder.open().unwrap();
        let expected = folder.without_payload();
        assert_eq!(file.end(), expected.len() as u64);
        assert_eq!(file.flaw().unwrap(), None);
        for size in [1, 100, BLOCK, 3 * BLOCK + 17, 1 << 20] {
            let step = size.max(61);
            for at in (0..expected.len() + 2 * BLOCK).step_by(step) {
                let mut out = vec![0xEE; size];
                let read = file.read_at(&mut out, at as u64).unwrap();
                let end = expected.len().min(at + size);
                assert_eq!(out[..read], expected[at.min(end)..end], "{size} octets at {at}");
            }
        }
    }
}

fn position(epoch: u32, log: u16, segment: SegmentId, lsn: u64) -> LogPosition {
    let (epoch, log) = (Epoch(epoch), LogId(log));
    LogPosition { epoch, log, segment, offset: 4096, lsn: Lsn(lsn), applied: Lsn(lsn - 1) }
}

#[test]
fn record_files_go_once_a_snapshot_has_everything_in_them() {
    let eight = SegmentId(8);
    let folder = Folder::new(&[10, 77, 5_000]);
    let length = strip(&folder.segments, SEVEN).unwrap();
    let stripped = folder.segments.record_files();
    assert_eq!(stripped, [(SEVEN, length)]);
    let dropped = |positions: &[LogPosition]| {
        drop_records(&folder.segments, &stripped, positions).unwrap().files > 0
    };
    let covered = [position(2, 0, eight, 4), position(2, 1, SegmentId(9), 7)];
    assert!(!dropped(&covered), "the segment's own file is there");
    fs::remove_file(folder.segments.path(SEVEN)).unwrap();
    assert!(!dropped(&[]));
    assert!(!dropped(&[position(2, 0, SEVEN, 2)]), "the position is in it");
    assert!(!dropped(&[position(2, 1, eight, 9)]), "the log has no position");
    assert!(!dropped(&[position(2, 0, eight, 1)]), "the position is before it");
    assert!(!dropped(&[position(1, 0, eight, 9)]), "the positions are of an earlier epoch");
    let octets = fs::read(folder.path()).unwrap();
    fs::write(folder.path(), &octets[..octets.len() - 1]).unwrap();
    assert!(!dropped(&covered), "it is damaged");
    fs::write(folder.path(), &octets).unwrap();
    assert!(!was_dropped(folder.dir.path()).unwrap());

    let all = Dropped { files: 1, octets: length };
    assert_eq!(drop_records(&folder.segments, &stripped, &covered).unwrap(), all);
    assert!(!folder.path().exists());
    assert!(was_dropped(folder.dir.path()).unwrap());
    assert_eq!(folder.segments.state(SEVEN), None);
}

#[test]
fn later_epochs_cover_all_of_the_earlier_ones() {
    let folder = Folder::new(&[10]);
    strip(&folder.segments, SEVEN).unwrap();
    fs::remove_file(folder.segments.path(SEVEN)).unwrap();
    let stripped = folder.segments.record_files();
    let later = [position(3, 5, SegmentId(3 << 40 | 1), 1)];
    assert_eq!(drop_records(&folder.segments, &stripped, &later).unwrap().files, 1);
}

#[test]
fn every_octet_counts() {
    let folder = Folder::new(&[10, 77, 5_000]);
    strip(&folder.segments, SEVEN).unwrap();
    let octets = fs::read(folder.path()).unwrap();
    for at in 0..octets.len() {
        let mut rotten = octets.clone();
        rotten[at] ^= 0x10;
        fs::write(folder.path(), rotten).unwrap();
        assert!(folder.flaw().is_some(), "octet {at}");
        fs::write(folder.path(), &octets[..at]).unwrap();
        assert!(folder.flaw().is_some(), "the first {at} octets");
    }
    fs::write(folder.path(), [&octets[..], &[0]].concat()).unwrap();
    assert!(folder.flaw().is_some(), "an octet more");
    fs::write(folder.path(), octets).unwrap();
    assert_eq!(folder.flaw(), None);
}

#[test]
fn a_damaged_file_shows_the_header_of_the_segment_at_most() {
    let folder = Folder::new(&[10, 5_000]);
    strip(&folder.segments, SEVEN).unwrap();
    let mut octets = fs::read(folder.path()).unwrap();
    let last = octets.len() - 1;
    octets[last] ^= 1;
    fs::write(folder.path(), &octets).unwrap();
    let file = folder.open().unwrap();
    let mut out = vec![0; 3 * BLOCK];
    assert_eq!(file.read_at(&mut out[..BLOCK], 0).unwrap(), BLOCK);
    assert_eq!(out[..BLOCK], folder.octets[..BLOCK]);
    assert_eq!(file.read_at(&mut out, 0).unwrap(), BLOCK);
    assert_eq!(file.read_at(&mut out, BLOCK as u64).unwrap(), 0);
    octets[20] ^= 1;
    fs::write(folder.path(), octets).unwrap();
    assert!(matches!(folder.open().err(), Some(HeaderError::Checksum { .. })));
}

#[test]
fn only_a_whole_and_sealed_segment_is_stripped() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let folder = Folder::new(&[10, 5_000]);
        let mut octets = folder.octets.clone();
        change(&mut octets);
        fs::write(folder.segments.path(SEVEN), octets).unwrap();
        let error = strip(&folder.segments, SEVEN).unwrap_err().to_string();
        assert!(error.contains("00000000000000000007.seg keeps its octets"), "{error}");
        let left = fs::read_dir(folder.dir.path().join("records"));
        assert_eq!(left.map_or(0, Iterator::count), 0, "{error}");
        assert_eq!(folder.segments.state(SEVEN), Some(SegmentState::Sealed));
    };
    let (second, records) = (2 * BLOCK, 3 * BLOCK + records_at(5_000) % BLOCK);
    refused(&|octets| octets[20] ^= 1);
    refused(&|octets| octets[second + 20] ^= 1);
    refused(&|octets| octets[records] ^= 1);
    refused(&|octets| octets.truncate(second));
    refused(&|octets| octets.truncate(records));
    refused(&|octets| octets.copy_within(BLOCK..2 * BLOCK, second));
    // A frame fewer than there should be, and one that runs over the end.
    let folder = Folder::new(&[10, 5_000]);
    for end in [4 * BLOCK + BLOCK, 3 * BLOCK] {
        let segments = Segments::open(folder.segments.folder()).unwrap();
        segments.note_ready(SEVEN, 32 * BLOCK as u64);
        segments.activate(SEVEN);
        let error = strip(&segments, SEVEN).unwrap_err().to_string();
        assert!(error.contains("is not sealed"), "{error}");
        segments.seal(SEVEN, end as u32);
        assert!(strip(&segments, SEVEN).is_err(), "{end}");
    }
}

#[test]
fn what_an_interrupted_attempt_has_left_is_removed() {
    let folder = Folder::new(&[10]);
    let left = folder.path().with_extension("writing");
    fs::create_dir(folder.dir.path().join("records")).unwrap();
    fs::write(&left, [1; 100_000]).unwrap();
    // The next attempt of the same run writes over it.
    let length = strip(&folder.segments, SEVEN).unwrap();
    assert!(!left.exists());
    assert_eq!(fs::metadata(folder.path()).unwrap().len(), length);
    fs::write(&left, [1; 100]).unwrap();
    let segments = Segments::open(folder.segments.folder()).unwrap();
    assert!(!left.exists() && folder.path().exists());
    assert_eq!(segments.list_record_files().unwrap(), [(SEVEN, length)]);
}

/// A crash came between the end of the segment and its cutting, and the next start had no need to
/// read it.
#[test]
fn a_segment_that_was_not_cut_ends_where_the_next_one_says() {
    let folder = Folder::new(&[100, 77]);
    let end = folder.octets.len() as u32;
    let listed = || {
        let segments = Segments::open(&folder.dir.path().join("segments")).unwrap();
        segments.list().unwrap();
        segments
    };
    assert!(strip(&listed(), SEVEN).is_err(), "its end is not known");
    let header = SegmentHeader::decode(&folder.octets[..BLOCK]).unwrap();
    let (segment, previous) = (SegmentId(9), Some((SEVEN, end)));
    let header = SegmentHeader { segment, previous, ..header };
    let mut block = [0; BLOCK];
    header.encode(&mut block);
    let segments = listed();
    fs::write(segments.path(segment), [block, [0; BLOCK]].concat()).unwrap();
    let segments = listed();
    strip(&segments, SEVEN).unwrap();
    assert_eq!(RecordFile::open(&segments, SEVEN).unwrap().unwrap().end(), u64::from(end));
}
