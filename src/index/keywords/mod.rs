//! The keywords of a mailbox. A message names the *set* of its keywords by a number, so that
//! entries are of one size and a message may have as many as it likes.
//!
//! In a row of the catalog, little-endian:
//!
//! ```text
//! names  u16, then each as u16 length and text, in order of first use
//! sets   u32, then each as u16 length and that many octets: a bit for each name, lowest bit
//!        first, the last octet not zero; the empty set has the number 0 and is left out
//! ```

mod sets;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::sets::Sets;
use super::codec::{Fields, Row};
use super::error::Rot;
use crate::limits::{KEYWORD_OCTETS, KEYWORD_OCTETS_OF_ACCOUNT, KEYWORD_TEXT};
use crate::reactor::thresholds;
use crate::types::{BitSet, FlagChange, Keyword, KeywordList, bits, has_bit};

/// A set of keywords by its number in [`Keywords`]; 0 is the empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeywordSet(pub u32);

/// What a name takes in memory beside its text: itself, twice, and a place in a table.
const NAME: usize = 100;

/// A mailbox's table of keywords and of the sets in which they are used.
#[derive(Debug, Default)]
pub struct Keywords {
    names: Arc<Vec<Keyword>>,
    by_name: HashMap<Keyword, u16>,
    /// Octets of all names.
    text: usize,
    sets: Sets,
    /// What it takes in memory, as it is counted in `account`.
    counted: usize,
    /// What the tables of all mailboxes of the account take.
    account: Arc<AtomicUsize>,
}

/// A change of the keywords of messages, looked up in one table.
#[derive(Debug)]
pub struct KeywordChange {
    change: FlagChange,
    named: BitSet,
    /// It names a keyword that the table does not have.
    unknown: bool,
}

/// What translates the lists of one table of keywords to the sets of a mailbox. Messages that come
/// together often have the same list, and nearly always the same table.
#[derive(Debug, Default)]
pub struct Translation {
    table: Arc<Vec<Keyword>>,
    /// The numbers of its names in the mailbox, as far as they were looked up.
    numbers: Vec<Option<u16>>,
    last: Option<(KeywordList, KeywordSet)>,
}

impl Keywords {
    /// The set of these keywords, made when there is none. `None` when the mailbox, or the account,
    /// has as many keywords or sets of them as it can hold: `NO [LIMIT]`. Then nothing is made.
    pub(super) fn admit(&mut self, keywords: &[Keyword]) -> Option<KeywordSet> {
        let before = (self.names.len(), self.sets.len());
        let mut set = BitSet::default();
        keywords.iter().for_each(|keyword| set.insert(self.intern_name(keyword)));
        let set = self.intern_set(&set);
        self.keep_if_admitted(before).then_some(set)
    }

    /// The same for a list of another table.
    pub(super) fn admit_list(&mut self, list: &KeywordList, by: &mut Translation) -> bool {
        let before = (self.names.len(), self.sets.len());
        let made = self.intern(list, by);
        let admitted = self.keep_if_admitted(before);
        if !admitted {
            *by = Translation::default();
        }
        debug_assert!(!admitted || self.exists(made));
        admitted
    }

    /// Makes the sets that come out when keywords are changed in those sets. `false` when there
    /// would be more keywords or sets than there may be; then it makes none.
    #[must_use]
    pub(super) fn admit_change(
        &mut self,
        sets: &HashSet<KeywordSet>,
        change: FlagChange,
        keywords: &[Keyword],
    ) -> bool {
        let before = (self.names.len(), self.sets.len());
        let change = self.prepare(change, keywords);
        for &set in sets {
            self.change(set, &change);
            if !self.is_admitted(before) {
                break;
            }
        }
        self.keep_if_admitted(before)
    }

    /// Takes back what was made since, unless there is room for it.
    fn keep_if_admitted(&mut self, before: (usize, usize)) -> bool {
        let admitted = self.is_admitted(before);
        if !admitted {
            for name in Arc::make_mut(&mut self.names).drain(before.0..) {
                self.text -= name.as_str().len();
                self.by_name.remove(&name);
            }
            self.sets.truncate(before.1);
        }
        self.count();
        admitted
    }

    fn is_admitted(&self, before: (usize, usize)) -> bool {
        let (names, sets) = (self.names.len(), self.sets.len());
        let others = self.account.load(Ordering::Relaxed) - self.counted;
        let (octets, limits) = (self.octets(), thresholds());
        (names, sets) == before
            || names <= limits.keywords
                && self.text <= KEYWORD_TEXT
                && sets <= limits.keyword_sets
                && octets <= KEYWORD_OCTETS
                && others + octets <= KEYWORD_OCTETS_OF_ACCOUNT
    }

    /// Counts it in the account.
    fn count(&mut self) {
        let (before, now) = (self.counted, self.octets());
        self.counted = now;
        self.account.fetch_add(now, Ordering::Relaxed);
        self.account.fetch_sub(before, Ordering::Relaxed);
    }

    /// From now on it counts with the mailboxes of this account.
    pub(super) fn belongs_to(&mut self, account: &Arc<AtomicUsize>) {
        self.account.fetch_sub(self.counted, Ordering::Relaxed);
        self.counted = 0;
        self.account = account.clone();
        self.count();
    }

    /// All keywords in use, now or once, in order of first use.
    #[must_use]
    pub fn all(&self) -> &[Keyword] {
        &self.names
    }

    /// The keywords of a set.
    pub fn of(&self, set: KeywordSet) -> impl Iterator<Item = &Keyword> {
        bits(self.sets.get(set.0)).map(|number| &self.names[usize::from(number)])
    }

