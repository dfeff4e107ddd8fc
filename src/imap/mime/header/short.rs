//! The short header: the fields that most commands read, without the rest.
//!
//! A few hundred octets of a header of several thousand answer SORT, the sent dates and most header
//! keys of SEARCH, ENVELOPE, and HEADER.FIELDS with these names. The octets are kept as they are,
//! so every function that reads a header gives the same result on the short one.

use memchr::memchr2;

use super::fields::{Field, Fields, empty_line, line_length};

/// A field of the short header: exactly the fields of ENVELOPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mime) enum Kept {
    Date,
    Subject,
    From,
    Sender,
    ReplyTo,
    To,
    Cc,
    Bcc,
    InReplyTo,
    MessageId,
}

impl Kept {
    /// The field with this name, in any case.
    pub fn of_name(name: &[u8]) -> Option<Kept> {
        let (kept, expected): (Kept, &[u8]) = match (name.len(), name.first()? | 0x20) {
            (2, b't') => (Kept::To, b"To"),
            (2, b'c') => (Kept::Cc, b"Cc"),
            (3, b'b') => (Kept::Bcc, b"Bcc"),
            (4, b'f') => (Kept::From, b"From"),
            (4, b'd') => (Kept::Date, b"Date"),
            (6, b's') => (Kept::Sender, b"Sender"),
            (7, b's') => (Kept::Subject, b"Subject"),
            (8, b'r') => (Kept::ReplyTo, b"Reply-To"),
            (10, b'm') => (Kept::MessageId, b"Message-ID"),
            (11, b'i') => (Kept::InReplyTo, b"In-Reply-To"),
            _ => return None,
        };
        name.eq_ignore_ascii_case(expected).then_some(kept)
    }
}

/// The fields of the short header, for [`Fields`].
pub(in crate::mime) fn kept_fields(header: &[u8]) -> impl Iterator<Item = (Kept, Field<'_>)> {
    Fields::of_initials(header, is_initial)
        .filter_map(|field| Kept::of_name(field.name).map(|kept| (kept, field)))
}

/// Whether the name of a kept field begins with this octet in lower case.
fn is_initial(octet: u8) -> bool {
    matches!(octet, b'b'..=b'd' | b'f' | b'i' | b'm' | b'r'..=b't')
}

/// Whether the short header has all fields with this name, in any case: Date, Subject, From,
/// Sender, Reply-To, To, Cc, Bcc, In-Reply-To and Message-ID.
#[must_use]
pub fn in_short_header(name: &[u8]) -> bool {
    Kept::of_name(name).is_some()
}

/// Appends the short header of a message to `out`: each field for which [`in_short_header`] holds,
/// as it is and in the original order, and the empty line at the end of the header if there is one.
/// Anything after the header is ignored.
///
/// Readers disagree about the names of broken fields. For [`Fields`], a line without
/// a colon is a field with an empty value; HEADER.FIELDS skips it. In `Subject` CR `: x`,
/// HEADER.FIELDS takes the CR for a blank; `Fields` does not. The short header has every field that
/// either of them would take, and leaves the decision to the reader.
pub fn short_header(header: &[u8], out: &mut Vec<u8>) {
    // The start of the kept fields that are not copied yet.
    let mut kept_from = None;
    let mut at = 0;
    while let Some(first) = header.get(at) {
        let rest = &header[at..];
        if at == 0 || !matches!(first, b' ' | b'\t') {
            let empty = empty_line(rest);
            match (kept_from, empty.is_none() && starts_kept_field(rest)) {
                (None, true) => kept_from = Some(at),
                (Some(from), false) => {
                    out.extend_from_slice(&header[from..at]);
                    kept_from = None;
                }
                _ => {}
            }
            if let Some(length) = empty {
                return out.extend_from_slice(&rest[..length]);
            }
        }
        at += line_length(rest);
    }
    out.extend_from_slice(&header[kept_from.unwrap_or(at)..]);
}

