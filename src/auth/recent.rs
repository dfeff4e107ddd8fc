//! A map that forgets what was not asked for lately.

use std::collections::HashMap;
use std::hash::Hash;

/// At most `2 * half` entries. Two generations make do for a least-recently-used list: what is
/// asked for moves to the young one, and when that is full, the old one is forgotten.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    half: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    /// Room for so many entries. Memory is taken as they come.
    pub fn new(capacity: usize) -> Recent<K, V> {
        Recent { half: capacity / 2, young: HashMap::new(), old: HashMap::new() }
    }

    /// What is known of a key, which has been asked for now.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&V>
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

    /// Puts a value in the place of whatever there was.
    pub fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// How many there are.
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
