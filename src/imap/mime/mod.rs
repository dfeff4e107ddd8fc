//! What stands in a message: octets in, values out, no I/O.
//!
//! ```text
//!                    ┌▶ sort_keys   SORT
//!           header ──┼▶ thread      THREAD
//!             │      └─────────────────────────┐
//!  octets ──▶ parts ──┬▶ structure  FETCH      ▼
//!             ▲       ├────────────────────▶ text   SEARCH, PREVIEW
//!           transfer  └▶ stream: the same of messages that are larger than memory
//! ```
//!
//! `header` reads fields, wherever a header stands. `parts` is the one walk over a message that
//! says where its parts are: FETCH takes it to the end, SEARCH and PREVIEW as far as they must.
//! `transfer` undoes base64 and quoted-printable.
//!
//! Mail is taken as it comes. Nothing here fails on a broken message, recurses as deep as one
//! nests, or holds more than a small multiple of it.

mod header;
mod transfer;
mod parts;
mod structure;
mod text;
mod stream;
mod sort_keys;
pub mod thread;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use bytes::BytesMut;

use crate::protocol::SectionText;

pub use header::dates::{SentDate, parse_date, sent_date};
pub use header::fields::{Field, Fields, header_length};
pub use header::subject::{BaseSubject, base_subject};
pub use header::words::decode_field;
pub use sort_keys::Sorter;
pub use stream::{Outline, Outliner, TextSearch};
pub use structure::{BinaryError, envelope};
pub use text::{BadCharset, CHARSETS, FieldText, Needle, casemap, field_text, preview};
pub use transfer::{Decoder, Transfer};

/// That a header is longer than [`MIME_HEADER`](crate::limits::MIME_HEADER), or what would have to
/// be answered longer than [`MIME_ANSWER`](crate::limits::MIME_ANSWER).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a header of the message is too long")
    }
}

impl std::error::Error for TooLong {}

/// A message whose parts were found. Holds ranges, no octets but those it was made of.
#[derive(Debug)]
pub struct Message<'a> {
    /// The message, if it is in memory.
    octets: &'a [u8],
    /// What is needed of the headers, if it is not: by their place.
    headers: BTreeMap<u64, Vec<u8>>,
    /// Octets of the whole message.
    size: u64,
    /// The message itself, and the parts within it, in the order in which they begin.
    parts: Vec<parts::Part>,
}

impl<'a> Message<'a> {
    /// Finds the parts of a whole message. Never fails: what is broken is a leaf. With `global`,
    /// a part of type message/global is a message, as RFC 9051 has it and RFC 3501 has not.
    #[must_use]
    pub fn parse(octets: &'a [u8], global: bool) -> Message<'a> {
        let (headers, size) = (BTreeMap::new(), octets.len() as u64);
        Message { octets, headers, size, parts: parts::parts(octets, global) }
    }

    /// Writes the value of BODYSTRUCTURE, or if not `extended` of BODY (RFC 3501 section 7.4.2).
    ///
    /// # Errors
    /// When it would be longer than [`MIME_ANSWER`](crate::limits::MIME_ANSWER).
    pub fn body_structure(&self, extended: bool, out: &mut BytesMut) -> Result<(), TooLong> {
        structure::body_structure(self, extended, out)
    }

    /// The octets of the message that BODY\[section\] means (RFC 3501 section 6.4.5). For
    /// HEADER.FIELDS the whole header, of which the caller takes the fields. `None`: there is no
    /// such part.
    #[must_use]
    pub fn section(&self, part: &[u32], text: Option<&SectionText>) -> Option<Range<u64>> {
        structure::section(self, part, text)
    }

    /// The octets of a part with its transfer encoding undone, for BINARY (RFC 3516), of a message
    /// in memory. No part numbers mean the whole message.
    ///
    /// # Errors
    /// When there is no such part, or it is encoded in a way not known.
    pub fn binary(&self, part: &[u32]) -> Result<Cow<'a, [u8]>, BinaryError> {
        let (range, transfer) = self.encoded(part)?;
        Ok(transfer.decode(&self.octets[range.start as usize..range.end as usize]))
    }

    /// Where the octets of a part stand, and how they are to be decoded for BINARY.
    ///
    /// # Errors
    /// When there is no such part, or it is encoded in a way not known.
    pub fn encoded(&self, part: &[u32]) -> Result<(Range<u64>, Transfer), BinaryError> {
        structure::encoded(self, part)
    }

    /// The header of a part, or what is needed of it.
    fn header(&self, part: &parts::Part) -> &[u8] {
        if let Some(header) = self.headers.get(&part.header.start) {
            return header;
        }
        let within = |at: u64| at.min(self.octets.len() as u64) as usize;
        &self.octets[within(part.header.start)..within(part.header.end)]
    }
}
