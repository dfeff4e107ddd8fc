//! The last expunges of a mailbox, for clients that return and ask what vanished in their absence
//! (RFC 7162 section 3.2).
//!
//! In a mailbox's row of the catalog, little-endian:
//!
//! ```text
//! floor u64, expunges u32, then for each expunge
//!     mod-sequence u64, ranges u32, then for each range
//!         first u32, last u32
//! ```

use std::collections::VecDeque;

use crate::index::codec::{Fields, Row};
use crate::index::error::Rot;
use crate::reactor::fault::{Fault, made};
use crate::reactor::thresholds;
use imap::types::{ModSeq, Uid, UidRange};

/// The last expunges of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Vanished {
    /// Complete above this mod-sequence.
    floor: ModSeq,
    /// Ascending by mod-sequence.
    expunges: VecDeque<Expunge>,
    /// Number of ranges in all expunges.
    ranges: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Expunge {
    modseq: ModSeq,
    /// Only UIDs that existed; ascending, at least one range.
    uids: Box<[UidRange]>,
}

impl Vanished {
    /// Records an expunge and drops the oldest ones beyond the limit.
    pub(super) fn push(&mut self, modseq: ModSeq, uids: &[UidRange]) {
        if uids.is_empty() {
            return;
        }
        self.ranges += uids.len();
        self.expunges.push_back(Expunge { modseq, uids: uids.into() });
        while self.ranges > thresholds().vanished
            && let Some(oldest) = self.expunges.pop_front()
        {
            self.ranges -= oldest.uids.len();
            if !made(Fault::VanishedFloorForgotten) {
                self.floor = self.floor.max(oldest.modseq);
            }
        }
    }

    /// UIDs expunged above a mod-sequence; `None` if it is below the floor.
    pub(super) fn since(&self, modseq: ModSeq) -> Option<Vec<UidRange>> {
        if modseq < self.floor {
            return None;
        }
        let from = self.expunges.partition_point(|expunge| expunge.modseq <= modseq);
        let uids: Vec<UidRange> =
            self.expunges.range(from..).flat_map(|expunge| expunge.uids.iter().copied()).collect();
        Some(UidRange::ascending(&uids))
    }

    /// Approximate bytes in memory and in the row.
    pub(super) fn octets(&self) -> usize {
        self.expunges.len() * 32 + self.ranges * size_of::<UidRange>()
    }

    pub(super) fn encode(&self, row: &mut Row) {
        let count = |length| u32::try_from(length).expect("bounded by `limits::VANISHED`");
        row.u64(self.floor.0);
        row.u32(count(self.expunges.len()));
        for Expunge { modseq, uids } in &self.expunges {
            row.u64(modseq.0);
            row.u32(count(uids.len()));
            for range in uids {
                row.u32(range.first.0);
                row.u32(range.last.0);
            }
        }
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Vanished, Rot> {
        let mut vanished = Vanished { floor: ModSeq(fields.u64()?), ..Vanished::default() };
        for _ in 0..fields.u32()? {
            let modseq = ModSeq(fields.u64()?);
            let last = vanished.expunges.back().map_or(vanished.floor, |expunge| expunge.modseq);
            if modseq < last {
                return Err(Rot("the mod-sequences of expunges do not ascend"));
            }
            let range = |fields: &mut Fields<'_>| {
                let range = UidRange { first: Uid(fields.u32()?), last: Uid(fields.u32()?) };
                let fine = range.first.0 > 0 && range.first <= range.last;
                if fine { Ok(range) } else { Err(Rot("a range of expunged UIDs is reversed")) }
            };
            let count = fields.u32()?;
            let uids = (0..count).map(|_| range(fields)).collect::<Result<Box<[_]>, Rot>>()?;
            vanished.ranges += uids.len();
            vanished.expunges.push_back(Expunge { modseq, uids });
        }
        Ok(vanished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::VANISHED;

    fn range(first: u32, last: u32) -> UidRange {
        UidRange { first: Uid(first), last: Uid(last) }
    }

    fn read_back(vanished: &Vanished) -> Vanished {
        let mut row = Row::default();
        vanished.encode(&mut row);
        let row = row.seal();
        let mut fields = Fields::open(&row).unwrap();
        let read = Vanished::decode(&mut fields).unwrap();
        fields.end().unwrap();
        read
    }

    #[test]
    fn what_went_is_told_as_ranges_that_ascend() {
        let mut vanished = Vanished::default();
        vanished.push(ModSeq(5), &[range(3, 3), range(8, 9)]);
        vanished.push(ModSeq(6), &[]);
        vanished.push(ModSeq(7), &[range(4, 5)]);
        vanished.push(ModSeq(9), &[range(1, 1)]);
        assert_eq!(vanished.since(ModSeq(0)).unwrap(), [range(1, 1), range(3, 5), range(8, 9)]);
        assert_eq!(vanished.since(ModSeq(5)).unwrap(), [range(1, 1), range(4, 5)]);
        assert_eq!(vanished.since(ModSeq(9)).unwrap(), []);
        assert_eq!(read_back(&vanished), vanished);
    }

    #[test]
    fn the_oldest_is_forgotten_and_no_longer_claimed() {
        let mut vanished = Vanished::default();
        for n in 1..=VANISHED as u32 + 3 {
            vanished.push(ModSeq(u64::from(n)), &[range(2 * n, 2 * n)]);
        }
        assert_eq!(vanished.since(ModSeq(2)), None);
        assert_eq!(vanished.since(ModSeq(3)).unwrap().len(), VANISHED);
        assert_eq!(read_back(&vanished), vanished);
        let many: Vec<_> = (1..=VANISHED as u32 + 1).map(|n| range(2 * n, 2 * n)).collect();
        vanished.push(ModSeq(9_999), &many);
        assert_eq!(vanished.since(ModSeq(9_998)), None);
        assert_eq!(vanished.since(ModSeq(9_999)).unwrap(), []);
    }

    #[test]
    fn what_contradicts_itself_is_rot() {
        for (floor, modseq, first, last) in [(9, 8, 1, 1), (1, 8, 0, 1), (1, 8, 2, 1)] {
            let mut row = Row::default();
            row.u64(floor);
            row.u32(1);
            row.u64(modseq);
            [1, first, last].into_iter().for_each(|value| row.u32(value));
            let row = row.seal();
            assert!(Vanished::decode(&mut Fields::open(&row).unwrap()).is_err());
        }
    }
}
