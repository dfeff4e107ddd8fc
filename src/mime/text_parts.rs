//! Goes through the parts of a message without building them: all that SEARCH and PREVIEW need.
//!
//! A full parse decodes every attachment to say what is in it. Here an attachment is passed over
//! at the speed of memmem, and of a header nothing is read but the two fields that say how the
//! text is wrapped.

use std::ops::ControlFlow;

use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderValue};
use memchr::memmem;

use super::charset::Charset;
use super::fields::{empty_line, line_length};
use super::transfer::Transfer;
use crate::limits;

/// What a walk meets, in the order of the message.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    /// A header, the empty line at its end included: of the message, a part, a message within.
    Header(&'a [u8]),
    /// A body of type text or message, but not multipart or message/rfc822.
    Text(Text<'a>),
}

/// A body, as it stands in the message.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    /// Without the end of line before a boundary.
    pub body: &'a [u8],
    pub transfer: Transfer,
    pub charset: Charset,
    /// Whether it is of type text/html.
    pub html: bool,
    /// Whether it is of type text: not a report in message/delivery-status, say.
    pub text: bool,
}

/// Shows all pieces of a message to `visit`, until it breaks.
pub(super) fn walk<'a, B>(
    message: &'a [u8],
    mut visit: impl FnMut(Piece<'a>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut walk = Walk { message, boundaries: Vec::new() };
    let mut at = 0;
    let mut digest = false;
    loop {
        let head = walk.head(at);
        visit(Piece::Header(&message[at..head.end]))?;
        at = head.end;
        let kind = head.kind(digest);
        digest = false;
        match kind {
            Kind::Message => continue,
            Kind::Multipart { boundary, digest } if walk.boundaries.len() < limits::MIME_DEPTH => {
                walk.boundaries.push(Boundary { text: boundary, digest });
            }
            Kind::Text { charset, html, text } => {
                let delimiter = walk.delimiter(at);
                // Of an empty part the delimiter takes the end of the line before.
                let body = &message[at..delimiter.content_end.max(at)];
                let transfer = head.transfer;
                visit(Piece::Text(Text { body, transfer, charset, html, text }))?;
                // Not looked for again below: it is the line there.
                at = delimiter.start;
            }
            Kind::Multipart { .. } | Kind::Other => (),
        }
        // On to the next part; what stands before the first and after the last is no text.
        loop {
            let delimiter = walk.delimiter(at);
            let Some(level) = delimiter.level else { return ControlFlow::Continue(()) };
            walk.boundaries.truncate(level + 1);
            at = delimiter.next;
            if delimiter.closes {
                walk.boundaries.truncate(level);
            } else {
                digest = walk.boundaries[level].digest;
                break;
            }
        }
    }
}

struct Walk<'a> {
    message: &'a [u8],
    /// Of the multiparts that are open, the outermost first.
    boundaries: Vec<Boundary>,
}

struct Boundary {
    text: Vec<u8>,
    /// Whether parts are messages unless they say otherwise (RFC 2046 section 5.1.5).
    digest: bool,
}

/// Where a part ends.
struct Delimiter {
    /// Which of the open boundaries; `None` at the end of the message.
    level: Option<usize>,
    closes: bool,
    /// Where its line begins.
    start: usize,
    /// Where what stands before it ends: the end of line belongs to the delimiter.
    content_end: usize,
    /// Where the next line begins.
    next: usize,
}

/// What matters of a header.
struct Head<'a> {
    /// Where the body begins.
    end: usize,
    /// The value of Content-Type with its end of line.
    content_type: Option<&'a [u8]>,
    transfer: Transfer,
}

enum Kind {
    Text { charset: Charset, html: bool, text: bool },
    Multipart { boundary: Vec<u8>, digest: bool },
    Message,
    Other,
}

