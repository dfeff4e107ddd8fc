//! Throughput in each of the last seconds.

use std::collections::VecDeque;

use super::reading::{Reading, total};
use crate::limits::HISTORY;
use crate::stats::Figure;

/// One second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Second {
    /// Bytes of messages that became durable.
    pub octets: u64,
    /// Messages that became durable.
    pub messages: u64,
    /// fdatasync calls.
    pub fdatasyncs: u64,
    /// Bytes written to the log.
    pub log: u64,
}

/// The last [`HISTORY`] seconds, oldest first.
#[derive(Debug, Default)]
pub(super) struct Past {
    seconds: VecDeque<Second>,
    before: Option<Second>,
}

impl Past {
    /// Adds the seconds since the last call: one, or more if this thread was not scheduled. What
    /// happened in several seconds is spread evenly over them. What happened before the first call
    /// is not counted.
    pub(super) fn add(&mut self, readings: &[Reading], seconds: u64) {
        let now = Second {
            octets: total(readings, Figure::MailBytes),
            messages: total(readings, Figure::Messages),
            fdatasyncs: total(readings, Figure::Fdatasync),
            log: total(readings, Figure::LogBytes),
        };
        let Some(before) = self.before.replace(now) else { return };
        for second in 0..seconds.min(HISTORY as u64) {
            if self.seconds.len() == HISTORY {
                self.seconds.pop_front();
            }
            let part = |now: u64, before: u64| {
                let all = now.saturating_sub(before);
                // Loses nothing to rounding: the parts add up to `all`.
                all * (second + 1) / seconds - all * second / seconds
            };
            self.seconds.push_back(Second {
                octets: part(now.octets, before.octets),
                messages: part(now.messages, before.messages),
                fdatasyncs: part(now.fdatasyncs, before.fdatasyncs),
                log: part(now.log, before.log),
            });
        }
    }

    /// One figure of each second, oldest first.
    pub(super) fn each(&self, figure: impl Fn(&Second) -> u64) -> Vec<u64> {
        self.seconds.iter().map(figure).collect()
    }

    /// The mean of a figure over the last `seconds`, or over as many as there are.
    pub(super) fn rate(&self, seconds: usize, figure: impl Fn(&Second) -> u64) -> f64 {
        let last = self.seconds.iter().rev().take(seconds);
        let count = last.len();
        if count == 0 { 0.0 } else { last.map(figure).sum::<u64>() as f64 / count as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(octets: u64) -> Vec<Reading> {
        let one = Reading::with(&[(Figure::MailBytes, octets), (Figure::Messages, octets / 10)]);
        vec![one.clone(), one]
    }

    #[test]
    fn a_second_has_what_came_in_it() {
        let mut past = Past::default();
        [100, 100, 150, 250].iter().for_each(|&octets| past.add(&reading(octets), 1));
        assert_eq!(past.each(|second| second.octets), [0, 100, 200]);
        assert_eq!(past.each(|second| second.messages), [0, 10, 20]);
        assert_eq!(past.rate(2, |second| second.octets), 150.0);
        assert_eq!(past.rate(100, |second| second.octets), 100.0);
    }

    #[test]
    fn what_came_in_several_seconds_is_spread_over_them() {
        let mut past = Past::default();
        past.add(&reading(0), 1);
        past.add(&reading(50), 3);
        assert_eq!(past.each(|second| second.octets), [33, 33, 34]);
        past.add(&reading(50), 1_000_000);
        assert_eq!(past.each(|second| second.octets), [0; HISTORY]);
    }

    #[test]
    fn it_goes_back_ten_minutes_and_no_further() {
        let mut past = Past::default();
        (0..2000).for_each(|octets| past.add(&reading(octets), 1));
        assert_eq!(past.each(|second| second.octets), [2; HISTORY]);
        assert_eq!(Past::default().rate(5, |second| second.octets), 0.0);
    }
}
