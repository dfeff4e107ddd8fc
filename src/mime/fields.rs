//! The fields of a header, one after the other.

use memchr::memchr;

/// One field of a header (RFC 5322 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// What stands before the colon, without spaces at its ends. Empty when the line is no field:
    /// a `From ` line of mbox, or text that has lost its way.
    pub name: &'a [u8],
    /// What stands after the colon, folds and the last end of line included.
    pub value: &'a [u8],
    /// The whole field, end of line included.
    pub raw: &'a [u8],
}

/// Goes through a header, and ends where it does: before the first empty line.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of a message or of its header alone. The body is not looked at.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    /// The first field of this name, in any case.
    #[must_use]
    pub fn find(header: &'a [u8], name: &[u8]) -> Option<Field<'a>> {
        Fields::new(header).find(|field| field.is(name))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || empty_line(self.rest).is_some() {
            return None;
        }
        let mut end = line_length(self.rest);
        while let Some(b' ' | b'\t') = self.rest.get(end) {
            if empty_line(&self.rest[end..]).is_some() {
                break;
            }
            end += line_length(&self.rest[end..]);
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Field::new(raw))
    }
}

impl<'a> Field<'a> {
    fn new(raw: &'a [u8]) -> Field<'a> {
        match memchr(b':', raw) {
            Some(colon) if is_name(raw[..colon].trim_ascii_end()) => {
                Field { name: raw[..colon].trim_ascii_end(), value: &raw[colon + 1..], raw }
            }
            _ => Field { name: b"", value: raw, raw },
        }
    }

    /// Whether the field has this name, in any case.
    #[must_use]
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// A name is printable; RFC 5322 allows no space in it, which a `From ` line has.
fn is_name(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().all(|&o| o > b' ' && o != 127)
}

/// Octets of the header of a message, the empty line at its end included. A message without an
/// empty line is all header.
#[must_use]
pub fn header_length(message: &[u8]) -> usize {
    let mut at = 0;
    while at < message.len() {
        if let Some(length) = empty_line(&message[at..]) {
            return at + length;
        }
        at += line_length(&message[at..]);
    }
    at
}

/// Octets of the first line, its end included.
pub(super) fn line_length(text: &[u8]) -> usize {
    memchr(b'\n', text).map_or(text.len(), |at| at + 1)
}

/// Octets of the first line if nothing but its end is in it.
pub(super) fn empty_line(text: &[u8]) -> Option<usize> {
    match text {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(header: &[u8]) -> Vec<(&[u8], &[u8])> {
        Fields::new(header).map(|field| (field.name, field.value)).collect()
    }

    #[test]
    fn fields_are_folded_lines_with_a_name() {
        let header = b"From bob Mon\nA: b\r\nB :c\r\n d\n\te\r\nno field\nC:\r\n\r\nD: body\n";
        let expected: [(&[u8], &[u8]); 5] = [
            (b"", b"From bob Mon\n"),
            (b"A", b" b\r\n"),
            (b"B", b"c\r\n d\n\te\r\n"),
            (b"", b"no field\n"),
            (b"C", b"\r\n"),
        ];
        assert_eq!(pairs(header), expected);
        assert_eq!(header_length(header), header.len() - b"D: body\n".len());
    }

    #[test]
    fn a_header_may_be_cut_anywhere() {
        let header = b"A: b\r\n c\r\n\r\n";
        for end in 0..=header.len() {
            let raw: usize = Fields::new(&header[..end]).map(|field| field.raw.len()).sum();
            // A CR alone is no empty line yet.
            let expected = if end == header.len() { end - 2 } else { end };
            assert_eq!(raw, expected, "{end}");
        }
        assert_eq!(pairs(b"\r\nA: b\r\n"), []);
        assert_eq!(header_length(b"A: b"), 4);
        assert_eq!(header_length(b""), 0);
    }

    #[test]
    fn names_are_found_in_any_case() {
        let field = Fields::find(b"Subject: a\nsubject: b\n", b"SUBJECT").expect("it is there");
        assert_eq!(field.value, b" a\n");
        assert_eq!(Fields::find(b"Subject: a\n\nTo: b\n", b"To"), None);
    }
}
