//! Recovery from a log that was written and then corrupted in any way, with right checksums.
//!
//! Input: an octet of flags, then steps, each an octet and what it needs. Whatever they do to the
//! disk, recovery ends without a panic. It does not change what it refuses to read. After it has
//! cut a log, a second recovery reads the same and cuts nothing. A log that was not corrupted is
//! complete. When its segments are stripped, it reads the same; when record files are dropped that
//! a snapshot covers, it still reads the same behind the snapshot; and when a record file is
//! corrupted, that is damage, or nothing that this recovery needed.

mod world;

use std::collections::BTreeMap;

use mailrace::store::{
    Change, LogPosition, Recovered, RecoveryError, Replayed, SegmentId, recover,
};

use super::input::Input;
use crate::disk::Disk;
use crate::folder::Folder;
use world::World;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.u8();
    let mut world = World::new();
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
    let from = if flags & 1 == 1 { world.positions.clone() } else { Vec::new() };
    let patience = (flags & 2 == 2).then_some(u32::from(flags >> 4));
    // Seldom: files are slow.
    let strips = flags & 30 == 28;
    check(&world, &from, patience, strips);
}

type Outcome = Result<(Recovered, Vec<Replayed>), RecoveryError>;

fn read(disk: &mut Disk, from: &[LogPosition]) -> Outcome {
    let mut found = Vec::new();
    let recovered = recover(disk, from, &mut |replayed| {
        found.push(replayed);
        Ok(())
    })?;
    Ok((recovered, found))
}

fn check(world: &World, from: &[LogPosition], patience: Option<u32>, strips: bool) {
    let mut disk = world.disk.clone();
    let outcome = read(&mut disk, from);
    let (recovered, found) = match outcome {
        Ok(read) => read,
        Err(error) => {
            assert!(!world.is_sound(), "nobody spoilt it: {error}");
            assert!(!error.to_string().is_empty());
            assert!(disk.files == world.disk.files, "{error}: and it was changed");
            return;
        }
    };
    only_shortened(&disk, &world.disk);
    sizes_add_up(&found);
    if world.is_sound() && from.is_empty() {
        assert_eq!(found, world.written, "a log that nobody spoilt");
        assert_eq!(recovered.cut, Vec::<String>::new());
    }
    // Recover again, as after a crash right after the first recovery.
    let after = disk.files.clone();
    let (again, same) = read(&mut disk, from).expect("what was recovered can be read");
    assert_eq!(same, found, "the second time something else is found");
    assert_eq!(again.cut, Vec::<String>::new(), "the second time more is cut");
    assert!(disk.files == after, "the second time octets are cut");
    assert_eq!((again.frames, &again.ends), (recovered.frames, &recovered.ends));
    from_its_ends(&mut disk, &recovered);
    if strips {
        stripped(&disk, from, &again, &same);
    }
    if let Some(patience) = patience {
        killed_while_cutting(world, from, patience, &found, &after);
    }
}

/// Every segment that can be is stripped, and then one record file is corrupted.
fn stripped(disk: &Disk, from: &[LogPosition], recovered: &Recovered, found: &[Replayed]) {
    let folder = Folder::of(disk);
    let stripped: Vec<_> =
        disk.files.keys().copied().filter(|&segment| folder.strip(segment).is_ok()).collect();
    let (again, same) = folder.recover(from).expect("no octets are needed");
    assert_eq!(same, found, "stripped, something else is found");
    assert_eq!((&again.ends, again.frames), (&recovered.ends, recovered.frames));
    assert_eq!(again.cut.len(), stripped.len());
    dropped(disk, from, &recovered.ends);
    let Some(&segment) = stripped.get(found.len() % stripped.len().max(1)) else { return };
    let mut octets = folder.record_file(segment);
    let at = (recovered.octets as usize + 31 * found.len()) % octets.len();
    octets[at] ^= 1 << (found.len() % 8);
    folder.put_record_file(segment, &octets);
    let before = folder.content();
    match folder.recover(from) {
        Ok((_, other)) => assert_eq!(other, found, "a corrupted record file is believed"),
        Err(RecoveryError::Damaged(damage)) => {
            let report = damage.to_string();
            assert!(report.contains(&segment.record_file_name()), "{report}");
        }
        Err(error) => panic!("one octet of a record file: {error}"),
    }
    assert!(folder.content() == before, "something was cut");
}

/// Every segment is stripped, and its record file is dropped if a snapshot at these positions, or
/// at the end of the log, covers it. What is behind the positions does not change.
fn dropped(disk: &Disk, from: &[LogPosition], ends: &[LogPosition]) {
    for positions in [from, ends] {
        // A snapshot has the positions of the last epoch.
        let last = positions.iter().map(|at| at.epoch).max();
        let of_last = positions.iter().filter(|at| Some(at.epoch) == last).copied();
        let positions: Vec<_> = of_last.collect();
        let folder = Folder::of(disk);
        let Ok((_, found)) = folder.recover(&positions) else { continue };
        let left = folder.drop_covered(&positions);
        let (_, same) = folder.recover(&positions).expect("nothing is needed that was dropped");
        assert_eq!(same, found, "with the record files of {left} segments, something else");
    }
}

/// Nothing is left to read from the ends that recovery names.
fn from_its_ends(disk: &mut Disk, recovered: &Recovered) {
    if recovered.ends.is_empty() {
        return;
    }
    let (rest, nothing) = read(disk, &recovered.ends).expect("its own ends");
    assert_eq!((rest.frames, nothing), (0, Vec::new()));
}

/// Recovery only cuts files, and adds zeros that end a frame.
fn only_shortened(disk: &Disk, before: &Disk) {
    for (segment, octets) in &disk.files {
        let old = before.files.get(segment).expect("no file is made");
        let (kept, more) = octets.split_at(octets.len().min(old.len()));
        assert!(old.starts_with(kept), "segment {segment} holds something else");
        assert!(more.iter().all(|&octet| octet == 0), "segment {segment} has become longer");
    }
}

/// A message that recovery found has as many octets as its record says.
fn sizes_add_up(found: &[Replayed]) {
    for replayed in found {
        let Change::Append { commit, messages } = &replayed.change else { continue };
        assert_eq!(messages.len(), commit.messages as usize);
        for message in messages {
            let sizes = message.fragments.iter().map(|fragment| u64::from(fragment.length));
            assert_eq!(sizes.sum::<u64>(), message.size);
        }
    }
}

/// The next recovery finishes one that was killed after a few changes.
fn killed_while_cutting(
    world: &World,
    from: &[LogPosition],
    patience: u32,
    found: &[Replayed],
    after: &BTreeMap<SegmentId, Vec<u8>>,
) {
    let mut disk = world.disk.clone();
    disk.patience = Some(patience);
    let killed = read(&mut disk, from).is_err();
    disk.patience = None;
    let (_, same) = read(&mut disk, from).expect("what was cut in part can be read");
    assert_eq!(same, found, "killed: {killed}");
    let lengths = |files: &BTreeMap<SegmentId, Vec<u8>>| -> Vec<(SegmentId, usize)> {
        files.iter().map(|(&segment, octets)| (segment, octets.len())).collect()
    };
    assert_eq!(lengths(&disk.files), lengths(after), "killed: {killed}");
    assert!(&disk.files == after, "killed: {killed}");
}
