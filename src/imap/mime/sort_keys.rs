//! SORT: keys and order of messages (RFC 5256 section 3, RFC 5957).

use std::cmp::Ordering;

use super::casemap;
use super::facts::{Dates, Keys, cut, display, first_address, mailbox};
use super::header::dates::{SentDate, sent_date};
use super::header::fields::Fields;
use super::header::subject::base_subject;
use crate::protocol::{SortCriterion, SortKey};

/// Takes messages and returns them in order. A message takes 4 bytes, 8 for each date or size, 16
/// for each string, and the strings, mapped for comparison and cut to 1,000 octets.
#[derive(Debug)]
pub struct Sorter {
    criteria: Vec<SortCriterion>,
    numbers: Vec<u32>,
    /// `width` words for each message.
    words: Vec<u64>,
    width: usize,
    /// Chunks of [`STRINGS`] bytes; no string is divided between two.
    strings: Vec<Vec<u8>>,
}

/// Bytes of a chunk of strings. A single buffer would be copied each time it grows, and take twice
/// its size in the meantime.
const STRINGS: usize = 1 << 20;

impl Sorter {
    /// A sorter by the first criterion, then the second for equal messages, and so on.
    #[must_use]
    pub fn new(criteria: &[SortCriterion]) -> Sorter {
        let mut kept: Vec<SortCriterion> = Vec::new();
        for criterion in criteria {
            // A second criterion with the same key decides nothing.
            if kept.iter().all(|k| k.key != criterion.key) {
                kept.push(*criterion);
            }
        }
        let width = kept.iter().map(|criterion| criterion.key.words()).sum();
        let (numbers, words, strings) = (Vec::new(), Vec::new(), Vec::new());
        Sorter { criteria: kept, numbers, words, width, strings }
    }

    /// Whether [`Sorter::add`] needs headers; otherwise the header may be empty.
    #[must_use]
    pub fn needs_header(&self) -> bool {
        self.criteria.iter().any(|c| !matches!(c.key, SortKey::Arrival | SortKey::Size))
    }

    /// Adds a message: its sequence number or UID, internal date in seconds since
    /// 1970-01-01T00:00:00Z, size in octets, and header or whole message.
    pub fn add(&mut self, number: u32, arrival: i64, size: u64, header: &[u8]) {
        let sent = || sent_date(header);
        let string = |key: SortKey| cut(casemap(&key.string(header)).into_bytes());
        self.add_by(number, arrival, size, sent, string);
    }

    /// Whether [`Sorter::add_facts`] looks at the dates.
    #[must_use]
    pub fn needs_dates(&self) -> bool {
        self.criteria.iter().any(|c| c.key == SortKey::Date)
    }

    /// Whether [`Sorter::add_facts`] looks at the strings.
    #[must_use]
    pub fn needs_keys(&self) -> bool {
        self.criteria.iter().any(|c| c.key.words() == 2)
    }

    /// As [`Sorter::add`], with what was read from the header before. What is not needed may be the
    /// default.
    pub fn add_facts(&mut self, number: u32, arrival: i64, size: u64, dates: Dates, keys: &Keys) {
        self.add_by(number, arrival, size, || dates.0, |key| keys.string(key));
    }

    /// Adds a message. What a criterion needs besides is asked for: when it was sent, and the
    /// string for a key.
    fn add_by<S: AsRef<[u8]>>(
        &mut self,
        number: u32,
        arrival: i64,
        size: u64,
        sent: impl Fn() -> Option<SentDate>,
        string: impl Fn(SortKey) -> S,
    ) {
        self.numbers.push(number);
        for at in 0..self.criteria.len() {
            let key = self.criteria[at].key;
            match key {
                SortKey::Arrival => self.words.push(ordered(arrival)),
                SortKey::Size => self.words.push(size),
                SortKey::Date => {
                    self.words.push(ordered(sent().map_or(arrival, |date| date.instant)));
                }
                _ => self.push_string(string(key).as_ref()),
            }
        }
    }

    /// Approximate memory in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let strings = match &*self.strings {
            [] => 0,
            [pieces @ .., last] => pieces.len() * STRINGS + last.capacity(),
        };
        self.numbers.capacity() * 4 + self.words.capacity() * 8 + strings
    }

    /// The numbers of all messages so far, sorted.
    #[must_use]
    pub fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.numbers.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| self.compare(a as usize, b as usize));
        order.iter().map(|&at| self.numbers[at as usize]).collect()
    }

    /// Two words: the first eight octets, which decide most comparisons, and the position of the
    /// string.
    fn push_string(&mut self, octets: &[u8]) {
        let mut first = [0; 8];
        let start = octets.len().min(8);
        first[..start].copy_from_slice(&octets[..start]);
        let has_room = |piece: &Vec<u8>| piece.len() + octets.len() < STRINGS;
        if !self.strings.last().is_some_and(has_room) {
            // The first chunk grows: most sorts need only a part of it.
            let room = if self.strings.is_empty() { 0 } else { STRINGS };
            self.strings.push(Vec::with_capacity(room));
        }
        let number = self.strings.len() - 1;
        let piece = &mut self.strings[number];
        let place = ((number * STRINGS + piece.len()) as u64) << 16 | octets.len() as u64;
        self.words.extend([u64::from_be_bytes(first), place]);
        piece.extend_from_slice(octets);
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        let (mut at_a, mut at_b) = (a * self.width, b * self.width);
        for criterion in &self.criteria {
            let words = criterion.key.words();
            let mut order = self.words[at_a].cmp(&self.words[at_b]);
            if words == 2 && order.is_eq() {
                order = self.octets(at_a + 1).cmp(self.octets(at_b + 1));
            }
            if order.is_ne() {
                return if criterion.reverse { order.reverse() } else { order };
            }
            at_a += words;
            at_b += words;
        }
        self.numbers[a].cmp(&self.numbers[b])
    }

    fn octets(&self, word: usize) -> &[u8] {
        let place = self.words[word];
        let start = (place >> 16) as usize;
        let (piece, start) = (&self.strings[start / STRINGS], start % STRINGS);
        &piece[start..start + (place & 0xffff) as usize]
    }
}

