//! Frames that a client made: images of frames inside of messages are never taken for frames.

use mailrace::log::{FrameHeader, RecoveryError, Sequencer, frame, recover};
use mailrace::types::{BatchId, Epoch, LogId, Lsn, SegmentId};

use crate::disk::Disk;

const SEGMENT: SegmentId = SegmentId(1);
const SALT: u64 = 0x5EED;
const SIZE: u32 = 64 * 4096;

/// A log of so many frames of one block, each durable before the next is composed.
struct Log {
    disk: Disk,
    sequencer: Sequencer,
}

impl Log {
    fn new() -> Log {
        let mut log =
            Log { disk: Disk::default(), sequencer: Sequencer::new(Epoch(1), LogId(0), 1, SALT) };
        log.disk.create(SEGMENT, SIZE);
        let mut block = vec![0; 4096];
        log.sequencer.open_segment(SEGMENT, SIZE, 0).encode(&mut block);
        log.write(0, block);
        log.sequencer.header_written(SEGMENT);
        log
    }

    /// A frame with this payload; its offset comes back.
    fn frame(&mut self, payload: &[u8], durable: bool) -> u32 {
        let length = frame::sealed_len(payload.len(), 0);
        let place = self.sequencer.reserve(length as u32).expect("room");
        let mut octets = vec![0; length];
        octets[frame::HEADER..][..payload.len()].copy_from_slice(payload);
        frame::seal(&mut octets, &place, BatchId(1), 0, payload.len(), &[]);
        self.write(place.offset, octets);
        self.sequencer.written(place.lsn);
        if durable {
            let plan = self.sequencer.begin_sync().expect("something to sync");
            self.sequencer.synced(&plan);
        }
        place.offset
    }

    fn write(&mut self, offset: u32, octets: Vec<u8>) {
        let write = self.disk.write(SEGMENT, offset, octets);
        self.disk.complete(SEGMENT, write);
        self.disk.synced(SEGMENT, &[write]);
    }

    fn recover(&mut self) -> Result<u64, RecoveryError> {
        recover(&mut self.disk, &[], &mut |_| Ok(())).map(|recovered| recovered.frames)
    }
}

/// A message that holds, at every block, the image of a frame of this segment.
fn message(blocks: usize, header: FrameHeader) -> Vec<u8> {
    let mut octets = vec![b'x'; blocks * 4096];
    for block in 1..blocks {
        header.encode(&mut octets[block * 4096 - frame::HEADER..]);
    }
    octets
}

fn image(salt: u64, length: u32, watermark: u64) -> FrameHeader {
    FrameHeader {
        epoch: Epoch(1),
        log: LogId(0),
        salt,
        segment: SEGMENT,
        lsn: Lsn(1 << 40),
        watermark: Lsn(watermark),
        stream: BatchId(0),
        position: 0,
        length,
        payload: length - frame::HEADER as u32,
        records: 0,
        count: 0,
    }
}

#[test]
fn a_forged_watermark_does_not_keep_the_server_from_starting() {
    let mut log = Log::new();
    log.frame(b"one", true);
    let torn = log.frame(&message(4, image(SALT + 1, 4096, 1 << 39)), false);
    log.disk.rot(SEGMENT, torn as usize, 0);
    assert_eq!(log.recover().expect("a torn tail"), 1);
}

#[test]
fn with_the_salt_known_it_would_so_the_test_above_tests_something() {
    let mut log = Log::new();
    log.frame(b"one", true);
    let torn = log.frame(&message(4, image(SALT, 4096, 1 << 39)), false);
    log.disk.rot(SEGMENT, torn as usize, 0);
    assert!(matches!(log.recover(), Err(RecoveryError::Damaged(_))));
}

#[test]
fn a_forged_length_does_not_hide_what_proves_damage() {
    let mut log = Log::new();
    let rotten = log.frame(&message(4, image(SALT + 1, 60 * 4096, 0)), true);
    log.frame(b"two", true);
    log.disk.rot(SEGMENT, rotten as usize, 0);
    assert!(matches!(log.recover(), Err(RecoveryError::Damaged(_))));
}