    /// The same, to be kept while the table changes.
    #[must_use]
    pub fn list(&self, set: KeywordSet) -> KeywordList {
        KeywordList::new(&self.names, &BitSet::of(self.sets.get(set.0)))
    }

    /// Whether a set holds the keyword of this number.
    #[must_use]
    pub fn has(&self, set: KeywordSet, number: u16) -> bool {
        has_bit(self.sets.get(set.0), number)
    }

    /// The number of a keyword, to ask [`Keywords::has`] of many sets; `None` when no message ever
    /// had it.
    #[must_use]
    pub fn number(&self, keyword: &Keyword) -> Option<u16> {
        self.by_name.get(keyword).copied()
    }

    /// Whether there is such a set.
    #[must_use]
    pub(super) fn exists(&self, set: KeywordSet) -> bool {
        set.0 as usize <= self.sets.len()
    }

    /// A change, to ask [`Keywords::keeps`] of many sets.
    #[must_use]
    pub fn look_up(&self, change: FlagChange, keywords: &[Keyword]) -> KeywordChange {
        let mut found = KeywordChange { change, named: BitSet::default(), unknown: false };
        for keyword in keywords {
            match self.number(keyword) {
                Some(number) => found.named.insert(number),
                None => found.unknown = true,
            }
        }
        found
    }

    /// Whether a set has already what the change gives to it.
    #[must_use]
    pub fn keeps(&self, set: KeywordSet, change: &KeywordChange) -> bool {
        let (old, named) = (self.sets.get(set.0), change.named.octets());
        let mut both = old.iter().zip(named);
        match change.change {
            FlagChange::Replace => !change.unknown && old == named,
            FlagChange::Add => {
                let within = named.len() <= old.len() && both.all(|(old, new)| new & !old == 0);
                !change.unknown && within
            }
            FlagChange::Remove => both.all(|(old, gone)| old & gone == 0),
        }
    }

    /// A change, to be made in many sets. Keywords that are added get their numbers here.
    pub(super) fn prepare(&mut self, change: FlagChange, keywords: &[Keyword]) -> KeywordChange {
        if change != FlagChange::Remove {
            keywords.iter().for_each(|keyword| {
                self.intern_name(keyword);
            });
        }
        self.look_up(change, keywords)
    }

    /// The set that comes out when keywords are changed in a set.
    pub(super) fn change(&mut self, set: KeywordSet, change: &KeywordChange) -> KeywordSet {
        if change.change == FlagChange::Replace {
            return self.intern_set(&change.named);
        }
        let mut changed = BitSet::of(self.sets.get(set.0));
        match change.change {
            FlagChange::Add => changed.add(change.named.octets()),
            _ => changed.remove(change.named.octets()),
        }
        self.intern_set(&changed)
    }

    /// The set of these keywords, made when there is none.
    pub(super) fn intern(&mut self, list: &KeywordList, by: &mut Translation) -> KeywordSet {
        let Some((table, octets)) = list.parts() else { return KeywordSet::default() };
        if let Some((last, set)) = &by.last
            && last.identity() == list.identity()
        {
            return *set;
        }
        if !Arc::ptr_eq(&by.table, table) {
            (by.table, by.numbers) = (table.clone(), vec![None; table.len()]);
        }
        let mut set = BitSet::default();
        for index in bits(octets) {
            let number = &mut by.numbers[usize::from(index)];
            let known = number.unwrap_or_else(|| self.intern_name(&table[usize::from(index)]));
            *number = Some(known);
            set.insert(known);
        }
        let set = self.intern_set(&set);
        by.last = Some((list.clone(), set));
        set
    }

    /// What it takes in memory, about.
    pub(super) fn octets(&self) -> usize {
        self.text + self.names.len() * NAME + self.sets.octets()
    }

    pub(super) fn encode(&self, row: &mut Row) {
        row.u16(u16::try_from(self.names.len()).expect("names are counted in 16 bits"));
        self.names.iter().for_each(|keyword| row.text(keyword.as_str()));
        let count = u32::try_from(self.sets.len()).expect("sets are counted in 32 bits");
        row.u32(count);
        for number in 1..=count {
            let set = self.sets.get(number);
            row.u16(u16::try_from(set.len()).expect("a set has each name once"));
            row.octets(set);
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
            let set = fields.octets(length.into())?;
            let last = bits(set).last().map(usize::from);
            if last.is_none_or(|last| last >= keywords.names.len()) || set.last() == Some(&0) {
                return Err(Rot("a set holds a keyword that there is not"));
            }
            if keywords.sets.intern(set) != number {
                return Err(Rot("a set of keywords stands there twice"));
            }
        }
        keywords.count();
        Ok(keywords)
    }

    fn intern_name(&mut self, keyword: &Keyword) -> u16 {
        if let Some(number) = self.number(keyword) {
            return number;
        }
        let number = u16::try_from(self.names.len()).expect("far fewer are admitted");
        self.text += keyword.as_str().len();
        Arc::make_mut(&mut self.names).push(keyword.clone());
        self.by_name.insert(keyword.clone(), number);
        self.count();
        number
    }

    fn intern_set(&mut self, set: &BitSet) -> KeywordSet {
        let before = self.sets.len();
        let set = KeywordSet(self.sets.intern(set.octets()));
        if self.sets.len() > before {
            self.count();
        }
        set
    }
}

impl Drop for Keywords {
    fn drop(&mut self) {
        self.account.fetch_sub(self.counted, Ordering::Relaxed);
    }
}
