//! How fast cleaning may write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest pause at a time: a new rate takes effect within it.
const LONGEST: Duration = Duration::from_millis(500);

/// The octets a second that all reactors together may write again. Any thread may change it.
#[derive(Debug)]
pub struct Pace {
    rate: AtomicU64,
}

impl Pace {
    /// A pace of this many octets a second.
    #[must_use]
    pub fn new(rate: u64) -> Pace {
        Pace { rate: AtomicU64::new(rate) }
    }

    /// Changes the rate.
    pub fn set(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// How long to rest after so many octets.
    pub(super) fn pause_after(&self, octets: usize) -> Duration {
        let rate = self.rate.load(Ordering::Relaxed).max(1);
        Duration::from_secs_f64(octets as f64 / rate as f64).min(LONGEST)
    }
}
