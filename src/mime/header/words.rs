//! The text of a header field: unfolded, encoded-words decoded.

use std::borrow::Cow;

use memchr::{memchr2, memmem};

use crate::mime::text::charset::Charset;
use crate::mime::transfer::{base64, unescape};

/// The text of the value of a field, or of a whole field: folds become a space, encoded-words
/// (RFC 2047) their text wherever they stand, even in quoted strings as careless senders have it.
/// Octets beyond ASCII are UTF-8 (RFC 6532) if they are sound, else Windows-1252. The end of the
/// line and blanks at both ends are left out.
#[must_use]
pub fn decode_field(value: &[u8]) -> Cow<'_, str> {
    decode(value.trim_ascii())
}

/// The same with whatever stands at the ends.
pub(in crate::mime) fn decode(value: &[u8]) -> Cow<'_, str> {
    let words = memmem::find(value, b"=?").is_some();
    let value = unfold(value);
    if !words {
        return match value {
            Cow::Borrowed(octets) => Charset::Unknown.decode(octets),
            Cow::Owned(octets) => Cow::Owned(into_text(octets)),
        };
    }
    let mut out = String::with_capacity(value.len());
    decode_words(&value, &mut out);
    Cow::Owned(out)
}

fn into_text(octets: Vec<u8>) -> String {
    String::from_utf8(octets)
        .unwrap_or_else(|error| Charset::Unknown.decode(error.as_bytes()).into_owned())
}

/// Takes the ends of lines away where a blank follows, and makes that a space, as Dovecot does.
pub(in crate::mime) fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = fold(value, 0) else { return Cow::Borrowed(value) };
    let mut out = Vec::with_capacity(value.len());
    let (mut at, mut next) = (0, Some(first));
    while let Some((start, blank)) = next {
        out.extend_from_slice(&value[at..start]);
        out.push(b' ');
        at = blank + 1;
        next = fold(value, at);
    }
    out.extend_from_slice(&value[at..]);
    Cow::Owned(out)
}

/// The first end of line from here on that a blank follows: where it and the blank begin.
fn fold(value: &[u8], from: usize) -> Option<(usize, usize)> {
    memchr::memchr_iter(b'\n', &value[from..]).map(|at| from + at).find_map(|newline| {
        let blank = matches!(value.get(newline + 1), Some(b' ' | b'\t'));
        let cr = newline > from && value[newline - 1] == b'\r';
        blank.then_some((newline - usize::from(cr), newline + 1))
    })
}

/// ```abnf
/// encoded-word = "=?" charset "?" encoding "?" encoded-text "?="
/// ```
struct Word<'a> {
    charset: Charset,
    octets: Vec<u8>,
    /// What follows the word.
    rest: &'a [u8],
}

/// Blanks between two encoded-words are not text (RFC 2047 section 6.2). Octets of neighbours in
/// the same charset are joined before they are decoded: many senders cut characters in two.
fn decode_words(value: &[u8], out: &mut String) {
    let mut rest = value;
    let mut open: Option<(Charset, Vec<u8>)> = None;
    let mut plain_from = value;
    let mut closed_somewhere = true;
    while let Some(at) = memmem::find(rest, b"=?") {
        let word = if closed_somewhere { Word::parse(&rest[at + 2..]) } else { Err(false) };
        let word = match word {
            Ok(word) => word,
            Err(closed) => {
                closed_somewhere &= closed;
                rest = &rest[at + 2..];
                continue;
            }
        };
        let before = &plain_from[..plain_from.len() - rest.len() + at];
        let glued = open.is_some() && before.trim_ascii().is_empty();
        if !glued {
            close(&mut open, out);
            out.push_str(&Charset::Unknown.decode(before));
        }
        match &mut open {
            Some((charset, octets)) if same(*charset, word.charset) => {
                octets.extend_from_slice(&word.octets);
            }
            _ => {
                close(&mut open, out);
                open = Some((word.charset, word.octets));
            }
        }
        rest = word.rest;
        plain_from = rest;
    }
    close(&mut open, out);
    out.push_str(&Charset::Unknown.decode(plain_from));
}

