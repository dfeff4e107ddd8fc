//! The counters of all reactors, read at one moment.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::server::Watch;
use crate::stats::{Histogram, STANDINGS, Tally, WHATS};

/// What was read of one reactor. See [`Tally`].
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub turns: u64,
    pub broken: bool,
    pub thread: u64,
    pub stalled_micros: u64,
    pub sessions: u64,
    pub connections: [u64; STANDINGS.len()],
    pub accounts: u64,
    pub logins: u64,
    pub parse_errors: u64,
    pub refusals: [u64; WHATS.len()],
    pub batches: u64,
    pub messages: u64,
    pub octets: u64,
    pub syncs: u64,
    pub sync_latency: Histogram,
    pub group: Histogram,
    pub lateness: Histogram,
    pub cpu_micros: u64,
    pub small_leases: u64,
    pub large_leases: u64,
    pub lease_waits: u64,
    pub frames: u64,
    pub log_octets: u64,
    pub log_waits: u64,
    pub durable_lsn: u64,
    pub segment: u64,
    pub segment_offset: u64,
    pub room: u64,
    pub open_segments: u64,
    pub unwritten_segments: u64,
    pub checkpoints: u64,
    pub checkpoints_failed: u64,
    pub checkpoint_lag: u64,
}

impl Reading {
    /// Reads one reactor.
    pub fn of(tally: &Tally) -> Reading {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reading {
            turns: get(&tally.turns),
            broken: tally.broken.load(Ordering::Relaxed),
            thread: get(&tally.thread),
            stalled_micros: get(&tally.stalled_micros),
            sessions: get(&tally.sessions),
            connections: std::array::from_fn(|at| get(&tally.connections[at])),
            accounts: get(&tally.accounts),
            logins: get(&tally.logins),
            parse_errors: get(&tally.parse_errors),
            refusals: std::array::from_fn(|at| get(&tally.refusals[at])),
            batches: get(&tally.batches),
            messages: get(&tally.messages),
            octets: get(&tally.octets),
            syncs: get(&tally.syncs),
            sync_latency: tally.sync_latency.load(),
            group: tally.group.load(),
            lateness: tally.lateness.load(),
            cpu_micros: get(&tally.cpu_micros),
            small_leases: get(&tally.small_leases),
            large_leases: get(&tally.large_leases),
            lease_waits: get(&tally.lease_waits),
            frames: get(&tally.frames),
            log_octets: get(&tally.log_octets),
            log_waits: get(&tally.log_waits),
            durable_lsn: get(&tally.durable_lsn),
            segment: get(&tally.segment),
            segment_offset: get(&tally.segment_offset),
            room: get(&tally.room),
            open_segments: get(&tally.open_segments),
            unwritten_segments: get(&tally.unwritten_segments),
            checkpoints: get(&tally.checkpoints),
            checkpoints_failed: get(&tally.checkpoints_failed),
            checkpoint_lag: get(&tally.checkpoint_lag),
        }
    }

    /// Reads all reactors.
    pub fn all(watch: &Watch) -> Vec<Reading> {
        watch.reactors.iter().map(|tally| Reading::of(tally)).collect()
    }
}

/// One counter of all reactors together.
pub(super) fn total(readings: &[Reading], counter: impl Fn(&Reading) -> u64) -> u64 {
    readings.iter().map(counter).sum()
}
