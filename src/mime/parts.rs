//! Where the parts of a message are (RFC 2046 section 5.1), in one pass.
//!
//! mail-parser is not used for this: it looks for a boundary that is nowhere to the end of the
//! message, once for each part that names one, so that a message of 2 MB keeps it busy for
//! minutes; it also takes a boundary in the middle of a line for one. What decides here is what
//! Dovecot does: a boundary is a line that begins with it; of several, the longest; an open part
//! reaches to the next boundary of any part around it.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

use super::header::content::{self, Content};
use super::header::fields::{Fields, is_empty_line, line_length};
use super::transfer::Transfer;
use crate::limits::{MIME_BOUNDARY, MIME_DEPTH, MIME_PARTS};

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
    /// Whether it is a multipart/digest, whose parts are messages unless they say otherwise.
    digest: bool,
}

impl Part {
    fn empty(at: usize) -> Part {
        let here = at as u64..at as u64;
        Part {
            header: here.clone(),
            body: here,
            lines: 0,
            kind: Kind::Leaf,
            mime: false,
            transfer: Transfer::Identity,
            end: 0,
            digest: false,
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
    /// It says that it holds parts, but they are too many or too deep.
    Limited,
}

/// The parts of a message of `size` octets of which the first are given; the message itself is
/// the first.
pub(super) fn parts(octets: &[u8], size: u64) -> Vec<Part> {
    let mut walk = Walk::new(octets);
    walk.counts_lines = true;
    while walk.advance().is_some() {}
    // What is open at the end reaches to the end of the message, of which we may see the start.
    let seen = octets.len() as u64;
    if size > seen {
        for part in &mut walk.parts {
            part.body.end = if part.body.end == seen { size } else { part.body.end };
            part.header.end = if part.header.end == seen { size } else { part.header.end };
            part.body.start = part.body.start.max(part.header.end);
        }
    }
    walk.parts
}

/// Goes over a message part by part, and reads no further than the parts that were asked for.
pub(super) struct Walk<'a> {
    octets: &'a [u8],
    at: usize,
    /// The parts that have begun. A leaf among them has ended, others are open up to the end.
    pub parts: Vec<Part>,
    /// The Content-Type of the part that began last.
    pub content: Option<Content>,
    /// Whether a part begins here, and if so whether within a multipart.
    next: Option<bool>,
    /// Numbers of the parts that have begun and not ended, from the outside in.
    open: Vec<usize>,
    /// Of the multiparts among them, from the outside in.
    boundaries: Vec<Boundary>,
    /// Whether lines are wanted.
    counts_lines: bool,
    /// Octets in which line ends were counted, and how many there are.
    counted: usize,
    lines: u64,
}

struct Boundary {
    text: Vec<u8>,
    /// How many parts are open when this one's multipart is the innermost.
    depth: usize,
}

/// A boundary line: whose it is, and whether it is the last of them.
struct Delimiter {
    boundary: usize,
    last: bool,
}

/// What a header says of the body.
#[derive(Default)]
struct Head {
    content: Option<Content>,
    transfer: Option<Transfer>,
    mime: bool,
}

impl Head {
    /// Reads the field that begins with this line, if it is one that matters: of those of one name
    /// the first counts.
    #[inline]
    fn read(&mut self, line: &[u8]) {
        if matches!(line[0], b'C' | b'c' | b'M' | b'm') {
            self.read_field(line);
        }
    }