fn close(open: &mut Option<(Charset, Vec<u8>)>, out: &mut String) {
    if let Some((charset, octets)) = open.take() {
        out.push_str(&charset.decode(&octets));
    }
}

fn same(a: Charset, b: Charset) -> bool {
    match (a, b) {
        (Charset::Unknown, Charset::Unknown) => true,
        (Charset::Standard(a), Charset::Standard(b)) => a == b,
        _ => false,
    }
}

impl<'a> Word<'a> {
    /// What follows `=?`. The error says whether there may be an end of a word further on: when
    /// there is none at all it need not be looked for again.
    fn parse(text: &'a [u8]) -> Result<Word<'a>, bool> {
        const CHARSET: usize = 75;
        let head = &text[..text.len().min(CHARSET)];
        let question = memchr2(b'?', b' ', head).filter(|&at| head[at] == b'?').ok_or(true)?;
        let [b'?', encoding, b'?', body @ ..] = &text[question..] else { return Err(true) };
        // RFC 2231 section 5 lets a language follow the charset.
        let name = text[..question].split(|&o| o == b'*').next().unwrap_or_default();
        // Before the end is looked for, or words of no kind would cost the square of their number.
        if !matches!(encoding, b'Q' | b'q' | b'B' | b'b') {
            return Err(true);
        }
        let end = memmem::find(body, b"?=").ok_or(false)?;
        let octets = match encoding {
            b'Q' | b'q' => q(&body[..end]),
            _ => base64(&body[..end]),
        };
        // Of a charset that nobody knows the ASCII at least is read.
        let charset = Charset::of_name(name).unwrap_or(Charset::Unknown);
        Ok(Word { charset, octets, rest: &body[end + 2..] })
    }
}

/// The "Q" encoding (RFC 2047 section 4.2); what is not in it stands for itself.
fn q(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&o| if o == b'_' { b' ' } else { o }).collect();
    let mut out = Vec::with_capacity(text.len());
    unescape(&spaced, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_text() {
        for (value, expected) in [
            (&b" plain\r\n"[..], "plain"),
            (b" one\r\n two\n\tthree\r\n", "one two three"),
            (b" a\tb  c\r\n", "a\tb  c"),
            (b"=?utf-8?q?caf=C3=A9?=", "café"),
            (b"=?UTF-8?B?Y2Fmw6k=?= ole", "café ole"),
            (b"=?utf-8?q?caf=C3?=\r\n =?utf-8?q?=A9teria?=", "caféteria"),
            (b"=?utf-8?q?a?= =?iso-8859-1?q?=E9?= b", "aé b"),
            (b"a =?utf-8?q?b_c?= d", "a b c d"),
            (b"\"=?utf-8?q?J=C3=B6rg?=\" <j@x>", "\"Jörg\" <j@x>"),
            (b"=?utf-8*de?q?J=C3=B6rg?=", "Jörg"),
            (b"=?x-none?q?abc?=", "abc"),
            (b"=?utf-8?q?space in it?=", "space in it"),
            (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
            (b"a =?utf-8?q?bad", "a =?utf-8?q?bad"),
            (b"=?=?utf-8?q?a?=", "=?a"),
            (b"=?utf-8?b?%%%?=", ""),
            (b"=?utf-8?q?=4?=", "=4"),
            (b"caf\xe9", "café"),
            (b"caf\xc3\xa9\r\n x", "café x"),
            (b"caf\xe9 =?utf-8?q?=C3=A9?= \xe9", "café é é"),
            (b"=?iso-2022-jp?B?GyRCJCIbKEI=?=", "あ"),
            (b"", ""),
        ] {
            assert_eq!(decode_field(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn a_megabyte_of_openings_takes_no_time() {
        let start = std::time::Instant::now();
        for piece in ["=?", "=?a?q?", "=?a", "?=", "=?a?x?b?="] {
            let text = piece.repeat(1 << 20);
            assert!(decode_field(text.as_bytes()).len() <= text.len());
        }
        for piece in ["=?a?q?b ", "=?a?x?b ", "=?a"] {
            let text = [&piece.repeat(1 << 18), "?="].concat();
            assert!(decode_field(text.as_bytes()).len() <= text.len());
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
