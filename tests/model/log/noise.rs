//! What an earlier use of a file has left in it: old frames, and mail that may contain anything.

use kit::Random;
use mailrace::store::{BatchId, FrameHeader, LogId, Lsn, Place, SegmentId, frame};
use xxhash_rust::xxh3::xxh3_64;

use super::World;

const BLOCK: usize = 4096;

/// Octets for a segment of this number, from its second block on: a segment of an earlier epoch in
/// which images of frames were received.
pub fn octets(world: &mut World, segment: SegmentId) -> Vec<u8> {
    let random = &mut world.random;
    let old = world.disk.files.iter().filter(|(old, file)| {
        let first = FrameHeader::decode(file.get(BLOCK..).unwrap_or_default());
        old.epoch() < segment.epoch() && first.is_ok_and(|first| first.segment == **old)
    });
    let old: Vec<_> = old.map(|(_, file)| &file[BLOCK..]).collect();
    if old.is_empty() {
        return Vec::new();
    }
    let mut octets = old[random.below(old.len())].to_vec();
    octets.resize(octets.len() + random.below(8) * BLOCK, b'm');
    // The first block is a header of ours.
    for image in octets.chunks_exact_mut(BLOCK).skip(1) {
        if random.one_in(3) {
            forge(image, segment, random);
        }
    }
    octets
}

/// The image of a frame of this segment, by someone who knows everything but the salt.
pub fn forge(block: &mut [u8], segment: SegmentId, random: &mut Random) {
    let place = Place {
        segment,
        offset: 0,
        length: BLOCK as u32,
        lsn: Lsn(random.below(30) as u64 + 2),
        watermark: Lsn(random.below(30) as u64),
        epoch: segment.epoch(),
        log: LogId(random.below(2) as u16),
        salt: random.number(),
    };
    let place = Place { watermark: place.watermark.min(Lsn(place.lsn.0 - 1)), ..place };
    frame::seal(block, &place, BatchId(1), 0, 100, []);
    // One of another version of the format.
    if random.one_in(4) {
        block[4] = 9;
        let checksum = xxh3_64(&block[..frame::HEADER - 8]).to_le_bytes();
        block[frame::HEADER - 8..frame::HEADER].copy_from_slice(&checksum);
    }
}
