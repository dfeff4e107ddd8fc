//! The text in a message, piece by piece, as it stands there.
//!
//! An attachment is passed over at the speed of memmem, and nothing is decoded.

use super::charset::Charset;
use crate::mime::header::content::Content;
use crate::mime::parts::{Kind, Part, Step, Walk, Window};
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
    pub look: Look,
}

/// How the octets of a text are read.
#[derive(Clone, Copy)]
pub(in crate::mime) struct Look {
    pub transfer: Transfer,
    pub charset: Charset,
    /// Whether it is of type text/html.
    pub html: bool,
    /// Whether it is of type text: not a report in message/delivery-status, say.
    pub readable: bool,
}

/// All parts, in the order of the message. What is not asked for is not looked at.
pub(super) fn pieces(message: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let (mut walk, window) = (Walk::new(true), Window::whole(message));
    std::iter::from_fn(move || {
        let Step::Part(number) = walk.advance(window) else { return None };
        let part = &walk.parts[number];
        let look = Look::of_part(part, walk.content_of(number));
        let text = look.map(|look| Text { body: window.range(&part.body), look });
        Some(Piece { header: window.range(&part.header), text })
    })
}

impl Look {
    /// Of the text of a multipart whose boundary never comes.
    pub const HOLLOW: Look = Look {
        transfer: Transfer::Identity,
        charset: Charset::Unknown,
        html: false,
        readable: true,
    };

    /// Of the body of a part with this Content-Type, if it is text.
    pub fn of_part(part: &Part, content: Option<&Content>) -> Option<Look> {
        let is = |kind: &[u8]| content.is_some_and(|c| c.kind.eq_ignore_ascii_case(kind));
        let readable = match part.kind {
            // A type that says nothing is text/plain (RFC 2045 section 5.2).
            Kind::Leaf if content.is_none() || is(b"text") => true,
            Kind::Leaf if is(b"message") => false,
            // Of these FETCH shows no parts: what stands in them can be found nevertheless.
            Kind::Limited | Kind::Wrapped => false,
            _ => return None,
        };
        Some(Look {
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
