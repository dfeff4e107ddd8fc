//! A bounded map that forgets the entries not used lately.

use std::collections::HashMap;
use std::hash::Hash;

/// At most `2 * half` entries. Two generations approximate a least-recently-used list: an entry
/// that is used moves to the young generation; when that is full, the old one is dropped.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    half: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    /// A map of this capacity. Memory is allocated as entries come.
    pub(super) fn new(capacity: usize) -> Recent<K, V> {
        Recent { half: capacity / 2, young: HashMap::new(), old: HashMap::new() }
    }

    /// The value of a key, which counts as used now.
    pub(super) fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get(key)
    }

    /// Sets the value of a key.
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Number of entries.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_are_forgotten() {
        let mut recent = Recent::new(8);
        recent.insert(0, 'a');
        for round in 1..100 {
            recent.insert(round, 'x');
            assert_eq!(recent.get(&0), Some(&'a'), "{round}");
            assert!(recent.len() <= 8);
        }
        assert_eq!(recent.get(&1), None);
        assert_eq!(recent.get(&99), Some(&'x'));
    }

    #[test]
    fn a_new_value_takes_the_place_of_an_old_one() {
        let mut recent = Recent::new(4);
        recent.insert(1, 'a');
        recent.insert(2, 'b');
        recent.insert(3, 'c');
        recent.insert(1, 'z');
        assert_eq!(recent.get(&1), Some(&'z'));
        assert_eq!(recent.len(), 3);
    }
}
