//! Whether the server works: the reasons that `/healthz` and `/readyz` give.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::disk::Room;
use super::reading::Reading;
use crate::limits::LARGE_LEASE;
use crate::reactor::Instant;
use crate::server::Watch;
use crate::stats::Figure;

/// A reactor that has not turned for this long is too busy to accept mail. It should turn every
/// 50 ms; a long command can keep it busy.
const BUSY: Duration = Duration::from_secs(5);

/// A reactor that has neither turned nor used CPU time for this long is stuck. Twice as long as
/// disks and networks take to give up on a request, so that a late answer is not taken for none.
const STUCK: Duration = Duration::from_secs(60);

/// A reactor that has not turned for this long is in an endless loop, even if it uses CPU time. Ten
/// times as long as any client waits for a reply.
const LOOPS: Duration = Duration::from_secs(300);

/// The reactors are checked every second. A longer gap than this means that the process was
/// stopped.
const GAP: Duration = Duration::from_secs(2);

/// A disk that has not answered for this long may never answer. A disk under load takes
/// milliseconds, a failing one a second or two.
const STALLS: Duration = Duration::from_secs(5);

/// When each reactor was last seen turning.
#[derive(Debug)]
pub(super) struct Pulse {
    seen: Vec<Seen>,
    looked: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    turns: u64,
    /// When the number of turns last changed.
    turned: Instant,
    /// CPU time of the thread in ticks; `None` before the first look, or if it cannot be read.
    ticks: Option<u64>,
    /// When the CPU time last changed, or the reactor turned.
    worked: Instant,
}

impl Pulse {
    pub(super) fn new(readings: &[Reading], now: Instant) -> Pulse {
        let seen = readings.iter().map(|one| Seen::turning(turns(one), now)).collect();
        Pulse { seen, looked: now }
    }

    /// Looks at the reactors. `ticks` returns the CPU time of a thread.
    pub(super) fn look(
        &mut self,
        readings: &[Reading],
        now: Instant,
        ticks: impl Fn(u64) -> Option<u64>,
    ) {
        // While the process or its machine is stopped, this is not called and no reactor turns.
        let stopped = since(self.looked, now).saturating_sub(GAP);
        self.looked = now;
        for (seen, reading) in self.seen.iter_mut().zip(readings) {
            seen.turned = (seen.turned + stopped).min(now);
            seen.worked = (seen.worked + stopped).min(now);
            if seen.turns != turns(reading) {
                *seen = Seen::turning(turns(reading), now);
                continue;
            }
            let used = ticks(reading.thread);
            // The first look since the reactor turned has nothing to compare with.
            if used.is_some() && seen.ticks.replace(used.unwrap_or_default()) != used {
                seen.worked = now;
            }
        }
    }

    /// Reactors that will not recover by themselves.
    pub(super) fn illness(&self, now: Instant) -> Vec<String> {
        self.each(|number, seen| {
            let (quiet, idle) = (since(seen.turned, now), since(seen.worked, now));
            if idle > STUCK {
                let seconds = idle.as_secs();
                return Some(format!(
                    "reactor {number} has not turned for {seconds} s and uses no CPU time"
                ));
            }
            let seconds = quiet.as_secs();
            (quiet > LOOPS)
                .then(|| format!("reactor {number} has been busy with one task for {seconds} s"))
        })
    }

    /// Reactors that do not respond at the moment.
    pub(super) fn pauses(&self, now: Instant) -> Vec<String> {
        self.each(|number, seen| {
            let quiet = since(seen.turned, now);
            let seconds = quiet.as_secs();
            (quiet > BUSY).then(|| format!("reactor {number} has not turned for {seconds} s"))
        })
    }

    fn each(&self, of: impl Fn(usize, &Seen) -> Option<String>) -> Vec<String> {
        self.seen.iter().enumerate().filter_map(|(number, seen)| of(number, seen)).collect()
    }
}

impl Seen {
    fn turning(turns: u64, now: Instant) -> Seen {
        Seen { turns, turned: now, ticks: None, worked: now }
    }
}

