//! The text in a message, piece by piece, as it stands there.
//!
//! An attachment is passed over at the speed of memmem, and nothing is decoded.

use super::charset::Charset;
use crate::mime::header::content::Content;
use crate::mime::parts::{Kind, Part, Walk};
use crate::mime::transfer::Transfer;

/// A part: of the message, or of a message within.
pub(super) struct Piece<'a> {
    /// The header, the empty line at its end included.
    pub header: &'a [u8],
    /// The body, if that is text.
    pub text: Option<Text<'a>>,
}

/// A body of type text or message, but not multipart or message/rfc822.
pub(super) struct Text<'a> {
    /// Without the end of line before a boundary.
    pub body: &'a [u8],
    pub transfer: Transfer,
    pub charset: Charset,
    /// Whether it is of type text/html.
    pub html: bool,
    /// Whether it is of type text: not a report in message/delivery-status, say.
    pub readable: bool,
}

/// All parts, in the order of the message. What is not asked for is not looked at.
pub(super) fn pieces(message: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut walk = Walk::new(message);
    std::iter::from_fn(move || {
        let number = walk.advance()?;
        let part = &walk.parts[number];
        let header = &message[part.header.start as usize..part.header.end as usize];
        Some(Piece { header, text: Text::of_part(message, part, walk.content.as_ref()) })
    })
}

impl<'a> Text<'a> {
    fn of_part(message: &'a [u8], part: &Part, content: Option<&Content>) -> Option<Text<'a>> {
        let is = |kind: &[u8]| content.is_some_and(|c| c.kind.eq_ignore_ascii_case(kind));
        // A type that says nothing is text/plain (RFC 2045 section 5.2).
        let untyped = is(b"") || content.is_none();
        let readable = match part.kind {
            Kind::Leaf if untyped || is(b"text") => true,
            Kind::Leaf if is(b"message") => false,
            // Of these FETCH shows no parts: what stands in them can be found nevertheless.
            Kind::Limited => false,
            Kind::Multipart if content.is_none_or(|c| c.parameter("boundary").is_none()) => true,
            _ => return None,
        };
        Some(Text {
            body: &message[part.body.start as usize..part.body.end as usize],
            transfer: part.transfer,
            charset: charset(content),
            html: content.is_some_and(|content| content.is("text", "html")),
            readable,
        })
    }
}

fn charset(content: Option<&Content>) -> Charset {
    let name = content.and_then(|content| content.parameter("charset"));
    name.and_then(|name| Charset::of_name(name).ok()).unwrap_or(Charset::Unknown)
}
