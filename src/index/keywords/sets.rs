//! Sets of keywords as bits, all in one vector: a set costs its bytes plus [`SET`], independent of
//! the allocator.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Bytes in memory of a set beside its bits: its slot, and its entry in a hash table that may be
/// half empty.
const SET: usize = 52;

/// Sets, numbered from 1. [`Sets::collect`] frees the numbers of sets that no message has.
#[derive(Debug, Default)]
pub(super) struct Sets {
    /// The bits of all sets.
    bits: Vec<u8>,
    /// The set with number n is in slot n - 1.
    slots: Vec<Slot>,
    /// Numbers without a set.
    free: Vec<u32>,
    /// Number of a set by the hash of its bits; on a collision, by the next free hash value.
    by_hash: HashMap<u64, u32>,
    /// Randomly keyed, so that a client cannot choose colliding sets.
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Offset of its bits.
    at: u32,
    /// Length of its bits in bytes; 0 when the number has no set.
    len: u16,
    /// Its last message has lost it.
    dead: bool,
    /// Number of messages that have it.
    uses: u32,
}

/// How [`Sets::intern`] found a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interned {
    /// It existed and was not dead.
    Known,
    /// It existed and was dead.
    Revived,
    /// It was added.
    Made,
}

impl Sets {
    /// The highest number in use, with or without a set.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Number of sets.
    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The bits of a set; empty for number 0.
    pub(super) fn get(&self, number: u32) -> &[u8] {
        let Some(slot) = self.slot(number) else { return &[] };
        &self.bits[slot.at as usize..slot.at as usize + usize::from(slot.len)]
    }

    /// Number of messages that have a set.
    pub(super) fn uses(&self, number: u32) -> u32 {
        self.slot(number).map_or(0, |slot| slot.uses)
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get((number as usize).checked_sub(1)?)
    }

    fn slot_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.get_mut((number as usize).checked_sub(1)?)
    }

    /// The number of the set with these bits, added if new.
    pub(super) fn intern(&mut self, bits: &[u8]) -> (u32, Interned) {
        if bits.is_empty() {
            return (0, Interned::Known);
        }
        let (hash, found) = self.look_up(bits);
        if let Some(number) = found {
            let dead = self.slot_mut(number).is_some_and(|slot| std::mem::take(&mut slot.dead));
            return (number, if dead { Interned::Revived } else { Interned::Known });
        }
        let at = u32::try_from(self.bits.len()).expect("admitted sets take less");
        let len = u16::try_from(bits.len()).expect("a set has each name once");
        grow(&mut self.bits, bits.len());
        self.bits.extend_from_slice(bits);
        let number = self.free.pop().unwrap_or_else(|| {
            grow(&mut self.slots, 1);
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len()).expect("a set takes more than an octet")
        });
        self.slots[number as usize - 1] = Slot { at, len, dead: false, uses: 0 };
        self.by_hash.insert(hash, number);
        (number, Interned::Made)
    }

    /// Gives the next number to a set from the catalog; `None` when the set exists already.
    pub(super) fn append(&mut self, bits: &[u8]) -> Option<u32> {
        let free = std::mem::take(&mut self.free);
        let (number, how) = self.intern(bits);
        self.free = free;
        (how == Interned::Made).then_some(number)
    }

    /// Leaves the next number without a set.
    pub(super) fn skip(&mut self) {
        self.slots.push(Slot::default());
        self.free.push(self.slots.len() as u32);
    }

    /// Counts `messages` more messages with the set. Returns whether they are the first.
    pub(super) fn used(&mut self, number: u32, messages: u32) -> bool {
        let Some(slot) = self.slot_mut(number) else { return false };
        slot.dead = false;
        slot.uses += messages;
        slot.uses == messages && messages > 0
    }

    /// Counts one message less with the set. Returns whether it was the last; `None` when no
    /// message had the set.
    pub(super) fn released(&mut self, number: u32) -> Option<bool> {
        if number == 0 {
            return Some(false);
        }
        let slot = self.slot_mut(number)?;
        slot.uses = slot.uses.checked_sub(1)?;
        slot.dead = slot.uses == 0;
        Some(slot.dead)
    }

    /// Whether the last message of the set has lost it.
    pub(super) fn is_dead(&self, number: u32) -> bool {
        self.slot(number).is_some_and(|slot| slot.dead)
    }

    /// Removes the set that was added last.
    pub(super) fn undo(&mut self, number: u32) {
        let (hash, _) = self.look_up(self.get(number));
        self.by_hash.remove(&hash);
        let slot = std::mem::take(&mut self.slots[number as usize - 1]);
        self.bits.truncate(slot.at as usize);
        match number as usize == self.slots.len() {
            true => drop(self.slots.pop()),
            false => self.free.push(number),
        }
    }

    /// Marks a revived set as dead again.
    pub(super) fn bury(&mut self, number: u32) {
        if let Some(slot) = self.slot_mut(number) {
            slot.dead = true;
        }
    }

    /// Forgets the sets that no message has, frees their numbers and closes the gaps in the bits.
    pub(super) fn collect(&mut self) {
        let old = std::mem::take(&mut self.bits);
        self.by_hash.clear();
        self.free.clear();
        let used = |slot: &Slot| slot.uses > 0;
        self.slots.truncate(self.slots.iter().rposition(used).map_or(0, |last| last + 1));
        for index in 0..self.slots.len() {
            let (slot, number) = (self.slots[index], index as u32 + 1);
            if slot.uses == 0 {
                self.slots[index] = Slot::default();
                self.free.push(number);
                continue;
            }
            let octets = &old[slot.at as usize..slot.at as usize + usize::from(slot.len)];
            let (hash, _) = self.look_up(octets);
            grow(&mut self.bits, octets.len());
            self.slots[index].at = self.bits.len() as u32;
            self.bits.extend_from_slice(octets);
            self.by_hash.insert(hash, number);
        }
        // `intern` pops from the end: the lowest number is used first.
        self.free.reverse();
        self.by_hash.shrink_to_fit();
    }

    /// Bytes in memory. A vector that has just grown may take an eighth more than this.
    pub(super) fn octets(&self) -> usize {
        self.bits.len() + self.slots.len() * SET
    }

    /// The key of a set in `by_hash`, and its number. Without a number, the set is new and the key
    /// is free for it.
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