fn turns(reading: &Reading) -> u64 {
    reading.get(Figure::ReactorTurns)
}

fn since(then: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(then)
}

/// CPU time that a thread of this process has used, in ticks of some milliseconds; `None` if it
/// cannot be read.
pub(super) fn ticks(thread: u64) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    // proc(5): the thread's name may contain anything, and ends at the last parenthesis. The third
    // and later fields follow; user time is the 14th, system time the 15th.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map_while(|field| field.parse::<u64>().ok());
    Some(times.next()? + times.next()?)
}

/// Reactors whose log broke; they end, and then the process does.
pub(super) fn broken(readings: &[Reading]) -> Vec<String> {
    let broken = readings.iter().enumerate().filter(|(_, reading)| reading.broken);
    broken
        .map(|(number, _)| format!("the log of reactor {number} broke: the disk failed"))
        .collect()
}

/// Why the server accepts no mail at the moment; empty if it does.
pub(super) fn obstacles(watch: &Watch, readings: &[Reading], room: Option<Room>) -> Vec<String> {
    let mut obstacles = broken(readings);
    if watch.stopping.load(Ordering::Relaxed) {
        obstacles.push("the server is stopping".to_owned());
    }
    for (number, reading) in readings.iter().enumerate() {
        let stalled = Duration::from_micros(reading.get(Figure::LogStalled));
        if stalled > STALLS {
            let seconds = stalled.as_secs();
            obstacles.push(format!(
                "the disk has not answered a write or fdatasync of reactor {number} for {seconds} s"
            ));
        }
    }
    if readings.iter().map(|one| one.sessions).sum::<u64>() >= watch.connections as u64 {
        let limit = watch.connections;
        obstacles.push(format!("all {limit} connections are in use; see --connections"));
    }
    match room {
        None => obstacles.push("the free space of the data folder cannot be read".to_owned()),
        Some(room) if is_full(watch, readings) => {
            let (left, needed) = (room.available >> 20, watch.segment >> 20);
            obstacles.push(format!(
                "the disk is full: {left} MiB left, and the smallest segment needs {needed} MiB \
                 beside the reserve for changes without mail"
            ));
        }
        Some(_) => {}
    }
    obstacles
}

