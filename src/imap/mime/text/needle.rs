//! Whether a message contains a string: the SEARCH keys BODY, TEXT, HEADER, SUBJECT, FROM, TO, CC
//! and BCC (RFC 3501 section 6.4.4).
//!
//! The search sees the text that a reader sees, with encodings and charsets decoded, and compares
//! by i;unicode-casemap. Unencoded ASCII is searched in place at the speed of memchr; only the rest
//! is decoded. Both ways give the same results; `model` checks that.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use memchr::{memchr, memchr3};

use super::charset::{BadCharset, Charset};
use super::pattern::Pattern;
use super::pieces::{Text, pieces};
use crate::mime::header::address;
use crate::mime::header::fields::{Field, Fields};
use crate::mime::header::words;

/// A search string, prepared once for all messages.
#[derive(Clone, Debug)]
pub struct Needle {
    pub(in crate::mime) pattern: Arc<Pattern>,
}

/// The text of a field, to be searched for many strings. It is decoded once, on first need.
#[derive(Debug)]
pub struct FieldText<'a> {
    value: &'a [u8],
    is_plain: bool,
    folds: bool,
    addresses: bool,
    decoded: OnceCell<Cow<'a, str>>,
}

impl<'a> FieldText<'a> {
    /// Wraps a field without decoding it.
    #[must_use]
    pub fn new(field: &Field<'a>) -> FieldText<'a> {
        let value = field.value.trim_ascii();
        let addresses = address::hides_address(value) && address::has_addresses(field);
        let is_plain = is_plain(value) && !addresses;
        let folds = memchr(b'\n', value).is_some();
        FieldText { value, is_plain, folds, addresses, decoded: OnceCell::new() }
    }

    fn decode(&self) -> Cow<'a, str> {
        let text = words::searchable(self.value);
        if !self.addresses {
            return text;
        }
        let mut text = text.into_owned();
        address::push_plain(self.value, &mut text);
        text.into()
    }
}

/// Everything that SEARCH finds in a field's value: its text, the decoded parameters of RFC 2231,
/// and addresses without inner comments and blanks.
#[must_use]
pub fn field_text(field: &Field<'_>) -> String {
    FieldText::new(field).decode().into_owned()
}

/// Whether a text is ASCII without encoded-words or parameters, in no other charset. One pass,
/// because every header is checked.
fn is_plain(text: &[u8]) -> bool {
    let (mut at, mut plain) = (0, text.is_ascii());
    while plain && let Some(next) = memchr3(b'?', b'*', 0x1b, &text[at..]) {
        at += next + 1;
        plain = match text[at - 1] {
            b'?' => at < 2 || text[at - 2] != b'=',
            b'*' => !text[at..].starts_with(b"=") && !text[at..].starts_with(b"0="),
            _ => false,
        };
    }
    plain
}

impl Needle {
    /// A search string in the charset of the command. Without CHARSET that is US-ASCII (RFC 3501)
    /// or UTF-8 (RFC 9051). Octets beyond ASCII in US-ASCII are read as UTF-8.
    ///
    /// # Errors
    /// If the charset is unknown: NO \[BADCHARSET\].
    pub fn new(text: &[u8], charset: &str) -> Result<Needle, BadCharset> {
        let charset = Charset::of_name(charset.as_bytes())?;
        Ok(Needle { pattern: Arc::new(Pattern::new(&charset.decode(text))) })
    }

