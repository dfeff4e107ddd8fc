//! The fields of a header.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// One field. A line without a colon is a field with an empty value.
pub(super) struct Field<'a> {
    /// Its name, without blanks before the colon.
    pub name: &'a [u8],
    /// What follows the colon and blanks after it, folded as it is, without the last line end.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether it has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a header up to its end: an empty line or the last octet.
///
/// ```abnf
/// fields     = *(field-name *WSP ":" unstructured CRLF)
/// field-name = 1*ftext
/// ```
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(header: &'a [u8]) -> Fields<'a> {
        Fields { rest: header }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || is_empty_line(self.rest) {
            return None;
        }
        let mut end = line_length(self.rest);
        while let Some(b' ' | b'\t') = self.rest.get(end) {
            end += line_length(&self.rest[end..]);
        }
        let (octets, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(field(octets))
    }
}

fn field(octets: &[u8]) -> Field<'_> {
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    let octets = octets.strip_suffix(b"\r").unwrap_or(octets);
    let (name, value) = match memchr2(b':', b'\n', octets) {
        Some(colon) if octets[colon] == b':' => (&octets[..colon], &octets[colon + 1..]),
        Some(end) => (&octets[..end], &[][..]),
        None => (octets, &[][..]),
    };
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t');
    let name = &name[..name.iter().rposition(|octet| !blank(octet)).map_or(0, |last| last + 1)];
    // Blanks alone are a value.
    let skip = value.iter().position(|octet| !blank(octet)).unwrap_or(value.len().min(1));
    Field { name, value: &value[skip..] }
}

/// Whether a line that ends the header begins here.
pub(super) fn is_empty_line(octets: &[u8]) -> bool {
    octets.starts_with(b"\n") || octets.starts_with(b"\r\n")
}

/// Octets of the line that begins here, its end included.
pub(super) fn line_length(octets: &[u8]) -> usize {
    memchr(b'\n', octets).map_or(octets.len(), |at| at + 1)
}

/// A value on one line: line ends are left out, the blanks after them stay (RFC 5322 section
/// 2.2.3).
pub(super) fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'\r', b'\n', value).is_none() {
        return without_nul(value);
    }
    let line: Vec<u8> = value.iter().copied().filter(|o| !matches!(o, b'\r' | b'\n')).collect();
    without_nul(&line).into_owned().into()
}

/// No string in an answer can hold a NUL (RFC 3501 section 9, CHAR8): U+FFFD stands for it, as in
/// Dovecot's answers.
pub(super) fn without_nul(octets: &[u8]) -> Cow<'_, [u8]> {
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
    use super::*;

    fn fields(header: &[u8]) -> Vec<(&[u8], &[u8])> {
        Fields::new(header).map(|field| (field.name, field.value)).collect()
    }

    #[test]
    fn fields_end_where_the_next_begins() {
        assert_eq!(
            fields(b"A: b\r\nC :  d\r\n\te\nnone\n more: x\n:\nF:\nG: \n\nH: i"),
            [
                (&b"A"[..], &b"b"[..]),
                (b"C", b"d\r\n\te"),
                (b"none", b""),
                (b"", b""),
                (b"F", b""),
                (b"G", b""),
            ]
        );
        assert_eq!(fields(b"A: b"), [(&b"A"[..], &b"b"[..])]);
        assert_eq!(fields(b" A: b\r"), [(&b" A"[..], &b"b"[..])]);
        assert!(fields(b"").is_empty() && fields(b"\r\nA: b").is_empty());
    }

    #[test]
    fn values_on_one_line() {
        assert_eq!(&*unfolded(b"a\r\n\tb\n c\0"), "a\tb c\u{fffd}".as_bytes());
    }
}
