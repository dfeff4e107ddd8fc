//! The keywords of a mailbox. A message names the *set* of its keywords by a number, so that
//! entries are of one size and a message may have as many as it likes.
//!
//! A set is *live* while a message has it, and so is a name while a live set holds it. What a
//! change has brought that is not applied yet is neither live nor dead. What is dead keeps its
//! number while somebody may look it up: sessions read messages as they were a moment ago. It no
//! longer counts against the limits. When nobody has the mailbox selected, [`Keywords::collect`]
//! gives the numbers to others. A row of the catalog has what is live alone, little-endian:
//!
//! ```text
//! names  u16, then each as u16 length and text; a length of 0 is a number without a name
//! sets   u32, then each as u16 length, that many octets, and u32 messages that have it. The
//!        octets have a bit for each name, lowest bit first, the last octet not zero; a length of
//!        0 is a number without a set. The empty set has the number 0 and is left out
//! ```
//! Numbers are those of the chunks written with the row. The log does not know them: its records
//! carry names.

mod admission;
mod row;
mod sets;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::admission::Admission;
use self::sets::{Interned, Sets};
use crate::reactor::thresholds;
use crate::store::{BitSet, KeywordList, bits, has_bit};
use imap::types::{FlagChange, Keyword};

/// A set of keywords by its number in [`Keywords`]; 0 is the empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeywordSet(pub u32);

/// What a name takes in memory beside its text: itself, twice, and a place in a table.
const NAME: usize = 100;

/// A mailbox's table of keywords and of the sets in which they are used.
#[derive(Debug, Default)]
pub struct Keywords {
    names: Arc<Vec<Keyword>>,
    /// Of each name.
    uses: Vec<NameUse>,
    /// Numbers without a name.
    free: Vec<u16>,
    by_name: HashMap<Keyword, u16>,
    /// Octets of all names.
    text: usize,
    sets: Sets,
    /// Names, their octets, and sets that are not dead.
    held: Held,
    /// Counts the names that became live.
    version: u64,
    /// Counts the names that were made.
    made: u64,
    /// What it takes in memory, as it is counted in `account`.
    counted: usize,
    /// What the tables of all mailboxes of the account take.
    account: Arc<AtomicUsize>,
}

/// How many sets hold a name.
#[derive(Clone, Copy, Debug, Default)]
struct NameUse {
    /// Those that are live.
    live: u32,
    /// Those that are not dead.
    held: u32,
}

