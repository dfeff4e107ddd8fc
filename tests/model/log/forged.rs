//! Frames made by a client: images of frames inside messages are never taken for frames.

use mailrace::store::{BatchId, Epoch, FrameHeader, LogId, Lsn, SegmentId, frame};

use super::simple::{BLOCK, Log, SALT};

/// A message that holds, at every block, the image of a frame of segment 1.
fn message(salt: u64, length: u32, watermark: u64) -> Vec<u8> {
    let image = FrameHeader {
        epoch: Epoch(1),
        log: LogId(0),
        salt,
        segment: SegmentId(1),
        lsn: Lsn(1 << 40),
        watermark: Lsn(watermark),
        stream: BatchId(0),
        position: 0,
        length,
        payload: length - frame::HEADER as u32,
        records: 0,
        count: 0,
    };
    let mut octets = vec![b'x'; 4 * BLOCK as usize];
    for block in 1..4 {
        image.encode(&mut octets[block * BLOCK as usize - frame::HEADER..]);
    }
    octets
}

/// A durable frame, and a torn one with this message.
fn torn(message: &[u8]) -> Log {
    let mut log = Log::new();
    log.segment(1, 64);
    log.frame(b"one", &[]);
    log.sync();
    let (segment, offset) = log.frame(message, &[]);
    log.disk.rot(segment, offset as usize, 0);
    log
}

#[test]
fn a_forged_watermark_does_not_keep_the_server_from_starting() {
    let mut log = torn(&message(SALT + 1, BLOCK, 1 << 39));
    assert_eq!(log.recover(&[]).expect("a torn tail").frames, 1);
}

#[test]
fn whoever_knew_the_salt_could_forge_one() {
    torn(&message(SALT, BLOCK, 1 << 39)).damage(&[]);
}

#[test]
fn a_forged_length_does_not_hide_what_proves_damage() {
    let mut log = Log::new();
    log.segment(1, 64);
    let (segment, offset) = log.frame(&message(SALT + 1, 60 * BLOCK, 0), &[]);
    log.sync();
    log.frame(b"two", &[]);
    log.disk.rot(segment, offset as usize, 0);
    log.damage(&[]);
}
