//! Names and states of segments.

use std::fs;

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
    assert_eq!(segments.end(SEVEN), Some(4096));
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
