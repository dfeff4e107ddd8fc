//! Numbers of segments and epochs, segments that are ready, and segments that had another use.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;

use kit::Random;
use mailrace::store::{
    BatchId, Epoch, FrameHeader, LogId, LogPosition, Lsn, Medium, ReadyHeader, Record,
    RecoveryError, SegmentId, VERSION, check_versions, recover,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::noise::forge;
use super::simple::{BLOCK, Log};
use crate::disk::Disk;

/// The `number`th segment of an epoch.
fn segment(epoch: u32, number: u64) -> u64 {
    SegmentId::first_of(Epoch(epoch)).0 + number - 1
}

/// Epochs 1 to `last`, each with a segment of two frames, cut clean.
fn epochs(last: u32) -> (Log, Vec<LogPosition>) {
    let (mut log, mut ends) = (Log::new(), Vec::new());
    for epoch in 1..=last {
        log = Log::after(log.disk, Epoch(epoch));
        log.segment(segment(epoch, 1), 8);
        log.frame(b"a", &[]);
        log.frame(b"b", &[]);
        let recovered = log.recover(&[]).expect("a whole log");
        assert_eq!(recovered.next_epoch, Epoch(epoch + 1));
        ends = recovered.ends;
    }
    let last = ends.into_iter().filter(|end| end.epoch == Epoch(last)).collect();
    (log, last)
}

/// What stands behind the header of a segment of epoch 1, and images of frames of `reused`.
fn left_behind(log: &Log, reused: u64) -> Vec<u8> {
    let old = &log.disk.files[&SegmentId(segment(1, 1))];
    let mut left = old[BLOCK as usize..].to_vec();
    left.resize(30 * BLOCK as usize, b'm');
    let mut random = Random::new(7);
    for image in left.chunks_exact_mut(BLOCK as usize).skip(1) {
        forge(image, SegmentId(reused), &mut random);
    }
    left
}

/// Says which files are read.
struct Counting<'d> {
    disk: &'d mut Disk,
    read: RefCell<BTreeSet<SegmentId>>,
}

impl Medium for Counting<'_> {
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        self.disk.segments()
    }

    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        self.read.borrow_mut().insert(segment);
        self.disk.read_at(segment, offset, out)
    }

    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()> {
        self.disk.truncate(segment, length)
    }

    fn remove(&mut self, segment: SegmentId) -> io::Result<()> {
        self.disk.remove(segment)
    }
}

#[test]
fn with_a_catalog_only_files_of_the_newest_epochs_are_opened() {
    let (mut log, ends) = epochs(50);
    // The last one has no mail yet.
    log = Log::after(log.disk, Epoch(51));
    log.segment(segment(51, 1), 8);
    log.disk.create(SegmentId(segment(51, 2)), 8 * BLOCK);
    for (from, opened) in [(&ends[..], 3), (&[], 52)] {
        let mut medium = Counting { disk: &mut log.disk, read: RefCell::default() };
        check_versions(&medium).expect("all of this version");
        let recovered = recover(&mut medium, from, &mut |_| Ok(())).expect("a whole log");
        assert_eq!(medium.read.borrow().len(), opened);
        assert_eq!((recovered.next_epoch, recovered.ready.len()), (Epoch(52), 1));
        assert_eq!(recovered.stale, [SegmentId(segment(51, 1))]);
    }
}

/// Not only the first one: a start that is refused must have changed nothing.
#[test]
fn each_segment_of_the_newest_epoch_is_asked_for_its_version() {
    let mut log = Log::after(epochs(3).0.disk, Epoch(4));
    for number in 1..=20 {
        log.segment(segment(4, number), 8);
        log.frame(b"a", &[]);
    }
    let last = SegmentId(segment(4, 20));
    let mut header = log.disk.files[&last][..96].to_vec();
    header[8..10].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let checksum = xxh3_64(&header[..88]).to_le_bytes();
    header[88..].copy_from_slice(&checksum);
    log.disk.overwrite(last, 0, &header);
    let refused = check_versions(&log.disk);
    assert!(
        matches!(refused, Err(RecoveryError::OtherVersion { file, .. }) if file == last),
        "{refused:?}"
    );
}

#[test]
fn an_older_format_is_refused_even_by_a_start_that_would_not_read_it() {
    let (mut log, _) = epochs(3);
    log.disk.create(SegmentId(4), 8 * BLOCK);
    let mut header = log.disk.files[&SegmentId(segment(1, 1))][..96].to_vec();
    header[8..10].copy_from_slice(&(VERSION - 1).to_le_bytes());
    let checksum = xxh3_64(&header[..88]).to_le_bytes();
    header[88..].copy_from_slice(&checksum);
    log.disk.overwrite(SegmentId(4), 0, &header);
    let error = check_versions(&log.disk).expect_err("an older version");
    assert!(error.to_string().contains("4.seg was written by an older mailrace"), "{error}");
}

