//! Where the parts of a message are (RFC 2046 section 5.1), in one pass over octets that may come
//! in pieces.
//!
//! mail-parser is not used for this: it looks for a boundary that is nowhere to the end of the
//! message, once for each part that names one, so that a message of 2 MB keeps it busy for
//! minutes; it also takes a boundary in the middle of a line for one. What decides here is what
//! Dovecot does: a boundary is a line that begins with it; of several, the longest; an open part
//! reaches to the next boundary of any part around it.

mod head;
mod walk;

use std::ops::Range;

pub(super) use walk::{Step, Walk};

use super::transfer::Transfer;

/// A part of a message. Parts are kept in the order in which they begin, so that those within one
/// follow it.
#[derive(Debug)]
pub(super) struct Part {
    /// Octets of its header, the empty line included.
    pub header: Range<u64>,
    /// Octets of its body.
    pub body: Range<u64>,
    /// Line ends in its body.
    pub lines: u64,
    /// What it holds.
    pub kind: Kind,
    /// Whether Content-Type and its like mean anything: it is within a multipart, or its header
    /// speaks of MIME.
    pub mime: bool,
    /// How its body is wrapped.
    pub transfer: Transfer,
    /// Number of the first part after this one that is not within it.
    pub end: usize,
    /// Whether it is the text of a multipart whose boundary never comes.
    pub hollow: bool,
    /// Whether it is a multipart/digest, whose parts are messages unless they say otherwise.
    digest: bool,
    /// Whether the boundary of a multipart was seen.
    met: bool,
}

impl Part {
    fn empty(at: u64) -> Part {
        let here = at..at;
        Part {
            header: here.clone(),
            body: here,
            lines: 0,
            kind: Kind::Leaf,
            mime: false,
            transfer: Transfer::Identity,
            end: 0,
            hollow: false,
            digest: false,
            met: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No parts.
    Leaf,
    /// Any number of parts, even none.
    Multipart,
    /// One part: a message.
    Message,
    /// A message in base64, which RFC 2046 section 5.2.1 forbids: a leaf.
    Wrapped,
    /// It says that it holds parts, but they are too many or too deep.
    Limited,
}

/// Octets of a message that are in memory.
#[derive(Clone, Copy)]
pub(super) struct Window<'w> {
    octets: &'w [u8],
    /// Where in the message they begin.
    start: u64,
    /// The message ends with them.
    last: bool,
}

impl<'w> Window<'w> {
    pub fn new(octets: &'w [u8], start: u64, last: bool) -> Window<'w> {
        Window { octets, start, last }
    }

    /// All of a message.
    pub fn whole(octets: &'w [u8]) -> Window<'w> {
        Window { octets, start: 0, last: true }
    }

    fn end(&self) -> u64 {
        self.start + self.octets.len() as u64
    }

    fn from(&self, at: u64) -> &'w [u8] {
        self.range(&(at..u64::MAX))
    }

    /// What there is of these octets.
    pub fn range(&self, range: &Range<u64>) -> &'w [u8] {
        let within = |at: u64| at.clamp(self.start, self.end()) - self.start;
        let (from, to) = (within(range.start) as usize, within(range.end) as usize);
        &self.octets[from..to.max(from)]
    }
}

/// The parts of a whole message; the message itself is the first. With `global`, a part of type
/// message/global is a message too.
pub(super) fn parts(octets: &[u8], global: bool) -> Vec<Part> {
    let mut walk = Walk::new(global);
    walk.counts_lines = true;
    while let Step::Part(_) = walk.advance(Window::whole(octets)) {}
    walk.parts
}
