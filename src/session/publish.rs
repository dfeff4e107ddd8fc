//! The counters of a reactor, for other threads to read.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::home::{Committed, Home};
use crate::reactor::{Instant, sleep};

/// How often the counters are published.
const TICK: Duration = Duration::from_millis(50);

/// Uploads change every second anyway: they are looked at once in so many ticks.
const TICKS_OF_UPLOADS: u64 = 10;

/// Publishes the counters of a reactor for as long as it runs.
pub async fn publish(home: Rc<Home>) {
    loop {
        let begun = Instant::now();
        sleep(TICK).await;
        let late = begun.elapsed().saturating_sub(TICK).as_micros();
        home.counters.lateness.borrow_mut().add(late as u64);
        home.count();
    }
}

impl Home {
    /// Publishes counters to other threads.
    pub fn count(&self) {
        let tally = &self.tally;
        let turns = tally.turns.fetch_add(1, Ordering::Relaxed);
        self.count_mail();
        self.count_sessions();
        self.count_log();
        let cpu = crate::reactor::thread_cpu().as_micros();
        store(&tally.cpu_micros, u64::try_from(cpu).unwrap_or(u64::MAX));
        let arena = self.arena.stats();
        store(&tally.lease_waits, arena.waits);
        store(&tally.small_leases, arena.small_in_use as u64);
        store(&tally.large_leases, (arena.in_use - arena.small_in_use) as u64);
        tally.lateness.store(&self.counters.lateness.borrow());
        self.counters.refusals.publish(&tally.latest_refusals);
        if turns.is_multiple_of(TICKS_OF_UPLOADS) {
            self.counters.uploads.publish(&tally.uploads);
        }
    }

    fn count_mail(&self) {
        let (tally, Committed { batches, messages, octets }) = (&self.tally, self.committed.get());
        store(&tally.batches, batches);
        store(&tally.messages, messages);
        store(&tally.octets, octets);
    }

    fn count_sessions(&self) {
        let (tally, counters) = (&self.tally, &self.counters);
        for (shared, count) in tally.connections.iter().zip(counters.census.counts()) {
            store(shared, count);
        }
        for (shared, count) in tally.refusals.iter().zip(counters.refusals.counts()) {
            store(shared, count);
        }
        store(&tally.accounts, self.owners.borrow().len() as u64);
        copy(&tally.logins, &counters.logins);
        copy(&tally.parse_errors, &counters.parse_errors);
        copy(&tally.log_waits, &counters.log_waits);
    }

    fn count_log(&self) {
        let (tally, log, gauges) = (&self.tally, self.log.stats(), self.log.gauges());
        store(&tally.frames, log.frames);
        store(&tally.log_octets, log.octets);
        store(&tally.syncs, log.syncs);
        store(&tally.unwritten_segments, log.unwritten_segments);
        store(&tally.open_segments, gauges.open_segments as u64);
        store(&tally.room, gauges.room.into());
        store(&tally.durable_lsn, gauges.durable.0);
        let stalled = gauges.stalled.as_micros();
        store(&tally.stalled_micros, u64::try_from(stalled).unwrap_or(u64::MAX));
        tally.sync_latency.store(&gauges.sync_latency);
        tally.group.store(&gauges.group);
        if let Some(position) = self.log.position() {
            store(&tally.segment, position.segment.0);
            store(&tally.segment_offset, position.offset.into());
        }
        let checkpoints = self.counters.checkpoints.get();
        store(&tally.checkpoints, checkpoints.written);
        store(&tally.checkpoints_failed, checkpoints.failed);
        store(&tally.checkpoint_lag, log.octets.saturating_sub(checkpoints.log));
    }
}

fn store(shared: &AtomicU64, value: u64) {
    shared.store(value, Ordering::Relaxed);
}

fn copy(shared: &AtomicU64, counter: &Cell<u64>) {
    store(shared, counter.get());
}