/// Whether a field with one of the names begins here, for some reader.
fn starts_kept_field(text: &[u8]) -> bool {
    // The first letter alone rules out most fields.
    if !is_initial(text[0].to_ascii_lowercase()) {
        return false;
    }
    let end = memchr2(b':', b'\n', text).unwrap_or(text.len());
    in_short_header(text[..end].trim_ascii_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mime::structure::{FIELDS, envelope};
    use crate::mime::tests::{corpus, written};
    use crate::mime::{Needle, Sorter, sent_date};
    use crate::protocol::{SortCriterion, SortKey};

    fn short(header: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        short_header(header, &mut out);
        out
    }

    /// HEADER.FIELDS by its definition: lines whose text before the colon, without blanks at its
    /// end, is one of the names, their continuations, and the empty line.
    fn header_fields(header: &[u8], names: &[&[u8]]) -> Vec<u8> {
        let (mut out, mut keep) = (Vec::new(), false);
        for line in header.split_inclusive(|&octet| octet == b'\n') {
            if matches!(line, b"\r\n" | b"\n" | b"\r\r\n") {
                out.extend_from_slice(line);
                return out;
            }
            if !matches!(line[0], b' ' | b'\t') {
                let colon = line.iter().position(|&octet| octet == b':');
                keep = colon.is_some_and(|colon| {
                    let name = line[..colon].trim_ascii_end();
                    names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
                });
            }
            out.extend_from_slice(if keep { line } else { b"" });
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    fn sort_keys(header: &[u8]) -> Sorter {
        use SortKey::{Cc, Date, DisplayFrom, DisplayTo, From, Subject, To};
        let criteria = [Cc, Date, DisplayFrom, DisplayTo, From, Subject, To];
        let mut sorter = Sorter::new(&criteria.map(|key| SortCriterion { key, reverse: false }));
        sorter.add(1, 7, 7, header);
        sorter
    }

    /// Whatever reads only the fields of the short header sees no difference.
    fn check(message: &[u8], needles: &[Needle]) {
        let short = short(message);
        for name in FIELDS {
            assert!(in_short_header(name));
            let fields =
                |header| -> Vec<_> { Fields::new(header).filter(|f| f.is(name)).collect() };
            assert_eq!(fields(message), fields(&short));
            assert_eq!(header_fields(message, &[name]), header_fields(&short, &[name]));
            for needle in needles {
                let (whole, kept) =
                    (needle.in_header_field(message, name), needle.in_header_field(&short, name));
                assert_eq!(whole, kept);
            }
        }
        assert_eq!(header_fields(message, &FIELDS), header_fields(&short, &FIELDS));
        assert_eq!(sent_date(message), sent_date(&short));
        let of = |header: &[u8]| written(|out| envelope(header, out).unwrap_or_default());
        assert_eq!(of(message), of(&short));
        assert_eq!(format!("{:?}", sort_keys(message)), format!("{:?}", sort_keys(&short)));
        assert_eq!(self::short(&short), short);
    }

    fn needles() -> Vec<Needle> {
        ["", "a", "re", "@x", "é"].map(|text| Needle::new(text.as_bytes(), "UTF-8").unwrap()).into()
    }

    #[test]
    fn kept_fields_stay_as_they_are() {
        for (header, expected) in [
            (
                "A: b\r\nTo: c\r\n d\r\nX: y\r\n z\r\nTO : e\r\n\r\nbody",
                "To: c\r\n d\r\nTO : e\r\n\r\n",
            ),
            ("To: c\nX: y\n\nTo: d\n", "To: c\n\n"),
            ("To: c\r\r\n\r\r\nTo: d\n", "To: c\r\r\n\r\r\n"),
            ("X: y\r\nDate: z", "Date: z"),
            (" To: c\r\n To: d\r\nSubject: e\r\n", "Subject: e\r\n"),
            ("Subject\r\nTo\r: x\nCc\n x: y\nBccs: z\n", "Subject\r\nTo\r: x\nCc\n x: y\n"),
            ("Tö: x\nTo: y\r", "To: y\r"),
            ("To\u{c}: x\n\0To: y\nReplyXTo: z\n", "To\u{c}: x\n"),
            ("\n", "\n"),
            ("\r", ""),
            ("", ""),
        ] {
            let got = short(header.as_bytes());
            assert_eq!(String::from_utf8_lossy(&got), expected, "{header:?}");
            check(header.as_bytes(), &needles());
        }
    }

    #[test]
    fn names_are_known_in_any_case() {
        for name in ["DATE", "message-id", "In-Reply-to"] {
            assert!(in_short_header(name.as_bytes()));
        }
        for name in ["", "To ", "References", "Fro", "Froms", "Content-Type", "\u{d4}o"] {
            assert!(!in_short_header(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn headers_of_the_corpus() {
        let needles = needles();
        for message in corpus() {
            check(&message, &needles);
        }
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let pieces: &[&str] = &[
            "Date",
            "Subject",
            "From",
            "Sender",
            "Reply-To",
            "To",
            "cc",
            "BCC",
            "In-Reply-To",
            "Message-ID",
            "X",
            "References",
            ":",
            ": ",
            " : ",
            "\r",
            "\n",
            "\r\n",
            "\r\r\n",
            "\t",
            " ",
            "\r\n ",
            "\n\t",
            "\u{b}",
            "\u{c}",
            "\0",
            "a@x",
            "<a@x>",
            "1 Jan 1970",
            "Re: é",
            "=?utf-8?q?=C3=A9?=",
            "\r\n\r\n",
            "\r\nTo: ",
            "\nFrom: ",
            "\nSubject: ",
            "(",
            "\"",
        ];
        prop_oneof![
            12 => prop::sample::select(pieces).prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn no_reader_sees_a_difference(pieces in prop::collection::vec(piece(), 0..30)) {
            check(&pieces.concat(), &needles());
        }
    }
}
