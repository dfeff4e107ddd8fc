//! Strings in answers.

use bytes::BytesMut;
use memchr::memchr2;

use crate::protocol::MailboxName;
use crate::protocol::grammar::is_astring_char;

use super::put;

/// Longer strings are literals: no client need expect lines without end.
const QUOTED: usize = 1000;

/// ```abnf
/// string = quoted / literal
/// ```
/// Quoted if it is printable ASCII and not long, else a literal.
pub fn string(out: &mut BytesMut, octets: &[u8]) {
    if octets.len() > QUOTED || !octets.iter().all(|o| matches!(o, b' '..=b'~')) {
        put(out, format_args!("{{{}}}\r\n", octets.len()));
        out.extend_from_slice(octets);
        return;
    }
    out.extend_from_slice(b"\"");
    let mut rest = octets;
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\"");
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
/// `NIL` is quoted, lest it be taken for the word.
pub fn astring(out: &mut BytesMut, octets: &[u8]) {
    let atom = !octets.is_empty()
        && octets.len() <= QUOTED
        && octets.iter().all(|&o| is_astring_char(o))
        && !octets.eq_ignore_ascii_case(b"NIL");
    if atom { out.extend_from_slice(octets) } else { string(out, octets) }
}

/// ```abnf
/// mailbox = "INBOX" / astring
/// ```
pub fn mailbox(out: &mut BytesMut, name: &MailboxName) {
    astring(out, name.to_wire().as_bytes());
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
        assert_eq!(written(|o| nstring(o, None)), b"NIL");
        assert_eq!(written(|o| nstring(o, Some(b"NIL"))), b"\"NIL\"");
    }
}
