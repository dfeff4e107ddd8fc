//! Reads the counters of the server once a second and keeps their recent past.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::disk::{self, Room};
use super::health::{self, Pulse};
use super::history::Past;
use super::metrics::{self, Scrape};
use super::process::Process;
use super::reading::{Reading, total};
use super::status::Segments;
use super::view::{UploadRates, status};
use crate::limits::{LARGE_LEASES, SMALL_LEASES};
use crate::reactor::{Instant, unix_seconds};
use crate::server::Watch;
use crate::stats::{AUDIT, Figure, LOG, LineCounts, ScrubCounts, SpaceCounts};

/// Seconds between two counts of the segment files: there may be thousands.
const SECONDS_OF_SEGMENTS: u64 = 10;

/// The server as last seen.
pub(super) struct Observer {
    pub watch: Watch,
    pub begun: Instant,
    /// `begun` as a Unix time in seconds.
    pub begun_at: u64,
    pub past: Past,
    pub rates: UploadRates,
    pub room: Option<Room>,
    pulse: Pulse,
    /// All segment files, at the last count.
    files: u64,
    ticks: u64,
    /// When it last looked.
    looked: Instant,
    status: Bytes,
}

impl Observer {
    /// Starts with a first look.
    pub(super) fn new(watch: Watch) -> Observer {
        let (now, readings) = (Instant::now(), Reading::all(&watch));
        let mut observer = Observer {
            watch,
            begun: now,
            begun_at: unix_seconds(),
            past: Past::default(),
            rates: UploadRates::default(),
            room: None,
            pulse: Pulse::new(&readings, now),
            files: 0,
            ticks: 0,
            looked: now,
            status: Bytes::new(),
        };
        observer.tick();
        observer
    }

    /// Looks again. To be called every second.
    pub(super) fn tick(&mut self) {
        let readings = Reading::all(&self.watch);
        let now = Instant::now();
        let passed = now - std::mem::replace(&mut self.looked, now);
        self.past.add(&readings, (passed.as_secs_f64().round() as u64).max(1));
        self.rates.look(&self.watch);
        if self.ticks.is_multiple_of(SECONDS_OF_SEGMENTS) {
            self.files = disk::segments(&self.watch.segments());
        }
        self.ticks += 1;
        let problems = self.obstacles_now(&readings);
        let status = status(self, &readings, problems);
        self.status = serde_json::to_vec(&status).expect("a status is plain data").into();
    }

    /// `/status.json`, as of the last look.
    pub(super) fn status(&self) -> Bytes {
        self.status.clone()
    }

    /// What only a restart can repair; empty if the process is healthy.
    pub(super) fn illness(&mut self) -> Vec<String> {
        let readings = Reading::all(&self.watch);
        let now = self.look(&readings);
        let mut illness = self.pulse.illness(now);
        illness.extend(health::broken(&readings));
        illness
    }

    /// Why the server accepts no mail; empty if it does.
    pub(super) fn obstacles(&mut self) -> Vec<String> {
        let readings = Reading::all(&self.watch);
        self.obstacles_now(&readings)
    }

    /// `/metrics`, as of now.
    pub(super) fn metrics(&mut self) -> String {
        let reactors = Reading::all(&self.watch);
        let ready = self.obstacles_now(&reactors).is_empty();
        let process = self.process(&reactors, ready);
        metrics::text(Scrape { reactors, process })
    }

    /// The figures of the process.
    pub(super) fn process(&self, readings: &[Reading], ready: bool) -> Process {
        let (mut process, watch) = (Process::default(), &self.watch);
        let Segments { ready: written, active, reserve, sealed, .. } = self.segments(readings);
        process.set_each(Figure::Segments, [written, active, reserve, sealed]);
        process.set_each(Figure::Leases, [SMALL_LEASES, LARGE_LEASES].map(|count| count as u64));
        let SpaceCounts { live, dead, cleaned, given_back, rewritten, oldest_dead } = &*watch.space;
        for (figure, count) in [
            (Figure::LiveBytes, live),
            (Figure::DeadBytes, dead),
            (Figure::CleanedSegments, cleaned),
            (Figure::CleanedBytes, given_back),
            (Figure::RewrittenBytes, rewritten),
            (Figure::PurgeOldestDead, oldest_dead),
        ] {
            process.set(figure, count.load(Ordering::Relaxed));
        }
        if let Some(scrub) = &watch.scrub {
            let ScrubCounts { bytes, files, left, findings, last, off } = &**scrub;
            for (figure, count) in [
                (Figure::ScrubbedBytes, bytes),
                (Figure::ScrubbedFiles, files),
                (Figure::ScrubLeft, left),
                (Figure::ScrubFindings, findings),
                (Figure::ScrubLast, last),
                (Figure::ScrubOff, off),
            ] {
                process.set(figure, count.load(Ordering::Relaxed));
            }
        }
        if let Some(Room { size, available }) = self.room {
            process.set(Figure::DiskSize, size);
            process.set(Figure::DiskFree, available);
        }
        process.set(Figure::ConnectionsLimit, watch.connections as u64);
        process.set(Figure::Ready, ready.into());
        process.set(Figure::DamagedMessages, watch.damaged_messages);
        process.set(Figure::Damages, watch.damages);
        process.set_each(Figure::LogLinesLost, [&LOG, &AUDIT].map(LineCounts::lost));
        process.set_each(Figure::LogFailing, [&LOG, &AUDIT].map(|log| log.is_failing().into()));
        process.set(Figure::StartTime, self.begun_at);
        if let Some(acceptor) = &watch.certificate {
            let until = u64::try_from(acceptor.validity().until).unwrap_or(0);
            process.set(Figure::CertificateExpires, until);
        }
        process.set(Figure::BuildInfo, 1);
        process
    }

    /// The segments by their states.
    pub(super) fn segments(&self, readings: &[Reading]) -> Segments {
        let ready = self.watch.pool.ready.load(Ordering::Relaxed);
        let active = readings.iter().map(|one| one.open_segments).sum();
        let unwritten = total(readings, Figure::UnwrittenSegments);
        let reserve = self.watch.pool.reserve.load(Ordering::Relaxed);
        let sealed = self.files.saturating_sub(ready + active + reserve);
        Segments { ready, active, reserve, sealed, unwritten }
    }

    fn obstacles_now(&mut self, readings: &[Reading]) -> Vec<String> {
        let now = self.look(readings);
        let mut obstacles = self.pulse.pauses(now);
        self.room = disk::room(&self.watch.data);
        obstacles.extend(health::obstacles(&self.watch, readings, self.room));
        obstacles
    }

    /// Looks whether the reactors turn. Returns the time of the look.
    fn look(&mut self, readings: &[Reading]) -> Instant {
        let now = Instant::now();
        self.pulse.look(readings, now, health::ticks);
        now
    }
}
