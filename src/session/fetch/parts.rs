//! Items that need the parts of a message.

use std::borrow::Cow;
use std::ops::Range;

use bytes::BytesMut;
use tokio::sync::OwnedSemaphorePermit;

use super::octets::{announce, within};
use super::section::filter_header;
use super::wanted::{Plain, cut, parses, plain};
use crate::mime::{BinaryError, Message, envelope, preview};
use crate::protocol::response::{FetchResponse, string};
use crate::protocol::{FetchItem, HeaderScanner, Partial, SectionText};

/// What each item of a command is for one message, in the order of the items.
pub(super) struct Parts {
    pub items: Vec<Part>,
    /// What is decoded takes so much memory that others wait for it.
    pub turn: Option<OwnedSemaphorePermit>,
}

/// What an item is for one message.
pub(super) enum Part {
    /// The index has answered it already.
    Known,
    /// A value, written.
    Written(&'static str, BytesMut),
    /// Octets of the message.
    Range(Range<u64>),
    /// Octets that stand nowhere in the message like that.
    Octets(Vec<u8>),
    /// `BINARY.SIZE`
    Size(u64),
    /// Encoded in a way that is not known.
    UnknownEncoding,
}

impl Parts {
    /// Looks at a message of `size` octets of which these are the first, or all.
    pub fn find(octets: &[u8], size: u64, items: &[FetchItem]) -> Parts {
        let message = Message::parse_prefix(octets, size);
        let mut scanner = HeaderScanner::new();
        let header = scanner.feed(octets).unwrap_or_else(|| scanner.finish());
        let found = items.iter().map(|item| part(&message, octets, header, size, item));
        Parts { items: found.collect(), turn: None }
    }

    /// Octets that it holds.
    pub fn held(&self) -> usize {
        let held = |part: &Part| if let Part::Octets(octets) = part { octets.len() } else { 0 };
        self.items.iter().map(held).sum()
    }

    pub fn has_unknown_encoding(&self) -> bool {
        self.items.iter().any(|part| matches!(part, Part::UnknownEncoding))
    }
}

fn part(message: &Message, octets: &[u8], header: u64, size: u64, item: &FetchItem) -> Part {
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
            Plain::Fields { not, names } => fields(octets, 0..header, not, names, partial),
        };
    }
    match item {
        FetchItem::Envelope => {
            written("ENVELOPE", &|out| envelope(&octets[within(0..header)], out))
        }
        FetchItem::Body => written("BODY", &|out| message.body_structure(false, out)),
        FetchItem::BodyStructure => {
            written("BODYSTRUCTURE", &|out| message.body_structure(true, out))
        }
        FetchItem::Preview { .. } => {
            written("PREVIEW", &|out| string(out, preview(octets).as_bytes()))
        }
        FetchItem::Section(body) => {
            let text = body.section.text.as_ref();
            // As Dovecot does it: what is not there is empty.
            let range = message.section(&body.section.part, text).unwrap_or(0..0);
            let range = range.start.min(size)..range.end.min(size);
            match text {
                Some(SectionText::HeaderFields { not, names }) if !range.is_empty() => {
                    fields(octets, range, *not, names, body.partial)
                }
                _ => Part::Range(cut(range, body.partial)),
            }
        }
        FetchItem::Binary(binary) => match message.binary(&binary.part) {
            // What is not encoded stands in the message like that.
            Ok(Cow::Borrowed(plain)) => Part::Range(cut(place(plain, octets), binary.partial)),
            Ok(Cow::Owned(mut decoded)) => {
                let kept = within(cut(0..decoded.len() as u64, binary.partial));
                decoded.truncate(kept.end);
                decoded.drain(..kept.start);
                Part::Octets(decoded)
            }
            Err(BinaryError::NoSuchPart) => Part::Octets(Vec::new()),
            Err(BinaryError::UnknownEncoding | BinaryError::TooLarge) => Part::UnknownEncoding,
        },
        FetchItem::BinarySize(of) => match message.binary_size(of) {
            Ok(size) => Part::Size(size),
            Err(BinaryError::NoSuchPart) => Part::Size(0),
            Err(BinaryError::UnknownEncoding | BinaryError::TooLarge) => Part::UnknownEncoding,
        },
        item => {
            debug_assert!(!parses(item), "{item:?} is answered");
            Part::Known
        }
    }
}

/// Where in a message some octets of it stand.
fn place(plain: &[u8], octets: &[u8]) -> Range<u64> {
    // A slice of nothing may be anybody's.
    let skip = (plain.as_ptr() as usize).saturating_sub(octets.as_ptr() as usize);
    let start = if plain.is_empty() { 0 } else { skip.min(octets.len()) };
    start as u64..(start + plain.len()).min(octets.len()) as u64
}

/// Fields of a header that stands at `range`, as far as it is in memory.
fn fields(
    octets: &[u8],
    range: Range<u64>,
    not: bool,
    names: &[Vec<u8>],
    partial: Option<Partial>,
) -> Part {
    let end = range.end.min(octets.len() as u64);
    let header = &octets[within(range.start.min(end)..end)];
    let mut kept = Vec::new();
    filter_header(header, not, names, &mut kept);
    let cut = within(cut(0..kept.len() as u64, partial));
    Part::Octets(kept[cut].to_vec())
}

impl Part {
    /// Writes it, for a message that is in memory.
    pub fn write(
        &self,
        answer: &mut FetchResponse,
        out: &mut BytesMut,
        item: &FetchItem,
        message: &[u8],
    ) {
        match (self, item) {
            (Part::Known | Part::UnknownEncoding, _) => {}
            (Part::Written(name, value), _) => answer.written(out, name, value),
            (Part::Range(range), _) => {
                announce(answer, out, item, range.end - range.start);
                out.extend_from_slice(&message[within(range.clone())]);
            }
            (Part::Octets(octets), _) => {
                announce(answer, out, item, octets.len() as u64);
                out.extend_from_slice(octets);
            }
            (Part::Size(size), FetchItem::BinarySize(of)) => answer.binary_size(out, of, *size),
            (Part::Size(_), _) => {}
        }
    }
}