#[test]
fn nothing_can_follow_the_last_epoch() {
    let last = SegmentId::first_of(Epoch::LAST);
    assert_eq!(Epoch::LAST, Epoch((1 << 24) - 1));
    let refused = |log: &mut Log, from: &[LogPosition]| {
        let before = log.disk.files.clone();
        let error = log.recover(from).expect_err("there is no higher epoch");
        assert!(matches!(error, RecoveryError::LastEpoch { epoch: Epoch::LAST, .. }), "{error}");
        assert!(error.to_string().contains("Epochs end with 16777215"), "{error}");
        assert!(before == log.disk.files, "something was changed");
    };
    // A ready file, a log, and a log whose position is known.
    let mut log = epochs(1).0;
    log.disk.create(last, 8 * BLOCK);
    refused(&mut log, &[]);
    let mut log = Log::after(Disk::default(), Epoch::LAST);
    log.segment(last.0, 8);
    log.frame(b"a", &[]);
    refused(&mut log, &[]);
    let end = LogPosition {
        epoch: Epoch::LAST,
        log: LogId(0),
        segment: last,
        offset: 2 * BLOCK,
        lsn: Lsn(2),
        applied: Lsn(1),
    };
    refused(&mut log, &[end]);
    // The one before it is fine.
    let mut log = Log::after(Disk::default(), Epoch(Epoch::LAST.0 - 1));
    log.segment(segment(Epoch::LAST.0 - 1, 1), 8);
    assert_eq!(log.recover(&[]).expect("one is left").next_epoch, Epoch::LAST);
}

#[test]
fn segments_without_a_frame_are_stale_unless_the_log_goes_on_behind_them() {
    let (log, before) = epochs(1);
    let mut log = Log::after(log.disk, Epoch(2));
    log.segment(segment(2, 1), 8);
    log.segment(segment(2, 2), 8);
    let recovered = log.recover(&[]).expect("a whole log");
    let both = [SegmentId(segment(2, 2)), SegmentId(segment(2, 1))];
    // The last one goes first, and no position names them.
    assert_eq!((&recovered.stale[..], recovered.ends), (&both[..], before));

    let mut log = Log::after(Disk::default(), Epoch(2));
    log.segment(segment(2, 1), 8);
    log.segment(segment(2, 2), 8);
    log.frame(b"a", &[]);
    log.segment(segment(2, 3), 8);
    log.segment(segment(2, 4), 8);
    let recovered = log.recover(&[]).expect("a whole log");
    let last = [SegmentId(segment(2, 4)), SegmentId(segment(2, 3))];
    assert_eq!(recovered.stale, last);
    let [end] = recovered.ends[..] else { panic!("{:?}", recovered.ends) };
    assert_eq!((end.segment, end.offset), (SegmentId(segment(2, 2)), 2 * BLOCK));
    // With or without them the log is the same from there.
    for removed in [None, Some(last[0]), Some(last[1])] {
        removed.into_iter().for_each(|removed| log.disk.lose_file(removed));
        let again = log.recover(&[end]).expect("a whole log");
        assert_eq!((again.frames, &again.ends[..]), (0, &[end][..]));
        assert_eq!(log.recover(&[]).expect("a whole log").frames, 1);
    }
}

/// kill -9: everything that was written is there, and behind it what the file had before.
#[test]
fn what_an_earlier_use_left_is_no_damage_and_no_cut() {
    for frames in 0..6 {
        let (log, before) = epochs(1);
        let mut log = Log::after(log.disk, Epoch(2));
        let left = left_behind(&log, segment(2, 1));
        log.reused(segment(2, 1), 32, &left);
        for _ in 0..frames {
            log.frame(b"new", &[]);
            log.sync();
        }
        for from in [&before[..], &[]] {
            let recovered = log.recover(from).expect("no damage");
            assert_eq!(recovered.frames, frames + if from.is_empty() { 2 } else { 0 });
            assert_eq!(recovered.cut, Vec::<String>::new());
            assert_eq!(recovered.stale.len(), usize::from(frames == 0));
        }
        let length = log.disk.files[&SegmentId(segment(2, 1))].len() as u64;
        assert_eq!(length, u64::from(BLOCK) * (frames + 1), "the rest is cut off all the same");
    }
}

