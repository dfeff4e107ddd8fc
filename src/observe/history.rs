//! What was done in each of the last seconds.

use std::collections::VecDeque;

use super::reading::{Reading, total};
use crate::limits::HISTORY;

/// One second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Second {
    /// Octets of messages that became durable.
    pub octets: u64,
    /// Those messages.
    pub messages: u64,
    /// fdatasync calls.
    pub fdatasyncs: u64,
    /// Octets that were written to the log.
    pub log: u64,
}

/// The last [`HISTORY`] seconds, oldest first.
#[derive(Debug, Default)]
pub(super) struct Past {
    seconds: VecDeque<Second>,
    before: Option<Second>,
}

impl Past {
    /// A second has passed. What came before the first call counts for no second.
    pub fn add(&mut self, readings: &[Reading]) {
        let now = Second {
            octets: total(readings, |one| one.octets),
            messages: total(readings, |one| one.messages),
            fdatasyncs: total(readings, |one| one.syncs),
            log: total(readings, |one| one.log_octets),
        };
        let Some(before) = self.before.replace(now) else { return };
        if self.seconds.len() == HISTORY {
            self.seconds.pop_front();
        }
        self.seconds.push_back(Second {
            octets: now.octets.saturating_sub(before.octets),
            messages: now.messages.saturating_sub(before.messages),
            fdatasyncs: now.fdatasyncs.saturating_sub(before.fdatasyncs),
            log: now.log.saturating_sub(before.log),
        });
    }

    /// One figure of each second, oldest first.
    pub fn each(&self, figure: impl Fn(&Second) -> u64) -> Vec<u64> {
        self.seconds.iter().map(figure).collect()
    }

    /// A figure's mean over so many of the last seconds, or over those that there are.
    pub fn rate(&self, seconds: usize, figure: impl Fn(&Second) -> u64) -> f64 {
        let last = self.seconds.iter().rev().take(seconds);
        let count = last.len();
        if count == 0 { 0.0 } else { last.map(figure).sum::<u64>() as f64 / count as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(octets: u64) -> Vec<Reading> {
        let one = Reading { octets, messages: octets / 10, ..Reading::default() };
        vec![one.clone(), one]
    }

    #[test]
    fn a_second_has_what_came_in_it() {
        let mut past = Past::default();
        [100, 100, 150, 250].iter().for_each(|&octets| past.add(&reading(octets)));
        assert_eq!(past.each(|second| second.octets), [0, 100, 200]);
        assert_eq!(past.each(|second| second.messages), [0, 10, 20]);
        assert_eq!(past.rate(2, |second| second.octets), 150.0);
        assert_eq!(past.rate(100, |second| second.octets), 100.0);
    }

    #[test]
    fn it_goes_back_ten_minutes_and_no_further() {
        let mut past = Past::default();
        (0..2000).for_each(|octets| past.add(&reading(octets)));
        assert_eq!(past.each(|second| second.octets), [2; HISTORY]);
        assert_eq!(Past::default().rate(5, |second| second.octets), 0.0);
    }
}
