//! Selects header fields by name.

use std::collections::HashSet;

use memchr::memchr;

use crate::limits::LINE;

/// Up to this number of names are compared one by one.
const FEW: usize = 16;

/// The names of HEADER.FIELDS, prepared once for all headers.
#[derive(Debug)]
pub(in crate::session) struct FieldNames {
    /// HEADER.FIELDS.NOT: all fields but these.
    not: bool,
    /// The first octets of the names, in either case.
    initials: [bool; 256],
    /// The names in lower case, if there are at most `FEW`. `many` has them in any case.
    few: Vec<Vec<u8>>,
    many: HashSet<Vec<u8>>,
}

impl FieldNames {
    /// Selects the fields with these names, or with `not` all others.
    pub(crate) fn new(not: bool, names: &[Vec<u8>]) -> FieldNames {
        let names = names.iter().filter(|name| !name.is_empty());
        let many: HashSet<_> = names.map(|name| name.to_ascii_lowercase()).collect();
        let mut initials = [false; 256];
        for name in &many {
            initials[name[0] as usize] = true;
            initials[name[0].to_ascii_uppercase() as usize] = true;
        }
        let few = if many.len() <= FEW { many.iter().cloned().collect() } else { Vec::new() };
        FieldNames { not, initials, few, many }
    }

    /// Whether the field that starts with this line is selected.
    fn keep(&self, line: &[u8]) -> bool {
        // The first letter alone rules out most fields.
        if !self.not && !self.initials[line[0] as usize] {
            return false;
        }
        let Some(colon) = memchr(b':', line) else { return false };
        self.has(line[..colon].trim_ascii_end()) != self.not
    }

    fn has(&self, name: &[u8]) -> bool {
        match self.many.len() {
            0..=FEW => self.few.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)),
            _ => self.many.contains(&name.to_ascii_lowercase()),
        }
    }
}

/// Takes a header in pieces and returns the selected fields, with their continuation lines and the
/// final empty line (RFC 3501 section 6.4.5). It copies only lines that are split between two
/// pieces.
#[derive(Debug)]
pub(in crate::session) struct Filter<'n> {
    names: &'n FieldNames,
    held: Vec<u8>,
    /// Whether the current field is selected.
    keep: bool,
    /// The current line is longer than the limit for a copy; its rest follows.
    amid: bool,
    ended: bool,
}

impl<'n> Filter<'n> {
    /// For the start of a header.
    pub(crate) fn new(names: &'n FieldNames) -> Filter<'n> {
        Filter { names, held: Vec::new(), keep: false, amid: false, ended: false }
    }

    /// Takes the next piece, and calls `give` with the selected octets.
    pub(crate) fn feed(&mut self, mut piece: &[u8], mut give: impl FnMut(&[u8])) {
        while !self.ended && !piece.is_empty() {
            let end = memchr(b'\n', piece).map(|at| at + 1);
            let (line, rest) = piece.split_at(end.unwrap_or(piece.len()));
            piece = rest;
            if self.amid {
                self.amid = end.is_none();
                if self.keep {
                    give(line);
                }
            } else if end.is_some() && self.held.is_empty() {
                self.line(line, &mut give);
            } else {
                self.held.extend_from_slice(line);
                // No name is longer than this, so the copied part decides.
                self.amid = end.is_none() && self.held.len() > LINE;
                if end.is_some() || self.amid {
                    let held = std::mem::take(&mut self.held);
                    self.line(&held, &mut give);
                }
            }
        }
    }

    /// Ends the header, and adds the empty line if it is missing.
    pub(crate) fn end(mut self, mut give: impl FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.line(&held, &mut give);
        }
        if !self.ended {
            give(b"\r\n");
        }
    }

    fn line(&mut self, line: &[u8], give: &mut impl FnMut(&[u8])) {
        self.ended = matches!(line, b"\r\n" | b"\n" | b"\r\r\n");
        if !matches!(line[0], b' ' | b'\t') {
            self.keep = self.names.keep(line);
        }
        if self.keep || self.ended {
            give(line);
        }
    }
}

/// Appends the selected fields of a header in memory to `kept`.
pub(super) fn filter_header(header: &[u8], names: &FieldNames, kept: &mut Vec<u8>) {
    let mut filter = Filter::new(names);
    filter.feed(header, |octets| kept.extend_from_slice(octets));
    filter.end(|octets| kept.extend_from_slice(octets));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"From: a\r\nSubject: one\r\n two\r\nX-B : c\r\nnonsense\r\n\r\n";

    fn filter(header: &[u8], not: bool, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let names = FieldNames::new(not, &names);
        let mut kept = Vec::new();
        filter_header(header, &names, &mut kept);
        // The result does not depend on how the header is cut into pieces.
        for length in 1..header.len() {
            let (mut filter, mut pieces) = (Filter::new(&names), Vec::new());
            for piece in header.chunks(length) {
                filter.feed(piece, |octets| pieces.extend_from_slice(octets));
            }
            filter.end(|octets| pieces.extend_from_slice(octets));
            assert_eq!(pieces, kept, "in pieces of {length}");
        }
        String::from_utf8(kept).unwrap()
    }

    #[test]
    fn many_names_are_found_like_few() {
        let many: Vec<_> = (0..40).map(|n| format!("X-{n}")).collect();
        let mut names: Vec<&str> = many.iter().map(String::as_str).collect();
        names.push("SUBJECT");
        assert_eq!(filter(HEADER, false, &names), "Subject: one\r\n two\r\n\r\n");
        assert_eq!(filter(HEADER, true, &names), "From: a\r\nX-B : c\r\n\r\n");
    }

    #[test]
    fn a_line_longer_than_any_name_is_not_held() {
        let header =
            [b"A".repeat(3 * LINE), b": b\r\nC: ".to_vec(), b"d".repeat(3 * LINE)].concat();
        let names = FieldNames::new(false, &[b"c".to_vec()]);
        let (mut filter, mut length) = (Filter::new(&names), 0);
        for piece in header.chunks(1000) {
            filter.feed(piece, |octets| length += octets.len());
            assert!(filter.held.len() <= LINE + 1000);
        }
        filter.end(|octets| length += octets.len());
        assert_eq!(length, 3 + 3 * LINE + 2);
    }

    #[test]
    fn fields_come_with_their_continuations() {
        let filtered = |not, names: &[&str]| filter(HEADER, not, names);
        assert_eq!(filtered(false, &["SUBJECT"]), "Subject: one\r\n two\r\n\r\n");
        assert_eq!(filtered(false, &["x-b", "from"]), "From: a\r\nX-B : c\r\n\r\n");
        assert_eq!(filtered(false, &["to"]), "\r\n");
        assert_eq!(filtered(false, &["", "nonsense"]), "\r\n");
        assert_eq!(filtered(true, &["subject"]), "From: a\r\nX-B : c\r\n\r\n");
    }

    #[test]
    fn a_header_without_an_end_gets_one() {
        assert_eq!(filter(b"A: b\r\nC: d", false, &["c"]), "C: d\r\n");
        assert_eq!(filter(b"", false, &["c"]), "\r\n");
        assert_eq!(filter(b"A: b\n\nC: d", true, &["c"]), "A: b\n\n");
    }
}