impl<'a> Walk<'a> {
    /// The header that begins here. A boundary ends it too, as in parts that are cut short.
    fn head(&self, start: usize) -> Head<'a> {
        let message = self.message;
        let mut head = Head { end: start, content_type: None, transfer: Transfer::Identity };
        while head.end < message.len() {
            let line = &message[head.end..];
            if let Some(length) = empty_line(line) {
                head.end += length;
                break;
            }
            if line.starts_with(b"--") && self.at_boundary(head.end).is_some() {
                break;
            }
            let mut length = line_length(line);
            // The name before the value, and that before its continuation lines.
            if matches!(line[0], b'c' | b'C') {
                while let Some(b' ' | b'\t') = line.get(length) {
                    length += line_length(&line[length..]);
                }
                head.take(&line[..length]);
            }
            head.end += length;
        }
        head
    }

    /// The next line from here on that is a boundary of an open multipart. `from` is the start of
    /// a line.
    fn delimiter(&self, from: usize) -> Delimiter {
        let end = self.message.len();
        let none =
            Delimiter { level: None, closes: false, start: end, content_end: end, next: end };
        if self.boundaries.is_empty() {
            return none;
        }
        let lines = memmem::find_iter(&self.message[from..], b"\n--").map(|at| from + at + 1);
        std::iter::once(from).chain(lines).find_map(|at| self.at_boundary(at)).unwrap_or(none)
    }

    /// Whether the line here is a boundary.
    ///
    /// ```abnf
    /// delimiter         = CRLF "--" boundary
    /// close-delimiter   = delimiter "--"
    /// transport-padding = *LWSP-char
    /// ```
    fn at_boundary(&self, at: usize) -> Option<Delimiter> {
        let line = self.message[at..].strip_prefix(b"--")?;
        for (level, boundary) in self.boundaries.iter().enumerate().rev() {
            let Some(after) = line.strip_prefix(&boundary.text[..]) else { continue };
            let closes = after.starts_with(b"--");
            let ends = after.first().is_none_or(|o| o.is_ascii_whitespace());
            if closes || ends {
                let before = &self.message[..at];
                let before = before.strip_suffix(b"\n").unwrap_or(before);
                let content_end = before.strip_suffix(b"\r").unwrap_or(before).len();
                let next = at + line_length(&self.message[at..]);
                return Some(Delimiter {
                    level: Some(level),
                    closes,
                    start: at,
                    content_end,
                    next,
                });
            }
        }
        None
    }
}

impl<'a> Head<'a> {
    fn take(&mut self, field: &'a [u8]) {
        const TYPE: &[u8] = b"content-type";
        const TRANSFER: &[u8] = b"content-transfer-encoding";
        let value = |name: &[u8]| {
            let here = field.get(..name.len())?;
            let after = here.eq_ignore_ascii_case(name).then(|| &field[name.len()..])?;
            after.trim_ascii_start().strip_prefix(b":")
        };
        // Of several the first counts, as for everyone else.
        if let Some(value) = value(TYPE) {
            self.content_type.get_or_insert(value);
        } else if let Some(value) = value(TRANSFER)
            && self.transfer == Transfer::Identity
        {
            self.transfer = Transfer::of_value(value);
        }
    }

    fn kind(&self, digest: bool) -> Kind {
        let plain = Kind::Text { charset: Charset::Unknown, html: false, text: true };
        let Some(value) = self.content_type else {
            return if digest { Kind::Message } else { plain };
        };
        let Some(parsed) = content_type(value) else { return plain };
        let subtype = parsed.subtype().unwrap_or_default();
        let is = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
        match parsed.ctype() {
            t if is(t, "text") => {
                Kind::Text { charset: charset(&parsed), html: is(subtype, "html"), text: true }
            }
            t if is(t, "multipart") => match parsed.attribute("boundary") {
                Some(boundary) if !boundary.is_empty() => Kind::Multipart {
                    boundary: boundary.as_bytes().to_vec(),
                    digest: is(subtype, "digest"),
                },
                _ => plain,
            },
            t if is(t, "message") => {
                let whole = is(subtype, "rfc822") || is(subtype, "global");
                if whole && self.transfer == Transfer::Identity {
                    return Kind::Message;
                }
                Kind::Text { charset: charset(&parsed), html: false, text: false }
            }
            _ => Kind::Other,
        }
    }
}

fn content_type(value: &[u8]) -> Option<ContentType<'_>> {
    // Its end of line is where mail-parser hands out what it has.
    let parsed = if value.ends_with(b"\n") {
        MessageStream::new(value).parse_content_type()
    } else {
        let whole = [value, b"\n"].concat();
        MessageStream::new(&whole).parse_content_type().into_owned()
    };
    match parsed {
        HeaderValue::ContentType(parsed) => Some(parsed),
        _ => None,
    }
}

fn charset(parsed: &ContentType) -> Charset {
    let name = parsed.attribute("charset").unwrap_or_default();
    Charset::of_name(name.as_bytes()).unwrap_or(Charset::Unknown)
}
