//! The keywords of a mailbox. A message names the *set* of its keywords by a number, so that
//! entries are of one size and a message may have as many as it likes.
//!
//! In a row of the catalog, little-endian:
//!
//! ```text
//! names  u16, then each as u16 length and text, in order of first use
//! sets   u32, then each as u16 length and that many indexes u16 into the names, ascending;
//!        the empty set has the number 0 and is left out
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::codec::{Fields, Row};
use super::error::Rot;
use crate::reactor::thresholds;
use crate::types::FlagChange;
use crate::types::Keyword;

/// A set of keywords by its number in [`Keywords`]; 0 is the empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeywordSet(pub u32);

/// A mailbox's table of keywords and of the sets in which they are used.
#[derive(Clone, Debug, Default)]
pub struct Keywords {
    names: Vec<Keyword>,
    /// In capitals, since keywords are compared without regard to case.
    by_name: HashMap<Box<str>, u16>,
    /// Sets from number 1 on.
    sets: Vec<Arc<[u16]>>,
    by_set: HashMap<Arc<[u16]>, KeywordSet>,
}

impl Keywords {
    /// Whether messages with these keywords may be taken in. When not, the mailbox has as many
    /// keywords, or sets of them, as it can hold: `NO [LIMIT]`.
    #[must_use]
    pub fn admits(&self, keywords: &[Keyword]) -> bool {
        let new = keywords.iter().filter(|keyword| self.number(keyword).is_none()).count();
        let limits = thresholds();
        self.names.len() + new <= limits.keywords
            && (new == 0 || self.sets.len() < limits.keyword_sets)
            && (keywords.is_empty()
                || self.sets.len() < limits.keyword_sets
                || self.knows(keywords))
    }

    /// Makes the sets that come out when these keywords are changed in those sets. `false` when
    /// there would be more keywords or sets than there may be; then it makes none.
    #[must_use]
    pub(super) fn admit_change(
        &mut self,
        sets: &HashSet<KeywordSet>,
        change: FlagChange,
        keywords: &[Keyword],
    ) -> bool {
        if change != FlagChange::Remove {
            let new = keywords.iter().filter(|keyword| self.number(keyword).is_none()).count();
            if self.names.len() + new > thresholds().keywords {
                return false;
            }
        }
        let mut new = HashSet::new();
        for &set in sets {
            let indexes = in_order(self.changed(set, change, keywords));
            if !indexes.is_empty() && !self.by_set.contains_key(&*indexes) {
                new.insert(indexes);
            }
        }
        let admitted = self.sets.len() + new.len() <= thresholds().keyword_sets;
        if admitted {
            new.into_iter().for_each(|indexes| {
                self.intern_set(indexes);
            });
        }
        admitted
    }

    /// All keywords in use, now or once, in order of first use.
    #[must_use]
    pub fn all(&self) -> &[Keyword] {
        &self.names
    }

    /// The keywords of a set.
    pub fn of(&self, set: KeywordSet) -> impl ExactSizeIterator<Item = &Keyword> {
        self.indexes(set).iter().map(|&index| &self.names[usize::from(index)])
    }

    /// Whether a set holds a keyword.
    #[must_use]
    pub fn contains(&self, set: KeywordSet, keyword: &Keyword) -> bool {
        self.number(keyword).is_some_and(|number| self.has(set, number))
    }

    /// Whether a set holds the keyword of this number.
    #[must_use]
    pub fn has(&self, set: KeywordSet, number: u16) -> bool {
        self.indexes(set).contains(&number)
    }

    /// Whether there is such a set.
    #[must_use]
    pub(super) fn exists(&self, set: KeywordSet) -> bool {
        set.0 as usize <= self.sets.len()
    }

    /// The set of these keywords, made when there is none.
    pub(super) fn intern(&mut self, keywords: &[Keyword]) -> KeywordSet {
        if keywords.is_empty() {
            return KeywordSet::default();
        }
        let indexes = keywords.iter().map(|keyword| self.intern_name(keyword)).collect();
        self.intern_set(indexes)
    }

