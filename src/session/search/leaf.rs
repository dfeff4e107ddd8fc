//! A single search key: its cost, and its answer for a message.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::index::{Entry, KeywordSet, Keywords};
use crate::session::selected::Shown;
use crate::store::EmailId;
use imap::mime::{Needle, sent_date};
use imap::protocol::{DateOrder, SequenceSet};
use imap::types::{Date, Flags, Keyword, ModSeq, UidRange};

/// How much of a message a key has to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cost {
    /// Nothing: the index has the answer.
    Index,
    /// The header.
    Header,
    /// The complete message.
    Whole,
}

/// A search key that contains no other keys.
#[derive(Debug)]
pub(super) enum Leaf {
    Flags(Flags),
    /// A keyword, by its index in the program's list.
    Keyword(u32),
    Recent,
    Internal(DateOrder, Date),
    Saved(DateOrder, Date),
    /// The internal date is at or before this moment, in seconds since 1970.
    Older(i64),
    /// The internal date is at or after this moment, in seconds since 1970.
    Younger(i64),
    Larger(u64),
    Smaller(u64),
    Uids(Arc<[UidRange]>),
    ModSeq(ModSeq),
    EmailId(EmailId),
    Sent(DateOrder, Date),
    Field(Vec<u8>, Needle),
    Body(Needle),
    Text(Needle),
}

/// The inputs of keys answered by the index, besides the message's entry.
pub(super) struct Known<'a> {
    table: &'a Keywords,
    numbers: Vec<Option<u16>>,
    shown: &'a Shown,
}

impl<'a> Known<'a> {
    /// For the current state of the mailbox.
    pub(super) fn new(keywords: &[Keyword], table: &'a Keywords, shown: &'a Shown) -> Known<'a> {
        let numbers = keywords.iter().map(|keyword| table.number(keyword)).collect();
        Known { table, numbers, shown }
    }

    fn has(&self, set: KeywordSet, keyword: u32) -> bool {
        self.numbers[keyword as usize].is_some_and(|number| self.table.has(set, number))
    }
}

/// A message, or its header, while several keys are evaluated on it.
pub(super) struct Asked<'a> {
    pub octets: &'a [u8],
    /// The day of the internal date.
    day: Date,
    sent: OnceCell<Date>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(octets: &'a [u8], day: Date) -> Asked<'a> {
        Asked { octets, day, sent: OnceCell::new() }
    }

    /// The day of the Date field, or of the internal date if that field is missing or invalid.
    fn sent(&self) -> Date {
        let read = || sent_date(self.octets).map_or(self.day, |sent| Date(sent.day));
        *self.sent.get_or_init(read)
    }
}

impl Leaf {
    pub(super) fn cost(&self) -> Cost {
        match self {
            Leaf::Sent(..) | Leaf::Field(..) => Cost::Header,
            Leaf::Body(_) | Leaf::Text(_) => Cost::Whole,
            _ => Cost::Index,
        }
    }

    pub(super) fn by_index(&self, entry: Entry<'_>, known: &Known<'_>) -> Option<bool> {
        Some(match self {
            Leaf::Flags(flags) => entry.flags().contains(*flags),
            Leaf::Keyword(keyword) => known.has(entry.keywords(), *keyword),
            Leaf::Recent => known.shown.is_recent(entry.uid()),
            Leaf::Internal(order, day) => order.holds(entry.date().date(), *day),
            Leaf::Saved(order, day) => order.holds(Date::from_unix(entry.save_date()), *day),
            Leaf::Older(moment) => entry.date().to_unix() <= *moment,
            Leaf::Younger(moment) => entry.date().to_unix() >= *moment,
            Leaf::Larger(size) => entry.size() > *size,
            Leaf::Smaller(size) => entry.size() < *size,
            Leaf::Uids(uids) => UidRange::covers(uids, entry.uid()),
            Leaf::ModSeq(modseq) => entry.modseq() >= *modseq,
            Leaf::EmailId(id) => entry.email_id() == *id,
            Leaf::Sent(..) | Leaf::Field(..) | Leaf::Body(_) | Leaf::Text(_) => return None,
        })
    }

    pub(super) fn by_header(&self, asked: &Asked<'_>) -> Option<bool> {
        Some(match self {
            Leaf::Sent(order, sought) => order.holds(asked.sent(), *sought),
            Leaf::Field(name, needle) => needle.in_header_field(asked.octets, name),
            _ => return None,
        })
    }

    pub(super) fn needle(&self) -> Option<&Needle> {
        match self {
            Leaf::Field(_, needle) | Leaf::Body(needle) | Leaf::Text(needle) => Some(needle),
            _ => None,
        }
    }
}

/// The UID ranges between the ends of each range of message numbers. All messages between two
/// numbers lie between their UIDs, so the result has no more ranges than the set, whatever gaps the
/// mailbox has.
pub(super) fn between(set: &SequenceSet, shown: &Shown) -> Arc<[UidRange]> {
    let (view, len) = (&shown.view, shown.view.len());
    let range = |(first, last): (u32, u32)| {
        let (first, last) = (view.uid(first)?, view.uid(last.min(len))?);
        Some(UidRange { first, last })
    };
    set.resolve(len).iter().filter_map(range).collect()
}

/// The UIDs that a set names. A range to `*` includes messages that arrive later.
pub(super) fn uids(set: &SequenceSet, shown: &Shown) -> Arc<[UidRange]> {
    let last = shown.view.last().map_or(0, |uid| uid.0);
    let mut uids: Vec<_> = set.resolve(last).uids().collect();
    if set.has_star() {
        let later: Vec<_> = set.resolve(u32::MAX).uids().collect();
        uids = UidRange::union(&uids, &later);
    }
    uids.into()
}

/// Parses an EMAILID as FETCH prints it.
pub(super) fn email_id(text: &[u8]) -> Option<EmailId> {
    let text = std::str::from_utf8(text).ok()?;
    let id = EmailId(u64::from_str_radix(text.strip_prefix('M')?, 16).ok()?);
    (id.to_string() == text).then_some(id)
}
