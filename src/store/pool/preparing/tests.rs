//! The thread of the pool, step by step, on a real folder.

use std::fs;

use super::*;
use crate::store::format::{HeaderError, ReadyHeader, SegmentHeader};
use crate::store::pool::Spare;
use crate::store::segments::Segments;

fn ready(segment: u64, length: u64) -> ReadySegment {
    ReadySegment { segment: SegmentId(segment), length, reused: false }
}

fn worker(dir: &tempfile::TempDir, ready: Vec<ReadySegment>) -> Worker {
    let config = PoolConfig {
        segments: Segments::open(dir.path()).unwrap(),
        size: 5 << 19,
        first: 1 << 20,
        least: 1 << 19,
        reserve: 1 << 19,
        reserves: 0,
        piece: 1 << 19,
        spare: Spare::new(dir.path(), 0),
        ahead: 2,
        first_id: SegmentId(10),
        ready,
        stale: Vec::new(),
        purges: false,
        ingested: Arc::default(),
    };
    Worker::new(config, Arc::default())
}

#[test]
fn segments_are_filled_with_zeros_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = worker(&dir, Vec::new());
    while worker.wants_work() {
        worker.step();
    }
    assert_eq!(worker.ready, [ready(10, 5 << 19), ready(11, 5 << 19)]);
    let prepared = worker.provide(Kind::Usual).unwrap();
    assert!(prepared.written && prepared.segment == SegmentId(10));
    let octets = fs::read(dir.path().join(SegmentId(10).file_name())).unwrap();
    assert!(octets.len() == 5 << 19 && octets[BLOCK..].iter().all(|&o| o == 0));
    let header = SegmentHeader::decode(&octets[..BLOCK]);
    assert_eq!(header, Err(HeaderError::Ready(ReadyHeader { reused: false })));
    assert_eq!(worker.counts.unprepared.load(Ordering::Relaxed), 0);
}

#[test]
fn an_empty_pool_hands_out_a_merely_allocated_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = worker(&dir, Vec::new());
    let prepared = worker.provide(Kind::Usual).unwrap();
    assert_eq!(prepared.file.length().unwrap(), 5 << 19);
    assert_eq!(worker.counts.unprepared.load(Ordering::Relaxed), 1);
    let small = worker.provide(Kind::First).unwrap();
    assert!(small.written && small.size == 1 << 20);
}

#[test]
fn what_is_held_back_comes_first_and_outlives_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = worker(&dir, Vec::new());
    first.config.reserves = 2;
    while first.wants_work() {
        first.step();
    }
    assert_eq!(first.reserve, [ready(10, 1 << 19), ready(11, 1 << 19)]);
    assert_eq!(first.ready.len(), 2);
    // Mail never gets them, however often it asks.
    for _ in 0..4 {
        assert!(first.provide(Kind::Usual).unwrap().size > 1 << 19);
    }
    // Of two, one is kept for what removes something.
    let (any, last) = (Kind::Reserve { last: false }, Kind::Reserve { last: true });
    assert_eq!(first.provide(any).unwrap().segment, SegmentId(10));
    assert!(first.provide(any).unwrap_err().is_full());

    let left = vec![ready(11, 1 << 19), ready(12, 5 << 19)];
    let config = PoolConfig { reserves: 2, ready: left, ..first.config };
    let mut second = Worker::new(config, Arc::default());
    assert_eq!(second.reserve, [ready(11, 1 << 19)]);
    assert_eq!(second.ready, [ready(12, 5 << 19)]);
    assert!(second.lacks_reserve() && second.provide(last).is_ok());
    assert!(second.provide(last).unwrap_err().is_full());
}

#[test]
fn a_folder_that_is_gone_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = worker(&dir, Vec::new());
    worker.look_around();
    assert_eq!(worker.counts.lost.get(), None);
    let (path, moved) = (dir.path().to_owned(), dir.path().with_extension("moved"));
    fs::rename(&path, &moved).unwrap();
    worker.around = None;
    worker.look_around();
    assert!(worker.counts.lost.get().unwrap().contains(path.to_str().unwrap()));
    fs::remove_dir_all(moved).unwrap();
}

#[test]
fn what_earlier_runs_left_is_used_first() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(SegmentId(3).file_name()), vec![0; 3 * BLOCK]).unwrap();
    let left = vec![ready(2, 100), ready(3, 3 * BLOCK as u64), ready(4, 8192)];
    let mut worker = worker(&dir, left);
    let prepared = worker.provide(Kind::Usual).unwrap();
    assert_eq!((prepared.segment, prepared.size), (SegmentId(3), 3 * BLOCK as u32));
    // Segment 4 is gone: passed over.
    assert_eq!(worker.provide(Kind::First).unwrap().segment, SegmentId(10));
}

/// The file of a cleaned segment is used again, with the octets in it, unless they have to go.
#[test]
fn a_pool_that_purges_uses_no_file_again() {
    for purges in [false, true] {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join("records")).unwrap();
        let dir = tempfile::tempdir_in(&data).unwrap();
        let mut worker = worker(&dir, Vec::new());
        worker.config.purges = purges;
        let segments = worker.config.segments.clone();
        fs::write(dir.path().join(SegmentId(3).file_name()), vec![7; 5 << 19]).unwrap();
        segments.stripped(SegmentId(3), 200);
        worker.take_back(SegmentId(3));
        assert_eq!(worker.ready.len(), usize::from(!purges));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), usize::from(!purges));
    }
}

#[test]
fn preparing_steps_back_only_while_mail_comes_in() {
    let second = Duration::from_secs(1);
    assert_eq!(pause_for(0, second), Duration::ZERO);
    assert_eq!(pause_for(BUSY as u64 / 2, second), PAUSE / 2);
    assert_eq!(pause_for(u64::MAX, Duration::ZERO), PAUSE);
}