    fn read_field(&mut self, line: &[u8]) {
        let Some(field) = Fields::new(line).next() else { return };
        match field.name.len() {
            12 if field.is(b"Content-Type") => {
                self.mime = true;
                self.content.get_or_insert_with(|| Content::parse_type(&field));
            }
            12 => self.mime |= field.is(b"Mime-Version"),
            25 if field.is(b"Content-Transfer-Encoding") && self.transfer.is_none() => {
                let name = content::mechanism(&field);
                self.transfer = name.map(|name| Transfer::of_name(&name));
            }
            _ => {}
        }
    }
}

impl<'a> Walk<'a> {
    /// Before the message, which is its own first part. Lines are not counted.
    pub fn new(octets: &'a [u8]) -> Walk<'a> {
        Walk {
            octets,
            at: 0,
            parts: Vec::new(),
            content: None,
            next: Some(false),
            open: Vec::new(),
            boundaries: Vec::new(),
            counts_lines: false,
            counted: 0,
            lines: 0,
        }
    }

    /// Goes over the next part to where the one after it begins; of what holds parts that is its
    /// header and what stands before the first of them. The number of the part.
    pub fn advance(&mut self) -> Option<usize> {
        let number = self.parts.len();
        let mut found = match self.header(self.next?) {
            None if self.innermost().kind == Kind::Message => {
                self.next = Some(false);
                return Some(number);
            }
            None => self.body(),
            delimiter => delimiter,
        };
        // After the last boundary comes an epilogue, up to a boundary of a part further out.
        self.next = loop {
            match found {
                None => {
                    self.close(0, self.octets.len());
                    break None;
                }
                Some(delimiter) if self.pass(&delimiter) => break Some(true),
                Some(_) => found = self.body(),
            }
        };
        Some(number)
    }

    fn innermost(&self) -> &Part {
        let innermost = self.open.last().expect("a part that was just begun is open");
        &self.parts[*innermost]
    }

    /// Begins a part and reads its header; what ends it too early is returned.
    fn header(&mut self, within_multipart: bool) -> Option<Delimiter> {
        let start = self.at;
        let number = self.parts.len();
        let digest = within_multipart && self.innermost().digest;
        self.open.push(number);
        let mut line_end = 0;
        let mut found = self.delimiter(self.at);
        let mut head = Head { mime: within_multipart, ..Head::default() };
        let mut own = None;
        let mut empty_line = false;
        while found.is_none() && !empty_line && self.at < self.octets.len() {
            let rest = &self.octets[self.at..];
            let line = &rest[..line_length(rest)];
            empty_line = is_empty_line(line);
            if empty_line {
                own = self.begin(start, digest, std::mem::take(&mut head), true);
            } else {
                head.read(rest);
            }
            line_end = match line {
                [.., b'\r', b'\n'] => 2,
                [.., b'\n'] => 1,
                _ => 0,
            };
            self.at += line.len();
            found = self.delimiter(self.at).filter(|found| Some(found.boundary) != own);
        }
        if !empty_line {
            self.begin(start, digest, head, false);
        }
        // The line end before a boundary belongs to the boundary, and so to the parts around.
        let end = self.at - if found.is_some() { line_end } else { 0 };
        let lines = self.lines_to(end);
        let part = &mut self.parts[number];
        part.header.end = end as u64;
        part.body = end as u64..end as u64;
        part.lines = lines;
        if found.is_some() {
            if self.parts[number].kind == Kind::Message {
                let after = self.parts.len() + 1;
                self.parts.push(Part { end: after, ..Part::empty(end) });
            }
            self.close(self.open.len() - 1, end);
        }
        found
    }

    /// Adds the part whose header begins at `start` and ends here. The number of its own boundary
    /// among those that are looked for, if it has one.
    fn begin(
        &mut self,
        start: usize,
        in_digest: bool,
        head: Head,
        has_body: bool,
    ) -> Option<usize> {
        let Head { content, transfer, mime } = head;
        let mut kind = match &content {
            Some(content) if content.is("message", "rfc822") => Kind::Message,
            Some(content) if content.kind.eq_ignore_ascii_case(b"multipart") => Kind::Multipart,
            None if in_digest => Kind::Message,
            _ => Kind::Leaf,
        };
        let room = self.open.len() < MIME_DEPTH && self.parts.len() + 1 < MIME_PARTS;
        if kind != Kind::Leaf && !room {
            kind = Kind::Limited;
        }
        let digest = content.as_ref().is_some_and(|content| content.is("multipart", "digest"));
        let end = self.parts.len() + 1;
        let transfer = transfer.unwrap_or_default();
        self.parts.push(Part { kind, mime, transfer, end, digest, ..Part::empty(start) });
        self.content = content;
        if kind != Kind::Multipart || !has_body {
            return None;
        }
        let text = self.content.as_ref()?.parameter("boundary")?;
        let text = text[..text.len().min(MIME_BOUNDARY)].to_vec();
        self.boundaries.push(Boundary { text, depth: self.open.len() });
        Some(self.boundaries.len() - 1)
    }

    /// Goes to the next boundary line, which ends the parts within that multipart.
    fn body(&mut self) -> Option<Delimiter> {
        if self.boundaries.is_empty() {
            return None;
        }
        if let Some(found) = self.delimiter(self.at) {
            self.close(self.boundaries[found.boundary].depth, self.at);
            return Some(found);
        }
        let start = self.at;
        let octets = self.octets;
        for newline in memmem::find_iter(&octets[start..], b"\n--").map(|at| start + at) {
            let Some(found) = self.delimiter(newline + 1) else { continue };
            let cr = newline > start && octets[newline - 1] == b'\r';
            self.close(self.boundaries[found.boundary].depth, newline - usize::from(cr));
            self.at = newline + 1;
            return Some(found);
        }
        None
    }

    /// The boundary that a line begins with.
    ///
    /// ```abnf
    /// delimiter         := CRLF dash-boundary
    /// dash-boundary     := "--" boundary
    /// close-delimiter   := delimiter "--"
    /// ```
    #[inline]
    fn delimiter(&self, at: usize) -> Option<Delimiter> {
        if self.boundaries.is_empty() || self.parts.len() >= MIME_PARTS {
            return None;
        }
        self.boundary(self.octets[at..].strip_prefix(b"--")?)
    }

    /// The same of a line without its dashes.
    fn boundary(&self, line: &[u8]) -> Option<Delimiter> {
        let line = &line[..line_length(&line[..line.len().min(MIME_BOUNDARY + 4)])];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut best: Option<Delimiter> = None;
        let mut longest = 0;
        for (boundary, Boundary { text, .. }) in self.boundaries.iter().enumerate().rev() {
            let Some(rest) = line.strip_prefix(text.as_slice()) else { continue };
            if best.is_none() || text.len() > longest {
                longest = text.len();
                best = Some(Delimiter { boundary, last: rest.starts_with(b"--") });
                if matches!(rest, b"" | b"--") {
                    break;
                }
            }
        }
        best
    }

    /// Passes a boundary line. Whether a part begins after it.
    fn pass(&mut self, delimiter: &Delimiter) -> bool {
        self.close(self.boundaries[delimiter.boundary].depth, self.at);
        self.boundaries.truncate(delimiter.boundary + usize::from(!delimiter.last));
        let rest = &self.octets[self.at..];
        let line = &rest[..line_length(rest)];
        self.at += line.len();
        !delimiter.last && line.ends_with(b"\n")
    }

    /// Ends the innermost parts, all but `depth`.
    fn close(&mut self, depth: usize, at: usize) {
        let lines = self.lines_to(at);
        let end = self.parts.len();
        for number in self.open.drain(depth..) {
            let part = &mut self.parts[number];
            part.body.end = at as u64;
            part.lines = lines - part.lines;
            part.end = end;
        }
    }

    /// Line ends up to here. It costs what is between here and there.
    fn lines_to(&mut self, at: usize) -> u64 {
        if !self.counts_lines {
            return 0;
        }
        let count = |octets: &[u8]| memchr_iter(b'\n', octets).count() as u64;
        if at >= self.counted {
            self.lines += count(&self.octets[self.counted..at]);
        } else {
            self.lines -= count(&self.octets[at..self.counted]);
        }
        self.counted = at;
        self.lines
    }
}
