//! Histograms of latencies. All have the same bounds, so they can be added.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency recorded, in microseconds: ten minutes. Longer ones count as this.
const LONGEST: u64 = 600_000_000;

/// Latencies with three digits of precision, from a microsecond up.
#[derive(Clone, Debug)]
pub(super) struct Latency(Histogram<u64>);

impl Latency {
    pub(super) fn new() -> Latency {
        Latency(Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are valid"))
    }

    pub(super) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST));
    }

    /// Adds all latencies of `other`.
    pub(super) fn add(&mut self, other: &Latency) {
        self.0.add(&other.0).expect("all have one shape");
    }

    /// Number of latencies.
    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The quantile at `share` (0 to 1), in milliseconds.
    pub(super) fn milliseconds(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64 / 1e3
    }
}
