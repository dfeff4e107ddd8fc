//! Sets of UIDs as ranges.

use super::{Uid, UidRange};

impl UidRange {
    /// All UIDs.
    pub const ALL: UidRange = UidRange { first: Uid(1), last: Uid(u32::MAX) };

    /// These UIDs as ascending ranges that do not touch. Ranges with `first` above `last` are
    /// dropped.
    #[must_use]
    pub fn ascending(uids: &[UidRange]) -> Vec<UidRange> {
        let mut sorted: Vec<_> = uids.iter().filter(|r| r.first <= r.last).copied().collect();
        sorted.sort_unstable_by_key(|range| range.first);
        sorted.dedup_by(|next, last| {
            let touch = next.first.0 <= last.last.0.saturating_add(1);
            if touch {
                last.last = last.last.max(next.last);
            }
            touch
        });
        sorted
    }

    /// Adds a UID above all others to ascending ranges that do not touch.
    pub fn push(ranges: &mut Vec<UidRange>, uid: Uid) {
        match ranges.last_mut() {
            Some(last) if last.last.0.checked_add(1) == Some(uid.0) => last.last = uid,
            _ => ranges.push(UidRange { first: uid, last: uid }),
        }
    }

    /// Whether one of these ascending, disjoint ranges contains `uid`.
    #[must_use]
    pub fn covers(ranges: &[UidRange], uid: Uid) -> bool {
        let index = ranges.partition_point(|range| range.last < uid);
        ranges.get(index).is_some_and(|range| range.first <= uid)
    }

    /// The number of UIDs in these disjoint ranges.
    #[must_use]
    pub fn count(ranges: &[UidRange]) -> u32 {
        ranges.iter().map(|range| range.last.0 - range.first.0 + 1).sum()
    }

    /// The UIDs in both sets. Sets are ascending, disjoint ranges, here and in the next two
    /// functions.
    #[must_use]
    pub fn intersection(one: &[UidRange], other: &[UidRange]) -> Vec<UidRange> {
        let (mut both, mut at) = (Vec::new(), 0);
        for range in one {
            while other.get(at).is_some_and(|other| other.last < range.first) {
                at += 1;
            }
            let mut next = at;
            while let Some(other) = other.get(next).filter(|other| other.first <= range.last) {
                let (first, last) = (range.first.max(other.first), range.last.min(other.last));
                both.push(UidRange { first, last });
                next += 1;
            }
            // The last of them may reach into the next range of `one`.
            at = next.saturating_sub(1).max(at);
        }
        both
    }

    /// The UIDs in `one` that are not in `other`.
    #[must_use]
    pub fn difference(one: &[UidRange], other: &[UidRange]) -> Vec<UidRange> {
        let (mut left, mut at) = (Vec::new(), 0);
        for range in one {
            let mut first = range.first.0;
            while other.get(at).is_some_and(|other| other.last < range.first) {
                at += 1;
            }
            let mut next = at;
            let mut whole = false;
            while let Some(other) = other.get(next).filter(|other| other.first <= range.last) {
                if first < other.first.0 {
                    left.push(UidRange { first: Uid(first), last: Uid(other.first.0 - 1) });
                }
                if other.last >= range.last {
                    whole = true;
                    break;
                }
                first = other.last.0 + 1;
                next += 1;
            }
            at = next;
            if !whole {
                left.push(UidRange { first: Uid(first), last: range.last });
            }
        }
        left
    }

    /// The UIDs in either set.
    #[must_use]
    pub fn union(one: &[UidRange], other: &[UidRange]) -> Vec<UidRange> {
        UidRange::ascending(&[one, other].concat())
    }

    /// The UIDs at positions `first` to `last`, counted from 1, of ranges in any order.
    #[must_use]
    pub fn part(ranges: &[UidRange], first: u32, last: u32) -> Vec<UidRange> {
        let (mut before, mut part) = (0, Vec::new());
        for range in ranges {
            let len = range.last.0 - range.first.0 + 1;
            let (from, to) = (first.max(before + 1), last.min(before + len));
            if from <= to {
                part.push(UidRange {
                    first: Uid(range.first.0 + (from - before - 1)),
                    last: Uid(range.first.0 + (to - before - 1)),
                });
            }
            before += len;
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range(first: u32, last: u32) -> UidRange {
        UidRange { first: Uid(first), last: Uid(last) }
    }

    #[test]
    fn touching_and_overlapping_ranges_are_merged() {
        let uids = [range(9, 9), range(5, 6), range(7, 8), range(1, 2), range(2, 3), range(8, 7)];
        assert_eq!(UidRange::ascending(&uids), [range(1, 3), range(5, 9)]);
        let end = [range(u32::MAX, u32::MAX), range(1, u32::MAX)];
        assert_eq!(UidRange::ascending(&end), [range(1, u32::MAX)]);
    }

    #[test]
    fn uids_one_by_one_make_ranges() {
        let mut ranges = Vec::new();
        [1, 2, 3, 7, 9, 10].into_iter().for_each(|uid| UidRange::push(&mut ranges, Uid(uid)));
        assert_eq!(ranges, [range(1, 3), range(7, 7), range(9, 10)]);
        let covered: Vec<_> = (0..12).filter(|&uid| UidRange::covers(&ranges, Uid(uid))).collect();
        assert_eq!(covered, [1, 2, 3, 7, 9, 10]);
    }

    fn ranges(uids: &BTreeSet<u32>) -> Vec<UidRange> {
        let mut ranges = Vec::new();
        uids.iter().for_each(|&uid| UidRange::push(&mut ranges, Uid(uid)));
        ranges
    }

    proptest! {
        #[test]
        fn they_are_sets(
            one in prop::collection::btree_set(1..40u32, 0..30),
            other in prop::collection::btree_set(1..40u32, 0..30),
            (first, last) in (1..40u32, 1..40u32),
        ) {
            let (a, b) = (ranges(&one), ranges(&other));
            prop_assert_eq!(UidRange::intersection(&a, &b), ranges(&(&one & &other)));
            prop_assert_eq!(UidRange::difference(&a, &b), ranges(&(&one - &other)));
            prop_assert_eq!(UidRange::union(&a, &b), ranges(&(&one | &other)));
            prop_assert_eq!(UidRange::count(&a) as usize, one.len());
            let some = one.iter().enumerate().filter(|&(at, _)| {
                (first..=last).contains(&(at as u32 + 1))
            });
            let part = UidRange::part(&a, first, last);
            prop_assert_eq!(part, ranges(&some.map(|(_, &uid)| uid).collect()));
        }
    }
}
