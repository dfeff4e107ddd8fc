//! Sets of keywords, as bits, one after the other in one piece of memory: a set costs its octets
//! and [`SET`] more, whatever the allocator does.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// What a set takes beside its bits: where it ends, and its place in the table of hashes, which
/// may be half empty.
const SET: usize = 44;

/// Sets with the numbers 1, 2, and so on.
#[derive(Debug, Default)]
pub(super) struct Sets {
    /// Of all sets.
    bits: Vec<u8>,
    /// Where each set ends.
    ends: Vec<u32>,
    /// The number of a set by the hash of its bits, or by the first free number after that hash.
    by_hash: HashMap<u64, u32>,
    /// Keyed, so that no client can choose sets of one hash.
    hasher: RandomState,
}

impl Sets {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bits of a set; none of number 0.
    pub(super) fn get(&self, number: u32) -> &[u8] {
        let Some(index) = (number as usize).checked_sub(1) else { return &[] };
        let from = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bits[from as usize..self.ends[index] as usize]
    }

    /// The number of the set with these bits, which is added when it is not there.
    pub(super) fn intern(&mut self, bits: &[u8]) -> u32 {
        if bits.is_empty() {
            return 0;
        }
        let (hash, found) = self.look_up(bits);
        if let Some(number) = found {
            return number;
        }
        grow(&mut self.bits, bits.len());
        grow(&mut self.ends, 1);
        self.bits.extend_from_slice(bits);
        self.ends.push(u32::try_from(self.bits.len()).expect("admitted sets take less"));
        let number = u32::try_from(self.ends.len()).expect("a set takes more than an octet");
        self.by_hash.insert(hash, number);
        number
    }

    /// Takes back all sets but the first `count`.
    pub(super) fn truncate(&mut self, count: usize) {
        // From the last on: whatever was put behind another in the table of hashes goes first.
        for number in (count + 1..=self.ends.len()).rev() {
            let (hash, _) = self.look_up(self.get(number as u32));
            self.by_hash.remove(&hash);
        }
        self.ends.truncate(count);
        self.bits.truncate(self.ends.last().map_or(0, |&end| end as usize));
    }

    /// Bytes in memory. A vector that has just grown may take an eighth more.
    pub(super) fn octets(&self) -> usize {
        self.bits.len() + self.ends.len() * SET
    }

    /// The hash under which a set stands, or would.
    fn look_up(&self, bits: &[u8]) -> (u64, Option<u32>) {
        let mut hash = self.hasher.hash_one(bits);
        loop {
            match self.by_hash.get(&hash) {
                None => return (hash, None),
                Some(&number) if self.get(number) == bits => return (hash, Some(number)),
                Some(_) => hash = hash.wrapping_add(1),
            }
        }
    }
}

/// Room for more, an eighth at a time rather than twice as much.
fn grow<T>(vector: &mut Vec<T>, more: usize) {
    if vector.capacity() - vector.len() < more {
        vector.reserve_exact(more.max(vector.len() / 8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_found_and_taken_back() {
        let mut sets = Sets::default();
        let bits = |n: u32| n.to_le_bytes();
        for n in 1..=1000 {
            assert_eq!(sets.intern(&bits(n)), n);
        }
        assert_eq!((sets.intern(&bits(7)), sets.intern(&[]), sets.len()), (7, 0, 1000));
        sets.truncate(500);
        assert_eq!((sets.len(), sets.by_hash.len()), (500, 500));
        assert_eq!((sets.look_up(&bits(500)).1, sets.look_up(&bits(501)).1), (Some(500), None));
        assert_eq!((sets.intern(&bits(900)), sets.get(501)), (501, &bits(900)[..]));
        assert_eq!(sets.octets(), 501 * (4 + SET));
    }
}
