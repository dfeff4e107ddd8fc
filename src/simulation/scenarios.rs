//! Runs with a plan for one case each: bugs that were found once and must not come back. After any
//! change to the draws, a seed of the general plan gives another run; a scenario keeps its case.

use std::time::Duration;

use kit::Random;

use super::plan::{Life, Plan};
use super::world::{Finding, PEOPLE, carry_out};
use crate::limits::SEGMENTS_OF_DISK;
use crate::reactor::fault::Fault;
use crate::reactor::simulation::{Loss, Temper};
use crate::reactor::{Thresholds, sleep};
use crate::server::{CleaningConfig, Config, SnapshotConfig};

/// Number of the account with a quota.
const BERT: usize = 1;

/// A plan with one life and small segments.
fn plan(temper: Temper, life: Life) -> Plan {
    let config = Config {
        segment_size: 320 << 10,
        first_segment: 320 << 10,
        reserve: 320 << 10,
        reserves: 2,
        spare: 512 << 10,
        segments_ahead: 1,
        append_limit: 1 << 30,
        ..Config::default()
    };
    Plan { temper, config, lives: vec![life], backs_up: false }
}

fn life() -> Life {
    Life {
        clients: 4,
        commands: 30,
        reactors: 1,
        fails_after: None,
        loss: Loss::Nothing,
        without_catalog: false,
        rots: false,
        shared: Some(BERT),
        races: true,
        large: false,
    }
}

#[track_caller]
fn all_are_right(seeds: u64, draw: impl Fn(&mut Random, u64) -> Plan) {
    let run = |seed| carry_out(seed, |random| draw(random, seed), None, None);
    let found: Vec<Finding> = (0..seeds).filter_map(|seed| run(seed).err()).collect();
    let told = found.iter().map(Finding::to_string).collect::<Vec<_>>();
    assert!(found.is_empty(), "{} of {seeds}: {}", found.len(), told.join("\n"));
}

/// Sessions move, mark, copy and expunge the same messages of a nearly full account. MOVE must not
/// bring back expunged messages, and the quota must hold.
#[test]
fn moves_race_expunges() {
    assert!(PEOPLE[BERT].quota.is_some());
    all_are_right(150, |random, _| {
        let slow = Temper {
            disk: random.pick(&[0, 5, 30]),
            sync: random.pick(&[2, 20, 100]),
            network: random.pick(&[0, 1, 10]),
            ..Temper::default()
        };
        plan(slow, life())
    });
}

/// Like `moves_race_expunges`, but each record names only one range of UIDs.
#[test]
fn moves_race_expunges_in_parts() {
    all_are_right(150, |random, _| {
        let slow = Temper {
            disk: random.pick(&[0, 5, 30]),
            sync: random.pick(&[2, 20, 100]),
            network: random.pick(&[0, 1, 10]),
            thresholds: Thresholds { uid_ranges: 1, ..Thresholds::STANDARD },
            ..Temper::default()
        };
        plan(slow, life())
    });
}

/// Fragments that are in the log ahead of a message belong to that message, and not to earlier
/// messages of the same APPEND. Without a catalog, replay reads all of them.
#[test]
fn fragments_do_not_overtake_the_messages_before_them() {
    all_are_right(60, |random, _| {
        let few = Temper {
            disk: random.pick(&[0, 5]),
            slice: random.pick(&[1_500, 9_000]),
            leases: random.pick(&[(6, 4), (20, 12)]),
            thresholds: Thresholds { records_waiting: 1, ..Thresholds::STANDARD },
            ..Temper::default()
        };
        plan(few, Life { shared: Some(0), races: false, without_catalog: true, ..life() })
    });
}

