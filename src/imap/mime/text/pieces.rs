//! The texts in a message, part by part, not decoded.
//!
//! Attachments are skipped at the speed of memmem.

use super::charset::Charset;
use crate::mime::header::content::Content;
use crate::mime::parts::{Kind, Part, Step, Walk, Window};
use crate::mime::transfer::Transfer;

/// A part of the message, or of an embedded message.
pub(super) struct Piece<'a> {
    /// The header, including the empty line at its end.
    pub header: &'a [u8],
    /// The body, if it is text.
    pub text: Option<Text<'a>>,
}

/// A body of type text or message, but not an embedded message.
pub(super) struct Text<'a> {
    /// The octets, without the line end before a boundary.
    pub body: &'a [u8],
    pub look: Look,
}

/// How to decode a text.
#[derive(Clone, Copy)]
pub(in crate::mime) struct Look {
    pub transfer: Transfer,
    pub charset: Charset,
    /// Whether its type is text/html.
    pub html: bool,
    /// Whether its type is text, and not, say, a report in message/delivery-status.
    pub readable: bool,
}

/// All parts, in order. Lazy: the walk goes no further than the parts taken.
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
    /// For the text of a multipart whose boundary never comes.
    pub const HOLLOW: Look = Look {
        transfer: Transfer::Identity,
        charset: Charset::Unknown,
        html: false,
        readable: true,
    };

    /// For the body of a part with this Content-Type, if it is text.
    pub fn of_part(part: &Part, content: Option<&Content>) -> Option<Look> {
        let is = |kind: &[u8]| content.is_some_and(|c| c.kind.eq_ignore_ascii_case(kind));
        let readable = match part.kind {
            // An unreadable type counts as text/plain (RFC 2045 section 5.2).
            Kind::Leaf if content.is_none() || is(b"text") => true,
            Kind::Leaf if is(b"message") => false,
            // FETCH shows no parts of these, but a search finds their text.
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
