//! The items of a FETCH, and what must be read to answer them.

use std::collections::HashSet;
use std::ops::Range;

use super::head::HEAD;
use super::section::FieldNames;
use imap::protocol::{FetchItem, Partial, SectionText};

/// Up to this number of items are compared one by one.
const FEW: usize = 16;

/// The items of a command.
pub(super) struct Wanted {
    pub items: Vec<FetchItem>,
    /// The field names of each item, if it has any.
    pub names: Vec<Option<FieldNames>>,
    /// Whether messages must be read.
    pub reads: bool,
    /// Whether the parts of messages must be found, for which complete messages are needed.
    pub parses: bool,
    /// Whether the parts are needed only for previews with LAZY.
    pub lazy: bool,
    /// Octets to read from the start of each message.
    pub reach: u64,
    /// Whether an item sets `\Seen`.
    pub sets_seen: bool,
}

/// A section that is found without parsing the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// `BODY[]`
    Whole,
    /// `BODY[HEADER]`, including the final empty line.
    Header,
    /// `BODY[HEADER.FIELDS (…)]`, or `.NOT`.
    Fields,
    /// `BODY[TEXT]`
    Text,
}

impl Wanted {
    pub(super) fn new(items: Vec<FetchItem>) -> Wanted {
        // A repeated item is answered once, as in Dovecot.
        let mut distinct: Vec<FetchItem> = Vec::with_capacity(items.len());
        if items.len() <= FEW {
            for item in items {
                if !distinct.contains(&item) {
                    distinct.push(item);
                }
            }
        } else {
            let mut seen = HashSet::with_capacity(items.len());
            distinct.extend(items.iter().filter(|item| seen.insert(*item)).cloned());
        }
        let names = distinct.iter().map(field_names).collect();
        let reach = distinct.iter().map(reach).max().unwrap_or(0);
        let sets_seen = distinct.iter().any(FetchItem::sets_seen);
        let (parsed, lazy) = (distinct.iter().filter(|item| parses(item)), is_lazy);
        let (parses, lazy) = (parsed.clone().count() > 0, parsed.clone().all(lazy));
        Wanted { reads: reach > 0, parses, lazy, reach, sets_seen, items: distinct, names }
    }

    /// Adds an item, unless it is there already.
    pub(super) fn add(&mut self, item: FetchItem) {
        if !self.items.contains(&item) {
            self.names.insert(0, field_names(&item));
            self.items.insert(0, item);
        }
    }
}

fn field_names(item: &FetchItem) -> Option<FieldNames> {
    match item {
        FetchItem::Section(body) => match &body.section.text {
            Some(SectionText::HeaderFields { not, names }) => Some(FieldNames::new(*not, names)),
            _ => None,
        },
        _ => None,
    }
}

fn is_lazy(item: &FetchItem) -> bool {
    *item == FetchItem::Preview { lazy: true }
}

fn reach(item: &FetchItem) -> u64 {
    match plain(item) {
        Some((Plain::Header | Plain::Fields, _)) => HEAD,
        Some((Plain::Whole, Some(partial))) => partial.offset.saturating_add(partial.length),
        Some((Plain::Whole | Plain::Text, _)) => u64::MAX,
        None if *item == FetchItem::Envelope => HEAD,
        None if parses(item) => u64::MAX,
        None => 0,
    }
}

/// Whether an item needs the parts of the message.
pub(super) fn parses(item: &FetchItem) -> bool {
    match item {
        FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::Preview { .. }
        | FetchItem::Binary(_)
        | FetchItem::BinarySize(_) => true,
        FetchItem::Section(_) => plain(item).is_none(),
        _ => false,
    }
}

/// The section and partial range of an item, if it can be answered without the parts.
pub(super) fn plain(item: &FetchItem) -> Option<(Plain, Option<Partial>)> {
    Some(match item {
        FetchItem::Rfc822 => (Plain::Whole, None),
        FetchItem::Rfc822Header => (Plain::Header, None),
        FetchItem::Rfc822Text => (Plain::Text, None),
        FetchItem::Section(body) if body.section.part.is_empty() => {
            let part = match &body.section.text {
                None => Plain::Whole,
                Some(SectionText::Header) => Plain::Header,
                Some(SectionText::HeaderFields { .. }) => Plain::Fields,
                Some(SectionText::Text) => Plain::Text,
                Some(SectionText::Mime) => return None,
            };
            (part, body.partial)
        }
        _ => return None,
    })
}

/// Applies a partial range (`<offset.length>`) to a range.
pub(super) fn cut(octets: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    match partial {
        None => octets,
        Some(partial) => {
            let cut = partial.of(octets.end - octets.start);
            octets.start + cut.start..octets.start + cut.end
        }
    }
}
