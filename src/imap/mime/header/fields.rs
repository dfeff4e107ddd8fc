//! Splits a header into fields.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::protocol::HeaderScanner;

/// A header field (RFC 5322 section 2.2). A line without a colon is a field with an empty value: a
/// `From ` line of mbox, or misplaced text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The text before the colon, without trailing blanks.
    pub name: &'a [u8],
    /// The text after the colon without leading blanks and folds and without the last line end.
    /// Folds within it are kept.
    pub value: &'a [u8],
    /// The whole field, line end included.
    pub raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// Splits the octets of one field.
    pub(in crate::mime) fn new(raw: &'a [u8]) -> Field<'a> {
        let line = raw.strip_suffix(b"\n").unwrap_or(raw);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // Most names are too short for memchr to pay.
        const SHORT: usize = 20;
        let (start, rest) = line.split_at(line.len().min(SHORT));
        let end = start.iter().position(|octet| matches!(octet, b':' | b'\n'));
        let end = end.or_else(|| memchr2(b':', b'\n', rest).map(|at| SHORT + at));
        let (name, value) = match end {
            Some(colon) if line[colon] == b':' => (&line[..colon], &line[colon + 1..]),
            Some(end) => (&line[..end], &[][..]),
            None => (line, &[][..]),
        };
        let blank = |octet: &u8| matches!(octet, b' ' | b'\t');
        let name = &name[..name.iter().rposition(|octet| !blank(octet)).map_or(0, |last| last + 1)];
        // Blanks alone are a value. Exchange begins long values on a line of their own.
        let fold = |octet: &u8| blank(octet) || matches!(octet, b'\r' | b'\n');
        let skip = value.iter().position(|octet| !fold(octet)).unwrap_or(value.len().min(1));
        Field { name, value: &value[skip..], raw }
    }

    /// Whether the field has this name, in any case.
    #[must_use]
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Iterates over the fields of a header. It ends before the first empty line, or at the end of the
/// octets.
///
/// ```abnf
/// fields     = *(field-name *WSP ":" unstructured CRLF)
/// field-name = 1*ftext
/// ```
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of a message, or of a header alone. The body is not read.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    /// The first field with this name, in any case.
    #[must_use]
    pub fn find(header: &'a [u8], name: &[u8]) -> Option<Field<'a>> {
        Fields::named(header, name).next()
    }

    /// All fields with this name, in any case.
    pub(in crate::mime) fn named(header: &'a [u8], name: &[u8]) -> impl Iterator<Item = Field<'a>> {
        let initial = name.first().map(u8::to_ascii_lowercase);
        // A field without a name begins with a colon or a blank.
        Fields::of_initials(header, move |octet| initial.is_none_or(|initial| initial == octet))
            .filter(move |field| field.is(name))
    }

    /// The fields whose first octet, in lower case if it is a letter, is wanted. Only these are
    /// taken apart.
    pub(in crate::mime) fn of_initials(
        header: &'a [u8],
        wanted: impl Fn(u8) -> bool,
    ) -> impl Iterator<Item = Field<'a>> {
        let mut fields = Fields::new(header);
        std::iter::from_fn(move || {
            loop {
                let raw = fields.next_raw()?;
                if wanted(raw[0].to_ascii_lowercase()) {
                    return Some(Field::new(raw));
                }
            }
        })
    }

    /// The octets of the next field.
    #[inline]
    fn next_raw(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() || empty_line(self.rest).is_some() {
            return None;
        }
        let mut end = line_length(self.rest);
        while let Some(b' ' | b'\t') = self.rest.get(end) {
            end += line_length(&self.rest[end..]);
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(raw)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        self.next_raw().map(Field::new)
    }
}

/// Length of the header of a message, including the empty line at its end. A message without an
/// empty line is all header.
#[must_use]
pub fn header_length(message: &[u8]) -> usize {
    let mut scanner = HeaderScanner::new();
    scanner.feed(message);
    scanner.finish() as usize
}

/// Length of the empty line at the start, if there is one. Mail whose line ends were converted
/// twice has two CR.
pub(in crate::mime) fn empty_line(octets: &[u8]) -> Option<usize> {
    match octets {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        [b'\r', b'\r', b'\n', ..] => Some(3),
        _ => None,
    }
}

/// Length of the line at the start, including its end.
pub(in crate::mime) fn line_length(octets: &[u8]) -> usize {
    memchr(b'\n', octets).map_or(octets.len(), |at| at + 1)
}

/// Removes line ends from a value; the blanks after them stay (RFC 5322 section 2.2.3).
pub(in crate::mime) fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'\r', b'\n', value).is_none() {
        return without_nul(value);
    }
    let line: Vec<u8> = value.iter().copied().filter(|o| !matches!(o, b'\r' | b'\n')).collect();
    without_nul(&line).into_owned().into()
}

/// Replaces NUL, which no string in a response can contain (RFC 3501 section 9, CHAR8), by U+FFFD,
/// as Dovecot does.
pub(in crate::mime) fn without_nul(octets: &[u8]) -> Cow<'_, [u8]> {
    if memchr(0, octets).is_none() {
        return octets.into();
    }
    let mut out = Vec::with_capacity(octets.len() + 2);
    for &octet in octets {
        out.extend_from_slice(if octet == 0 { "\u{fffd}".as_bytes() } else { &[] });
        out.extend((octet != 0).then_some(octet));
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(header: &[u8]) -> Vec<(&[u8], &[u8])> {
        Fields::new(header).map(|field| (field.name, field.value)).collect()
    }

    #[test]
    fn fields_end_where_the_next_begins() {
        assert_eq!(
            pairs(b"A: b\r\nC :  d\r\n\te\nnone\n more: x\n:\nF:\nG: \n\nH: i"),
            [
                (&b"A"[..], &b"b"[..]),
                (b"C", b"d\r\n\te"),
                (b"none", b""),
                (b"", b""),
                (b"F", b""),
                (b"G", b""),
            ]
        );
        assert_eq!(pairs(b"A: b"), [(&b"A"[..], &b"b"[..])]);
        assert_eq!(pairs(b" A: b\r"), [(&b" A"[..], &b"b"[..])]);
        assert_eq!(pairs(b"A:\r\n\t<b>\r\n c\r\n"), [(&b"A"[..], &b"<b>\r\n c"[..])]);
        assert_eq!(pairs(b"A: b\r\r\n\r\r\nC: d"), [(&b"A"[..], &b"b\r"[..])]);
        assert!(pairs(b"").is_empty() && pairs(b"\r\nA: b").is_empty());
    }

    #[test]
    fn values_on_one_line() {
        assert_eq!(&*unfolded(b"a\r\n\tb\n c\0"), "a\tb c\u{fffd}".as_bytes());
    }

    #[test]
    fn names_are_found_in_any_case() {
        let field = Fields::find(b"Subject: a\nsubject: b\n", b"SUBJECT").expect("it is there");
        assert_eq!((field.value, field.raw), (&b"a"[..], &b"Subject: a\n"[..]));
        assert_eq!(Fields::find(b"Subject: a\n\nTo: b\n", b"To"), None);
    }

    proptest! {
        /// This includes headers cut off anywhere.
        #[test]
        fn the_fields_are_the_header_without_the_empty_line(header in "[A:\r\n ]{0,12}") {
            let header = header.as_bytes();
            let raw: usize = Fields::new(header).map(|field| field.raw.len()).sum();
            let rest = &header[raw..header_length(header)];
            let empty = matches!(rest, b"" | b"\n" | b"\r\n" | b"\r\r\n");
            prop_assert!(empty, "{}", header.escape_ascii());
        }
    }
}
