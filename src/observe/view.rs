//! Makes the [`Status`] out of what the observer has read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{LockResult, MutexGuard, PoisonError};
use std::time::Duration;

use super::observer::Observer;
use super::process::Process;
use super::reading::{Reading, total};
use super::status::{
    Disk, FigureStatus, FigureValue, History, Latency, Rates, Reactor, Refusal, STATUS_VERSION,
    Status, Totals, Upload,
};
use crate::limits::{LARGE_LEASES, REFUSALS_SHOWN, SMALL_LEASES, UPLOADS_SHOWN};
use crate::reactor::unix_seconds;
use crate::server::Watch;
use crate::stats::{Figure, Histogram, Kind, Scope, Standing, Unit, UploadView, What};

/// Seconds over which rates are averaged.
const MEAN: usize = 5;

/// Seconds over which the growth of the log is averaged to predict when the disk is full.
const LONG_MEAN: usize = 60;

/// The speed of each upload, from its counts at the last looks.
#[derive(Default)]
pub(super) struct UploadRates {
    /// By connection: bytes and messages at the last looks, oldest first.
    seen: BTreeMap<Box<str>, VecDeque<(u64, u64)>>,
    active: u64,
    busiest: Vec<Upload>,
}

impl UploadRates {
    /// Looks at all uploads. To be called every second.
    pub(super) fn look(&mut self, watch: &Watch) {
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
}

/// A snapshot of an upload with its rates.
fn upload(view: UploadView, seen: &mut VecDeque<(u64, u64)>) -> Upload {
    let now = (view.octets, view.messages);
    // The upload went on to another mailbox, where its counts start at 0.
    if seen.back().is_some_and(|last| last.0 > now.0 || last.1 > now.1) {
        seen.clear();
    }
    if seen.is_empty() {
        // What came before the first look arrived within the second before it.
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

/// The whole status.
pub(super) fn status(observer: &Observer, readings: &[Reading], problems: Vec<String>) -> Status {
    let Observer { watch, past, rates, .. } = observer;
    let ready = problems.is_empty();
    Status {
        version: STATUS_VERSION,
        mailrace: env!("CARGO_PKG_VERSION").to_owned(),
        time: unix_seconds(),
        uptime: observer.begun.elapsed().as_secs(),
        listen: watch.address.to_string(),
        ready,
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
        figures: figures(readings, &observer.process(readings, ready)),
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
        messages: total(readings, Figure::Messages),
        octets: total(readings, Figure::MailBytes),
        batches: total(readings, Figure::Batches),
        fdatasyncs: total(readings, Figure::Fdatasync),
        refusals: total(readings, Figure::Refusals),
        parse_errors: total(readings, Figure::ParseErrors),
        logins: total(readings, Figure::Logins),
    }
}

fn connections(readings: &[Reading]) -> BTreeMap<String, u64> {
    let count = |(at, name): (usize, &str)| {
        let of = |one: &Reading| one.values.each(Figure::Connections)[at];
        (name.to_owned(), readings.iter().map(of).sum())
    };
    Standing::NAMES.into_iter().enumerate().map(count).collect()
}

/// Every declared figure with its values.
fn figures(readings: &[Reading], process: &Process) -> Vec<FigureStatus> {
    let is_known =
        |figure: &&Figure| figure.declared().scope != Scope::Process || process.has(**figure);
    let of = |&figure: &Figure| FigureStatus::new(figure, values(figure, readings, process));
    Figure::ALL.iter().filter(is_known).map(of).collect()
}

/// The values of a figure, all reactors taken together.
fn values(figure: Figure, readings: &[Reading], process: &Process) -> Vec<FigureValue> {
    let declared = figure.declared();
    let scale = if declared.unit == Unit::Micros { 1e-6 } else { 1.0 };
    let value = |of: &str, value: f64| FigureValue { of: of.into(), value: value * scale };
    if let Kind::Histogram { .. } = declared.kind {
        let mut all = Histogram::default();
        readings.iter().for_each(|one| all.merge(one.histogram(figure)));
        let mean = all.sum() as f64 / all.count().max(1) as f64;
        let (median, high) = (all.quantile(0.5), all.quantile(0.99));
        return vec![value("mean", mean), value("p50", median as f64), value("p99", high as f64)];
    }
    let each = |at: usize| {
        let reactors = readings.iter().map(|one| one.values.each(figure)[at]);
        match declared.scope {
            Scope::Reactor => reactors.sum(),
            Scope::Largest => reactors.max().unwrap_or(0),
            Scope::Process => process.values.each(figure)[at],
        }
    };
    let name = |at: usize| declared.label.map_or("", |label| label.values[at]);
    (0..declared.width()).map(|at| value(name(at), each(at) as f64)).collect()
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
        what: What::NAMES[refused.what as usize].to_owned(),
        reason: refused.reason.into(),
    };
    all.into_iter().map(refusal).collect()
}

fn reactor(reading: &Reading) -> Reactor {
    let group = reading.histogram(Figure::FdatasyncGroup);
    let groups = group.count().max(1) as f64;
    Reactor {
        connections: reading.sessions,
        messages: reading.get(Figure::Messages),
        octets: reading.get(Figure::MailBytes),
        batches: reading.get(Figure::Batches),
        fdatasync: latency(reading.histogram(Figure::Fdatasync)),
        group_size: group.sum() as f64 / groups,
        lateness: latency(reading.histogram(Figure::ReactorLateness)),
        cpu_seconds: Duration::from_micros(reading.get(Figure::ReactorCpu)).as_secs_f64(),
        leases: reading.get(Figure::LeasesInUse),
        leases_limit: (SMALL_LEASES + LARGE_LEASES) as u64,
        lease_waits: reading.get(Figure::LeaseWaits),
        segment: reading.get(Figure::LogSegment),
        segment_offset: reading.get(Figure::LogPosition),
        checkpoint_lag: reading.get(Figure::CheckpointLag),
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

/// Takes a lock even if a holder panicked: its content is only copied.
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
