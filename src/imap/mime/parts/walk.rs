//! The walk over a message, from one boundary line to the next.
//!
//! The walk is a state machine with a stack of open parts. It reads each octet about once; a
//! candidate line is compared with the boundaries of the open parts, at most [`MIME_DEPTH`]. For
//! this message, whose part 0 is a multipart with boundary `x`:
//!
//! ```text
//! Content-Type: multipart/mixed; boundary=x    Begin, Header   open [0], boundaries [x]
//!                                              Body            no part yet
//! --x                                          Line            part 0 has a part
//! Content-Type: text/plain                     Begin, Header   open [0, 1]
//!                                              Body, InBody
//! hello
//! --x--                                        Line            closes 1; the last boundary drops x
//!                                              Body            text after the parts, then End
//! ```
//!
//! A boundary line closes all parts inside its multipart, whatever they had declared. A search for
//! `\n--` finds candidate lines, so a large attachment is skipped at the speed of memmem. Octets
//! may come in windows: a stage that needs more returns [`Step::More`], and the next window begins
//! at [`Walk::settled`] or earlier.

use memchr::{memchr, memchr_iter, memmem};

use super::head::{Head, field};
use super::{Kind, Part, Window};
use crate::limits::{MIME_BOUNDARY, MIME_DEPTH, MIME_PARTS};
use crate::mime::header::content::Content;
use crate::mime::header::fields::{empty_line, line_length};
use crate::mime::transfer::{Transfer, is_base64};

/// The result of [`Walk::advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mime) enum Step {
    /// The part with this number was passed, and `at` is where the next begins. For a part that
    /// contains others, this covers its header and the text before the first of them.
    Part(usize),
    /// The next window is needed.
    More,
    /// No parts are left.
    End,
}

/// Walks over a message part by part, and reads no further than the parts asked for.
pub(in crate::mime) struct Walk {
    at: u64,
    /// The parts that have begun. Leaves among them have ended; the others may still be open.
    pub parts: Vec<Part>,
    /// Content-Type of the part that began last.
    content: Option<Content>,
    /// Parts reported so far.
    told: usize,
    stage: Stage,
    head: Head,
    /// Start of the body of the last part, or of the text before its first part.
    body: u64,
    /// The end of that, once known.
    pub stopped: Option<u64>,
    /// Everything before this offset is assigned to a part for good.
    pub settled: u64,
    /// Numbers of the open parts, outermost first.
    open: Vec<usize>,
    /// Boundaries of the open multiparts, outermost first.
    boundaries: Vec<Boundary>,
    /// Whether message/global is a message.
    global: bool,
    /// Whether to count lines.
    pub counts_lines: bool,
    /// How far line ends were counted, and how many there are.
    counted: u64,
    lines: u64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A part; whether it is within a multipart.
    Begin { within: bool },
    /// A field of a header, or the header's end.
    Header,
    /// The message within a part that is declared as base64.
    Inner,
    /// The start of a body, or of the text before or after the parts of a multipart.
    Body,
    /// The rest of that.
    InBody,
    /// The rest of a boundary line; whether a part may follow.
    Line { opens: bool },
    /// Nothing.
    End,
}

struct Boundary {
    text: Vec<u8>,
    /// Number of open parts when this multipart is the innermost.
    depth: usize,
}

/// A boundary line: whose it is, and whether it is the last.
struct Delimiter {
    boundary: usize,
    last: bool,
}

impl Walk {
    /// Starts before the message, which is its own first part. Lines are not counted. For `global`
    /// see [`super::parts`].
    pub fn new(global: bool) -> Walk {
        Walk {
            at: 0,
            parts: Vec::new(),
            content: None,
            told: 0,
            stage: Stage::Begin { within: false },
            head: Head::default(),
            body: 0,
            stopped: None,
            settled: 0,
            open: Vec::new(),
            boundaries: Vec::new(),
            global,
            counts_lines: false,
            counted: 0,
            lines: 0,
        }
    }