/// What counts against the limits.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    names: usize,
    text: usize,
    sets: usize,
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
    /// Whether much of it is dead, so that it should be collected as soon as it can be.
    pub(super) fn is_crowded(&self) -> bool {
        self.by_name.len() >= 2 * thresholds().keywords.max(self.held.names)
            || self.sets.count() > 2 * self.held.sets + thresholds().keywords
    }

    /// Forgets names and sets that no message has, and gives their numbers to others. Nobody may
    /// have a number from before, nor a change be on its way.
    pub(super) fn collect(&mut self) {
        if self.sets.count() == self.held.sets && self.by_name.len() == self.held.names {
            return;
        }
        self.sets.collect();
        self.held.sets = self.sets.count();
        for number in 0..self.uses.len() {
            let used = &mut self.uses[number];
            used.held = used.live;
            if used.live == 0 {
                self.forget_name(number as u16);
            }
        }
        let names = self.by_name.iter();
        self.held.names = self.by_name.len();
        self.held.text = names.map(|(name, _)| name.as_str().len()).sum();
        self.count();
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

    /// The keywords that messages have.
    #[must_use]
    pub fn all(&self) -> Vec<Keyword> {
        let names = self.names.iter().zip(&self.uses);
        names.filter(|(_, used)| used.live > 0).map(|(name, _)| name.clone()).collect()
    }

    /// Another number, more keywords in [`Keywords::all`] than before.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Another number, more keywords that [`Keywords::look_up`] knows.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made
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

    /// Whether a message in the catalog may have this set.
    #[must_use]
    pub(super) fn exists(&self, set: KeywordSet) -> bool {
        set.0 == 0 || self.sets.uses(set.0) > 0
    }

    /// So many more messages have a set.
    pub(super) fn used(&mut self, set: KeywordSet, messages: u32) {
        if set.0 == 0 || messages == 0 {
            return;
        }
        if self.sets.is_dead(set.0) {
            self.hold(set.0, true);
        }
        if self.sets.used(set.0, messages) {
            self.live(set.0, true);
        }
    }

    /// One message has a set no more. `None` when there was none that had it.
    pub(super) fn released(&mut self, set: KeywordSet) -> Option<()> {
        if self.sets.released(set.0)? {
            self.live(set.0, false);
            self.hold(set.0, false);
        }
        Some(())
    }

    /// A set is live from now on, or not.
    fn live(&mut self, set: u32, live: bool) {
        for number in bits(self.sets.get(set)) {
            let used = &mut self.uses[usize::from(number)];
            match live {
                true => {
                    self.version += u64::from(used.live == 0);
                    used.live += 1;
                }
                false => used.live -= 1,
            }
        }
    }

    /// A set counts against the limits from now on, or not.
    fn hold(&mut self, set: u32, held: bool) {
        for number in bits(self.sets.get(set)) {
            let (used, name) =
                (&mut self.uses[usize::from(number)], &self.names[usize::from(number)]);
            let octets = name.as_str().len();
            match held {
                true => {
                    used.held += 1;
                    if used.held == 1 {
                        (self.held.names, self.held.text) =
                            (self.held.names + 1, self.held.text + octets);
                    }
                }
                false => {
                    used.held -= 1;
                    if used.held == 0 {
                        (self.held.names, self.held.text) =
                            (self.held.names - 1, self.held.text - octets);
                    }
                }
            }
        }
        self.held.sets = if held { self.held.sets + 1 } else { self.held.sets - 1 };
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
    /// `None` when there are more names than can be numbered.
    pub(super) fn prepare(
        &mut self,
        change: FlagChange,
        keywords: &[Keyword],
    ) -> Option<KeywordChange> {
        self.prepare_in(change, keywords, &mut Admission::default())
    }

    fn prepare_in(
        &mut self,
        change: FlagChange,
        keywords: &[Keyword],
        made: &mut Admission,
    ) -> Option<KeywordChange> {
        if change != FlagChange::Remove {
            for keyword in keywords {
                self.intern_name(keyword, made)?;
            }
        }
        Some(self.look_up(change, keywords))
    }

    /// The set that comes out when keywords are changed in a set.
    pub(super) fn change(&mut self, set: KeywordSet, change: &KeywordChange) -> KeywordSet {
        self.change_in(set, change, &mut Admission::default())
    }

    fn change_in(
        &mut self,
        set: KeywordSet,
        change: &KeywordChange,
        made: &mut Admission,
    ) -> KeywordSet {
        if change.change == FlagChange::Replace {
            return self.intern_set(&change.named, made);
        }
        let mut changed = BitSet::of(self.sets.get(set.0));
        match change.change {
            FlagChange::Add => changed.add(change.named.octets()),
            _ => changed.remove(change.named.octets()),
        }
        self.intern_set(&changed, made)
    }

    /// The set of these keywords, made when there is none. `None` when there are more names than
    /// can be numbered.
    pub(super) fn intern(
        &mut self,
        list: &KeywordList,
        by: &mut Translation,
    ) -> Option<KeywordSet> {
        self.translate(list, by, &mut Admission::default())
    }

    fn translate(
        &mut self,
        list: &KeywordList,
        by: &mut Translation,
        made: &mut Admission,
    ) -> Option<KeywordSet> {
        let Some((table, octets)) = list.parts() else { return Some(KeywordSet::default()) };
        if let Some((last, set)) = &by.last
            && last.identity() == list.identity()
        {
            return Some(*set);
        }
        if !Arc::ptr_eq(&by.table, table) {
            (by.table, by.numbers) = (table.clone(), vec![None; table.len()]);
        }
        let mut set = BitSet::default();
        for index in bits(octets) {
            let index = usize::from(index);
            let known = match by.numbers[index] {
                Some(number) => number,
                None => self.intern_name(&table[index], made)?,
            };
            by.numbers[index] = Some(known);
            set.insert(known);
        }
        let set = self.intern_set(&set, made);
        by.last = Some((list.clone(), set));
        Some(set)
    }

    /// What it takes in memory, about.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.text + self.by_name.len() * NAME + self.sets.octets()
    }

    /// Whether a number has a name.
    fn by_name_at(&self, number: u16) -> bool {
        let name = self.names.get(usize::from(number));
        name.is_some_and(|name| self.by_name.get(name) == Some(&number))
    }

    /// `None` when there are more names than can be numbered: those of dozens of changes at a time.
    fn intern_name(&mut self, keyword: &Keyword, made: &mut Admission) -> Option<u16> {
        if let Some(number) = self.number(keyword) {
            return Some(number);
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => u16::try_from(self.names.len()).ok().filter(|&number| number < u16::MAX)?,
        };
        self.append_name(number, keyword, made);
        self.count();
        Some(number)
    }

    /// Gives a number, of those that are free or the next, to a name.
    fn append_name(&mut self, number: u16, keyword: &Keyword, made: &mut Admission) {
        let names = Arc::make_mut(&mut self.names);
        match names.get_mut(usize::from(number)) {
            Some(name) => *name = keyword.clone(),
            None => {
                names.push(keyword.clone());
                self.uses.push(NameUse::default());
            }
        }
        self.text += keyword.as_str().len();
        self.by_name.insert(keyword.clone(), number);
        self.made += 1;
        made.names.push(number);
    }

    /// Frees the number of a name that no set holds.
    fn forget_name(&mut self, number: u16) {
        if !self.by_name_at(number) {
            return;
        }
        let name = &self.names[usize::from(number)];
        self.text -= name.as_str().len();
        self.by_name.remove(name);
        self.free.push(number);
    }

    fn intern_set(&mut self, set: &BitSet, made: &mut Admission) -> KeywordSet {
        let (number, how) = self.sets.intern(set.octets());
        if how != Interned::Known {
            self.hold(number, true);
            made.sets.push((number, how));
            self.count();
        }
        KeywordSet(number)
    }
}

impl Drop for Keywords {
    fn drop(&mut self) {
        self.account.fetch_sub(self.counted, Ordering::Relaxed);
    }
}
