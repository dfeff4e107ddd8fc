//! Logs of which some segments are stripped. They lie in a folder, as the record files of the
//! server do, and are read like the logs that they were: the same changes, the same ends, the same
//! torn tail cut off.

use std::collections::BTreeMap;
use std::fs;

use mailrace::store::{BatchId, Record, RecoveryError, SegmentId, VERSION, check_versions};
use xxhash_rust::xxh3::xxh3_64;

use super::World;
use super::simple::{BLOCK, Log};
use crate::folder::{Folder, read};

/// The power fails, in a history in which some segments were stripped before.
pub fn nothing_changes(world: &mut World) {
    let mut disk = world.disk.clone();
    disk.lose_power(&mut world.random);
    let from = world.checkpoint.clone();
    let mut candidates = Vec::new();
    for (segment, end) in left(world) {
        // The server knows the end of a segment that it has left in this run.
        let file = disk.files.get_mut(&segment).expect("a segment that was left");
        file.truncate(end as usize);
        if world.random.one_in(2) {
            candidates.push(segment);
        }
    }
    let folder = Folder::of(&disk);
    let plain = [&[][..], &from].map(|from| read(&mut disk.clone(), from).expect("a sound log"));
    for &segment in &candidates {
        folder.strip(segment).expect("a whole segment");
        if world.random.one_in(2) {
            folder.lose_segment(segment);
        }
    }
    damaged_records_are_named(world, &folder, &candidates);
    let (mut recovered, found) = folder.recover(&[]).expect("as before");
    // Those of which both files were there.
    recovered.cut.retain(|cut| !cut.ends_with("its records are kept"));
    assert_eq!((&recovered, &found), (&plain[0].0, &plain[0].1));
    let after = folder.content();
    assert!(candidates.iter().all(|&segment| !folder.segment(segment).exists()));
    let (again, found) = folder.recover(&from).expect("as before");
    assert_eq!(again.cut, Vec::<String>::new());
    assert_eq!((&again.ends, &found), (&plain[1].0.ends, &plain[1].1));
    assert!(after == folder.content(), "the second time something is cut");
}

/// The segments that their logs have left, and whose frames are all durable, with their ends.
fn left(world: &World) -> BTreeMap<SegmentId, u32> {
    let mut left = BTreeMap::new();
    let newest = world.writers[0].epoch;
    for (_, frames) in world.frames.iter().filter(|((epoch, _), _)| *epoch < newest) {
        for frame in frames {
            left.insert(frame.place.segment, frame.place.offset + frame.place.length);
        }
    }
    for writer in &world.writers {
        let frames = writer.frames.iter();
        for frame in frames.filter(|frame| !writer.sequencer.is_open(frame.place.segment)) {
            left.insert(frame.place.segment, frame.place.offset + frame.place.length);
        }
    }
    left
}

/// One octet of one record file at a time.
fn damaged_records_are_named(world: &mut World, folder: &Folder, stripped: &[SegmentId]) {
    for &segment in stripped.iter().filter(|&&segment| !folder.segment(segment).exists()).take(3) {
        let sound = folder.record_file(segment);
        let at = world.random.below(sound.len());
        let mut rotten = sound.clone();
        rotten[at] ^= 1 << world.random.below(8);
        fs::write(folder.records(segment), rotten).expect("written");
        let report = folder.damage();
        assert!(report.contains(&segment.record_file_name()), "octet {at}: {report}");
        fs::write(folder.records(segment), sound).expect("written");
    }
}

/// Three segments of one frame each, of which no watermark says that anything was durable.
fn three_segments() -> Log {
    let mut log = Log::new();
    for segment in 1..=3 {
        log.segment(segment, 2);
        log.frame(b"payload", &[Record::Cancel { batch: BatchId(segment) }]);
    }
    log
}

/// The folder of that log, with some segments stripped.
fn stripped(segments: &[u64]) -> Folder {
    let folder = Folder::of(&three_segments().disk);
    for &segment in segments {
        folder.strip(SegmentId(segment)).expect("a whole segment");
        folder.lose_segment(SegmentId(segment));
    }
    folder
}

