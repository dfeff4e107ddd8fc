//! Histograms of fixed buckets, each twice as wide as the one before: to add a value costs an
//! addition, and two histograms can be added.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets of a histogram: values up to 1, 2, 4 and so on up to 2^23 (8.4 seconds when they are
/// microseconds), and one for all above.
pub const BUCKETS: usize = 25;

/// A histogram of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum: u64,
}

impl Histogram {
    /// One more value.
    pub fn add(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.sum = self.sum.wrapping_add(value);
    }

    /// All values of another.
    pub fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All values together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Values in each bucket alone: number `n` has those above `2^(n-1)` and up to `2^n`.
    #[must_use]
    pub fn counts(&self) -> &[u64; BUCKETS] {
        &self.counts
    }

    /// The upper bound of the bucket in which this part of all values is reached: 0.99 for what
    /// 99 of 100 do not exceed. 0 without values; of the last bucket twice its lower bound.
    #[must_use]
    pub fn quantile(&self, part: f64) -> u64 {
        let wanted = (self.count() as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (exponent, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return 1 << exponent;
            }
        }
        0
    }
}

fn bucket(value: u64) -> usize {
    let bits = u64::BITS - value.saturating_sub(1).leading_zeros();
    (bits as usize).min(BUCKETS - 1)
}

/// A histogram that another thread looks at: a copy, as of the last time it was stored.
#[derive(Debug, Default)]
pub struct SharedHistogram {
    counts: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl SharedHistogram {
    /// Publishes.
    pub fn store(&self, histogram: &Histogram) {
        for (shared, count) in self.counts.iter().zip(&histogram.counts) {
            shared.store(*count, Ordering::Relaxed);
        }
        self.sum.store(histogram.sum, Ordering::Relaxed);
    }

    /// Looks.
    #[must_use]
    pub fn load(&self) -> Histogram {
        let counts = std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed));
        Histogram { counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_bucket() {
        for (value, expected) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1 << 23, 23)] {
            assert_eq!(bucket(value), expected, "{value}");
        }
        assert_eq!((bucket((1 << 23) + 1), bucket(u64::MAX)), (24, 24));
    }

    #[test]
    fn what_was_added_is_what_others_see() {
        let mut histogram = Histogram::default();
        [0, 1, 3, 100, 100].iter().for_each(|&value| histogram.add(value));
        let shared = SharedHistogram::default();
        shared.store(&histogram);
        assert_eq!(shared.load(), histogram);
        assert_eq!((histogram.count(), histogram.sum()), (5, 204));
        let mut twice = histogram;
        twice.merge(&histogram);
        assert_eq!((twice.count(), twice.sum()), (10, 408));
    }

    #[test]
    fn quantiles_are_upper_bounds() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        (0..99).for_each(|_| histogram.add(10));
        histogram.add(1000);
        assert_eq!((histogram.quantile(0.5), histogram.quantile(0.99)), (16, 16));
        assert_eq!(histogram.quantile(1.0), 1024);
    }
}