    /// Walks over the next part and returns its number.
    pub fn advance(&mut self, window: Window<'_>) -> Step {
        loop {
            if let Stage::Begin { .. } | Stage::End = self.stage
                && self.told < self.parts.len()
            {
                self.told += 1;
                return Step::Part(self.told - 1);
            }
            let next = match self.stage {
                Stage::Begin { within } => Some(self.begin_header(within)),
                Stage::Header => self.header(window),
                Stage::Inner => self.inner(window),
                Stage::Body => self.body(window),
                Stage::InBody => self.in_body(window),
                Stage::Line { opens } => self.line(window, opens),
                Stage::End => return Step::End,
            };
            match next {
                Some(stage) => self.stage = stage,
                None => {
                    self.lines_to(window, self.settled);
                    return Step::More;
                }
            }
        }
    }

    /// Number of the part that began last; its header may be incomplete.
    pub fn number(&self) -> usize {
        self.head.number
    }

    /// Where that part begins.
    pub fn start(&self) -> u64 {
        self.head.start
    }

    /// Whether its header is incomplete, or its kind undecided.
    pub fn in_header(&self) -> bool {
        matches!(self.stage, Stage::Header | Stage::Inner)
    }

    /// Content-Type of a part; known only for the one that began last.
    pub fn content_of(&self, number: usize) -> Option<&Content> {
        self.content.as_ref().filter(|_| self.head.number == number)
    }

    /// Approximate memory in bytes.
    pub fn memory(&self) -> usize {
        self.parts.capacity() * size_of::<Part>()
    }

    fn innermost(&self) -> &Part {
        let innermost = self.open.last().expect("a part that was just begun is open");
        &self.parts[*innermost]
    }

    fn begin_header(&mut self, within: bool) -> Stage {
        let number = self.parts.len();
        let in_digest = within && self.innermost().digest;
        let start = self.at;
        self.head = Head { start, number, in_digest, mime: within, ..Head::default() };
        self.open.push(number);
        self.stopped = None;
        Stage::Header
    }

    /// Reads a header field by field.
    fn header(&mut self, window: Window<'_>) -> Option<Stage> {
        loop {
            let rest = window.from(self.at);
            if rest.is_empty() && !window.last {
                return None;
            }
            let found = self.delimiter(rest, window.last)?;
            let found = found.filter(|found| Some(found.boundary) != self.head.own);
            if found.is_some() {
                return Some(self.end_header(window, found));
            }
            self.settled = self.at;
            if rest.is_empty() || self.head.ended {
                return Some(self.end_header(window, None));
            }
            if let Some(length) = empty_line(rest) {
                let head = std::mem::take(&mut self.head);
                self.head.own = self.begin(head, true);
                self.head.ended = true;
                self.head.line_end = length.min(2) as u64;
                self.at += length as u64;
                continue;
            }
            let field = field(rest, window.last)?;
            self.head.read(field);
            self.head.line_end = match field {
                [.., b'\r', b'\n'] => 2,
                [.., b'\n'] => 1,
                _ => 0,
            };
            self.at += field.len() as u64;
        }
    }

    /// Ends the header, at a boundary line if one was found.
    fn end_header(&mut self, window: Window<'_>, found: Option<Delimiter>) -> Stage {
        if !self.head.ended {
            let head = std::mem::take(&mut self.head);
            self.begin(head, false);
        }
        let number = self.head.number;
        // The line end before a boundary belongs to the boundary, and so to the outer parts.
        let end = self.at - if found.is_some() { self.head.line_end } else { 0 };
        let lines = self.lines_to(window, end);
        let part = &mut self.parts[number];
        part.header.end = end;
        part.body = end..end;
        part.lines = lines;
        (self.body, self.settled) = (end, end);
        let kind = part.kind;
        let Some(found) = found else {
            return match kind {
                Kind::Message if self.parts[number].transfer == Transfer::Base64 => Stage::Inner,
                Kind::Message => Stage::Begin { within: false },
                _ => Stage::Body,
            };
        };
        if kind == Kind::Message {
            let after = self.parts.len() + 1;
            self.parts.push(Part { end: after, ..Part::empty(end) });
        }
        self.stopped = Some(end);
        self.close(window, self.open.len() - 1, end);
        self.cross(window, &found)
    }

