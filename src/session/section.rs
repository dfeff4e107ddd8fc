//! Which octets of a message a FETCH item means.

use crate::protocol::{FetchItem, Partial, SectionText};

/// A part of a message that needs no MIME to be found.
pub(super) enum Part<'a> {
    /// `BODY[]`
    Whole,
    /// `BODY[HEADER]`: with the empty line that ends it.
    Header,
    /// `BODY[HEADER.FIELDS (…)]`, or `.NOT`.
    Fields { not: bool, names: &'a [Vec<u8>] },
    /// `BODY[TEXT]`
    Text,
}

/// The part that an item asks for; `None` when it is none of these.
pub(super) fn part_of(item: &FetchItem) -> Option<(Part<'_>, Option<Partial>)> {
    Some(match item {
        FetchItem::Rfc822 => (Part::Whole, None),
        FetchItem::Rfc822Header => (Part::Header, None),
        FetchItem::Rfc822Text => (Part::Text, None),
        FetchItem::Section(body) if body.section.part.is_empty() => {
            let part = match &body.section.text {
                None => Part::Whole,
                Some(SectionText::Header) => Part::Header,
                Some(SectionText::HeaderFields { not, names }) => Part::Fields { not: *not, names },
                Some(SectionText::Text) => Part::Text,
                Some(SectionText::Mime) => return None,
            };
            (part, body.partial)
        }
        _ => return None,
    })
}

/// The fields of these names (or, with `not`, all others) with the lines that continue them, and
/// the empty line at the end (RFC 3501 section 6.4.5).
pub(super) fn filter_header(header: &[u8], not: bool, names: &[Vec<u8>]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut keep = false;
    for line in header.split_inclusive(|&octet| octet == b'\n') {
        if matches!(line, b"\r\n" | b"\n") {
            kept.extend_from_slice(line);
            return kept;
        }
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            let name = line.split(|&octet| octet == b':').next().unwrap_or_default();
            let named = names.iter().any(|n| n.eq_ignore_ascii_case(name.trim_ascii_end()));
            keep = named != not && name.len() < line.len();
        }
        if keep {
            kept.extend_from_slice(line);
        }
    }
    kept.extend_from_slice(b"\r\n");
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"From: a\r\nSubject: one\r\n two\r\nX-B : c\r\nnonsense\r\n\r\n";

    fn filtered(not: bool, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        String::from_utf8(filter_header(HEADER, not, &names)).unwrap()
    }

    #[test]
    fn fields_come_with_their_continuations() {
        assert_eq!(filtered(false, &["SUBJECT"]), "Subject: one\r\n two\r\n\r\n");
        assert_eq!(filtered(false, &["x-b", "from"]), "From: a\r\nX-B : c\r\n\r\n");
        assert_eq!(filtered(false, &["to"]), "\r\n");
        assert_eq!(filtered(true, &["subject"]), "From: a\r\nX-B : c\r\n\r\n");
    }

    #[test]
    fn a_header_without_an_end_gets_one() {
        assert_eq!(filter_header(b"A: b\r\nC: d", false, &[b"c".to_vec()]), b"C: d\r\n");
    }
}
