//! Strings in responses.

use bytes::{BufMut, BytesMut};
use memchr::memchr2;

use crate::protocol::MailboxName;
use crate::protocol::grammar::is_astring_char;

use super::decimal::decimal_to;

/// Longer strings are sent as literals: clients may limit the length of a line.
pub(crate) const QUOTED: usize = 1000;

/// ```abnf
/// string = quoted / literal
/// ```
/// Quoted if it is short printable ASCII, otherwise a literal.
pub fn string(out: &mut BytesMut, octets: &[u8]) {
    string_to(out, octets);
}

/// As [`string`], to any buffer.
pub(crate) fn string_to(out: &mut impl BufMut, octets: &[u8]) {
    if octets.len() <= QUOTED && octets.iter().all(|o| matches!(o, b' '..=b'~')) {
        quoted(out, octets);
    } else {
        literal(out, octets);
    }
}

/// As [`string`], but UTF-8 is quoted too, for clients that enabled IMAP4rev2 (RFC 9051 section
/// 4.3) or UTF8=ACCEPT (RFC 6855 section 3).
///
/// ```abnf
/// QUOTED-CHAR =/ UTF8-2 / UTF8-3 / UTF8-4
/// ```
pub fn string_utf8(out: &mut BytesMut, octets: &[u8]) {
    let plain = |text: &str| !text.contains(|c: char| c < ' ' || c == '\x7f');
    if octets.len() <= QUOTED && std::str::from_utf8(octets).is_ok_and(plain) {
        quoted(out, octets);
    } else {
        literal(out, octets);
    }
}

fn quoted(out: &mut impl BufMut, octets: &[u8]) {
    out.put_u8(b'"');
    let mut rest = octets;
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        out.put_slice(&rest[..at]);
        out.put_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
    out.put_u8(b'"');
}

fn literal(out: &mut impl BufMut, octets: &[u8]) {
    out.put_slice(b"{");
    decimal_to(out, octets.len() as u64);
    out.put_slice(b"}\r\n");
    out.put_slice(octets);
}

/// ```abnf
/// nstring = string / nil
/// ```
pub fn nstring(out: &mut BytesMut, octets: Option<&[u8]>) {
    match octets {
        Some(octets) => string(out, octets),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// ```abnf
/// astring = 1*ASTRING-CHAR / string
/// ```
/// The string `NIL` is quoted, so that it is not read as NIL.
pub fn astring(out: &mut BytesMut, octets: &[u8]) {
    if is_atom(octets) { out.extend_from_slice(octets) } else { string(out, octets) }
}

fn is_atom(octets: &[u8]) -> bool {
    !octets.is_empty()
        && octets.len() <= QUOTED
        && octets.iter().all(|&o| is_astring_char(o))
        && !octets.eq_ignore_ascii_case(b"NIL")
}

/// The encoding of mailbox names in responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Modified UTF-7 (RFC 3501 section 5.1.3).
    #[default]
    Utf7,
    /// UTF-8: the client enabled IMAP4rev2 (RFC 9051 section 5.1) or UTF8=ACCEPT (RFC 6855 section
    /// 3).
    Utf8,
}

/// ```abnf
/// mailbox = "INBOX" / astring
/// ```
pub fn mailbox(out: &mut BytesMut, name: &MailboxName, names: Names) {
    match names {
        Names::Utf7 => astring(out, name.to_wire().as_bytes()),
        Names::Utf8 if is_atom(name.as_str().as_bytes()) => {
            out.extend_from_slice(name.as_str().as_bytes());
        }
        Names::Utf8 => string_utf8(out, name.as_str().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut out);
        out.to_vec()
    }

    #[test]
    fn strings_take_the_simplest_form_that_holds_them() {
        for (octets, expected) in [
            (&b"INBOX"[..], &b"INBOX"[..]),
            (b"a]b", b"a]b"),
            (b"nil", b"\"nil\""),
            (b"", b"\"\""),
            (b"a b", b"\"a b\""),
            (b"a%b", b"\"a%b\""),
            (b"a\"b\\", b"\"a\\\"b\\\\\""),
            (b"a\r\nb", b"{4}\r\na\r\nb"),
            (b"\xfc", b"{1}\r\n\xfc"),
            (b"\x7f", b"{1}\r\n\x7f"),
        ] {
            assert_eq!(written(|o| astring(o, octets)), expected, "{}", octets.escape_ascii());
        }
        assert!(written(|o| string(o, &[b'x'; 1001])).starts_with(b"{1001}\r\n"));
        for (octets, expected) in [
            (&b"a\"b"[..], &b"\"a\\\"b\""[..]),
            ("ü \u{2028}".as_bytes(), "\"ü \u{2028}\"".as_bytes()),
            (b"\xfc", b"{1}\r\n\xfc"),
            (b"a\nb", b"{3}\r\na\nb"),
            (b"\x7f", b"{1}\r\n\x7f"),
        ] {
            assert_eq!(written(|o| string_utf8(o, octets)), expected, "{}", octets.escape_ascii());
        }
        assert_eq!(written(|o| nstring(o, None)), b"NIL");
        assert_eq!(written(|o| nstring(o, Some(b"NIL"))), b"\"NIL\"");
    }

    #[test]
    fn names_go_as_the_client_wants_them() {
        let name = MailboxName::from_utf8("R&D/ü").unwrap();
        assert_eq!(written(|o| mailbox(o, &name, Names::Utf7)), b"R&-D/&APw-");
        assert_eq!(written(|o| mailbox(o, &name, Names::Utf8)), "\"R&D/ü\"".as_bytes());
        assert_eq!(written(|o| mailbox(o, &MailboxName::inbox(), Names::Utf8)), b"INBOX");
        let nil = MailboxName::from_utf8("nil").unwrap();
        assert_eq!(written(|o| mailbox(o, &nil, Names::Utf8)), b"\"nil\"");
    }
}