    /// Approximate memory in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Needle>() + self.pattern.len()
    }

    /// Whether a field with this name contains the string; the empty string is in every field.
    /// `header` may be the whole message; the body is not read.
    #[must_use]
    pub fn in_header_field(&self, header: &[u8], name: &[u8]) -> bool {
        let mut fields = Fields::named(header, name);
        fields.any(|field| self.in_field(&FieldText::new(&field)))
    }

    /// Whether the text of a field contains the string.
    #[must_use]
    pub fn in_field(&self, field: &FieldText<'_>) -> bool {
        if field.is_plain && !(field.folds && self.sees_folds()) {
            return self.pattern.is_in_ascii(field.value);
        }
        self.pattern.is_in(field.decoded.get_or_init(|| field.decode()))
    }

    /// Whether the body contains the string: parts of type text, parts of type message other than
    /// embedded messages, and the bodies of those. Headers do not count, as in Dovecot and RFC
    /// 9051.
    #[must_use]
    pub fn in_body(&self, message: &[u8]) -> bool {
        self.pattern.is_empty()
            || pieces(message).filter_map(|piece| piece.text).any(|text| self.in_part(&text))
    }

    /// Whether the header, the body, or the header of a part or embedded message contains the
    /// string. Field names are searched too.
    #[must_use]
    pub fn in_text(&self, message: &[u8]) -> bool {
        let found = |header: &[u8], text: Option<&Text>| {
            self.in_header(header) || text.is_some_and(|text| self.in_part(text))
        };
        self.pattern.is_empty()
            || pieces(message).any(|piece| found(piece.header, piece.text.as_ref()))
    }

    fn in_part(&self, text: &Text) -> bool {
        let octets = text.look.transfer.decode(text.body);
        if text.look.charset.is_plain(&octets) {
            return self.pattern.is_in_ascii(&octets);
        }
        self.pattern.is_in(&text.look.charset.decode(&octets))
    }

    fn in_header(&self, header: &[u8]) -> bool {
        if self.can_search_raw(header) {
            return self.pattern.is_in_ascii(header);
        }
        if is_plain(header) {
            return self.pattern.is_in_ascii(&words::unfold(header));
        }
        self.pattern.is_in(&header_text(header))
    }

    /// Whether decoding would change nothing relevant: the text is ASCII without encoded-words, and
    /// the string does not match across a fold, which becomes a space.
    fn can_search_raw(&self, header: &[u8]) -> bool {
        let changed = self.sees_folds() && memchr(b'\n', header).is_some();
        !changed && is_plain(header)
    }

    /// Whether the string may match across a fold.
    fn sees_folds(&self) -> bool {
        self.pattern.has_space || self.pattern.has_control
    }
}

/// A whole header, decoded field by field, because each may have its own charset.
pub(super) fn header_text(header: &[u8]) -> String {
    let mut text = String::with_capacity(header.len());
    let mut end = 0;
    for field in Fields::new(header) {
        push_field(&field, &mut text);
        end += field.raw.len();
    }
    text.push_str(&String::from_utf8_lossy(&header[end..]));
    text
}

