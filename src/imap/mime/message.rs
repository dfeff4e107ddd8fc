//! A message whose parts are located: what `structure` answers from.

use std::collections::BTreeMap;
use std::fmt;

use super::parts::{self, Part};

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
    pub(super) octets: &'a [u8],
    /// The headers needed, by offset, if the message is not in memory.
    pub(super) headers: BTreeMap<u64, Vec<u8>>,
    /// Size of the whole message.
    pub(super) size: u64,
    /// The message itself, then its parts in the order in which they begin.
    pub(super) parts: Vec<Part>,
}

impl<'a> Message<'a> {
    /// Locates the parts of a whole message. Never fails: a broken part is a leaf. With `global`, a
    /// part of type message/global is a message, as in RFC 9051 but not in RFC 3501.
    #[must_use]
    pub fn parse(octets: &'a [u8], global: bool) -> Message<'a> {
        let (headers, size) = (BTreeMap::new(), octets.len() as u64);
        Message { octets, headers, size, parts: parts::parts(octets, global) }
    }

    /// The header of a part, or the needed fields of it.
    pub(super) fn header(&self, part: &Part) -> &[u8] {
        if let Some(header) = self.headers.get(&part.header.start) {
            return header;
        }
        let within = |at: u64| at.min(self.octets.len() as u64) as usize;
        &self.octets[within(part.header.start)..within(part.header.end)]
    }
}