    /// Adds the part whose header was read. Returns the index of its own boundary, if it has one,
    /// in `boundaries`.
    fn begin(&mut self, head: Head, has_body: bool) -> Option<usize> {
        let Head { content, transfer, mime, .. } = head;
        let message = |content: &Content| {
            content.is("message", "rfc822") || self.global && content.is("message", "global")
        };
        let mut kind = match &content {
            Some(content) if message(content) => Kind::Message,
            Some(content) if content.kind.eq_ignore_ascii_case(b"multipart") => Kind::Multipart,
            None if head.in_digest && !head.typed => Kind::Message,
            _ => Kind::Leaf,
        };
        let room = self.open.len() < MIME_DEPTH && self.parts.len() + 1 < MIME_PARTS;
        if kind != Kind::Leaf && !room {
            kind = Kind::Limited;
        }
        let digest = content.as_ref().is_some_and(|content| content.is("multipart", "digest"));
        let end = self.parts.len() + 1;
        let transfer = transfer.unwrap_or_default();
        let empty = Part::empty(head.start);
        self.parts.push(Part { kind, mime, transfer, end, digest, ..empty });
        (self.head.start, self.head.number) = (head.start, head.number);
        self.head.line_end = head.line_end;
        self.content = content;
        if kind != Kind::Multipart || !has_body {
            return None;
        }
        let text = self.content.as_ref()?.parameter("boundary")?;
        let text = text[..text.len().min(MIME_BOUNDARY)].to_vec();
        self.boundaries.push(Boundary { text, depth: self.open.len() });
        Some(self.boundaries.len() - 1)
    }

    /// Decides whether a message within a part really is base64: its first line contains nothing
    /// else.
    fn inner(&mut self, window: Window<'_>) -> Option<Stage> {
        const LINE: usize = 200;
        let rest = window.from(self.at);
        let line = &rest[..line_length(&rest[..rest.len().min(LINE)])];
        if line.len() < LINE && !line.ends_with(b"\n") && !window.last {
            return None;
        }
        let line = line.trim_ascii_end();
        if line.len() < 4 || !line.iter().all(|&octet| is_base64(octet) || octet == b'=') {
            return Some(Stage::Begin { within: false });
        }
        self.parts[self.head.number].kind = Kind::Wrapped;
        Some(Stage::Body)
    }

    fn body(&mut self, window: Window<'_>) -> Option<Stage> {
        if self.boundaries.is_empty() {
            return self.pass_rest(window);
        }
        let found = self.delimiter(window.from(self.at), window.last)?;
        let Some(found) = found else {
            (self.body, self.settled) = (self.at, self.at);
            return Some(Stage::InBody);
        };
        self.stopped.get_or_insert(self.at);
        self.close(window, self.boundaries[found.boundary].depth, self.at);
        Some(self.cross(window, &found))
    }

    /// Skips to the next boundary line and closes the parts it ends.
    fn in_body(&mut self, window: Window<'_>) -> Option<Stage> {
        let (base, rest) = (self.at, window.from(self.at));
        let cr = |newline: usize| {
            let cr = newline > 0 && rest[newline - 1] == b'\r';
            u64::from(cr && base + newline as u64 > self.body)
        };
        for newline in memmem::find_iter(rest, b"\n--") {
            let end = base + newline as u64 - cr(newline);
            match self.delimiter(&rest[newline + 1..], window.last) {
                Some(None) => {}
                Some(Some(found)) => {
                    self.stopped.get_or_insert(end);
                    self.close(window, self.boundaries[found.boundary].depth, end);
                    self.at = base + newline as u64 + 1;
                    return Some(self.cross(window, &found));
                }
                None => {
                    (self.at, self.settled) = (end, end);
                    return None;
                }
            }
        }
        if window.last {
            return self.pass_rest(window);
        }
        // The window may end within a line end and two dashes.
        self.at = base.max(window.end().saturating_sub(3));
        self.settled = self.at;
        None
    }

