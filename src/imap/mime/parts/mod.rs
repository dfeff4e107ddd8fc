//! Locates the parts of a message (RFC 2046 section 5.1), in one pass over octets that may come in
//! pieces.
//!
//! mail-parser is not used here. It searches a boundary that never comes to the end of the message,
//! once for each part that names one, so a message of 2 MB keeps it busy for minutes; it also
//! accepts a boundary in the middle of a line. The rules here are Dovecot's: a boundary is a line
//! that begins with it; of several boundaries that match, the longest counts; an open part reaches
//! to the next boundary of any part around it.

mod head;
mod walk;

use std::ops::Range;

pub(super) use walk::{Step, Walk};

use super::transfer::Transfer;

/// A part of a message. Parts are stored in the order in which they begin, so the parts within a
/// part follow it.
#[derive(Debug)]
pub(super) struct Part {
    /// Its header, including the empty line.
    pub header: Range<u64>,
    /// Its body.
    pub body: Range<u64>,
    /// Line ends in the body.
    pub lines: u64,
    /// What the body contains.
    pub kind: Kind,
    /// Whether Content-Type and similar fields apply: the part is within a multipart, or its header
    /// mentions MIME.
    pub mime: bool,
    /// Transfer encoding of the body.
    pub transfer: Transfer,
    /// Number of the next part that is not within this one.
    pub end: usize,
    /// Whether this is the text of a multipart whose boundary never comes.
    pub hollow: bool,
    /// Whether this is a multipart/digest, whose parts are messages by default.
    digest: bool,
    /// Whether the boundary of this multipart was seen.
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
    /// Any number of parts, including none.
    Multipart,
    /// One part: a message.
    Message,
    /// A base64-encoded message, which RFC 2046 section 5.2.1 forbids: a leaf.
    Wrapped,
    /// Declared as multipart or message, but beyond the limits on depth or number: a leaf.
    Limited,
}

/// The octets of a message that are in memory.
#[derive(Clone, Copy)]
pub(super) struct Window<'w> {
    octets: &'w [u8],
    /// Their offset in the message.
    start: u64,
    /// Whether the message ends with them.
    last: bool,
}

impl<'w> Window<'w> {
    pub fn new(octets: &'w [u8], start: u64, last: bool) -> Window<'w> {
        Window { octets, start, last }
    }

    /// A whole message.
    pub fn whole(octets: &'w [u8]) -> Window<'w> {
        Window { octets, start: 0, last: true }
    }

    fn end(&self) -> u64 {
        self.start + self.octets.len() as u64
    }

    fn from(&self, at: u64) -> &'w [u8] {
        self.range(&(at..u64::MAX))
    }

    /// The octets of this range that are in the window.
    pub fn range(&self, range: &Range<u64>) -> &'w [u8] {
        let within = |at: u64| at.clamp(self.start, self.end()) - self.start;
        let (from, to) = (within(range.start) as usize, within(range.end) as usize);
        &self.octets[from..to.max(from)]
    }
}

/// The parts of a whole message; the first is the message itself. With `global`, a part of type
/// message/global is a message too.
pub(super) fn parts(octets: &[u8], global: bool) -> Vec<Part> {
    let mut walk = Walk::new(global);
    walk.counts_lines = true;
    while let Step::Part(_) = walk.advance(Window::whole(octets)) {}
    walk.parts
}
