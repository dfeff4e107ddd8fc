//! The counters of all reactors, read at one moment.

use std::sync::atomic::Ordering;

use crate::server::Watch;
use crate::stats::{Figure, Histogram, Tally, Values};

/// The counters of one reactor. See [`Tally`].
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub values: Values,
    pub broken: bool,
    pub thread: u64,
    pub sessions: u64,
    pub room: u64,
    pub open_segments: u64,
}

impl Reading {
    /// Reads one reactor.
    pub(super) fn of(tally: &Tally) -> Reading {
        Reading {
            values: tally.values.load(),
            broken: tally.broken.load(Ordering::Relaxed),
            thread: tally.thread.load(Ordering::Relaxed),
            sessions: tally.sessions.load(Ordering::Relaxed),
            room: tally.room.load(Ordering::Relaxed),
            open_segments: tally.open_segments.load(Ordering::Relaxed),
        }
    }

    /// Reads all reactors.
    pub(super) fn all(watch: &Watch) -> Vec<Reading> {
        watch.reactors.iter().map(|tally| Reading::of(tally)).collect()
    }

    /// A figure; see [`Values::get`].
    pub(super) fn get(&self, figure: Figure) -> u64 {
        self.values.get(figure)
    }

    /// A histogram.
    pub(super) fn histogram(&self, figure: Figure) -> &Histogram {
        self.values.histogram(figure)
    }

    /// A reactor of which only this is known.
    #[cfg(test)]
    pub fn with(figures: &[(Figure, u64)]) -> Reading {
        let mut reading = Reading::default();
        figures.iter().for_each(|&(figure, value)| reading.values.set(figure, value));
        reading
    }
}

/// A figure, summed over all reactors.
pub(super) fn total(readings: &[Reading], figure: Figure) -> u64 {
    readings.iter().map(|one| one.get(figure)).sum()
}
