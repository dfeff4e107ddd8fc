//! The real binary, killed at any moment, on disks that are full, fail, or lose data: acknowledged
//! mail is there, whole, or the damage is named.

mod backup;
mod changer;
mod damage;
mod emptied;
mod full;
mod load;
mod owned;
mod quarantine;
mod rot;
mod rounds;
mod shadow;
mod state;
mod verify;

use kit::{Folder, Random};
use kit::{Image, Kind};

use rounds::{End, World};

/// Rounds on one folder before the next folder starts empty: each round checks all mail.
const ROUNDS: usize = 10;

/// Number of crashes: MAILRACE_CRASHES, or else `few`.
fn crashes(few: usize) -> usize {
    let given = std::env::var("MAILRACE_CRASHES");
    given.map_or(few, |crashes| crashes.parse().expect("a number"))
}

#[test]
fn everything_acknowledged_survives_kill_9_whole() {
    let mut random = Random::seeded();
    let mut world = World::new(Folder::new());
    for crash in 0..crashes(8) {
        if crash > 0 && crash % ROUNDS == 0 {
            world = World::new(Folder::new());
        }
        let end = random.pick(&[End::Kill, End::Kill, End::Kill, End::Kill, End::Terminate]);
        world.round(end, None, &mut random);
    }
}

#[test]
fn everything_acknowledged_survives_crashes_and_power_losses_on_ext4() {
    survives_on(Kind::Ext4);
}

#[test]
fn everything_acknowledged_survives_crashes_and_power_losses_on_xfs() {
    survives_on(Kind::Xfs);
}

fn survives_on(kind: Kind) {
    let mut random = Random::seeded();
    let Some(image) = Image::new(kind, "crash", 2000) else { return };
    let mut world = World::new(image.folder());
    for crash in 0..crashes(6) {
        if crash > 0 && crash % ROUNDS == 0 {
            world = World::new(image.folder());
        }
        let end = [End::PowerLoss, End::Kill, End::DiskFails, End::Kill, End::Kill][crash % 5];
        world.round(end, Some(&image), &mut random);
    }
}
