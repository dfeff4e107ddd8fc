//! How fast cleaning may write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::reactor::Instant;

/// The longest pause at a time: a new rate takes effect within it.
const LONGEST: Duration = Duration::from_millis(500);

/// A shorter pause waits until there is more to pay for: timers count milliseconds, and a pause
/// after each frame would cost far more than the rate asks for.
const SHORTEST: Duration = Duration::from_millis(4);

/// The octets a second that all reactors together may write again. Any thread may change it.
#[derive(Debug)]
pub struct Pace {
    rate: AtomicU64,
    owed: Mutex<Owed>,
}

/// Octets that were written and are not paid for with time yet.
#[derive(Debug)]
struct Owed {
    octets: f64,
    /// When they were counted; `None` before the first.
    at: Option<Instant>,
}

impl Pace {
    /// A pace of this many octets a second.
    #[must_use]
    pub fn new(rate: u64) -> Pace {
        Pace { rate: AtomicU64::new(rate), owed: Mutex::new(Owed { octets: 0.0, at: None }) }
    }

    /// Changes the rate.
    pub fn set(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// Counts octets that were written. How long to rest before the next ones; then ask again with
    /// none. `None` to go on.
    pub(super) fn pause_after(&self, octets: usize) -> Option<Duration> {
        let rate = self.rate.load(Ordering::Relaxed).max(1) as f64;
        let now = Instant::now();
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = owed.at.replace(now).map_or(Duration::ZERO, |at| now - at);
        owed.octets = (owed.octets - elapsed.as_secs_f64() * rate).max(0.0) + octets as f64;
        let pause = Duration::try_from_secs_f64(owed.octets / rate).unwrap_or(LONGEST);
        (pause >= SHORTEST).then_some(pause.min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_reactors_share_the_rate() {
        let pace = Pace::new(1 << 20);
        let first = pace.pause_after(100 << 10).expect("a tenth of a second");
        let second = pace.pause_after(100 << 10).expect("both");
        assert!(second > first.mul_f64(1.5), "{first:?}, {second:?}");
        assert_eq!(pace.pause_after(1 << 30), Some(LONGEST));
    }

    #[test]
    fn many_small_pauses_are_made_together() {
        let pace = Pace::new(1 << 30);
        let mut frames = 1;
        while pace.pause_after(256 << 10).is_none() {
            frames += 1;
        }
        assert!(frames > 8, "a pause after {frames} frames");
    }
}
