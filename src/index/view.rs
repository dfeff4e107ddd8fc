//! A session's mapping of sequence numbers to UIDs (RFC 3501 section 2.3.1.2). Expunges by other
//! sessions change it only when the client may be told of them.
//!
//! Most UIDs follow each other without a gap, so a view is a list of runs:
//!
//! ```text
//! UIDs 3 4 7 8 9 12   runs (before 0, first 3), (before 2, first 7), (before 5, first 12)
//! UIDs 1..1,000,000   one run
//! ```

use std::ops::RangeInclusive;

use imap::types::{Uid, UidRange};

/// Sequence numbers and UIDs of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Ascending in both fields. Adjacent runs have a gap of UIDs between them.
    runs: Vec<Run>,
    len: u32,
}

/// Messages with consecutive UIDs, up to the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Number of messages before the run.
    before: u32,
    /// UID of its first message.
    first: u32,
}

impl View {
    /// Number of messages: EXISTS.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether it has no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The UID of the last message.
    #[must_use]
    pub fn last(&self) -> Option<Uid> {
        self.uid(self.len)
    }

    /// The UID of the message with a sequence number, counted from 1.
    #[must_use]
    pub fn uid(&self, sequence: u32) -> Option<Uid> {
        if sequence == 0 || sequence > self.len {
            return None;
        }
        let index = self.runs.partition_point(|run| run.before < sequence) - 1;
        let run = self.runs[index];
        Some(Uid(run.first + (sequence - 1 - run.before)))
    }

    /// The sequence number of a message, counted from 1.
    #[must_use]
    pub fn sequence(&self, uid: Uid) -> Option<u32> {
        let index = self.runs.partition_point(|run| run.first <= uid.0).checked_sub(1)?;
        let run = self.runs[index];
        let within = uid.0 - run.first;
        (within < self.run_len(index)).then(|| run.before + within + 1)
    }

    /// The sequence numbers of all messages in a range of UIDs. Empty when there are none.
    #[must_use]
    pub fn sequences(&self, uids: UidRange) -> RangeInclusive<u32> {
        self.below(uids.first.0) + 1..=self.below(uids.last.0.saturating_add(1))
    }

    /// Appends a message.
    ///
    /// # Panics
    /// When its UID is not above all others.
    pub fn push(&mut self, uid: Uid) {
        self.push_run(UidRange { first: uid, last: uid });
    }

    /// Appends a message for each UID of a range.
    ///
    /// # Panics
    /// When the UIDs are not above all others, or the range is reversed.
    pub fn push_run(&mut self, uids: UidRange) {
        let last = self.last();
        assert!(last < Some(uids.first) && uids.first <= uids.last, "{uids:?} after {last:?}");
        if last.is_none_or(|last| last.0 + 1 != uids.first.0) {
            self.runs.push(Run { before: self.len, first: uids.first.0 });
        }
        self.len += uids.last.0 - uids.first.0 + 1;
    }

    /// Removes a message and returns the sequence number it had.
    pub fn remove(&mut self, uid: Uid) -> Option<u32> {
        self.remove_all(&[UidRange { first: uid, last: uid }]).pop()
    }

    /// Removes messages in one pass and ignores UIDs that no message has. Returns the sequence
    /// number of each message at the moment of its removal, as EXPUNGE responses need it: removing
    /// the first two of three messages returns 1, 1.
    ///
    /// # Panics
    /// When the ranges do not ascend.
    pub fn remove_all(&mut self, uids: &[UidRange]) -> Vec<u32> {
        assert!(uids.is_sorted_by(|a, b| a.last < b.first), "UIDs to remove ascend");
        let mut gone = uids.iter().flat_map(|range| range.first.0..=range.last.0).peekable();
        let (mut left, mut sequences) = (View::default(), Vec::new());
        for run in self.runs() {
            let (mut first, last) = (run.first.0, run.last.0);
            while let Some(uid) = gone.next_if(|&uid| uid <= last) {
                if uid < first {
                    continue;
                }
                left.push_some(first, uid);
                sequences.push(left.len + 1);
                first = uid + 1;
            }
            left.push_some(first, last + 1);
        }
        *self = left;
        sequences
    }

