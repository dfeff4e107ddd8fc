//! Damage to acknowledged data is reported and changes nothing. A recovery that goes past it finds
//! all that does not depend on the damaged frame, and nothing else.

use mailrace::store::{
    Change, Damage, Lsn, RecoveryError, Replayed, VisitError, Visitor, frame, recover_with,
};

use super::World;
use super::writer::{Entry, FrameInfo};

/// Attempts on each disk that a history leaves.
const TRIES: usize = 8;

/// Flips one bit at a time and reads the log.
pub fn rot_is_never_cut(world: &mut World) {
    let provable = provable_frames(world);
    if provable.is_empty() {
        return;
    }
    for _ in 0..TRIES {
        let FrameInfo { place, payload, records, .. } =
            provable[world.random.below(provable.len())];
        // Headers and records always matter, octets of the payload only inside a message.
        let at = match world.random.below(2) {
            0 => world.random.below(frame::HEADER),
            _ if records > 0 => frame::records_at(payload) + world.random.below(records),
            _ => world.random.below(frame::HEADER),
        };
        let (offset, bit) = (place.offset as usize + at, world.random.below(8) as u32);
        world.disk.rot(place.segment, offset, bit);
        let before = world.disk.files.clone();
        match world.read(&[]) {
            Err(RecoveryError::Damaged(damage)) => {
                assert_eq!(damage.file, place.segment);
                assert!(damage.offset <= offset as u64);
            }
            other => panic!("octet {offset} of segment {} rots: {other:?}", place.segment),
        }
        assert!(before == world.disk.files, "recovery changed a damaged log");
        let (found, damages) = read_past(world);
        assert!(!damages.is_empty(), "nothing is said");
        let lost = |entry: &Entry| {
            (entry.epoch, entry.log, entry.lsn) == (place.epoch, place.log, place.lsn)
        };
        check_past(world, &found, &lost);
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
    let before = world.disk.files.clone();
    match world.read(&[]) {
        Err(RecoveryError::Damaged(damage)) => assert_eq!(damage.file, first.segment),
        other => panic!("the header of segment {} is gone: {other:?}", first.segment),
    }
    assert!(before == world.disk.files, "recovery changed a damaged log");
    // The frames after a header say all that it says.
    let (found, damages) = read_past(world);
    assert!(damages.iter().any(|damage| damage.file == first.segment));
    check_past(world, &found, &|_| false);
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
    let before = world.disk.files.clone();
    match world.read(&[]) {
        Err(RecoveryError::Damaged(damage)) => assert_eq!(damage.file, lost),
        other => panic!("segment {lost} is missing: {other:?}"),
    }
    assert!(before == world.disk.files, "recovery changed a damaged log");
    let inside: Vec<_> = world.frames.values().flatten().map(|frame| frame.place).collect();
    let gone = |entry: &Entry| {
        inside.iter().any(|place| {
            place.segment == lost
                && (entry.epoch, entry.log, entry.lsn) == (place.epoch, place.log, place.lsn)
        })
    };
    let (found, damages) = read_past(world);
    assert!(!damages.is_empty(), "nothing is said");
    check_past(world, &found, &gone);
    world.disk = complete;
}

/// Recovers past all damage, then restores the disk.
fn read_past(world: &mut World) -> (Vec<Entry>, Vec<Damage>) {
    #[derive(Default)]
    struct Lenient(Vec<Replayed>, Vec<Damage>);
    impl Visitor for Lenient {
        fn change(&mut self, replayed: Replayed) -> Result<(), VisitError> {
            self.0.push(replayed);
            Ok(())
        }

        fn damage(&mut self, damage: Damage) -> Result<(), RecoveryError> {
            self.1.push(damage);
            Ok(())
        }
    }
    let complete = world.disk.clone();
    let mut lenient = Lenient::default();
    recover_with(&mut world.disk, &[], &mut lenient).expect("it goes past damage");
    world.disk = complete;
    let entries = lenient.0.into_iter().map(|mut replayed| {
        let mut octets = world.octets_there(&mut replayed.change);
        if let Change::Append { messages, .. } = &replayed.change {
            // Without the records of some fragments a message is damaged, and reported as such.
            let pairs = messages.iter().zip(&mut octets);
            pairs.filter(|(m, o)| o.len() as u64 != m.size).for_each(|(_, o)| o.clear());
        }
        let (epoch, log, lsn) = (replayed.epoch, replayed.log, replayed.lsn);
        Entry { epoch, log, lsn, change: replayed.change, octets }
    });
    (entries.collect(), lenient.1)
}

/// Everything found was written, or is a part of a batch. Everything written is there, at least in
/// part, except what is `lost`.
fn check_past(world: &World, found: &[Entry], lost: &dyn Fn(&Entry) -> bool) {
    let same_place = |one: &Entry, other: &Entry| {
        (one.epoch, one.log, one.lsn) == (other.epoch, other.log, other.lsn)
    };
    for entry in found {
        let fits = |written: &&Entry| same_place(written, entry) && is_part(entry, written);
        assert!(world.history.iter().any(|e| fits(&e)), "nobody wrote this: {entry:?}");
    }
    for written in world.history.iter().filter(|entry| !lost(entry)) {
        let fits = |entry: &Entry| same_place(written, entry) && is_part(entry, written);
        assert!(found.iter().any(fits), "this is gone: {written:?}");
    }
    assert!(found.is_sorted_by_key(|entry| (entry.epoch, entry.log, entry.lsn)));
}

fn is_part(entry: &Entry, written: &Entry) -> bool {
    if entry == written {
        return true;
    }
    let (Change::Append { commit, messages }, Change::Append { commit: whole, messages: all }) =
        (&entry.change, &written.change)
    else {
        return false;
    };
    let Some(from) = commit.first_uid.0.checked_sub(whole.first_uid.0) else { return false };
    let first_email = match whole.first_email.is_given() {
        true => whole.first_email.plus(from),
        false => Some(whole.first_email),
    };
    let range = from as usize..from as usize + messages.len();
    let Some(octets) = written.octets.get(range.clone()) else { return false };
    let mut pairs = octets.iter().zip(&entry.octets);
    commit.mailbox == whole.mailbox
        && commit.modseq == whole.modseq
        && Some(commit.first_email) == first_email
        && all.get(range) == Some(&messages[..])
        && pairs.all(|(written, found)| found.is_empty() || written == found)
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
