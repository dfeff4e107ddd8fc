//! Sections of a message (RFC 3501 section 6.4.5).

use std::ops::Range;

use crate::mime::message::Message;
use crate::mime::parts::{Kind, Part};
use crate::protocol::SectionText;

/// The part with these numbers. Parts of an embedded message are numbered within it; part 1 of a
/// message that is not a multipart is its body.
///
/// ```abnf
/// section-part = nz-number *("." nz-number)
/// ```
pub(super) fn find<'a>(message: &'a Message, numbers: &[u32]) -> Option<(usize, &'a Part)> {
    let mut at = 0;
    // Whether `at` is a message, which may be its own part 1.
    let mut is_message = true;
    for (depth, &number) in numbers.iter().enumerate() {
        let part = &message.parts[at];
        if part.kind == Kind::Message && depth > 0 {
            at += 1;
            is_message = true;
        }
        let part = &message.parts[at];
        if part.kind == Kind::Multipart {
            at = child(message, at, number)?;
        } else if number != 1 || !is_message {
            return None;
        }
        is_message = false;
    }
    Some((at, &message.parts[at]))
}

fn child(message: &Message, of: usize, number: u32) -> Option<usize> {
    let end = message.parts[of].end;
    let mut at = of + 1;
    for _ in 1..number {
        at = message.parts.get(at).filter(|_| at < end)?.end;
    }
    (at < end && number > 0).then_some(at)
}

impl Message<'_> {
    /// The range that BODY\[section\] means (RFC 3501 section 6.4.5). For HEADER.FIELDS it is the
    /// whole header; the caller selects the fields. `None` if there is no such part.
    ///
    /// ```abnf
    /// section-spec    = section-msgtext / (section-part ["." section-text])
    /// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
    /// section-text    = section-msgtext / "MIME"
    /// ```
    #[must_use]
    pub fn section(&self, numbers: &[u32], text: Option<&SectionText>) -> Option<Range<u64>> {
        let (at, part) = find(self, numbers)?;
        // HEADER and TEXT belong to a message: this one, or the one within a part.
        let inner = match part.kind {
            _ if numbers.is_empty() => Some(part),
            Kind::Message => self.parts.get(at + 1),
            _ => None,
        };
        match text {
            None if numbers.is_empty() => Some(0..self.size),
            None => Some(part.body.clone()),
            Some(SectionText::Mime) => Some(part.header.clone()),
            Some(SectionText::Header | SectionText::HeaderFields { .. }) => {
                inner.map(|inner| inner.header.clone())
            }
            Some(SectionText::Text) => inner.map(|inner| inner.body.clone()),
        }
    }
}