/// A reactor has no room for its first segment. The power fails while the start waits for the other
/// reactors to end, at any step.
#[test]
fn the_power_fails_while_a_start_waits_for_room() {
    all_are_right(160, |random, seed| {
        // Three reactors, with room for the catalog and two segments.
        let capacity = random.pick(&[800 << 10, 900 << 10, 5 << 20]);
        let full = Temper { disk: 5, sync: 20, thread: 20, capacity, ..Temper::default() };
        let life = Life { reactors: 3, fails_after: Some(20 + seed % 80), ..life() };
        let mut plan = plan(full, life);
        plan.config.segment_size = 4 << 20;
        plan.config.first_segment = random.pick(&[320 << 10, 1 << 20]);
        plan
    });
}

/// The process is killed with frames on the disk that are not durable. The next start applies them
/// and fails; then a power loss takes what it can. The catalog must not have what the log has lost.
#[test]
fn a_failed_start_is_not_ahead_of_the_log() {
    all_are_right(200, failed_starts);
}

fn failed_starts(random: &mut Random, _: u64) -> Plan {
    let temper = Temper {
        sync: 100,
        // Often enough that a start fails while it cuts the log, and not before.
        opens_fail: 150_000,
        thresholds: Thresholds { replay_gathers: 1, ..Thresholds::STANDARD },
        ..Temper::default()
    };
    let killed = Life { fails_after: Some(random.within(200, 1_500) as u64), ..life() };
    let lives = vec![killed, Life { clients: 1, commands: 1, loss: Loss::Everything, ..life() }];
    Plan { lives, ..plan(temper, life()) }
}

/// Servers on a slow disk are killed one after the other, and what they were writing lands later:
/// in the segment that the next server has begun.
#[test]
fn what_a_killed_server_left_in_flight_harms_nothing() {
    all_are_right(200, kills);
}

fn kills(random: &mut Random, _: u64) -> Plan {
    let temper = Temper { disk: 200, ..Temper::default() };
    let mut killed = || Life { fails_after: Some(random.within(200, 1_500) as u64), ..life() };
    let lives = (0..5).map(|_| killed()).collect();
    Plan { lives, ..plan(temper, life()) }
}

/// A plan aimed at a fault that hardly any seed of the general plan would notice.
pub fn aimed_at(fault: Fault) -> Option<fn(&mut Random, u64) -> Plan> {
    match fault {
        Fault::TailUnsettled => Some(failed_starts),
        Fault::LateWritesForgotten => Some(kills),
        Fault::RelocatedBeforeDurable => Some(busy_cleaning),
        Fault::SnapshotHalfBelieved | Fault::RecordsDroppedEarly | Fault::TailDropped => {
            Some(many_snapshots)
        }
        Fault::BackupWithoutRecords => Some(backups),
        Fault::CountedTwice => Some(failing_checkpoints),
        Fault::GivenUpUncounted => Some(purges),
        Fault::RelocatedAmidCopy => Some(long_copies),
        _ => None,
    }
}

/// What has to go is purged at the end, by a pool that wants all segments that it can get.
fn purges(random: &mut Random, _: u64) -> Plan {
    let mut plan = Plan::draw(random);
    plan.temper.capacity = 9 << 20;
    plan.config.segments_ahead = 64;
    plan.config.cleaning.purge_within = Some(Duration::from_secs(3_600));
    for life in &mut plan.lives {
        (life.rots, life.loss) = (false, Loss::Nothing);
    }
    plan
}

/// Nothing but the octets of expunged mail goes.
#[test]
fn purging_takes_the_dead_alone() {
    all_are_right(60, purges);
}

/// Checkpoints are written all the time, and often the disk reports an error for one that it has.
fn failing_checkpoints(random: &mut Random, _: u64) -> Plan {
    let mut plan = Plan::draw(random);
    plan.temper.sync_fails = 50_000;
    plan.temper.thresholds.checkpoint_log = 1;
    plan.temper.capacity = Temper::default().capacity;
    for life in &mut plan.lives {
        (life.without_catalog, life.rots, life.fails_after) = (false, false, None);
    }
    plan
}

/// A checkpoint that failed may be in the catalog, or not. What it counts is counted once.
#[test]
fn failed_checkpoints_are_counted_once() {
    all_are_right(200, failing_checkpoints);
}