    fn pass_rest(&mut self, window: Window<'_>) -> Option<Stage> {
        (self.at, self.settled) = (window.end(), window.end());
        if !window.last {
            return None;
        }
        self.stopped.get_or_insert(self.at);
        self.close(window, 0, self.at);
        Some(Stage::End)
    }

    /// The boundary at the start of a line; `None` if too little of the line is known.
    ///
    /// ```abnf
    /// delimiter         := CRLF dash-boundary
    /// dash-boundary     := "--" boundary
    /// close-delimiter   := delimiter "--"
    /// ```
    #[inline]
    fn delimiter(&self, line: &[u8], last: bool) -> Option<Option<Delimiter>> {
        if self.boundaries.is_empty() || self.parts.len() >= MIME_PARTS {
            return Some(None);
        }
        match line.strip_prefix(b"--") {
            Some(line) => self.boundary(line, last),
            None if last || line.len() > 1 || !b"--".starts_with(line) => Some(None),
            None => None,
        }
    }

    /// As `delimiter`, for a line without its dashes.
    fn boundary(&self, line: &[u8], last: bool) -> Option<Option<Delimiter>> {
        const MOST: usize = MIME_BOUNDARY + 4;
        let line = &line[..line_length(&line[..line.len().min(MOST)])];
        if !last && line.len() < MOST && !line.ends_with(b"\n") {
            return None;
        }
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
        Some(best)
    }

    /// Enters a boundary line: closes the parts within its multipart.
    fn cross(&mut self, window: Window<'_>, delimiter: &Delimiter) -> Stage {
        let depth = self.boundaries[delimiter.boundary].depth;
        self.close(window, depth, self.at);
        if let Some(&multipart) = self.open.last() {
            self.parts[multipart].met = true;
        }
        self.boundaries.truncate(delimiter.boundary + usize::from(!delimiter.last));
        Stage::Line { opens: !delimiter.last }
    }

    /// Skips the rest of a boundary line.
    fn line(&mut self, window: Window<'_>, opens: bool) -> Option<Stage> {
        let rest = window.from(self.at);
        let end = memchr(b'\n', rest);
        self.at += end.map_or(rest.len(), |end| end + 1) as u64;
        self.settled = self.at;
        match end {
            Some(_) if opens => Some(Stage::Begin { within: true }),
            None if !window.last => None,
            _ => Some(Stage::Body),
        }
    }

    /// Closes the innermost parts until `depth` are open.
    fn close(&mut self, window: Window<'_>, depth: usize, at: u64) {
        let lines = self.lines_to(window, at);
        if self.open.len() > depth {
            self.fill(lines, at);
        }
        let end = self.parts.len();
        for number in self.open.drain(depth..) {
            let part = &mut self.parts[number];
            part.body.end = at;
            part.lines = lines - part.lines;
            part.end = end;
        }
    }

    /// Gives a multipart whose boundary never came one part, a text.
    fn fill(&mut self, lines: u64, at: u64) {
        let Part { kind, met, body, lines: before, .. } = self.innermost();
        if *kind != Kind::Multipart || *met || self.parts.len() >= MIME_PARTS {
            return;
        }
        let (start, lines, end) = (body.start, lines - before, self.parts.len() + 1);
        let empty = Part::empty(start);
        self.parts.push(Part { body: start..at, lines, end, hollow: true, ..empty });
    }

    /// Line ends up to `at`. Counts only from where the last call stopped.
    fn lines_to(&mut self, window: Window<'_>, at: u64) -> u64 {
        if !self.counts_lines {
            return 0;
        }
        let count = |octets: &[u8]| memchr_iter(b'\n', octets).count() as u64;
        if at >= self.counted {
            self.lines += count(window.range(&(self.counted..at)));
        } else {
            self.lines -= count(window.range(&(at..self.counted)));
        }
        self.counted = at;
        self.lines
    }
}