#[test]
fn frames_of_ours_are_found_in_what_an_earlier_use_left() {
    for synced in [false, true] {
        let (log, _) = epochs(1);
        let mut log = Log::after(log.disk, Epoch(2));
        let left = left_behind(&log, segment(2, 1));
        log.reused(segment(2, 1), 32, &left);
        let (file, offset) = log.frame(b"one", &[]);
        if synced {
            log.sync();
        }
        log.frame(b"two", &[]);
        // As if the second frame was on the disk before the first one.
        log.disk.overwrite(file, offset as usize, &left[..BLOCK as usize]);
        if synced {
            assert!(log.damage(&[]).contains("later frames say that it was durable"));
        } else {
            let recovered = log.recover(&[]).expect("nothing was acknowledged");
            assert_eq!((recovered.frames, recovered.cut.len()), (2, 1));
        }
    }
}

#[test]
fn a_torn_header_of_a_reused_segment_is_not_in_use_yet() {
    for (at, octet) in [(3, b'X'), (30, 0xFF), (95, 0xFF)] {
        let (log, before) = epochs(1);
        let mut log = Log::after(log.disk, Epoch(2));
        let file = SegmentId(segment(2, 1));
        let left = left_behind(&log, file.0);
        log.reused(file.0, 32, &left);
        log.disk.overwrite(file, at, &[octet]);
        for from in [&before[..], &[]] {
            let mut log = Log { disk: log.disk.clone(), ..Log::new() };
            let recovered = log.recover(from).expect("no damage");
            assert_eq!((&recovered.ends, recovered.cut.len()), (&before, 1));
            assert!(recovered.cut[0].contains("not in use yet") && recovered.ready.is_empty());
            assert!(!log.disk.files.contains_key(&file));
            assert_eq!(recovered.next_epoch, Epoch(3));
        }
    }
}

#[test]
fn a_ready_header_before_a_frame_of_its_own_is_a_lost_header() {
    for synced in [false, true] {
        let mut log = Log::after(epochs(1).0.disk, Epoch(2));
        let file = SegmentId(segment(2, 1));
        let left = left_behind(&log, file.0);
        log.reused(file.0, 32, &left);
        log.frame(b"one", &[]);
        if synced {
            log.sync();
        }
        log.frame(b"two", &[]);
        let mut block = vec![0; BLOCK as usize];
        ReadyHeader { reused: true }.encode(&mut block);
        log.disk.overwrite(file, 0, &block);
        if synced {
            let told = log.damage(&[]);
            assert!(told.contains("says that it is not in use") && told.contains("was durable"));
        } else {
            let recovered = log.recover(&[]).expect("nothing in it was acknowledged");
            assert_eq!((recovered.frames, recovered.ready.len()), (2, 0));
            assert!(!log.disk.files.contains_key(&file));
        }
    }
}

#[test]
fn ready_segments_are_known_by_their_header_alone() {
    let (mut log, before) = epochs(1);
    let file = SegmentId(segment(2, 1));
    let left = left_behind(&log, file.0);
    assert!(FrameHeader::decode(&left).is_ok_and(|first| first.segment != file));
    log.disk.reuse(file, 32 * BLOCK, &left);
    for from in [&before[..], &[]] {
        let recovered = log.recover(from).expect("a whole log");
        let [ready] = recovered.ready[..] else { panic!("{:?}", recovered.ready) };
        assert_eq!((ready.segment, ready.length, ready.reused), (file, 32 * 4096, true));
    }
    // One that a log names was in use, whatever stands in it.
    let named = LogPosition { segment: file, ..before[0] };
    assert!(log.damage(&[named]).contains("not the one of this log"));
}

#[test]
fn records_of_several_machines_are_refused_by_name() {
    for (kind, name) in [(13_u8, "give slot"), (14, "take slot"), (15, "retention")] {
        let mut log = Log::new();
        log.segment(1, 8);
        log.frame(b"", &[Record::Cancel { batch: BatchId(2) }]);
        let at = BLOCK as usize + 128;
        let mut record = log.disk.files[&SegmentId(1)][at..at + 24].to_vec();
        record[4] = kind;
        let checksum = xxh3_64_with_seed(&record[16..24], 8 | u64::from(kind) << 32);
        record[8..16].copy_from_slice(&checksum.to_le_bytes());
        log.disk.overwrite(SegmentId(1), at, &record);
        let told = log.recover(&[]).expect_err("not ours").to_string();
        let why = format!("several machines (a \"{name}\" record)");
        assert!(told.contains(&why) && told.contains("Nothing was changed"), "{told}");
    }
}
