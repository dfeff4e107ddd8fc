//! What a FETCH asks of each message, and what has to be looked at for it.

use std::collections::HashSet;
use std::ops::Range;

use super::head::HEAD;
use super::section::FieldNames;
use imap::protocol::{FetchItem, Partial, SectionText};

/// Up to so many items are compared one by one.
const FEW: usize = 16;

/// The items of a command.
pub(super) struct Wanted {
    pub items: Vec<FetchItem>,
    /// For each item the names of its fields, if it asks for fields.
    pub names: Vec<Option<FieldNames>>,
    /// The index is not enough.
    pub reads: bool,
    /// The parts of messages must be found, for which all of each message is needed.
    pub parses: bool,
    /// They must be only for previews that are to cost nothing.
    pub lazy: bool,
    /// Octets from the start of each message that will be read.
    pub reach: u64,
    /// Whoever fetches this has seen the message.
    pub sets_seen: bool,
}

/// Octets of a message that are found without knowing its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// `BODY[]`
    Whole,
    /// `BODY[HEADER]`: with the empty line that ends it.
    Header,
    /// `BODY[HEADER.FIELDS (…)]`, or `.NOT`.
    Fields,
    /// `BODY[TEXT]`
    Text,
}

impl Wanted {
    pub fn new(items: Vec<FetchItem>) -> Wanted {
        // Twice the same is answered once, as Dovecot does.
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

    /// Asks for one more item.
    pub fn add(&mut self, item: FetchItem) {
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

/// Whether the parts of the message must be found.
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

/// The octets that an item asks for, and which of them, if no part has to be found for that.
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

/// What a partial (`<offset.length>`) leaves of a range.
pub(super) fn cut(octets: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    match partial {
        None => octets,
        Some(partial) => {
            let cut = partial.of(octets.end - octets.start);
            octets.start + cut.start..octets.start + cut.end
        }
    }
}
