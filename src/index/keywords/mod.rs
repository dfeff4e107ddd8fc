//! The keywords of a mailbox. A message stores the number of its *set* of keywords, so entries have
//! one size and a message may have any number of keywords.
//!
//! # Life of a set
//!
//! A set is *live* while a message has it, *held* while it is live or belongs to a change not yet
//! applied, and *dead* once its last message has lost it. A name is live or held while such a set
//! contains it. Held names and sets count against the limits; dead ones do not. A dead set keeps
//! its number, because a session may still read chunks from before the change:
//!
//! ```text
//! STORE 7 FLAGS ($Junk work)   names 0 $Junk, 1 work   set 1 = {0, 1} live
//! STORE 7 FLAGS ($Junk)        name 1 dead             set 1 dead, set 2 = {0} live
//! collect                      number 1 free           number 1 free
//! ```
//!
//! [`Keywords::collect`] runs when no session has the mailbox selected and no change is in flight:
//! it frees the numbers of dead sets and names for reuse. A number that is used again cannot be
//! confused with its former meaning, because chunks and this table are saved together, and the log
//! has names instead of numbers.
//!
//! # In the catalog
//!
//! Part of the mailbox's row, live names and sets only, little-endian:
//!
//! ```text
//! names  u16, then for each u16 length and text; length 0 is a number without a name
//! sets   u32, then for each u16 length, that many bytes, and the u32 number of its messages. The
//!        bytes have a bit for each name, lowest bit first; the last byte is not zero. Length 0 is
//!        a number without a set, and nothing follows it. The empty set, number 0, is left out
//! ```

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

/// A set of keywords, by its number in [`Keywords`]; 0 is the empty set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeywordSet(pub u32);

/// Bytes in memory of a name beside its text: two `Keyword`s and a slot in a hash table.
const NAME: usize = 100;

/// A mailbox's table of keywords and keyword sets.
#[derive(Debug, Default)]
pub struct Keywords {
    names: Arc<Vec<Keyword>>,
    /// One for each name.
    uses: Vec<NameUse>,
    /// Numbers without a name.
    free: Vec<u16>,
    by_name: HashMap<Keyword, u16>,
    /// Bytes of all names.
    text: usize,
    sets: Sets,
    held: Held,
    /// Counts how often a name became live.
    version: u64,
    /// Counts how often a name was added.
    made: u64,
    /// This table's part of `account`.
    counted: usize,
    /// Bytes in memory of all keyword tables of the account.
    account: Arc<AtomicUsize>,
}

/// Number of sets that contain a name.
#[derive(Clone, Copy, Debug, Default)]
struct NameUse {
    live: u32,
    held: u32,
}

/// Totals of what is held, which count against the limits: names, bytes of their text, and sets.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    names: usize,
    text: usize,
    sets: usize,
}

/// A change of keywords, with its keywords looked up in one table.
#[derive(Debug)]
pub struct KeywordChange {
    change: FlagChange,
    named: BitSet,
    /// It names a keyword that is not in the table.
    unknown: bool,
}

/// A cache for translating keyword lists to sets of a mailbox. Messages of a batch nearly always
/// share one table of names, and often one list.
#[derive(Debug, Default)]
pub(super) struct Translation {
    table: Arc<Vec<Keyword>>,
    /// The mailbox's number of each name in `table`, where looked up already.
    numbers: Vec<Option<u16>>,
    last: Option<(KeywordList, KeywordSet)>,
}

impl Keywords {
    /// Whether enough is dead that the table should be collected as soon as possible.
    pub(super) fn is_crowded(&self) -> bool {
        self.by_name.len() >= 2 * thresholds().keywords.max(self.held.names)
            || self.sets.count() > 2 * self.held.sets + thresholds().keywords
    }

    /// Forgets names and sets that no message has and frees their numbers. No session may hold a
    /// number, and no change may be in flight.
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

    /// Updates the table's part of the account's total.
    fn count(&mut self) {
        let (before, now) = (self.counted, self.octets());
        self.counted = now;
        self.account.fetch_add(now, Ordering::Relaxed);
        self.account.fetch_sub(before, Ordering::Relaxed);
    }

    /// Moves the table's bytes to this account's total.
    pub(super) fn belongs_to(&mut self, account: &Arc<AtomicUsize>) {
        self.account.fetch_sub(self.counted, Ordering::Relaxed);
        self.counted = 0;
        self.account = account.clone();
        self.count();
    }

    /// The keywords that messages have now.
    #[must_use]
    pub fn all(&self) -> Vec<Keyword> {
        let names = self.names.iter().zip(&self.uses);
        names.filter(|(_, used)| used.live > 0).map(|(name, _)| name.clone()).collect()
    }

    /// Changes whenever [`Keywords::all`] gains a keyword.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Changes whenever [`Keywords::look_up`] would find another keyword.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made
    }

    /// The keywords of a set.
    pub fn of(&self, set: KeywordSet) -> impl Iterator<Item = &Keyword> {
        bits(self.sets.get(set.0)).map(|number| &self.names[usize::from(number)])
    }

    /// The keywords of a set, as a list that later changes of the table do not affect.
    #[must_use]
    pub fn list(&self, set: KeywordSet) -> KeywordList {
        KeywordList::new(&self.names, &BitSet::of(self.sets.get(set.0)))
    }

    /// Whether a set contains the keyword with this number.
    #[must_use]
    pub fn has(&self, set: KeywordSet, number: u16) -> bool {
        has_bit(self.sets.get(set.0), number)
    }

    /// The number of a keyword, for [`Keywords::has`]; `None` when the table does not have it.
    #[must_use]
    pub fn number(&self, keyword: &Keyword) -> Option<u16> {
        self.by_name.get(keyword).copied()
    }

    /// Whether a message has this set, or it is the empty set.
    #[must_use]
    pub(super) fn exists(&self, set: KeywordSet) -> bool {
        set.0 == 0 || self.sets.uses(set.0) > 0
    }

    /// Counts `messages` more messages with a set.
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

    /// Counts one message less with a set. `None` when no message had it.
    pub(super) fn released(&mut self, set: KeywordSet) -> Option<()> {
        if self.sets.released(set.0)? {
            self.live(set.0, false);
            self.hold(set.0, false);
        }
        Some(())
    }

    /// Marks a set as live or not, and its names with it.
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

    /// Marks a set as held or not, and its names with it.
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

    /// Looks up the keywords of a change, for [`Keywords::keeps`].
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

    /// Whether the change leaves a set as it is.
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

    /// Looks up the keywords of a change, for [`Keywords::change`], and adds new ones to the table.
    /// `None` when 16 bits cannot number the names.
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

    /// Applies a change to a set and returns the resulting set.
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

    /// The set with the keywords of a list, added if new. `None` when 16 bits cannot number the
    /// names.
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

    /// Approximate bytes in memory.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.text + self.by_name.len() * NAME + self.sets.octets()
    }

    /// Whether a number has a name.
    fn by_name_at(&self, number: u16) -> bool {
        let name = self.names.get(usize::from(number));
        name.is_some_and(|name| self.by_name.get(name) == Some(&number))
    }

    /// The number of a name, added if new. `None` when 16 bits cannot number the names, which takes
    /// dozens of changes in flight at their limits.
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

    /// Adds a name with this number: a free one, or the next.
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

    /// Removes a name that no set contains and frees its number.
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
