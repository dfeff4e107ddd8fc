//! The plan of a run, drawn from its seed.

use std::time::Duration;

use crate::reactor::Thresholds;
use crate::reactor::simulation::{Loss, Random, Temper};
use crate::server::{CleaningConfig, Config, SnapshotConfig};

/// The smallest segment that holds the largest frame and its header.
const SEGMENT: u64 = 320 << 10;

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the machine behaves while clients are at work.
    pub temper: Temper,
    /// Configuration of the server, without its folder.
    pub config: Config,
    /// The lives in order. After the last, everything is checked without faults.
    pub lives: Vec<Life>,
    /// The data folder is copied at the end of the last life, and checked like the original.
    pub backs_up: bool,
}

/// The time from one start of the server to its end.
#[derive(Clone, Debug)]
pub struct Life {
    /// Number of clients.
    pub clients: usize,
    /// Approximate number of commands per client.
    pub commands: usize,
    /// Number of reactors, which may change from start to start.
    pub reactors: usize,
    /// The power fails after this many steps; early ones are during the start.
    pub fails_after: Option<u64>,
    /// The unsynced data that is lost then.
    pub loss: Loss,
    /// The catalog is deleted before the next start.
    pub without_catalog: bool,
    /// Durable data is damaged before the next start, which is the last.
    pub rots: bool,
    /// Number of the account that all clients share.
    pub shared: Option<usize>,
    /// The clients of the shared account mostly move, mark and expunge.
    pub races: bool,
    /// All messages are large.
    pub large: bool,
}

impl Plan {
    /// Draws a plan.
    pub fn draw(random: &mut Random) -> Plan {
        let temper = temper(random);
        let size = random.pick(&[SEGMENT, 512 << 10, 1 << 20, 4 << 20]) as u32;
        let first = random.pick(&[SEGMENT, 1 << 20]) as u32;
        let config = Config {
            segment_size: size,
            first_segment: first.min(size),
            reserve: 320 << 10,
            reserves: 2,
            spare: 512 << 10,
            segments_ahead: random.below(3),
            append_limit: 1 << 30,
            scrub_every: None,
            ..Config::default()
        };
        let count = random.within(1, 4);
        let mut lives: Vec<Life> = (0..count).map(|_| Life::draw(random)).collect();
        let rots = random.one_in(4);
        if let Some(last) = lives.last_mut() {
            last.rots = rots;
        }
        let look = Duration::from_millis(random.pick(&[10, 200, 3_000]));
        let eager = random.chance(60);
        let rate = random.pick(&[None, Some(100_000), Some(1 << 30)]);
        let config = Config {
            cleaning: CleaningConfig { rate, eager, look, least: 0, ..CleaningConfig::default() },
            snapshots: snapshots(random),
            ..config
        };
        Plan { temper, config, lives, backs_up: false }
    }
}

impl Life {
    fn draw(random: &mut Random) -> Life {
        let fails_after = match random.below(10) {
            0 => Some(random.below(60) as u64),
            1..=6 => Some(random.within(60, 6_000) as u64),
            _ => None,
        };
        let losses =
            [Loss::Nothing, Loss::Everything, Loss::AnySectors, Loss::Later, Loss::OneSector];
        Life {
            clients: random.pick(&[1, 2, 3, 3, 4, 5]),
            commands: random.within(3, 25),
            reactors: random.within(1, 3),
            fails_after,
            loss: random.pick(&losses),
            without_catalog: random.one_in(4),
            rots: false,
            // Most often the account with a quota.
            shared: random.chance(70).then(|| random.pick(&[0, 1, 1, 2])),
            races: random.one_in(2),
            large: false,
        }
    }
}

/// On most machines, record files are dropped soon.
fn snapshots(random: &mut Random) -> SnapshotConfig {
    let look = Duration::from_millis(random.pick(&[20, 500, 5_000]));
    let often = SnapshotConfig { least: 0, times: 0, files: 0, rate: None, look };
    match random.chance(70) {
        true => often,
        false => SnapshotConfig { rate: None, ..SnapshotConfig::default() },
    }
}

fn temper(random: &mut Random) -> Temper {
    let mut at_times = |times: usize, millionths: u32| match random.one_in(times) {
        true => millionths,
        false => 0,
    };
    let (write_fails, sync_fails, read_fails) =
        (at_times(6, 500), at_times(5, 10_000), at_times(6, 1_000));
    let (names_fail, room_fails, opens_fail) =
        (at_times(6, 20_000), at_times(6, 50_000), at_times(8, 20_000));
    let (stalls, resets) = (at_times(2, 300), at_times(3, 500));
    Temper {
        disk: random.pick(&[0, 1, 5, 30]),
        sync: random.pick(&[0, 2, 20, 100]),
        network: random.pick(&[0, 0, 1, 10]),
        thread: random.pick(&[0, 1, 20]),
        slice: random.pick(&[100, 1_500, 9_000, 70_000]),
        buffer: random.pick(&[700, 4 << 10, 64 << 10, 1 << 20]),
        leases: random.pick(&[(3, 3), (6, 4), (20, 12), (64, 32)]),
        capacity: random.pick(&[5 << 20, 9 << 20, 1 << 40, 1 << 40, 1 << 40, 1 << 40]),
        write_fails,
        sync_fails,
        read_fails,
        names_fail,
        room_fails,
        opens_fail,
        stalls,
        resets,
        thresholds: thresholds(random),
    }
}

/// On half of the machines, some low thresholds make small mailboxes take the paths of large ones.
fn thresholds(random: &mut Random) -> Thresholds {
    let mut all = Thresholds::STANDARD;
    if random.one_in(2) {
        return all;
    }
    let mut low = |place: &mut usize, to: &[usize]| {
        let low = random.pick(to);
        if random.one_in(2) {
            *place = low;
        }
    };
    low(&mut all.uid_ranges, &[1, 1, 2, 3]);
    low(&mut all.records_waiting, &[1, 1, 400]);
    low(&mut all.copied_fragments, &[1, 2, 8]);
    // Still enough room for one message with all keywords and some fragments.
    low(&mut all.records_room, &[2_000, 5_000]);
    low(&mut all.step_messages, &[1, 2, 5]);
    low(&mut all.unapplied, &[1, 2]);
    low(&mut all.replay_gathers, &[1, 1 << 10, 10 << 10]);
    low(&mut all.checkpoint_dirty, &[1, 1 << 10, 10 << 10]);
    low(&mut all.chunk_messages, &[1, 2, 5]);
    low(&mut all.chunk_fragments, &[1, 2, 30]);
    low(&mut all.chunks_at_once, &[1, 2]);
    low(&mut all.open_segments, &[1, 2]);
    low(&mut all.journal, &[1, 5, 12]);
    low(&mut all.vanished, &[1, 2, 5]);
    low(&mut all.subscriptions, &[0, 1, 2]);
    if random.one_in(4) {
        (all.keywords, all.keyword_sets) = random.pick(&[(2, 3), (3, 64), (8, 4)]);
    }
    if random.one_in(4) {
        (all.small_batch, all.unfinished_messages) = random.pick(&[(1, 1), (1, 4), (3, 8)]);
    }
    if random.one_in(2) {
        all.checkpoint_log = random.pick(&[1, 64 << 10]);
    }
    all
}

/// Turns off all failures of the machine.
pub fn calm(temper: &mut Temper) {
    (temper.write_fails, temper.sync_fails, temper.read_fails) = (0, 0, 0);
    (temper.names_fail, temper.room_fails, temper.opens_fail) = (0, 0, 0);
    (temper.stalls, temper.resets, temper.capacity) = (0, 0, 1 << 40);
}