impl SortKey {
    fn words(self) -> usize {
        if matches!(self, SortKey::Arrival | SortKey::Date | SortKey::Size) { 1 } else { 2 }
    }

    /// The string to compare; empty if the header does not have the field.
    fn string(self, header: &[u8]) -> String {
        let field = |name: &[u8]| Fields::find(header, name).map(|field| field.value);
        let address = |name: &[u8]| first_address(header, name);
        match self {
            SortKey::Cc => mailbox(address(b"Cc")),
            SortKey::From => mailbox(address(b"From")),
            SortKey::To => mailbox(address(b"To")),
            SortKey::DisplayFrom => display(address(b"From")),
            SortKey::DisplayTo => display(address(b"To")),
            SortKey::Subject => base_subject(field(b"Subject").unwrap_or_default()).text,
            SortKey::Arrival | SortKey::Date | SortKey::Size => String::new(),
        }
    }
}

/// An unsigned number in the same order.
fn ordered(value: i64) -> u64 {
    (value as u64) ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: [&str; 5] = [
        "Subject: Re: beta\nFrom: Zoe <alice@x>\nDate: 3 Jan 1970 00:00:00 +0000\n",
        "Subject: Alpha\nFrom: bob@x\nTo: Group: carl@x, dora@x;\n",
        "Subject: [list] BETA\nFrom: =?utf-8?q?=C3=84nne?= <\"carl\"@x>\nDate: 1 Jan 1970 x\n",
        "From: <alice@y>\nTo: Zed <zed@x>, a@b\nCc: q@r\n",
        "Subject: \u{e9}t\u{e9}\n",
    ];

    fn sort(criteria: &[(SortKey, bool)]) -> Vec<u32> {
        let criteria: Vec<SortCriterion> =
            criteria.iter().map(|&(key, reverse)| SortCriterion { key, reverse }).collect();
        let mut sorter = Sorter::new(&criteria);
        for (number, header) in (1..).zip(HEADERS) {
            sorter.add(number, 86_400 - 10 * i64::from(number), 100, header.as_bytes());
        }
        sorter.order()
    }

    #[test]
    fn messages_are_sorted() {
        use SortKey::*;
        for (criteria, expected) in [
            (&[(Arrival, false)][..], [5, 4, 3, 2, 1]),
            (&[(Arrival, true)], [1, 2, 3, 4, 5]),
            (&[(Size, true)], [1, 2, 3, 4, 5]),
            (&[(Date, false)], [3, 5, 4, 2, 1]),
            (&[(Subject, false)], [4, 2, 1, 3, 5]),
            (&[(Subject, true)], [5, 1, 3, 2, 4]),
            (&[(Subject, false), (Date, false)], [4, 2, 3, 1, 5]),
            (&[(Subject, true), (Subject, false), (Date, false)], [5, 3, 1, 2, 4]),
            (&[(From, false)], [5, 1, 4, 2, 3]),
            (&[(From, false), (Arrival, false)], [5, 4, 1, 2, 3]),
            (&[(To, false)], [1, 3, 5, 2, 4]),
            (&[(Cc, true)], [4, 1, 2, 3, 5]),
            (&[(DisplayFrom, false)], [5, 4, 3, 2, 1]),
            (&[(DisplayTo, false)], [1, 3, 5, 2, 4]),
        ] {
            assert_eq!(sort(criteria), expected, "{criteria:?}");
        }
        assert_eq!(Sorter::new(&[]).order(), Vec::<u32>::new());
    }

    #[test]
    fn strings_are_compared_whole() {
        let mut sorter = Sorter::new(&[SortCriterion { key: SortKey::Subject, reverse: false }]);
        let subjects = ["12345678b", "12345678", "12345678a", "1234567", "12345678\0", "1\0", "1"];
        for (number, subject) in (1..).zip(subjects) {
            sorter.add(number, 0, 0, format!("Subject: {subject}\n").as_bytes());
        }
        assert_eq!(sorter.order(), [7, 6, 4, 2, 5, 3, 1]);
    }

    #[test]
    fn a_million_messages_take_their_strings_and_little_more() {
        let keys = [SortKey::Subject, SortKey::From, SortKey::Date, SortKey::Size];
        let criteria = keys.map(|key| SortCriterion { key, reverse: false });
        let sorter = Sorter::new(&criteria);
        assert!(sorter.needs_header());
        assert!(4 + 8 * sorter.width <= 100);
        let arrival = SortCriterion { key: SortKey::Arrival, reverse: true };
        assert!(!Sorter::new(&[arrival]).needs_header());
    }
}
