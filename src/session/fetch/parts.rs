//! FETCH items that need the parts of a message.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::home::Turn;
use bytes::BytesMut;

use super::octets::{announce, put, within};
use super::section::{FieldNames, filter_header};
use super::wanted::{Plain, cut, parses, plain};
use imap::mime::{BinaryError, Message, Outline, TooLong, Transfer, envelope, preview};
use imap::protocol::response::{FetchResponse, string};
use imap::protocol::{FetchItem, HeaderScanner, Partial, SectionText};

/// The items of a command for one large message, in the order of the command.
pub(super) struct Parts {
    pub items: Vec<Part>,
    /// Bytes that the items hold.
    pub held: u64,
    /// A turn of the offload pool, kept while the items hold memory that others wait for.
    pub turn: Option<Turn>,
}

/// One item for one message.
pub(super) enum Part {
    /// Already answered by the index.
    Known,
    /// The name and the value, written.
    Written(&'static str, BytesMut),
    /// Octets of the message.
    Range(Range<u64>),
    /// A range of a decoded part. Items for the same part share its octets.
    Decoded(Arc<Vec<u8>>, Range<usize>),
    /// A part to decode while it is sent.
    Encoded(Range<u64>, Transfer),
    /// Selected fields of the header at this range; the item has the names and the partial range.
    Fields(Range<u64>),
    /// `BINARY.SIZE`
    Size(u64),
    /// `BINARY.SIZE` of a part that must be decoded to be counted.
    EncodedSize(Range<u64>, Transfer),
    /// The headers are too long to answer this item.
    TooLong,
    /// The part has an unknown transfer encoding.
    UnknownEncoding,
}

/// A part without its transfer encoding.
#[derive(Clone)]
enum Bare {
    /// Not encoded: a range of the message.
    Range(Range<u64>),
    Decoded(Arc<Vec<u8>>),
    Encoded(Range<u64>, Transfer),
}

/// Locates the items of one message. If the message is in memory, each part is decoded once:
/// together the decoded parts are no larger than the message.
pub(super) struct Finder<'m> {
    of: Source<'m>,
    size: u64,
    /// Length of the header, in octets.
    header: u64,
    bare: BTreeMap<Vec<u32>, Result<Bare, BinaryError>>,
    /// Whether decoded parts are kept, because several items may name the same part.
    keeps: bool,
}

enum Source<'m> {
    Memory(Message<'m>, &'m [u8]),
    Outline(Outline),
}

impl Parts {
    /// Locates the items in a message of `size` octets.
    pub(super) fn find(outline: Outline, size: u64, items: &[FetchItem]) -> Parts {
        let header = outline.header;
        let (of, bare) = (Source::Outline(outline), BTreeMap::new());
        let mut finder = Finder { of, size, header, bare, keeps: false };
        let items: Vec<_> = items.iter().map(|item| finder.part(item)).collect();
        Parts { held: items.iter().map(Part::held).sum(), items, turn: None }
    }

    pub(super) fn has_unknown_encoding(&self) -> bool {
        self.items.iter().any(Part::is_unknown)
    }
}

impl<'m> Finder<'m> {
    /// Parses a message in memory; `items` is the number of items to locate.
    pub(super) fn new(octets: &'m [u8], items: usize, global: bool) -> Finder<'m> {
        let message = Message::parse(octets, global);
        let mut scanner = HeaderScanner::new();
        let header = scanner.feed(octets).unwrap_or_else(|| scanner.finish());
        let (of, size) = (Source::Memory(message, octets), octets.len() as u64);
        Finder { of, size, header, bare: BTreeMap::new(), keeps: items > 1 }
    }

    fn message(&self) -> &Message<'_> {
        match &self.of {
            Source::Memory(message, _) => message,
            Source::Outline(outline) => &outline.message,
        }
    }

    /// The header fields, from which an envelope is made.
    fn fields(&self) -> &[u8] {
        match &self.of {
            Source::Memory(_, octets) => &octets[within(0..self.header)],
            Source::Outline(outline) => &outline.fields,
        }
    }

