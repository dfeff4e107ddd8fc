//! Publishes the counters of a reactor, for other threads to read.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::state::{Committed, Home};
use crate::reactor::{Instant, sleep};
use crate::stats::{Figure, Values};

/// Time between two publications.
const TICK: Duration = Duration::from_millis(50);

/// Ticks between two publications of uploads: readers compute their rates over seconds.
const TICKS_OF_UPLOADS: u64 = 10;

/// Publishes the counters of a reactor for as long as it runs.
pub(crate) async fn publish(home: Rc<Home>) {
    loop {
        let begun = Instant::now();
        sleep(TICK).await;
        let late = begun.elapsed().saturating_sub(TICK).as_micros();
        let mut values = home.counters.values.borrow_mut();
        values.histogram_mut(Figure::ReactorLateness).add(late as u64);
        drop(values);
        home.count();
    }
}

impl Home {
    /// Publishes counters to other threads.
    pub fn count(&self) {
        let (tally, counters) = (&self.tally, &self.counters);
        counters.refusals.publish(&tally.latest_refusals);
        let mut values = counters.values.borrow_mut();
        if values.get(Figure::ReactorTurns).is_multiple_of(TICKS_OF_UPLOADS) {
            counters.uploads.publish(&tally.uploads);
        }
        values.add(Figure::ReactorTurns, 1);
        self.count_mail(&mut values);
        self.count_log(&mut values);
        let cpu = crate::reactor::thread_cpu();
        values.set(Figure::ReactorCpu, micros(cpu));
        let arena = self.arena.stats();
        let (small, all) = (arena.small_in_use as u64, arena.in_use as u64);
        values.set(Figure::LeaseWaits, arena.waits);
        values.set_each(Figure::LeasesInUse, [small, all - small]);
        tally.values.store(&values);
    }

    fn count_mail(&self, values: &mut Values) {
        let Committed { batches, messages, octets } = self.committed.get();
        values.set(Figure::Batches, batches);
        values.set(Figure::Messages, messages);
        values.set(Figure::MailBytes, octets);
        values.set(Figure::UploadsActive, self.counters.uploads.active());
        values.set_each(Figure::Connections, self.counters.census.counts());
        values.set_each(Figure::Refusals, self.counters.refusals.counts());
        values.set(Figure::Accounts, self.owners.borrow().len() as u64);
    }

    fn count_log(&self, values: &mut Values) {
        let (tally, log, gauges) = (&self.tally, self.log.0.stats(), self.log.0.gauges());
        tally.open_segments.store(gauges.open_segments as u64, Ordering::Relaxed);
        tally.room.store(gauges.room.into(), Ordering::Relaxed);
        values.set(Figure::LogFrames, log.frames);
        values.set(Figure::LogBytes, log.octets);
        values.set(Figure::UnwrittenSegments, log.unwritten_segments);
        values.set(Figure::LogDurableLsn, gauges.durable.0);
        values.set(Figure::LogStalled, micros(gauges.stalled));
        *values.histogram_mut(Figure::Fdatasync) = gauges.sync_latency;
        *values.histogram_mut(Figure::FdatasyncGroup) = gauges.group;
        if let Some(position) = self.log.0.position() {
            values.set(Figure::LogSegment, position.segment.0);
            values.set(Figure::LogPosition, position.offset.into());
        }
        let checkpoints = self.counters.checkpoints.get();
        values.set(Figure::Checkpoints, checkpoints.written);
        values.set(Figure::CheckpointFailures, checkpoints.failed);
        values.set(Figure::CheckpointLag, log.octets.saturating_sub(checkpoints.log));
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
