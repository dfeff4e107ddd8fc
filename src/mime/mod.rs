//! What stands in a message: octets in, values out, no I/O.
//!
//! ```text
//!                    ┌▶ sort_keys   SORT
//!           header ──┼▶ thread      THREAD
//!             │      └─────────────────────────┐
//!  octets ──▶ parts ──┬▶ structure  FETCH      ▼
//!             ▲       └────────────────────▶ text   SEARCH, PREVIEW
//!           transfer: base64 and quoted-printable undone
//! ```
//!
//! `header` reads fields, wherever a header stands. `parts` is the one walk over a message that
//! says where its parts are: FETCH takes it to the end, SEARCH and PREVIEW as far as they must.
//!
//! Mail is taken as it comes. Nothing here fails on a broken message, recurses as deep as one
//! nests, or holds more than a small multiple of it.

mod header;
mod transfer;
mod parts;
mod structure;
mod text;
mod sort_keys;
pub mod thread;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use bytes::BytesMut;

use crate::protocol::SectionText;

pub use header::dates::{SentDate, parse_date, sent_date};
pub use header::fields::{Field, Fields, header_length};
pub use header::subject::{BaseSubject, base_subject};
pub use header::words::decode_field;
pub use sort_keys::Sorter;
pub use structure::{BinaryError, envelope};
pub use text::{BadCharset, CHARSETS, FieldText, Needle, casemap, preview};

/// A message whose parts were found. Holds ranges, no octets.
#[derive(Debug)]
pub struct Message<'a> {
    /// The message, or its first octets.
    octets: &'a [u8],
    /// Octets of the whole message.
    size: u64,
    /// The message itself, and the parts within it, in the order in which they begin.
    parts: Vec<parts::Part>,
}

impl<'a> Message<'a> {
    /// Finds the parts of a whole message. Never fails: what is broken is a leaf.
    #[must_use]
    pub fn parse(octets: &'a [u8]) -> Message<'a> {
        Message::parse_prefix(octets, octets.len() as u64)
    }

    /// Finds the parts of a message of `size` octets of which these are the first. Parts that are
    /// open at the end of them reach to the end of the message.
    #[must_use]
    pub fn parse_prefix(octets: &'a [u8], size: u64) -> Message<'a> {
        Message { octets, size, parts: parts::parts(octets, size) }
    }

    /// Writes the value of BODYSTRUCTURE, or if not `extended` of BODY (RFC 3501 section 7.4.2).
    pub fn body_structure(&self, extended: bool, out: &mut BytesMut) {
        structure::body_structure(self, extended, out);
    }

    /// The octets of the message that BODY\[section\] means (RFC 3501 section 6.4.5). For
    /// HEADER.FIELDS the whole header, of which the caller takes the fields. `None`: there is no
    /// such part.
    #[must_use]
    pub fn section(&self, part: &[u32], text: Option<&SectionText>) -> Option<Range<u64>> {
        structure::section(self, part, text)
    }

    /// The octets of a part with its transfer encoding undone, for BINARY (RFC 3516). No part
    /// numbers mean the whole message.
    ///
    /// # Errors
    /// When there is no such part, or it is encoded in a way not known.
    pub fn binary(&self, part: &[u32]) -> Result<Cow<'a, [u8]>, BinaryError> {
        structure::binary(self, part)
    }

    /// What there is of these octets.
    fn slice(&self, range: &Range<u64>) -> &'a [u8] {
        let seen = self.octets.len() as u64;
        &self.octets[range.start.min(seen) as usize..range.end.min(seen) as usize]
    }
}
