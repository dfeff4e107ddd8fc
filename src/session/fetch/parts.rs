//! Items that need the parts of a message.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::large::Turn;
use bytes::BytesMut;

use super::octets::{announce, within};
use super::section::{FieldNames, filter_header};
use super::wanted::{Plain, cut, parses, plain};
use crate::limits::LARGE_MESSAGE;
use crate::mime::{BinaryError, Message, envelope, preview};
use crate::protocol::response::{FetchResponse, string};
use crate::protocol::{FetchItem, HeaderScanner, Partial, SectionText};

/// What each item of a command is for one large message, in the order of the items.
pub(super) struct Parts {
    pub items: Vec<Part>,
    /// Octets that the items hold.
    pub held: u64,
    /// What is decoded takes so much memory that others wait for it.
    pub turn: Option<Turn>,
}

/// What an item is for one message.
pub(super) enum Part {
    /// The index has answered it already.
    Known,
    /// A value, written.
    Written(&'static str, BytesMut),
    /// Octets of the message.
    Range(Range<u64>),
    /// Octets of a part whose encoding was undone. Items that name the same part share it.
    Decoded(Arc<Vec<u8>>, Range<usize>),
    /// Fields of the header that stands there; the item says which, and which octets of them.
    Fields(Range<u64>),
    /// `BINARY.SIZE`
    Size(u64),
    /// Encoded in a way that is not known.
    UnknownEncoding,
}

/// A part without its encoding.
#[derive(Clone)]
enum Bare {
    /// It stands in the message like that.
    Range(Range<u64>),
    Decoded(Arc<Vec<u8>>),
}

/// A message in memory that is asked for item after item. Each part is decoded once: all of them
/// together are no larger than the message.
pub(super) struct Finder<'m> {
    message: Message<'m>,
    octets: &'m [u8],
    size: u64,
    /// Length of the header.
    header: u64,
    bare: BTreeMap<Vec<u32>, Result<Bare, BinaryError>>,
    /// Several items may name the same part.
    keeps: bool,
}

impl Parts {
    /// Looks at a message of `size` octets of which these are the first, or all.
    pub fn find(octets: &[u8], size: u64, items: &[FetchItem]) -> Parts {
        let mut finder = Finder::new(octets, size, items.len());
        let mut items: Vec<_> = items.iter().map(|item| finder.part(item)).collect();
        let asked = items.iter().map(Part::decoded).sum::<u64>();
        if asked > LARGE_MESSAGE {
            return Parts { items, held: finder.decoded().max(asked), turn: None };
        }
        // A few octets of large parts: these are not held for them.
        for item in &mut items {
            if let Part::Decoded(octets, range) = item {
                *item = Part::decoded_octets(octets[range.clone()].to_vec());
            }
        }
        Parts { items, held: asked, turn: None }
    }

    pub fn has_unknown_encoding(&self) -> bool {
        self.items.iter().any(Part::is_unknown)
    }
}

