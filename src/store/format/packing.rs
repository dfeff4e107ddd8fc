//! The keyword table at the head of a `Messages` or `References` record. It has each keyword once,
//! and each set of keywords as bits; a message refers to its set by number. So a hundred thousand
//! messages with a thousand keywords each cost no more than their sets.

use std::collections::HashMap;
use std::sync::Arc;

use super::fields::{FRAGMENT, MESSAGE, REFERENCE, keyword_len};
use super::keywords::{BitSet, KeywordList, bits};
use super::record::{MessageRecord, Record};
use imap::types::Keyword;

/// The length of a `Messages` or `References` record while messages are added to it.
pub struct Packing {
    /// Bytes of a message without its fragments.
    each: usize,
    messages: usize,
    table: KeywordTable,
}

impl Packing {
    /// An empty `Messages` record.
    #[must_use]
    pub fn of_messages() -> Packing {
        Packing { each: MESSAGE, messages: 0, table: KeywordTable::default() }
    }

    /// An empty `References` record.
    #[must_use]
    pub fn of_references() -> Packing {
        Packing { each: REFERENCE, ..Packing::of_messages() }
    }

    /// Adds a message. Returns the length in bytes that the record has with it
    /// ([`Record::encoded_len`]), or `usize::MAX` when no record can name that many sets of
    /// keywords.
    pub fn add(&mut self, message: &MessageRecord) -> usize {
        self.messages += self.each + message.fragments.len() * FRAGMENT;
        match self.table.number(&message.keywords) {
            Some(_) => self.octets(),
            None => usize::MAX,
        }
    }

    /// Length in bytes of the record with the messages so far.
    #[must_use]
    pub fn octets(&self) -> usize {
        Record::MESSAGES_OVERHEAD + self.messages + self.table.len()
    }
}

/// A table that keyword lists point into, and the numbers that its names have in the record.
type Source = (Arc<Vec<Keyword>>, Vec<Option<u16>>);

/// The keyword table of one record: see the [module](self).
#[derive(Default)]
pub(super) struct KeywordTable {
    /// In the order of first use.
    names: Vec<Keyword>,
    by_name: HashMap<Keyword, u16>,
    /// Bytes of all names.
    text: usize,
    /// Sets number 1, 2, and so on. Number 0 is the empty set.
    sets: Vec<BitSet>,
    by_bits: HashMap<BitSet, u16>,
    /// Lists by [`KeywordList::identity`]. They are kept alive, so that no other list can get the
    /// same identity.
    known: HashMap<usize, (KeywordList, u16)>,
    /// The table that the last list pointed into.
    source: Option<Source>,
}

impl KeywordTable {
    /// The number of a set, which is added if it is new. `None` when no number is left.
    pub(super) fn number(&mut self, list: &KeywordList) -> Option<u16> {
        let Some((table, octets)) = list.parts() else { return Some(0) };
        if let Some(&(_, number)) = self.known.get(&list.identity()) {
            return Some(number);
        }
        let (source, mut numbers) = match self.source.take() {
            Some((source, numbers)) if Arc::ptr_eq(&source, table) => (source, numbers),
            _ => (table.clone(), vec![None; table.len()]),
        };
        let mut set = BitSet::default();
        for index in bits(octets) {
            let index = usize::from(index);
            let number = match numbers[index] {
                Some(number) => number,
                None => self.name(&table[index])?,
            };
            numbers[index] = Some(number);
            set.insert(number);
        }
        self.source = Some((source, numbers));
        let number = match self.by_bits.get(&set) {
            Some(&number) => number,
            None => {
                let number = u16::try_from(self.sets.len() + 1).ok()?;
                self.sets.push(set.clone());
                self.by_bits.insert(set, number);
                number
            }
        };
        self.known.insert(list.identity(), (list.clone(), number));
        Some(number)
    }

    fn name(&mut self, keyword: &Keyword) -> Option<u16> {
        if let Some(&number) = self.by_name.get(keyword) {
            return Some(number);
        }
        let number = u16::try_from(self.names.len()).ok().filter(|&number| number < u16::MAX)?;
        self.text += keyword_len(keyword);
        self.names.push(keyword.clone());
        self.by_name.insert(keyword.clone(), number);
        Some(number)
    }

    /// Length in a record in bytes, a multiple of 8.
    pub(super) fn len(&self) -> usize {
        (self.text + self.sets.len() * self.width()).next_multiple_of(8)
    }

    /// Bytes of each set.
    pub(super) fn width(&self) -> usize {
        self.names.len().div_ceil(8)
    }

    pub(super) fn names(&self) -> &[Keyword] {
        &self.names
    }

    pub(super) fn sets(&self) -> &[BitSet] {
        &self.sets
    }
}

/// The table of these messages.
///
/// # Panics
/// When no record can name that many sets of keywords.
pub(super) fn table_of(messages: &[MessageRecord]) -> KeywordTable {
    let mut table = KeywordTable::default();
    for message in messages {
        table.number(&message.keywords).expect("a record has as many messages as fit into it");
    }
    table
}

impl Record {
    /// Length in bytes of a `Messages` record with these messages.
    #[must_use]
    pub fn messages_len(messages: &[MessageRecord]) -> usize {
        list_len(messages, MESSAGE)
    }

    /// Length in bytes of a `References` record with these messages.
    #[must_use]
    pub fn references_len(messages: &[MessageRecord]) -> usize {
        list_len(messages, REFERENCE)
    }

    /// How many of `messages`, from the first on, fit into one `Messages` record of at most
    /// `octets` bytes ([`encoded_len`](Self::encoded_len)).
    #[must_use]
    pub fn messages_that_fit(messages: &[MessageRecord], octets: usize) -> usize {
        let mut packing = Packing::of_messages();
        messages.iter().take_while(|message| packing.add(message) <= octets).count()
    }
}

fn list_len(messages: &[MessageRecord], each: usize) -> usize {
    let fragments =
        messages.iter().map(|message| message.fragments.len() * FRAGMENT).sum::<usize>();
    Record::MESSAGES_OVERHEAD + messages.len() * each + fragments + table_of(messages).len()
}