/// Reserves room, growing by an eighth instead of doubling.
fn grow<T>(vector: &mut Vec<T>, more: usize) {
    if vector.capacity() - vector.len() < more {
        vector.reserve_exact(more.max(vector.len() / 8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_found_taken_back_and_collected() {
        let mut sets = Sets::default();
        let bits = |n: u32| n.to_le_bytes();
        for n in 1..=1000 {
            assert_eq!(sets.intern(&bits(n)), (n, Interned::Made));
        }
        assert_eq!(sets.intern(&bits(7)), (7, Interned::Known));
        assert_eq!((sets.intern(&[]), sets.count()), ((0, Interned::Known), 1000));
        (501..=1000).rev().for_each(|n| sets.undo(n));
        assert_eq!((sets.count(), sets.by_hash.len()), (500, 500));
        assert_eq!((sets.look_up(&bits(500)).1, sets.look_up(&bits(501)).1), (Some(500), None));
        assert_eq!(
            (sets.intern(&bits(900)), sets.get(501)),
            ((501, Interned::Made), &bits(900)[..])
        );

        assert!(sets.used(3, 2) && !sets.used(3, 1) && sets.used(500, 1));
        assert_eq!((sets.released(4), sets.released(0)), (None, Some(false)));
        assert_eq!((sets.released(500), sets.is_dead(500)), (Some(true), true));
        assert_eq!(sets.intern(&bits(500)), (500, Interned::Revived));
        sets.collect();
        assert_eq!((sets.len(), sets.count(), sets.uses(3)), (3, 1, 3));
        assert_eq!((sets.get(3), sets.get(2)), (&bits(3)[..], &[][..]));
        assert_eq!(sets.octets(), 4 + 3 * SET);
        assert_eq!(sets.intern(&bits(3)), (3, Interned::Known));
        assert_eq!(sets.intern(&bits(900)), (1, Interned::Made));
        assert_eq!(sets.intern(&bits(901)), (2, Interned::Made));
        assert_eq!(sets.intern(&bits(902)), (4, Interned::Made));
    }
}
