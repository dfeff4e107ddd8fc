//! Sets of UIDs as ranges.

use super::{Uid, UidRange};

impl UidRange {
    /// The same UIDs as ranges that ascend and do not touch. Ranges that are no range are left out.
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

    /// Adds a UID to ranges that ascend and do not touch, above all that are there.
    pub fn push(ranges: &mut Vec<UidRange>, uid: Uid) {
        match ranges.last_mut() {
            Some(last) if last.last.0.checked_add(1) == Some(uid.0) => last.last = uid,
            _ => ranges.push(UidRange { first: uid, last: uid }),
        }
    }

    /// Whether one of these ranges, which ascend and do not touch, contains `uid`.
    #[must_use]
    pub fn covers(ranges: &[UidRange], uid: Uid) -> bool {
        let index = ranges.partition_point(|range| range.last < uid);
        ranges.get(index).is_some_and(|range| range.first <= uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u32, last: u32) -> UidRange {
        UidRange { first: Uid(first), last: Uid(last) }
    }

    #[test]
    fn what_touches_or_overlaps_is_one() {
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
}
