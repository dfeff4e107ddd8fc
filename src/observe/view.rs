//! The [`Status`] of a moment.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{LockResult, MutexGuard, PoisonError};
use std::time::Duration;

use super::observer::Observer;
use super::reading::{Reading, total};
use super::status::{
    Disk, History, Latency, Rates, Reactor, Refusal, STATUS_VERSION, Status, Totals, Upload,
};
use crate::limits::{LARGE_LEASES, REFUSALS_SHOWN, SMALL_LEASES, UPLOADS_SHOWN};
use crate::reactor::unix_seconds;
use crate::server::Watch;
use crate::stats::{Histogram, STANDINGS, UploadView, WHATS};

/// Seconds over which a rate is a mean.
const MEAN: usize = 5;

/// Seconds over which it is one that says when the disk is full.
const LONG_MEAN: usize = 60;

/// How fast each upload is, from what it had at the last looks.
#[derive(Default)]
pub(super) struct UploadRates {
    /// By connection: octets and messages at the last looks, oldest first.
    seen: BTreeMap<Box<str>, VecDeque<(u64, u64)>>,
    active: u64,
    busiest: Vec<Upload>,
}

impl UploadRates {
    /// Looks at all uploads. To be called every second.
    pub fn look(&mut self, watch: &Watch) {
        let mut before = std::mem::take(&mut self.seen);
        self.active = 0;
        self.busiest.clear();
        for tally in &watch.reactors {
            let (active, views) = {
                let board = lock(tally.uploads.lock());
                (board.active, board.busiest.clone())
            };
            self.active += active as u64;
            for view in views {
                let mut seen = before.remove(&view.connection).unwrap_or_default();
                let upload = upload(view, &mut seen);
                self.seen.insert(upload.connection.clone().into(), seen);
                self.busiest.push(upload);
            }
        }
        let key = |upload: &Upload| upload.octets_per_second;
        self.busiest.sort_by(|one, other| key(other).total_cmp(&key(one)));
        self.busiest.truncate(UPLOADS_SHOWN);
    }

    /// How many there are in each reactor.
    pub fn active_of_each(&self, watch: &Watch) -> Vec<u64> {
        let count = |board: MutexGuard<'_, crate::stats::UploadsView>| board.active as u64;
        watch.reactors.iter().map(|tally| count(lock(tally.uploads.lock()))).collect()
    }
}

/// A view with its rates.
fn upload(view: UploadView, seen: &mut VecDeque<(u64, u64)>) -> Upload {
    let now = (view.octets, view.messages);
    // It has begun to count anew, in another mailbox.
    if seen.back().is_some_and(|last| last.0 > now.0 || last.1 > now.1) {
        seen.clear();
    }
    if seen.is_empty() {
        // What came before the first look came in the second before.
        seen.push_back((0, 0));
    }
    seen.push_back(now);
    if seen.len() > MEAN + 1 {
        seen.pop_front();
    }
    let (first, steps) = (seen[0], (seen.len() - 1) as f64);
    Upload {
        connection: view.connection.into(),
        peer: view.peer.to_string(),
        user: view.user.into(),
        mailbox: view.mailbox.into(),
        since: view.since,
        messages: view.messages,
        octets: view.octets,
        octets_per_second: (now.0 - first.0) as f64 / steps,
        messages_per_second: (now.1 - first.1) as f64 / steps,
    }
}

/// Everything that there is to say.
pub(super) fn status(observer: &Observer, readings: &[Reading], problems: Vec<String>) -> Status {
    let Observer { watch, past, rates, .. } = observer;
    Status {
        version: STATUS_VERSION,
        mailrace: env!("CARGO_PKG_VERSION").to_owned(),
        time: unix_seconds(),
        uptime: observer.begun.elapsed().as_secs(),
        listen: watch.address.to_string(),
        ready: problems.is_empty(),
        problems,
        totals: totals(readings),
        rates: Rates {
            octets: past.rate(MEAN, |second| second.octets),
            messages: past.rate(MEAN, |second| second.messages),
            fdatasyncs: past.rate(MEAN, |second| second.fdatasyncs),
        },
        history: History {
            interval: 1,
            octets: past.each(|second| second.octets),
            messages: past.each(|second| second.messages),
            fdatasyncs: past.each(|second| second.fdatasyncs),
        },
        connections: connections(readings),
        connections_limit: watch.connections as u64,
        disk: disk(observer),
        segments: observer.segments(readings),
        uploads_active: rates.active,
        uploads: rates.busiest.clone(),
        refusals: refusals(watch),
        reactors: readings.iter().map(reactor).collect(),
    }
}