#[test]
fn a_stripped_segment_shows_that_everything_before_it_was_durable() {
    // The frame in the segment before it.
    let folder = stripped(&[2]);
    let mut octets = fs::read(folder.segment(SegmentId(1))).expect("a segment");
    octets[BLOCK as usize + 20] ^= 1;
    folder.put_segment(SegmentId(1), &octets);
    assert!(folder.damage().contains("1.seg at octet 4096 (frame 1"));
    // Its header.
    octets[BLOCK as usize + 20] ^= 1;
    octets[20] ^= 1;
    folder.put_segment(SegmentId(1), &octets);
    assert!(folder.damage().contains("1.seg at octet 0"));
    // All of it.
    folder.lose_segment(SegmentId(1));
    assert!(folder.damage().contains("1.seg at octet 0"));
}

#[test]
fn a_damaged_record_file_is_never_a_torn_end() {
    for (segments, damaged) in [(&[1, 2][..], 1), (&[1, 2], 2), (&[1], 1), (&[3], 3)] {
        let folder = stripped(segments);
        let (_, found) = folder.recover(&[]).expect("sound");
        assert!(found.is_empty());
        let path = folder.records(SegmentId(damaged));
        let sound = fs::read(&path).expect("a record file");
        // The head, the frame, its record, the count.
        for at in [0, 9, 20, 130, 260, sound.len() - 12] {
            let mut rotten = sound.clone();
            rotten[at] ^= 1;
            fs::write(&path, rotten).expect("written");
            let report = folder.damage();
            assert!(report.contains(&format!("{damaged}.rec at octet")), "{report}");
        }
        fs::write(&path, &sound[..sound.len() / 2]).expect("written");
        assert!(folder.damage().contains(&format!("{damaged}.rec at octet")));
        fs::write(&path, []).expect("written");
        assert!(folder.damage().contains(&format!("{damaged}.rec at octet 0: no header")));
    }
}

#[test]
fn behind_stripped_segments_a_torn_end_is_cut_as_always() {
    let folder = stripped(&[1, 2]);
    let mut octets = fs::read(folder.segment(SegmentId(3))).expect("a segment");
    octets[BLOCK as usize + 20] ^= 1;
    folder.put_segment(SegmentId(3), &octets);
    let (recovered, _) = folder.recover(&[]).expect("a torn end");
    assert_eq!((recovered.frames, recovered.cut.len()), (2, 1));
    assert_eq!(fs::metadata(folder.segment(SegmentId(3))).expect("a segment").len(), 4096);
    let (recovered, _) = folder.recover(&[]).expect("cut");
    assert_eq!((recovered.frames, recovered.cut.len()), (2, 0));
    // Without a header as well, and without the file.
    folder.put_segment(SegmentId(3), &[0; 4096]);
    let (recovered, _) = folder.recover(&[]).expect("a torn end");
    assert_eq!((recovered.frames, recovered.ends[0].segment), (2, SegmentId(2)));
}

#[test]
fn of_both_files_the_record_file_wins_if_it_is_whole() {
    let folder = Folder::of(&three_segments().disk);
    folder.strip(SegmentId(1)).expect("a whole segment");
    let sound = folder.record_file(SegmentId(1));
    let mut rotten = sound.clone();
    rotten[130] ^= 1;
    fs::write(folder.records(SegmentId(1)), &rotten).expect("written");
    let before = folder.content();
    folder.recover(&[]).expect("the segment is there");
    assert!(before == folder.content());
    // The segment is in use for something else already.
    fs::write(folder.records(SegmentId(1)), &sound).expect("written");
    folder.put_segment(SegmentId(1), &[0x55; 8192]);
    let (recovered, _) = folder.recover(&[]).expect("the record file is whole");
    assert_eq!((recovered.frames, recovered.cut.len()), (3, 1));
    assert!(!folder.segment(SegmentId(1)).exists());
    assert_eq!(folder.record_file(SegmentId(1)), sound);
}

#[test]
fn a_record_file_of_another_version_is_refused() {
    let folder = stripped(&[1]);
    let mut octets = folder.record_file(SegmentId(1));
    octets[8..10].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let checksum = xxh3_64(&octets[..120]);
    octets[120..128].copy_from_slice(&checksum.to_le_bytes());
    fs::write(folder.records(SegmentId(1)), octets).expect("written");
    for error in [
        check_versions(&folder.medium()).expect_err("another version"),
        folder.recover(&[]).expect_err("another version"),
    ] {
        assert!(matches!(error, RecoveryError::OtherVersion { .. }), "{error}");
    }
}