/// Appends a whole field, including its name.
pub(in crate::mime) fn push_field(field: &Field<'_>, text: &mut String) {
    text.push_str(&words::searchable(field.raw));
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: &[u8] = b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        preamble\r\n--b\r\nContent-Type: message/rfc822\r\nX-Mime: mimehdr\r\n\r\n\
        Subject: innersubj\r\nFrom: inner@x\r\n\r\ninnerbody\r\n--b\r\n\
        Content-Type: application/octet-stream\r\n\r\nappdata\r\n--b\r\n\
        Content-Type: text/html; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n\
        caf=E9 so=\r\nft <b>bo</b>ld\r\n--b--\r\nepilogue\r\n";

    fn needle(text: &str) -> Needle {
        Needle::new(text.as_bytes(), "UTF-8").expect("UTF-8 is known")
    }

    /// The results of Dovecot 2.3 for the same searches.
    #[test]
    fn body_and_text_match_where_dovecot_matches() {
        for (text, body, whole) in [
            ("innersubj", false, true),
            ("innerbody", true, true),
            ("mimehdr", false, true),
            ("x-mime: MIME", false, true),
            ("preamble", false, false),
            ("epilogue", false, false),
            ("appdata", false, false),
            ("soft", true, true),
            ("<b>bo", true, true),
            ("Subject: outer", false, true),
            ("cafe", true, true),
            ("CAFÉ", true, true),
            ("cafè", false, false),
            ("", true, true),
        ] {
            assert_eq!(needle(text).in_body(NESTED), body, "BODY {text}");
            assert_eq!(needle(text).in_text(NESTED), whole, "TEXT {text}");
        }
    }

    #[test]
    fn addresses_are_found_without_their_comments() {
        let header = b"From: Joe (c) <user-from (comment)@ (comment) domain.org>\r\n\
            To: \"a b\"@x.org, list: c (d) @x.org;\r\nSubject: a (b)@c\r\n\r\n";
        for (name, text, expected) in [
            ("from", "user-from@domain.org", true),
            ("FROM", "<user-from@domain.org>", true),
            ("from", "(comment)@ (comment)", true),
            ("from", "user-from@domain.com", false),
            ("to", "c@x.org", true),
            ("to", "\"a b\"@x.org", true),
            ("subject", "a@c", false),
        ] {
            let found = needle(text).in_header_field(header, name.as_bytes());
            assert_eq!(found, expected, "{name} {text}");
        }
    }

    #[test]
    fn names_of_attachments_are_found_as_they_read() {
        let message = "Content-Disposition: attachment;\r\n \
            filename*=utf-8''%E3%82%82%E3%81%AE.pdf\r\n\r\nx";
        assert!(needle("もの.pdf").in_text(message.as_bytes()));
        assert!(needle("filename*=utf-8").in_text(message.as_bytes()));
        assert!(needle("もの").in_header_field(message.as_bytes(), b"Content-Disposition"));
    }

    #[test]
    fn fields_are_searched_as_they_read() {
        let header =
            b"Subject: one\r\n two\r\nX: a\tb  c\r\n\td\r\nFrom: \"Doe, John\" <jd@x.org>\r\n\
            To: =?utf-8?q?caf=C3=A9?= =?utf-8?q?_ol\xc3\xa9?= x\r\nCc: caf\xe9 <c@x>\r\n\
            Bcc:\r\n\r\nSubject: body\r\n";
        for (name, text, expected) in [
            ("subject", "ONE TWO", true),
            ("subject", "onetwo", false),
            ("subject", "body", false),
            ("subject", "", true),
            ("x", "b c d", false),
            ("x", "b  c d", true),
            ("x", "a b", false),
            ("x", "a\tb", true),
            ("from", "\"doe, john\" <JD@", true),
            ("to", "café olé X", true),
            ("to", "utf-8", false),
            ("cc", "CAFÉ", true),
            ("cc", "cafe", true),
            ("bcc", "", true),
            ("bcc", "a", false),
            ("reply-to", "", false),
        ] {
            let found = needle(text).in_header_field(header, name.as_bytes());
            assert_eq!(found, expected, "{name} {text}");
        }
    }

    #[test]
    fn broken_parts_are_searched_as_far_as_they_go() {
        let base64 = b"Content-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQ=\n!!!!aGVsbG8";
        assert!(needle("worldhello").in_body(base64));
        let cut = b"Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\n--b\n\nhi\n--b\nA: hello";
        assert!(needle("hi").in_body(cut) && needle("hello").in_text(cut));
        assert!(!needle("hello").in_body(cut));
        let never = b"Content-Type: multipart/mixed; boundary=\"--b\"\n\n--b\n\nhello\n--b--";
        assert!(needle("hello").in_body(never));
        let wrapped = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n\
            U3ViamVjdDogaW5uZXIKCmhlbGxv\n";
        assert!(needle("hello").in_body(wrapped));
        let unbound = b"Content-Type: multipart/mixed\n\n--b\n\nhello";
        assert!(needle("hello").in_body(unbound));
        for message in [&b""[..], b"\n", b"A", b"Content-Type: message/rfc822\n\n", b"\0\xff"] {
            assert!(!needle("hello").in_text(message) && needle("").in_body(message));
        }
    }

    #[test]
    fn charsets_of_the_search_are_decoded() {
        let message = "Subject: x\n\nпривет".as_bytes();
        let koi8 = Needle::new(b"\xf0\xd2\xc9\xd7\xc5\xd4", "KOI8-R").expect("known");
        assert!(koi8.in_body(message));
        assert!(Needle::new("Привет".as_bytes(), "us-ascii").expect("known").in_body(message));
        assert_eq!(Needle::new(b"a", "x-none").err(), Some(BadCharset));
    }

    #[test]
    fn seven_bits_are_not_always_ascii() {
        let message = b"Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B$\"\x1b(B";
        assert!(needle("あ").in_body(message));
        assert!(!needle("$B").in_body(message), "a part of an escape sequence");
        let undeclared = b"Subject: \x1b$B$\"\x1b(B\n\n\x1b$B$\"\x1b(B";
        assert!(needle("あ").in_body(undeclared));
        assert!(needle("あ").in_header_field(undeclared, b"Subject"));
    }

    #[test]
    fn nesting_without_end_is_walked_through() {
        let messages = b"Content-Type: message/rfc822\n\n".repeat(100_000);
        assert!(!needle("hello").in_text(&messages));
        let multiparts: Vec<u8> = (0..10_000)
            .flat_map(|n| {
                format!("Content-Type: multipart/x; boundary=b{n}\n\n--b{n}\n").into_bytes()
            })
            .collect();
        assert!(!needle("hello").in_text(&multiparts));
        let digest =
            b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\nhello\n--b--";
        assert!(needle("hello").in_body(digest) && !needle("subject").in_body(digest));
    }
}
