//! Looks at the server once a second and remembers what it saw.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::disk::{self, Room};
use super::health::{self, Pulse};
use super::history::Past;
use super::metrics::{self, Scrape};
use super::reading::{Reading, total};
use super::status::Segments;
use super::view::{UploadRates, status};
use crate::reactor::{Instant, unix_seconds};
use crate::server::Watch;
use crate::stats::{AUDIT, LOG};

/// The segments are counted once in so many seconds: there may be thousands.
const SECONDS_OF_SEGMENTS: u64 = 10;

/// What is known of the server.
pub(super) struct Observer {
    pub watch: Watch,
    pub begun: Instant,
    /// The same as a Unix time in seconds.
    pub begun_at: u64,
    pub past: Past,
    pub rates: UploadRates,
    pub room: Option<Room>,
    pulse: Pulse,
    /// All segments, at the last count.
    files: u64,
    ticks: u64,
    /// When it last looked.
    looked: Instant,
    status: Bytes,
}

impl Observer {
    /// Has looked once.
    pub fn new(watch: Watch) -> Observer {
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
    pub fn tick(&mut self) {
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
    pub fn status(&self) -> Bytes {
        self.status.clone()
    }

    /// What is wrong with the process that only a restart mends; nothing when it is healthy.
    pub fn illness(&mut self) -> Vec<String> {
        let readings = Reading::all(&self.watch);
        let now = self.look(&readings);
        let mut illness = self.pulse.illness(now);
        illness.extend(health::broken(&readings));
        illness
    }

    /// Why the server takes no mail; nothing when it does.
    pub fn obstacles(&mut self) -> Vec<String> {
        let readings = Reading::all(&self.watch);
        self.obstacles_now(&readings)
    }

    /// `/metrics`, as of now.
    pub fn metrics(&mut self) -> String {
        let reactors = Reading::all(&self.watch);
        let ready = self.obstacles_now(&reactors).is_empty();
        let segments = self.segments(&reactors);
        let uploads = self.rates.active_of_each(&self.watch);
        metrics::text(Scrape {
            reactors,
            uploads,
            segments,
            ready,
            room: self.room,
            connections: self.watch.connections as u64,
            begun_at: self.begun_at,
            certificate: self.watch.certificate.as_ref().map(|acceptor| acceptor.validity().until),
            damaged: (self.watch.damaged_messages, self.watch.damages),
            logs: [&LOG, &AUDIT].map(|one| (one.name, one.lost(), one.is_failing())),
        })
    }

    /// The segments by their states.
    pub fn segments(&self, readings: &[Reading]) -> Segments {
        let ready = self.watch.pool.ready.load(Ordering::Relaxed);
        let active = total(readings, |one| one.open_segments);
        let unwritten = total(readings, |one| one.unwritten_segments);
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

    /// Looks whether the reactors turn; when that was.
    fn look(&mut self, readings: &[Reading]) -> Instant {
        let now = Instant::now();
        self.pulse.look(readings, now, health::ticks);
        now
    }
}