fn totals(readings: &[Reading]) -> Totals {
    Totals {
        messages: total(readings, |one| one.messages),
        octets: total(readings, |one| one.octets),
        batches: total(readings, |one| one.batches),
        fdatasyncs: total(readings, |one| one.syncs),
        refusals: total(readings, |one| one.refusals.iter().sum()),
        parse_errors: total(readings, |one| one.parse_errors),
        logins: total(readings, |one| one.logins),
    }
}

fn connections(readings: &[Reading]) -> BTreeMap<String, u64> {
    let count = |(standing, name): (_, &str)| {
        (name.to_owned(), total(readings, |one| one.connections[standing as usize]))
    };
    STANDINGS.into_iter().map(count).collect()
}

fn disk(observer: &Observer) -> Disk {
    let room = observer.room.unwrap_or_default();
    let grows = observer.past.rate(LONG_MEAN, |second| second.log);
    Disk {
        path: observer.watch.data.display().to_string(),
        size: room.size,
        available: room.available,
        full_in: (grows >= 1.0).then(|| (room.available as f64 / grows) as u64),
    }
}

fn refusals(watch: &Watch) -> Vec<Refusal> {
    let mut all = Vec::new();
    for tally in &watch.reactors {
        let board = lock(tally.latest_refusals.lock()).clone();
        all.extend(board.into_iter().rev());
    }
    all.sort_by_key(|refused| std::cmp::Reverse(refused.time));
    all.truncate(REFUSALS_SHOWN);
    let refusal = |refused: crate::stats::Refused| Refusal {
        time: refused.time,
        peer: refused.peer.to_string(),
        user: refused.user.into(),
        mailbox: refused.mailbox.into(),
        what: WHATS[refused.what as usize].1.to_owned(),
        reason: refused.reason.into(),
    };
    all.into_iter().map(refusal).collect()
}

fn reactor(reading: &Reading) -> Reactor {
    let groups = reading.group.count().max(1) as f64;
    Reactor {
        connections: reading.sessions,
        messages: reading.messages,
        octets: reading.octets,
        batches: reading.batches,
        fdatasync: latency(&reading.sync_latency),
        group_size: reading.group.sum() as f64 / groups,
        lateness: latency(&reading.lateness),
        cpu_seconds: Duration::from_micros(reading.cpu_micros).as_secs_f64(),
        leases: reading.small_leases + reading.large_leases,
        leases_limit: (SMALL_LEASES + LARGE_LEASES) as u64,
        lease_waits: reading.lease_waits,
        segment: reading.segment,
        segment_offset: reading.segment_offset,
        checkpoint_lag: reading.checkpoint_lag,
    }
}

fn latency(histogram: &Histogram) -> Latency {
    let count = histogram.count();
    Latency {
        count,
        mean_micros: histogram.sum() as f64 / count.max(1) as f64,
        median_micros: histogram.quantile(0.5),
        p99_micros: histogram.quantile(0.99),
    }
}

/// What is behind a lock, whatever became of others who held it: it is but copied.
fn lock<'a, T>(locked: LockResult<MutexGuard<'a, T>>) -> MutexGuard<'a, T> {
    locked.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn view(octets: u64, messages: u64) -> UploadView {
        UploadView {
            connection: "0-1".into(),
            peer: SocketAddr::from(([127, 0, 0, 1], 9)),
            user: "alice".into(),
            mailbox: "box".into(),
            since: 1,
            messages,
            octets,
        }
    }

    #[test]
    fn an_upload_is_as_fast_as_in_the_last_seconds() {
        let mut seen = VecDeque::new();
        assert_eq!(upload(view(1000, 10), &mut seen).octets_per_second, 1000.0);
        assert_eq!(upload(view(3000, 30), &mut seen).octets_per_second, 1500.0);
        for _ in 0..MEAN {
            upload(view(3000, 30), &mut seen);
        }
        assert_eq!(upload(view(3000, 30), &mut seen).messages_per_second, 0.0);
        assert_eq!(upload(view(500, 5), &mut seen).octets_per_second, 500.0, "another mailbox");
    }
}
