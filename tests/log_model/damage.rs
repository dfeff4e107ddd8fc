//! Rot in what was acknowledged is reported and changes nothing.

use mailrace::log::{RecoveryError, frame};
use mailrace::types::Lsn;

use crate::World;
use crate::writer::FrameInfo;

/// Tries on every disk that a history leaves behind.
const TRIES: usize = 8;

/// Turns over one bit after the other and has the log read.
pub fn rot_is_never_cut(world: &mut World) {
    let provable = provable_frames(world);
    if provable.is_empty() {
        return;
    }
    for _ in 0..TRIES {
        let FrameInfo { place, payload, records, .. } =
            provable[world.random.below(provable.len())];
        // Headers and records always count; octets of the payload only where a message lies.
        let at = match world.random.below(2) {
            0 => world.random.below(frame::HEADER),
            _ if records > 0 => frame::records_at(payload) + world.random.below(records),
            _ => world.random.below(frame::HEADER),
        };
        let (offset, bit) = (place.offset as usize + at, world.random.below(8) as u32);
        world.disk.rot(place.segment, offset, bit);
        let before = world.disk.octets();
        match world.read(&[]) {
            Err(RecoveryError::Damaged(damage)) => {
                assert_eq!(damage.file, place.segment);
                assert!(damage.offset <= offset as u64);
            }
            other => panic!("octet {offset} of segment {} rots: {other:?}", place.segment),
        }
        assert!(before == world.disk.octets(), "recovery changed a damaged log");
        world.disk.rot(place.segment, offset, bit);
    }
    a_rotten_header_is_missed(world, &provable);
    a_lost_file_is_missed(world);
    world.read(&[]).expect("all bits are back");
}

/// The header of a segment in which a frame is proven durable by another one in it.
fn a_rotten_header_is_missed(world: &mut World, provable: &[FrameInfo]) {
    let first = provable[world.random.below(provable.len())].place;
    let same = |frame: &&FrameInfo| frame.place.segment == first.segment;
    let lowest = provable.iter().filter(same).map(|frame| frame.place.lsn).min();
    let shown = provable.iter().filter(same).map(|frame| frame.place.watermark).max();
    if shown < lowest {
        return;
    }
    let (offset, bit) = (world.random.below(96), world.random.below(8) as u32);
    let zeros = world.random.below(4) == 0;
    let complete = world.disk.clone();
    if zeros {
        world.disk.erase_header(first.segment);
    } else {
        world.disk.rot(first.segment, offset, bit);
    }
    let before = world.disk.octets();
    match world.read(&[]) {
        Err(RecoveryError::Damaged(damage)) => assert_eq!(damage.file, first.segment),
        other => panic!("the header of segment {} is gone: {other:?}", first.segment),
    }
    assert!(before == world.disk.octets(), "recovery changed a damaged log");
    world.disk = complete;
}

/// A segment that has a provable frame, and is not the last of its log.
fn a_lost_file_is_missed(world: &mut World) {
    let mut lost = None;
    for frames in world.frames.values() {
        let last = frames.last().map(|frame| frame.place.segment);
        let proven = frames.iter().map(|frame| frame.place.watermark).max().unwrap_or_default();
        let frame = frames.first().filter(|f| Some(f.place.segment) != last);
        lost = lost.or(frame.filter(|frame| frame.place.lsn <= proven).map(|f| f.place.segment));
    }
    let Some(lost) = lost else { return };
    let complete = world.disk.clone();
    world.disk.lose_file(lost);
    let before = world.disk.octets();
    match world.read(&[]) {
        Err(RecoveryError::Damaged(damage)) => assert_eq!(damage.file, lost),
        other => panic!("segment {lost} is missing: {other:?}"),
    }
    assert!(before == world.disk.octets(), "recovery changed a damaged log");
    world.disk = complete;
}

/// Frames of which the log itself proves that they were durable: a later frame says so, or a
/// later epoch has begun.
fn provable_frames(world: &World) -> Vec<FrameInfo> {
    let newest = world.frames.iter().filter(|(_, frames)| !frames.is_empty());
    let newest = newest.map(|(&(epoch, _), _)| epoch).max().unwrap_or_default();
    let of_log = world.frames.iter().flat_map(|(&(epoch, _), frames)| {
        let shown = frames.iter().map(|frame| frame.place.watermark).max().unwrap_or(Lsn(0));
        let provable = move |frame: &&FrameInfo| epoch < newest || frame.place.lsn <= shown;
        frames.iter().filter(provable)
    });
    of_log.copied().collect()
}
