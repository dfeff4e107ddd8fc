//! Names and states of segments.

use std::sync::Barrier;
use std::{fs, hint, thread};

use super::*;

const SEVEN: SegmentId = SegmentId(7);

#[test]
fn only_segments_are_listed_and_half_prepared_ones_removed() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["00000000000000000007.seg", "7.seg", "notes.txt", "x.preparing"] {
        fs::write(dir.path().join(name), [1; 10]).unwrap();
    }
    let segments = Segments::open(dir.path()).unwrap();
    assert_eq!(segments.list().unwrap(), [(SEVEN, 10)]);
    assert!(!dir.path().join("x.preparing").exists());
    segments.truncate(SEVEN, 5).unwrap();
    assert_eq!(segments.length(SEVEN), Some(5));
    assert_eq!(segments.list().unwrap(), [(SEVEN, 5)]);
    segments.remove(SEVEN).unwrap();
    assert_eq!(segments.list().unwrap(), []);
    assert_eq!(segments.state(SEVEN), None);
}

#[test]
fn a_segment_goes_from_ready_to_active_to_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let segments = Segments::open(dir.path()).unwrap();
    let (file, _) = segments.create(SEVEN).unwrap();
    assert_eq!(segments.list().unwrap(), []);
    file.set_length(8192).unwrap();
    segments.publish(SEVEN, &file, 8192).unwrap();
    let state = |segments: &Segments| segments.state(SEVEN).unwrap();
    assert_eq!(state(&segments), SegmentState::Ready);
    segments.activate(SEVEN);
    // Reading the folder again takes nothing back.
    assert_eq!(segments.list().unwrap(), [(SEVEN, 8192)]);
    assert_eq!(state(&segments), SegmentState::Active);
    segments.seal(SEVEN, 4096);
    assert_eq!(state(&segments), SegmentState::Sealed);
    assert_eq!(segments.counts(), SegmentCounts { sealed: 1, ..SegmentCounts::default() });
    assert_eq!(segments.end(SEVEN), Some((4096, true)));
    segments.stripped(SEVEN, 200);
    fs::remove_file(segments.path(SEVEN)).unwrap();
    assert_eq!(segments.list().unwrap(), []);
    assert_eq!(segments.counts(), SegmentCounts { stripped: 1, ..SegmentCounts::default() });
    assert_eq!((segments.length(SEVEN), segments.end(SEVEN)), (Some(200), None));
}

#[test]
#[should_panic(expected = "has to be Ready")]
fn a_sealed_segment_is_never_written_to_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(SEVEN.file_name()), [0; 8192]).unwrap();
    let segments = Segments::open(dir.path()).unwrap();
    segments.list().unwrap();
    segments.activate(SEVEN);
}

/// As long as an operation of a killed process holds a file that is written to, a start waits.
#[test]
fn writes_of_an_earlier_process_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let segments = Segments::open(dir.path()).unwrap();
    let (file, _) = segments.create(SEVEN).unwrap();
    file.set_length(8192).unwrap();
    segments.publish(SEVEN, &file, 8192).unwrap();
    drop(file);
    let (writing, _) = segments.open_to_write(SEVEN).unwrap();
    let opening = std::thread::spawn({
        let folder = dir.path().to_owned();
        move || Segments::open(&folder).map(drop)
    });
    let (_, inode) = writing.identity().unwrap();
    let waits = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let waiting = format!(":{inode} 0 EOF");
        locks.lines().any(|line| line.contains("-> FLOCK") && line.ends_with(&waiting))
    };
    while !waits() {
        assert!(!opening.is_finished(), "it did not wait");
        std::thread::yield_now();
    }
    drop(writing);
    opening.join().unwrap().unwrap();
}

/// A folder in which this segment is stripped, with its octets.
fn stripped(folder: &Path, segment: SegmentId) -> Segments {
    let segments = Segments::open(folder).unwrap();
    fs::write(segments.path(segment), [7; 4 * BLOCK]).unwrap();
    segments.stripped(segment, 200);
    segments
}

const EIGHT: SegmentId = SegmentId(8);

/// A first block, at an address that O_DIRECT accepts.
#[repr(align(4096))]
struct Aligned([u8; BLOCK]);

static ONES: Aligned = Aligned([1; BLOCK]);

#[test]
fn a_stripped_segment_is_used_again_under_another_number() {
    let dir = tempfile::tempdir().unwrap();
    let segments = stripped(dir.path(), SEVEN);
    let ready = segments.reuse(SEVEN, EIGHT, BLOCK as u32, &ONES.0).unwrap().unwrap();
    assert_eq!((ready.segment, ready.length, ready.reused), (EIGHT, 4 * BLOCK as u64, true));
    assert_eq!(segments.state(EIGHT), Some(SegmentState::Ready));
    assert_eq!(fs::read(segments.path(EIGHT)).unwrap()[..=BLOCK][BLOCK - 1..], [1, 7]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_segment_that_a_backup_links_or_that_is_short_goes() {
    for (linked, least) in [(true, BLOCK), (false, 5 * BLOCK)] {
        let (dir, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let segments = stripped(dir.path(), SEVEN);
        let link = backup.path().join("7.seg");
        if linked {
            fs::hard_link(segments.path(SEVEN), &link).unwrap();
        }
        assert_eq!(segments.reuse(SEVEN, EIGHT, least as u32, &ONES.0).unwrap(), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(!linked || fs::read(&link).unwrap() == [7; 4 * BLOCK]);
    }
}

/// A backup that links a segment at the moment when its file is used again has the octets of the
/// segment, or knows that it does not have them.
#[test]
fn a_link_that_counts_never_gets_other_octets() {
    let (dir, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut counted, mut reused) = (0, 0);
    for round in 0..400_u32 {
        let number = SegmentId(u64::from(2 * round) + 10);
        let segments = stripped(dir.path(), number);
        let (source, link) = (segments.path(number), backup.path().join(number.file_name()));
        let begun = Barrier::new(2);
        let counts = thread::scope(|scope| {
            let counts = scope.spawn(|| {
                begun.wait();
                (0..round * 200).for_each(|_| hint::spin_loop());
                fs::hard_link(&source, &link).is_ok() && source.exists()
            });
            begun.wait();
            let ready = segments.reuse(number, number.next(), BLOCK as u32, &ONES.0);
            reused += u32::from(ready.unwrap().is_some());
            counts.join().unwrap()
        });
        if counts {
            counted += 1;
            assert!(fs::read(&link).unwrap() == [7; 4 * BLOCK], "round {round}");
        }
    }
    println!("{counted} links count, {reused} files were used again");
    assert!(reused > 0);
}