/// Segments are cleaned and snapshots are taken all the time, and catalogs are deleted.
fn many_snapshots(random: &mut Random, _: u64) -> Plan {
    let mut plan = Plan::draw(random);
    let look = Duration::from_millis(1);
    plan.config.cleaning =
        CleaningConfig { rate: None, eager: true, look, ..CleaningConfig::default() };
    plan.config.snapshots = SnapshotConfig { least: 0, times: 0, files: 0, rate: None, look };
    for life in &mut plan.lives {
        (life.loss, life.without_catalog) = (Loss::Everything, true);
        life.rots = false;
    }
    plan
}

/// A server that cleans all the time is backed up; often it takes snapshots all the time, too.
fn backups(random: &mut Random, seed: u64) -> Plan {
    let mut plan = many_snapshots(random, seed);
    plan.backs_up = true;
    if random.one_in(2) {
        plan.config.snapshots = SnapshotConfig::default();
    }
    plan.temper.capacity = Temper::default().capacity;
    for life in &mut plan.lives {
        life.fails_after = None;
    }
    plan
}

/// A backup of a server holds what the server holds, whatever is stripped, used again and dropped
/// while its files are copied.
#[test]
fn backups_amid_cleaning_are_whole() {
    all_are_right(150, backups);
}

/// Segments are cleaned all the time on a slow disk, and the power fails meanwhile.
fn busy_cleaning(random: &mut Random, _: u64) -> Plan {
    let mut plan = Plan::draw(random);
    (plan.temper.disk, plan.temper.sync) = (random.pick(&[1, 30]), 100);
    let look = Duration::from_millis(1);
    plan.config.cleaning =
        CleaningConfig { rate: None, eager: true, look, ..CleaningConfig::default() };
    for life in &mut plan.lives {
        life.loss = random.pick(&[Loss::AnySectors, Loss::OneSector]);
        life.fails_after = Some(random.within(1_000, 8_000) as u64);
        life.rots = false;
    }
    plan
}

/// Copies take many frames on a slow disk, and segments are cleaned all the time.
fn long_copies(random: &mut Random, seed: u64) -> Plan {
    let mut plan = busy_cleaning(random, seed);
    (plan.temper.disk, plan.temper.sync) = (30, random.pick(&[0, 2]));
    (plan.temper.thresholds.copied_fragments, plan.temper.thresholds.records_room) = (1, 2_000);
    for life in &mut plan.lives {
        (life.shared, life.races, life.reactors, life.fails_after) = (Some(0), true, 1, None);
        (life.clients, life.commands, life.large) = (4, 40, random.one_in(2));
    }
    plan
}

/// A nearly full disk is cleaned all the time, into the room that is held back for it.
fn full_disk(random: &mut Random, _: u64) -> Plan {
    let mut plan = Plan::draw(random);
    let size = 320 << 10;
    plan.temper.capacity = SEGMENTS_OF_DISK * u64::from(size);
    let look = Duration::from_millis(10);
    let cleaning = CleaningConfig { rate: None, eager: true, look, ..plan.config.cleaning };
    plan.config = Config {
        segment_size: size,
        first_segment: size,
        segments_ahead: 1,
        cleaning,
        ..plan.config
    };
    for life in &mut plan.lives {
        (life.commands, life.reactors, life.rots) = (25, random.within(1, 2), false);
        life.large = random.one_in(2);
    }
    plan
}

#[test]
fn a_full_disk_is_cleaned() {
    all_are_right(150, full_disk);
}

/// A deadlock or an endless loop ends the run with a finding.
#[test]
fn a_run_that_hangs_is_a_finding() {
    let world = super::world::World::of_a_test(&plan(Temper::default(), life()));
    let hangs = world.on_machine(async {
        std::future::pending::<()>().await;
        unreachable!("nothing wakes it")
    });
    assert!(hangs.unwrap_err().contains("nothing moves"));
    let spins = world.on_machine(async {
        loop {
            sleep(Duration::from_secs(1)).await;
        }
    });
    assert!(spins.unwrap_err().contains("nothing moves"));
}
