//! The values of all figures at one moment, and the copy of them that other threads read.

use std::sync::atomic::{AtomicU64, Ordering};

use super::figures::{Figure, HISTOGRAMS, NUMBERS};
use super::histogram::{Histogram, SharedHistogram};

/// A value of every figure, for one reactor or for the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    numbers: [u64; NUMBERS],
    histograms: [Histogram; HISTOGRAMS],
}

impl Default for Values {
    fn default() -> Values {
        Values { numbers: [0; NUMBERS], histograms: [Histogram::default(); HISTOGRAMS] }
    }
}

impl Values {
    /// The value of a figure; with a label, the sum over its values; of a histogram, the count.
    #[must_use]
    pub fn get(&self, figure: Figure) -> u64 {
        match figure.numbers() {
            numbers if numbers.is_empty() => self.histogram(figure).count(),
            numbers => self.numbers[numbers].iter().sum(),
        }
    }

    /// The values of a figure, in the order of its label's values; none of a histogram.
    #[must_use]
    pub fn each(&self, figure: Figure) -> &[u64] {
        &self.numbers[figure.numbers()]
    }

    /// Sets a figure without a label.
    pub fn set(&mut self, figure: Figure, value: u64) {
        self.set_each(figure, [value]);
    }

    /// Sets the values of a figure, in the order of its label's values.
    pub fn set_each<const N: usize>(&mut self, figure: Figure, values: [u64; N]) {
        self.numbers[figure.numbers()].copy_from_slice(&values);
    }

    /// Adds to a figure without a label.
    pub fn add(&mut self, figure: Figure, more: u64) {
        let [value] = &mut self.numbers[figure.numbers()] else {
            unreachable!("{figure:?} has not one value");
        };
        *value = value.wrapping_add(more);
    }

    /// A histogram.
    #[must_use]
    pub fn histogram(&self, figure: Figure) -> &Histogram {
        &self.histograms[figure.histogram()]
    }

    /// A histogram, to add to or to replace.
    pub fn histogram_mut(&mut self, figure: Figure) -> &mut Histogram {
        &mut self.histograms[figure.histogram()]
    }
}

/// The values of one reactor as of the last time it stored them.
#[derive(Debug)]
pub struct SharedValues {
    numbers: [AtomicU64; NUMBERS],
    histograms: [SharedHistogram; HISTOGRAMS],
}

impl Default for SharedValues {
    fn default() -> SharedValues {
        SharedValues {
            numbers: std::array::from_fn(|_| AtomicU64::new(0)),
            histograms: std::array::from_fn(|_| SharedHistogram::default()),
        }
    }
}

impl SharedValues {
    /// Publishes. A reader may see some of the values from before and some from after.
    pub fn store(&self, values: &Values) {
        for (shared, number) in self.numbers.iter().zip(&values.numbers) {
            shared.store(*number, Ordering::Relaxed);
        }
        for (shared, histogram) in self.histograms.iter().zip(&values.histograms) {
            shared.store(histogram);
        }
    }

    /// Reads.
    #[must_use]
    pub fn load(&self) -> Values {
        Values {
            numbers: std::array::from_fn(|at| self.numbers[at].load(Ordering::Relaxed)),
            histograms: std::array::from_fn(|at| self.histograms[at].load()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_to_their_figure_and_arrive() {
        let mut values = Values::default();
        values.add(Figure::Logins, 2);
        values.set_each(Figure::Refusals, [1, 2, 3]);
        values.histogram_mut(Figure::Fdatasync).add(5);
        let shared = SharedValues::default();
        shared.store(&values);
        let read = shared.load();
        assert_eq!(read, values);
        assert_eq!((read.get(Figure::Logins), read.get(Figure::Refusals)), (2, 6));
        assert_eq!(read.each(Figure::Refusals), [1, 2, 3]);
        assert_eq!((read.get(Figure::Fdatasync), read.get(Figure::ReactorLateness)), (1, 0));
        assert_eq!((read.get(Figure::ParseErrors), read.get(Figure::Connections)), (0, 0));
    }
}