    /// The UIDs of all messages as ascending ranges without gaps.
    pub fn runs(&self) -> impl Iterator<Item = UidRange> + '_ {
        self.runs.iter().enumerate().map(|(index, run)| UidRange {
            first: Uid(run.first),
            last: Uid(run.first + (self.run_len(index) - 1)),
        })
    }

    /// The UIDs of the messages with these sequence numbers, as ascending ranges without gaps.
    /// Numbers beyond the last message are ignored.
    pub fn uids_of(&self, numbers: RangeInclusive<u32>) -> impl Iterator<Item = UidRange> + '_ {
        let (first, last) = (*numbers.start().max(&1), *numbers.end().min(&self.len));
        let from = self.runs.partition_point(|run| run.before < first).saturating_sub(1);
        let runs = self.runs[from..].iter().enumerate().take_while(move |_| first <= last);
        runs.take_while(move |(_, run)| run.before < last).map(move |(at, run)| {
            let end = run.before + self.run_len(from + at);
            UidRange {
                first: Uid(run.first + first.saturating_sub(run.before + 1)),
                last: Uid(run.first + (last.min(end) - run.before - 1)),
            }
        })
    }

    /// The UIDs of all messages, ascending.
    pub fn uids(&self) -> impl Iterator<Item = Uid> + '_ {
        self.runs().flat_map(|run| (run.first.0..=run.last.0).map(Uid))
    }

    /// Number of messages with UIDs below this.
    fn below(&self, uid: u32) -> u32 {
        match self.runs.partition_point(|run| run.first < uid).checked_sub(1) {
            None => 0,
            Some(index) => {
                let run = self.runs[index];
                run.before + (uid - run.first).min(self.run_len(index))
            }
        }
    }

    fn run_len(&self, index: usize) -> u32 {
        self.runs.get(index + 1).map_or(self.len, |next| next.before) - self.runs[index].before
    }

    fn push_some(&mut self, first: u32, end: u32) {
        if first < end {
            self.push_run(UidRange { first: Uid(first), last: Uid(end - 1) });
        }
    }
}

impl FromIterator<Uid> for View {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> View {
        let mut view = View::default();
        uids.into_iter().for_each(|uid| view.push(uid));
        view
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_no_gap_is_one_run() {
        let mut view = View::default();
        view.push_run(UidRange { first: Uid(1), last: Uid(1_000_000) });
        view.push(Uid(1_000_001));
        assert_eq!(view.runs.len(), 1);
        assert_eq!(view.remove(Uid(500_000)), Some(500_000));
        assert_eq!((view.runs.len(), view.len()), (2, 1_000_000));
        assert_eq!(view.remove(Uid(500_000)), None);
        assert_eq!(view.last(), Some(Uid(1_000_001)));
    }

    #[test]
    fn numbers_are_turned_into_ranges_of_uids() {
        let view: View = [3, 4, 7, 11, 12, 13].map(Uid).into_iter().collect();
        let of = |first, last| {
            view.uids_of(first..=last).map(|r| (r.first.0, r.last.0)).collect::<Vec<_>>()
        };
        assert_eq!(of(1, 6), [(3, 4), (7, 7), (11, 13)]);
        assert_eq!(of(2, 3), [(4, 4), (7, 7)]);
        assert_eq!(of(5, 5), [(12, 12)]);
        assert_eq!(of(5, 99), [(12, 13)]);
        assert_eq!((of(7, 9), of(3, 2), of(0, 0)), (vec![], vec![], vec![]));
        assert_eq!(View::default().uids_of(1..=u32::MAX).count(), 0);
    }

    #[test]
    fn expunges_are_numbered_one_after_the_other() {
        let mut view: View = [3, 4, 7, 11].map(Uid).into_iter().collect();
        let gone = [(3, 5), (11, 11)];
        let gone = gone.map(|(first, last)| UidRange { first: Uid(first), last: Uid(last) });
        assert_eq!(view.remove_all(&gone), [1, 1, 2]);
        assert_eq!(view.uids().collect::<Vec<_>>(), [Uid(7)]);
    }

    proptest! {
        #[test]
        fn a_view_is_a_list_of_uids(
            uids in prop::collection::btree_set(1..200u32, 0..120),
            rounds in prop::collection::vec(prop::collection::btree_set(0..220u32, 0..20), 0..6),
            range in (0..220u32, 0..220u32),
        ) {
            let mut model: Vec<u32> = uids.into_iter().collect();
            let mut view: View = model.iter().copied().map(Uid).collect();
            for gone in rounds {
                let mut expected = Vec::new();
                for uid in &gone {
                    if let Ok(index) = model.binary_search(uid) {
                        model.remove(index);
                        expected.push(index as u32 + 1);
                    }
                }
                let mut ranges = Vec::new();
                gone.into_iter().for_each(|uid| UidRange::push(&mut ranges, Uid(uid)));
                prop_assert_eq!(view.remove_all(&ranges), expected);
            }
            prop_assert_eq!(view.len() as usize, model.len());
            prop_assert!(view.uids().map(|uid| uid.0).eq(model.iter().copied()));
            for number in 0..230u32 {
                let uid = number.checked_sub(1).and_then(|index| model.get(index as usize));
                prop_assert_eq!(view.uid(number), uid.copied().map(Uid));
                let sequence = model.binary_search(&number).ok().map(|index| index as u32 + 1);
                prop_assert_eq!(view.sequence(Uid(number)), sequence);
            }
            let (first, last) = (range.0.min(range.1), range.0.max(range.1));
            let inside = view.sequences(UidRange { first: Uid(first), last: Uid(last) });
            let expected: Vec<u32> = (1u32..)
                .zip(&model)
                .filter(|&(_, uid)| (first..=last).contains(uid))
                .map(|(sequence, _)| sequence)
                .collect();
            prop_assert_eq!(inside.collect::<Vec<_>>(), expected);
            let rebuilt: View = view.uids().collect();
            prop_assert_eq!(rebuilt, view, "runs are joined where they can be");
        }
    }
}
