//! Whether the server works, in the words of its probes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::disk::Room;
use super::reading::{Reading, total};
use crate::reactor::Instant;
use crate::server::Watch;

/// A reactor that has not turned for so long hangs: it should every 50 ms.
const HANGS: Duration = Duration::from_secs(5);

/// When each reactor was last seen turning.
#[derive(Debug)]
pub(super) struct Pulse {
    seen: Vec<(u64, Instant)>,
}

impl Pulse {
    pub fn new(readings: &[Reading], now: Instant) -> Pulse {
        Pulse { seen: readings.iter().map(|one| (one.turns, now)).collect() }
    }

    /// Looks at the reactors.
    pub fn look(&mut self, readings: &[Reading], now: Instant) {
        for ((turns, at), reading) in self.seen.iter_mut().zip(readings) {
            if *turns != reading.turns {
                (*turns, *at) = (reading.turns, now);
            }
        }
    }

    /// What is wrong with the process; nothing when it is healthy.
    pub fn problems(&self, now: Instant) -> Vec<String> {
        let hangs = |(number, (_, at)): (usize, &(u64, Instant))| {
            let quiet = now.saturating_duration_since(*at);
            let seconds = quiet.as_secs();
            (quiet > HANGS).then(|| format!("reactor {number} has not turned for {seconds} s"))
        };
        self.seen.iter().enumerate().filter_map(hangs).collect()
    }
}

/// Why the server can take no mail now; nothing when it can.
pub(super) fn obstacles(watch: &Watch, readings: &[Reading], room: Option<Room>) -> Vec<String> {
    let mut obstacles = Vec::new();
    if watch.stopping.load(Ordering::Relaxed) {
        obstacles.push("the server is stopping".to_owned());
    }
    for (number, reading) in readings.iter().enumerate() {
        if reading.broken {
            obstacles.push(format!("the log of reactor {number} broke: the disk failed"));
        }
    }
    if total(readings, |one| one.sessions) >= watch.connections as u64 {
        let limit = watch.connections;
        obstacles.push(format!("all {limit} connections are in use; see --connections"));
    }
    match room {
        None => obstacles.push("the data folder cannot be looked at".to_owned()),
        Some(room) if is_full(watch, room) => {
            let (left, needed) = (room.available >> 20, watch.segment >> 20);
            obstacles.push(format!(
                "the disk is full: {left} MiB are left, the next segment takes {needed} MiB"
            ));
        }
        Some(_) => {}
    }
    obstacles
}

/// Whether there is no segment to go on in, nor room to make one.
fn is_full(watch: &Watch, room: Room) -> bool {
    watch.pool.ready.load(Ordering::Relaxed) == 0 && room.available < watch.segment
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::log::PoolCounts;

    fn watch(ready: u64) -> Watch {
        let pool = PoolCounts { ready: AtomicU64::new(ready), ..PoolCounts::default() };
        Watch {
            address: SocketAddr::from(([127, 0, 0, 1], 143)),
            data: "data".into(),
            connections: 10,
            segment: 16 << 20,
            reactors: Vec::new(),
            pool: Arc::new(pool),
            stopping: Arc::default(),
        }
    }

    fn turning(turns: u64) -> Vec<Reading> {
        vec![Reading { turns, ..Reading::default() }, Reading { turns: 7, ..Reading::default() }]
    }

    #[test]
    fn a_reactor_that_does_not_turn_is_named() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(&turning(1), begun);
        pulse.look(&turning(2), after(4));
        assert_eq!(pulse.problems(after(5)), [""; 0]);
        pulse.look(&turning(3), after(6));
        assert_eq!(pulse.problems(after(6)), ["reactor 1 has not turned for 6 s"]);
    }

    #[test]
    fn a_disk_is_full_when_no_segment_can_be_had() {
        let room = |mib: u64| Some(Room { size: 1 << 40, available: mib << 20 });
        let obstacles = |ready, room| obstacles(&watch(ready), &turning(0), room);
        assert_eq!(obstacles(0, room(16)), [""; 0]);
        assert_eq!(obstacles(1, room(15)), [""; 0]);
        assert!(obstacles(0, room(15))[0].starts_with("the disk is full: 15 MiB"));
        assert_eq!(obstacles(1, None).len(), 1);
    }

    #[test]
    fn a_broken_log_a_crowd_and_the_end_are_obstacles() {
        let room = Some(Room { size: 1 << 40, available: 1 << 40 });
        let broken = Reading { broken: true, ..Reading::default() };
        let why = obstacles(&watch(1), &[Reading::default(), broken], room);
        assert_eq!(why, ["the log of reactor 1 broke: the disk failed"]);
        let crowd = Reading { sessions: 10, ..Reading::default() };
        assert!(obstacles(&watch(1), &[crowd], room)[0].contains("all 10 connections"));
        let watch = watch(1);
        watch.stopping.store(true, Ordering::Relaxed);
        assert_eq!(obstacles(&watch, &turning(0), room), ["the server is stopping"]);
    }
}
