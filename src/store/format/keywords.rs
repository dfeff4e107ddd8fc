//! Keywords of messages: sets of small numbers that point into a table of names.

use std::fmt;
use std::sync::Arc;

use imap::types::Keyword;

/// A set of small numbers, one bit each. The last byte is never zero, so equal sets have equal
/// bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BitSet(Vec<u8>);

impl BitSet {
    /// The set that these bytes encode, lowest bit first.
    #[must_use]
    pub fn of(octets: &[u8]) -> BitSet {
        let mut set = BitSet(octets.to_vec());
        set.trim();
        set
    }

    /// Its bytes, lowest bit first.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a number.
    pub fn insert(&mut self, number: u16) {
        let at = usize::from(number / 8);
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (number % 8);
    }

    /// Adds all numbers of another set.
    pub fn add(&mut self, other: &[u8]) {
        if self.0.len() < other.len() {
            self.0.resize(other.len(), 0);
        }
        self.0.iter_mut().zip(other).for_each(|(octet, other)| *octet |= other);
        self.trim();
    }

    /// Removes all numbers of another set.
    pub fn remove(&mut self, other: &[u8]) {
        self.0.iter_mut().zip(other).for_each(|(octet, other)| *octet &= !other);
        self.trim();
    }

    fn trim(&mut self) {
        let length = self.0.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
        self.0.truncate(length);
    }
}

/// Whether a set holds a number.
#[must_use]
pub fn has_bit(set: &[u8], number: u16) -> bool {
    set.get(usize::from(number / 8)).is_some_and(|octet| octet & 1 << (number % 8) != 0)
}

/// The numbers in a set, ascending.
pub fn bits(set: &[u8]) -> impl Iterator<Item = u16> {
    set.iter().zip(0_u16..).flat_map(|(&octet, at)| {
        (0..8).filter(move |bit| octet & 1 << bit != 0).map(move |bit| 8 * at + bit)
    })
}

/// The keywords of a message. Messages with the same keywords share one list, and lists share the
/// table of names that their bits point into, so a list costs its message eight bytes.
#[derive(Clone, Default)]
pub struct KeywordList(Option<Arc<List>>);

struct List {
    table: Arc<Vec<Keyword>>,
    bits: Box<[u8]>,
}

impl KeywordList {
    /// The keywords of this table whose bits are set.
    ///
    /// # Panics
    /// When a bit is beyond the end of the table.
    #[must_use]
    pub fn new(table: &Arc<Vec<Keyword>>, bits: &BitSet) -> KeywordList {
        let last = self::bits(bits.octets()).last();
        assert!(last.is_none_or(|last| usize::from(last) < table.len()), "a bit beyond the table");
        let list = || Arc::new(List { table: table.clone(), bits: bits.octets().into() });
        KeywordList((!bits.is_empty()).then(list))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The keywords, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Keyword> {
        self.0.iter().flat_map(|list| {
            bits(&list.bits).map(|number| &list.table[usize::from(number)]) //
        })
    }

    /// The table and the bits in it; `None` when the list is empty.
    #[must_use]
    pub fn parts(&self) -> Option<(&Arc<Vec<Keyword>>, &[u8])> {
        self.0.as_ref().map(|list| (&list.table, &*list.bits))
    }

    /// Tells this list from others in memory. Lists with different identities may be equal.
    #[must_use]
    pub fn identity(&self) -> usize {
        self.0.as_ref().map_or(0, |list| Arc::as_ptr(list).addr())
    }

    fn in_capitals(&self) -> Vec<String> {
        let mut names: Vec<_> = self.iter().map(|k| k.as_str().to_ascii_uppercase()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// A list with a table of its own.
impl From<Vec<Keyword>> for KeywordList {
    fn from(keywords: Vec<Keyword>) -> KeywordList {
        let mut bits = BitSet::default();
        (0..keywords.len()).for_each(|n| bits.insert(u16::try_from(n).expect("far fewer")));
        KeywordList::new(&Arc::new(keywords), &bits)
    }
}

impl FromIterator<Keyword> for KeywordList {
    fn from_iter<I: IntoIterator<Item = Keyword>>(keywords: I) -> KeywordList {
        keywords.into_iter().collect::<Vec<_>>().into()
    }
}

/// Compares as sets, regardless of order and case.
impl PartialEq for KeywordList {
    fn eq(&self, other: &KeywordList) -> bool {
        self.identity() == other.identity() || self.in_capitals() == other.in_capitals()
    }
}

impl Eq for KeywordList {}

impl fmt::Debug for KeywordList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Keyword::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_bits() {
        let mut set = BitSet::default();
        [3, 700, 8].into_iter().for_each(|number| set.insert(number));
        assert_eq!(bits(set.octets()).collect::<Vec<_>>(), [3, 8, 700]);
        assert!(has_bit(set.octets(), 700) && !has_bit(set.octets(), 701));
        assert!(!has_bit(set.octets(), u16::MAX));
        let mut other = BitSet::default();
        other.insert(700);
        set.remove(other.octets());
        assert_eq!(set.octets(), [8, 1]);
        set.add(other.octets());
        assert_eq!(set.octets().len(), 88);
        assert_eq!(BitSet::of(&[0, 1, 0, 0]).octets(), [0, 1]);
        assert!(BitSet::of(&[0, 0]).is_empty());
    }

    #[test]
    fn lists_are_equal_as_sets() {
        let list = |names: &[&str]| -> KeywordList {
            names.iter().map(|name| Keyword::new(name.as_bytes()).unwrap()).collect()
        };
        assert_eq!(list(&["a", "B"]), list(&["b", "A"]));
        assert_ne!(list(&["a", "b"]), list(&["a"]));
        assert_eq!(list(&[]), KeywordList::default());
        assert_eq!(format!("{:?}", list(&["a"])), "{\"a\"}");
        assert_eq!(size_of::<KeywordList>(), 8);
    }
}
