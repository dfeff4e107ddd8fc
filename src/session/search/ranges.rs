//! Ranges of UIDs that ascend and neither overlap nor touch, and what can be made of them.

use crate::types::{Uid, UidRange};

/// How many UIDs they are.
pub(super) fn count(ranges: &[UidRange]) -> u32 {
    ranges.iter().map(|range| range.last.0 - range.first.0 + 1).sum()
}

/// What is in both.
pub(super) fn intersection(one: &[UidRange], other: &[UidRange]) -> Vec<UidRange> {
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
        // The last of them may reach into the next range.
        at = next.saturating_sub(1).max(at);
    }
    both
}

/// What is in the first and not in the second.
pub(super) fn difference(one: &[UidRange], other: &[UidRange]) -> Vec<UidRange> {
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

/// What is in one of them.
pub(super) fn union(one: &[UidRange], other: &[UidRange]) -> Vec<UidRange> {
    UidRange::ascending(&[one, other].concat())
}

/// Those from one position to another, counted from 1.
pub(super) fn part(ranges: &[UidRange], first: u32, last: u32) -> Vec<UidRange> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

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
            prop_assert_eq!(intersection(&a, &b), ranges(&(&one & &other)));
            prop_assert_eq!(difference(&a, &b), ranges(&(&one - &other)));
            prop_assert_eq!(union(&a, &b), ranges(&(&one | &other)));
            prop_assert_eq!(count(&a) as usize, one.len());
            let some = one.iter().enumerate().filter(|&(at, _)| {
                (first..=last).contains(&(at as u32 + 1))
            });
            prop_assert_eq!(part(&a, first, last), ranges(&some.map(|(_, &uid)| uid).collect()));
        }
    }
}