    /// The set that comes out when these keywords are changed in a set.
    pub(super) fn change(
        &mut self,
        set: KeywordSet,
        change: FlagChange,
        keywords: &[Keyword],
    ) -> KeywordSet {
        let indexes = self.changed(set, change, keywords);
        self.intern_set(indexes)
    }

    fn changed(&mut self, set: KeywordSet, change: FlagChange, keywords: &[Keyword]) -> Vec<u16> {
        let mut indexes = self.indexes(set).to_vec();
        match change {
            FlagChange::Replace => {
                indexes = keywords.iter().map(|keyword| self.intern_name(keyword)).collect();
            }
            FlagChange::Add => indexes.extend(keywords.iter().map(|k| self.intern_name(k))),
            FlagChange::Remove => {
                let gone: Vec<u16> = keywords.iter().filter_map(|k| self.number(k)).collect();
                indexes.retain(|index| !gone.contains(index));
            }
        }
        indexes
    }

    /// What it takes in memory, about: text, a set's indexes twice over, table overhead.
    pub(super) fn octets(&self) -> usize {
        self.names.len() * 100 + self.sets.len() * 100
    }

    pub(super) fn encode(&self, row: &mut Row) {
        row.u16(u16::try_from(self.names.len()).expect("names are counted in 16 bits"));
        self.names.iter().for_each(|keyword| row.text(keyword.as_str()));
        row.u32(u32::try_from(self.sets.len()).expect("sets are counted in 32 bits"));
        for set in &self.sets {
            row.u16(u16::try_from(set.len()).expect("a set has each name once"));
            set.iter().for_each(|&index| row.u16(index));
        }
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Keywords, Rot> {
        let mut keywords = Keywords::default();
        for index in 0..fields.u16()? {
            let name = Keyword::new(fields.text()?.as_bytes()).map_err(|_| Rot("no keyword"))?;
            if keywords.intern_name(&name) != index {
                return Err(Rot("a keyword stands there twice"));
            }
        }
        for number in 1..=fields.u32()? {
            let length = fields.u16()?;
            let indexes = (0..length).map(|_| fields.u16()).collect::<Result<Vec<u16>, Rot>>()?;
            if indexes.iter().any(|&index| usize::from(index) >= keywords.names.len()) {
                return Err(Rot("a set holds a keyword that there is not"));
            }
            if keywords.intern_set(indexes) != KeywordSet(number) {
                return Err(Rot("a set of keywords stands there twice"));
            }
        }
        Ok(keywords)
    }

    fn knows(&self, keywords: &[Keyword]) -> bool {
        let indexes: Option<Vec<u16>> = keywords.iter().map(|k| self.number(k)).collect();
        indexes.is_some_and(|indexes| self.by_set.contains_key(&*in_order(indexes)))
    }

    /// The number of a keyword, to ask [`Keywords::has`] of many sets; `None` when no message ever
    /// had it.
    #[must_use]
    pub fn number(&self, keyword: &Keyword) -> Option<u16> {
        self.by_name.get(keyword.as_str().to_ascii_uppercase().as_str()).copied()
    }

    fn indexes(&self, set: KeywordSet) -> &[u16] {
        match set.0 {
            0 => &[],
            number => &self.sets[number as usize - 1],
        }
    }

    fn intern_name(&mut self, keyword: &Keyword) -> u16 {
        let upper = keyword.as_str().to_ascii_uppercase().into_boxed_str();
        *self.by_name.entry(upper).or_insert_with(|| {
            let index = u16::try_from(self.names.len()).expect("far fewer are admitted");
            self.names.push(keyword.clone());
            index
        })
    }

    fn intern_set(&mut self, indexes: Vec<u16>) -> KeywordSet {
        let set = in_order(indexes);
        if set.is_empty() {
            return KeywordSet::default();
        }
        if let Some(&known) = self.by_set.get(&*set) {
            return known;
        }
        let set: Arc<[u16]> = set.into();
        self.sets.push(set.clone());
        let number = u32::try_from(self.sets.len()).expect("a set takes more than an octet");
        self.by_set.insert(set, KeywordSet(number));
        KeywordSet(number)
    }
}

fn in_order(mut indexes: Vec<u16>) -> Vec<u16> {
    indexes.sort_unstable();
    indexes.dedup();
    indexes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::KEYWORDS;

    fn words(words: &[&str]) -> Vec<Keyword> {
        words.iter().map(|word| Keyword::new(word.as_bytes()).unwrap()).collect()
    }

    fn names(table: &Keywords, set: KeywordSet) -> Vec<&str> {
        table.of(set).map(Keyword::as_str).collect()
    }

    #[test]
    fn sets_do_not_depend_on_order_or_case() {
        let mut table = Keywords::default();
        let set = table.intern(&words(&["$Junk", "work"]));
        assert_eq!(table.intern(&words(&["WORK", "$junk"])), set);
        assert_eq!(names(&table, set), ["$Junk", "work"]);
        assert!(table.contains(set, &words(&["Work"])[0]));
        assert_eq!(table.intern(&[]), KeywordSet(0));
        assert_eq!(names(&table, KeywordSet(0)), [""; 0]);
    }

    #[test]
    fn sets_change_as_store_says() {
        let mut table = Keywords::default();
        let set = table.intern(&words(&["a", "b"]));
        let more = table.change(set, FlagChange::Add, &words(&["c", "A"]));
        assert_eq!(names(&table, more), ["a", "b", "c"]);
        let fewer = table.change(more, FlagChange::Remove, &words(&["A", "c", "x"]));
        assert_eq!(names(&table, fewer), ["b"]);
        assert_eq!(table.change(fewer, FlagChange::Remove, &words(&["b"])), KeywordSet(0));
        let other = table.change(fewer, FlagChange::Replace, &words(&["z"]));
        assert_eq!(names(&table, other), ["z"]);
        assert_eq!(table.all().len(), 4, "removing makes no keyword");
    }

    #[test]
    fn tables_come_back_from_their_rows() {
        let mut table = Keywords::default();
        table.intern(&words(&["a", "b"]));
        let set = table.intern(&words(&["b", "C"]));
        let mut row = Row::default();
        table.encode(&mut row);
        let row = row.seal();
        let mut fields = Fields::open(&row).unwrap();
        let read = Keywords::decode(&mut fields).unwrap();
        fields.end().unwrap();
        assert_eq!(names(&read, set), ["b", "C"]);
        assert_eq!(read.all(), table.all());
        assert!(read.exists(KeywordSet(2)) && !read.exists(KeywordSet(3)));
    }

    #[test]
    fn tables_that_contradict_themselves_are_rot() {
        for (names, sets) in [(&["a", "A"][..], &[][..]), (&["a"], &[1]), (&["a"], &[0, 0])] {
            let mut row = Row::default();
            row.u16(names.len() as u16);
            names.iter().for_each(|name| row.text(name));
            row.u32(sets.len() as u32);
            for &index in sets {
                row.u16(1);
                row.u16(index);
            }
            let row = row.seal();
            assert!(Keywords::decode(&mut Fields::open(&row).unwrap()).is_err(), "{names:?}");
        }
    }

    #[test]
    fn there_is_an_end_to_keywords() {
        let mut table = Keywords::default();
        for i in 0..KEYWORDS {
            assert!(table.admits(&words(&[&format!("k{i}")])));
            table.intern(&words(&[&format!("k{i}")]));
        }
        assert!(!table.admits(&words(&["one-more"])));
        assert!(table.admits(&words(&["K7", "k8"])));
    }
}