impl<'m> Finder<'m> {
    /// Looks at a message of `size` octets of which these are the first, or all, for so many items.
    pub fn new(octets: &'m [u8], size: u64, items: usize) -> Finder<'m> {
        let message = Message::parse_prefix(octets, size);
        let mut scanner = HeaderScanner::new();
        let header = scanner.feed(octets).unwrap_or_else(|| scanner.finish());
        Finder { message, octets, size, header, bare: BTreeMap::new(), keeps: items > 1 }
    }

    /// What an item is.
    pub fn part(&mut self, item: &FetchItem) -> Part {
        let (size, header) = (self.size, self.header);
        let message = &self.message;
        let written = |name, write: &dyn Fn(&mut BytesMut)| {
            let mut value = BytesMut::new();
            write(&mut value);
            Part::Written(name, value)
        };
        if let Some((plain, partial)) = plain(item) {
            return match plain {
                Plain::Whole => Part::Range(cut(0..size, partial)),
                Plain::Header => Part::Range(cut(0..header, partial)),
                Plain::Text => Part::Range(cut(header..size, partial)),
                Plain::Fields => Part::Fields(0..header),
            };
        }
        match item {
            FetchItem::Envelope => {
                let header = &self.octets[within(0..header)];
                written("ENVELOPE", &|out| envelope(header, out))
            }
            FetchItem::Body => written("BODY", &|out| message.body_structure(false, out)),
            FetchItem::BodyStructure => {
                written("BODYSTRUCTURE", &|out| message.body_structure(true, out))
            }
            FetchItem::Preview { .. } => {
                written("PREVIEW", &|out| string(out, preview(self.octets).as_bytes()))
            }
            FetchItem::Section(body) => {
                let text = body.section.text.as_ref();
                // As Dovecot does it: what is not there is empty.
                let range = message.section(&body.section.part, text).unwrap_or(0..0);
                let range = range.start.min(size)..range.end.min(size);
                match text {
                    Some(SectionText::HeaderFields { .. }) if !range.is_empty() => {
                        Part::Fields(range)
                    }
                    _ => Part::Range(cut(range, body.partial)),
                }
            }
            FetchItem::Binary(binary) => match self.bare(&binary.part) {
                Ok(Bare::Range(range)) => Part::Range(cut(range, binary.partial)),
                Ok(Bare::Decoded(octets)) => {
                    let range = within(cut(0..octets.len() as u64, binary.partial));
                    Part::Decoded(octets, range)
                }
                Err(BinaryError::NoSuchPart) => Part::decoded_octets(Vec::new()),
                Err(BinaryError::UnknownEncoding | BinaryError::TooLarge) => Part::UnknownEncoding,
            },
            FetchItem::BinarySize(of) => match self.bare(of) {
                Ok(Bare::Range(range)) => Part::Size(range.end - range.start),
                Ok(Bare::Decoded(octets)) => Part::Size(octets.len() as u64),
                Err(BinaryError::NoSuchPart) => Part::Size(0),
                Err(BinaryError::UnknownEncoding | BinaryError::TooLarge) => Part::UnknownEncoding,
            },
            item => {
                debug_assert!(!parses(item), "{item:?} is answered");
                Part::Known
            }
        }
    }

    /// The part of these numbers without its encoding.
    fn bare(&mut self, part: &[u32]) -> Result<Bare, BinaryError> {
        if let Some(known) = self.bare.get(part) {
            return known.clone();
        }
        let bare = self.message.binary(part).map(|bare| match bare {
            Cow::Borrowed(plain) => Bare::Range(place(plain, self.octets)),
            Cow::Owned(decoded) => Bare::Decoded(Arc::new(decoded)),
        });
        if self.keeps {
            self.bare.insert(part.to_vec(), bare.clone());
        }
        bare
    }

    /// Octets of all parts that were decoded.
    fn decoded(&self) -> u64 {
        let octets = |bare: &Result<Bare, _>| match bare {
            Ok(Bare::Decoded(octets)) => octets.len() as u64,
            _ => 0,
        };
        self.bare.values().map(octets).sum()
    }
}

/// Where in a message some octets of it stand.
fn place(plain: &[u8], octets: &[u8]) -> Range<u64> {
    // A slice of nothing may be anybody's.
    let skip = (plain.as_ptr() as usize).saturating_sub(octets.as_ptr() as usize);
    let start = if plain.is_empty() { 0 } else { skip.min(octets.len()) };
    start as u64..(start + plain.len()).min(octets.len()) as u64
}

impl Part {
    fn decoded_octets(octets: Vec<u8>) -> Part {
        let all = 0..octets.len();
        Part::Decoded(Arc::new(octets), all)
    }

    /// Octets that it holds, or shares with other items.
    fn decoded(&self) -> u64 {
        if let Part::Decoded(_, range) = self { range.len() as u64 } else { 0 }
    }

    /// Octets that it takes in an answer at most, besides its name.
    pub fn octets(&self) -> u64 {
        match self {
            Part::Known | Part::UnknownEncoding | Part::Size(_) => 0,
            Part::Written(_, value) => value.len() as u64,
            Part::Range(range) => range.end - range.start,
            Part::Fields(range) => range.end - range.start + 2,
            Part::Decoded(_, range) => range.len() as u64,
        }
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self, Part::UnknownEncoding)
    }

    /// Writes it, for a message that is in memory. `names` are those of the item, if it asks for
    /// fields, and `made` is memory for them.
    pub fn write(
        &self,
        answer: &mut FetchResponse,
        out: &mut BytesMut,
        item: &FetchItem,
        (message, names, made): (&[u8], Option<&FieldNames>, &mut Vec<u8>),
    ) {
        match (self, item) {
            (Part::Known | Part::UnknownEncoding, _) => {}
            (Part::Written(name, value), _) => answer.written(out, name, value),
            (Part::Range(range), _) => {
                announce(answer, out, item, range.end - range.start);
                out.extend_from_slice(&message[within(range.clone())]);
            }
            (Part::Decoded(octets, range), _) => {
                announce(answer, out, item, range.len() as u64);
                out.extend_from_slice(&octets[range.clone()]);
            }
            (Part::Fields(header), FetchItem::Section(body)) => {
                let Some(names) = names else { return };
                let header = &message[within(header.clone())];
                write_fields(answer, out, item, body.partial, (header, names, made));
            }
            (Part::Size(size), FetchItem::BinarySize(of)) => answer.binary_size(out, of, *size),
            (Part::Size(_) | Part::Fields(_), _) => {}
        }
    }
}

/// Writes fields of a header that is in memory.
pub(super) fn write_fields(
    answer: &mut FetchResponse,
    out: &mut BytesMut,
    item: &FetchItem,
    partial: Option<Partial>,
    (header, names, made): (&[u8], &FieldNames, &mut Vec<u8>),
) {
    made.clear();
    filter_header(header, names, made);
    let octets = &made[within(cut(0..made.len() as u64, partial))];
    announce(answer, out, item, octets.len() as u64);
    out.extend_from_slice(octets);
}
