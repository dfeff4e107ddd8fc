//! Messages: octets in, values out, no I/O.
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
//! `header` reads the fields of any header. `parts` is the one walk over a message that finds its
//! parts: FETCH takes it to the end, SEARCH and PREVIEW only as far as needed. `transfer` decodes
//! base64 and quoted-printable.
//!
//! Broken messages are read as far as possible. No message causes an error or deep recursion, or
//! takes more than a small multiple of its size.

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

/// A header is longer than [`MIME_HEADER`](crate::limits::MIME_HEADER), or a response would be
/// longer than [`MIME_ANSWER`](crate::limits::MIME_ANSWER).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a header of the message is too long")
    }
}

impl std::error::Error for TooLong {}

/// A message with its parts located. Holds ranges, and no octets except those it was given.
#[derive(Debug)]
pub struct Message<'a> {
    /// The message, if it is in memory; otherwise empty.
    octets: &'a [u8],
    /// The headers needed, by offset, if the message is not in memory.
    headers: BTreeMap<u64, Vec<u8>>,
    /// Size of the whole message.
    size: u64,
    /// The message itself, then its parts in the order in which they begin.
    parts: Vec<parts::Part>,
}

impl<'a> Message<'a> {
    /// Locates the parts of a whole message. Never fails: a broken part is a leaf. With `global`, a
    /// part of type message/global is a message, as in RFC 9051 but not in RFC 3501.
    #[must_use]
    pub fn parse(octets: &'a [u8], global: bool) -> Message<'a> {
        let (headers, size) = (BTreeMap::new(), octets.len() as u64);
        Message { octets, headers, size, parts: parts::parts(octets, global) }
    }

    /// Writes the value of BODYSTRUCTURE, or of BODY if not `extended` (RFC 3501 section 7.4.2).
    ///
    /// # Errors
    /// If it would be longer than [`MIME_ANSWER`](crate::limits::MIME_ANSWER).
    pub fn body_structure(&self, extended: bool, out: &mut BytesMut) -> Result<(), TooLong> {
        structure::body_structure(self, extended, out)
    }

    /// The range that BODY\[section\] means (RFC 3501 section 6.4.5). For HEADER.FIELDS it is the
    /// whole header; the caller selects the fields. `None` if there is no such part.
    #[must_use]
    pub fn section(&self, part: &[u32], text: Option<&SectionText>) -> Option<Range<u64>> {
        structure::section(self, part, text)
    }

    /// The octets of a part without its transfer encoding, for BINARY (RFC 3516). The message must
    /// be in memory. Without part numbers, the whole message.
    ///
    /// # Errors
    /// If there is no such part, or its encoding is unknown.
    pub fn binary(&self, part: &[u32]) -> Result<Cow<'a, [u8]>, BinaryError> {
        let (range, transfer) = self.encoded(part)?;
        Ok(transfer.decode(&self.octets[range.start as usize..range.end as usize]))
    }

    /// The range of a part, and how BINARY decodes it.
    ///
    /// # Errors
    /// If there is no such part, or its encoding is unknown.
    pub fn encoded(&self, part: &[u32]) -> Result<(Range<u64>, Transfer), BinaryError> {
        structure::encoded(self, part)
    }

    /// The header of a part, or the needed fields of it.
    fn header(&self, part: &parts::Part) -> &[u8] {
        if let Some(header) = self.headers.get(&part.header.start) {
            return header;
        }
        let within = |at: u64| at.min(self.octets.len() as u64) as usize;
        &self.octets[within(part.header.start)..within(part.header.end)]
    }
}