    /// Locates an item.
    pub(super) fn part(&mut self, item: &FetchItem) -> Part {
        let (size, header) = (self.size, self.header);
        let message = self.message();
        let written = |name, write: &dyn Fn(&mut BytesMut) -> Result<(), TooLong>| {
            let mut value = BytesMut::new();
            match write(&mut value) {
                Ok(()) => Part::Written(name, value),
                Err(TooLong) => Part::TooLong,
            }
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
            FetchItem::Envelope => written("ENVELOPE", &|out| envelope(self.fields(), out)),
            FetchItem::Body => written("BODY", &|out| message.body_structure(false, out)),
            FetchItem::BodyStructure => {
                written("BODYSTRUCTURE", &|out| message.body_structure(true, out))
            }
            FetchItem::Preview { .. } => {
                let write = |text: &str| {
                    let mut value = BytesMut::new();
                    string(&mut value, text.as_bytes());
                    Part::Written("PREVIEW", value)
                };
                match &self.of {
                    Source::Memory(_, octets) => write(&preview(octets)),
                    Source::Outline(outline) => write(&outline.preview),
                }
            }
            FetchItem::Section(body) => {
                let text = body.section.text.as_ref();
                // A missing part is empty, as in Dovecot.
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
                Ok(Bare::Encoded(range, transfer)) => Part::Encoded(range, transfer),
                Err(BinaryError::NoSuchPart) => Part::Decoded(Arc::default(), 0..0),
                Err(BinaryError::UnknownEncoding) => Part::UnknownEncoding,
            },
            FetchItem::BinarySize(of) => match self.bare(of) {
                Ok(Bare::Range(range)) => Part::Size(range.end - range.start),
                Ok(Bare::Decoded(octets)) => Part::Size(octets.len() as u64),
                Ok(Bare::Encoded(range, transfer)) => Part::EncodedSize(range, transfer),
                Err(BinaryError::NoSuchPart) => Part::Size(0),
                Err(BinaryError::UnknownEncoding) => Part::UnknownEncoding,
            },
            item => {
                debug_assert!(!parses(item), "{item:?} is answered");
                Part::Known
            }
        }
    }

    /// The part with this number, without its transfer encoding.
    fn bare(&mut self, part: &[u32]) -> Result<Bare, BinaryError> {
        if let Some(known) = self.bare.get(part) {
            return known.clone();
        }
        let bare = self.message().encoded(part).map(|(range, transfer)| match &self.of {
            _ if !transfer.decodes() => Bare::Range(range),
            Source::Memory(_, octets) => {
                let decoded = transfer.decode(&octets[within(range)]);
                Bare::Decoded(Arc::new(decoded.into_owned()))
            }
            Source::Outline(_) => Bare::Encoded(range, transfer),
        });
        if self.keeps {
            self.bare.insert(part.to_vec(), bare.clone());
        }
        bare
    }
}

impl Part {
    /// Bytes that it holds.
    fn held(&self) -> u64 {
        if let Part::Written(_, value) = self { value.len() as u64 } else { 0 }
    }

    /// Octets of its value in the response, at most.
    pub(super) fn octets(&self) -> u64 {
        match self {
            Part::Known | Part::UnknownEncoding | Part::TooLong => 0,
            Part::Size(_) | Part::EncodedSize(..) | Part::Encoded(..) => 0,
            Part::Written(_, value) => value.len() as u64,
            Part::Range(range) => range.end - range.start,
            Part::Fields(range) => range.end - range.start + 2,
            Part::Decoded(_, range) => range.len() as u64,
        }
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Part::UnknownEncoding)
    }

    pub(super) fn is_too_long(&self) -> bool {
        matches!(self, Part::TooLong)
    }

    /// Writes an item of a message in memory. `names` are the field names of the item, if any;
    /// `made` is a buffer for the fields.
    pub(super) fn write(
        &self,
        answer: &mut FetchResponse,
        out: &mut BytesMut,
        item: &FetchItem,
        (message, names, made): (&[u8], Option<&FieldNames>, &mut Vec<u8>),
    ) {
        match (self, item) {
            (Part::Known | Part::UnknownEncoding | Part::TooLong, _) => {}
            (Part::Written(name, value), _) => answer.written(out, name, value),
            (Part::Range(range), _) => {
                announce(answer, out, item, range.end - range.start);
                put(out, item, &message[within(range.clone())]);
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
            // Only for messages that are not in memory.
            (Part::Encoded(..) | Part::EncodedSize(..), _) => {}
        }
    }
}

/// Writes selected fields of a header in memory.
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
    put(out, item, octets);
}