/// Whether a reactor has no room for the largest frame of mail, no segment to continue in, and no
/// space to make one. APPEND is refused then.
fn is_full(watch: &Watch, readings: &[Reading]) -> bool {
    let short = readings.iter().any(|reading| reading.room < LARGE_LEASE as u64);
    short && watch.pool.room.load(Ordering::Relaxed) == 0
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::store::PoolCounts;

    /// A server whose next segment can have `room` bytes.
    fn watch(room: u64) -> Watch {
        let pool = PoolCounts { room: AtomicU64::new(room), ..PoolCounts::default() };
        Watch {
            address: SocketAddr::from(([127, 0, 0, 1], 143)),
            data: "data".into(),
            connections: 10,
            segment: 16 << 20,
            reactors: Vec::new(),
            space: Arc::default(),
            scrub: None,
            pool: Arc::new(pool),
            damaged_messages: 0,
            damages: 0,
            certificate: None,
            stopping: Arc::default(),
        }
    }

    fn turning(turns: u64) -> Vec<Reading> {
        [turns, 7].map(|turns| Reading::with(&[(Figure::ReactorTurns, turns)])).into()
    }

    /// Pauses and illness after this many seconds, looked at each second, of one reactor that turns
    /// and one that does not. `ticks` is the CPU time it has used by then.
    fn said(seconds: u64, ticks: impl Fn(u64) -> Option<u64>) -> (Vec<String>, Vec<String>) {
        let begun = Instant::now();
        let mut pulse = Pulse::new(&turning(0), begun);
        for second in 1..=seconds {
            let now = begun + Duration::from_secs(second);
            pulse.look(&turning(second), now, |_| ticks(second));
        }
        let now = begun + Duration::from_secs(seconds);
        (pulse.pauses(now), pulse.illness(now))
    }

    #[test]
    fn a_reactor_that_does_not_turn_is_named() {
        let quiet = |seconds| vec![format!("reactor 1 has not turned for {seconds} s")];
        assert_eq!(said(5, |_| Some(0)), (vec![], vec![]));
        assert_eq!(said(6, |_| Some(0)), (quiet(6), vec![]));
    }

    #[test]
    fn busy_is_not_ill_and_stuck_is() {
        let busy = |seconds| said(seconds, Some).1;
        assert_eq!(busy(300), [""; 0]);
        assert_eq!(busy(301), ["reactor 1 has been busy with one task for 301 s"]);
        let still = |seconds| said(seconds, |_| Some(7)).1;
        assert_eq!(still(60), [""; 0]);
        assert!(still(62)[0].starts_with("reactor 1 has not turned for 61 s"), "{:?}", still(62));
        // Unknown CPU time counts as unused.
        assert_eq!(said(61, |_| None).1.len(), 1);
        // A reactor that worked for a while and then stopped is stuck from then on.
        let stops = |seconds| said(seconds, |second| Some(second.min(40))).1;
        assert_eq!((stops(100).len(), stops(101).len()), (0, 1));
    }

    #[test]
    fn a_process_that_was_stopped_has_not_hung() {
        let begun = Instant::now();
        let mut pulse = Pulse::new(&turning(0), begun);
        for second in [1, 2, 3, 1000] {
            pulse.look(&turning(0), begun + Duration::from_secs(second), |_| Some(0));
        }
        let now = begun + Duration::from_secs(1000);
        assert_eq!((pulse.pauses(now), pulse.illness(now)), (vec![], vec![]));
    }

    #[test]
    fn the_processor_time_of_a_thread_is_told() {
        let thread = || rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs().into();
        let before = ticks(thread()).unwrap();
        while ticks(thread()).unwrap() == before {}
        assert_eq!(ticks(0), None);
    }

    #[test]
    fn a_disk_that_does_not_answer_is_an_obstacle_and_no_illness() {
        let room = Some(Room { size: 1 << 40, available: 1 << 40 });
        let waits = |seconds: u64| {
            let reading = Reading::with(&[(Figure::LogStalled, seconds * 1_000_000)]);
            obstacles(&watch(1), &[Reading::default(), reading], room)
        };
        assert_eq!(waits(5), [""; 0]);
        assert!(waits(7)[0].contains("fdatasync of reactor 1 for 7 s"), "{:?}", waits(7));
    }

    #[test]
    fn a_disk_is_full_when_no_segment_can_be_had() {
        let free = Some(Room { size: 1 << 40, available: 3 << 20 });
        let reactors = |rooms: [u64; 2]| rooms.map(|room| Reading { room, ..Reading::default() });
        let obstacles = |pool, rooms| obstacles(&watch(pool), &reactors(rooms), free);
        assert_eq!(obstacles(1 << 20, [0, 0]), [""; 0]);
        // One reactor still accepts mail.
        assert_eq!(obstacles(0, [1 << 20, 256 << 10]), [""; 0]);
        assert!(obstacles(0, [1 << 20, 255 << 10])[0].starts_with("the disk is full: 3 MiB"));
        assert_eq!(super::obstacles(&watch(1), &reactors([0, 0]), None).len(), 1);
    }

    #[test]
    fn a_broken_log_a_crowd_and_the_end_are_obstacles() {
        let room = Some(Room { size: 1 << 40, available: 1 << 40 });
        let broken = Reading { broken: true, ..Reading::default() };
        let why = obstacles(&watch(1), &[Reading::default(), broken], room);
        assert_eq!(why, ["the log of reactor 1 broke: the disk failed"]);
        assert_eq!(super::broken(&turning(0)), [""; 0]);
        let crowd = Reading { sessions: 10, ..Reading::default() };
        assert!(obstacles(&watch(1), &[crowd], room)[0].contains("all 10 connections"));
        let watch = watch(1);
        watch.stopping.store(true, Ordering::Relaxed);
        assert_eq!(obstacles(&watch, &turning(0), room), ["the server is stopping"]);
    }
}
