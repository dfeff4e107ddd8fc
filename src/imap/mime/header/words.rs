//! The text of a header field: unfolded, with encoded-words decoded.

use std::borrow::Cow;

use memchr::{memchr2, memmem};

use super::content::parameters_of;
use crate::mime::text::charset::{Charset, is_japanese};
use crate::mime::transfer::{base64, is_base64, unescape};

/// The text of a field's value, or of a whole field. Folds become a space. Encoded-words (RFC 2047)
/// are decoded everywhere, even in quoted strings, where careless senders put them. Octets beyond
/// ASCII are UTF-8 (RFC 6532) if valid, otherwise Windows-1252. The final line end and blanks at
/// both ends are removed.
#[must_use]
pub fn decode_field(value: &[u8]) -> Cow<'_, str> {
    decode(value.trim_ascii())
}

/// As [`decode_field`], but keeps blanks at both ends.
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
    if is_japanese(&octets) {
        return Charset::Unknown.decode(&octets).into_owned();
    }
    String::from_utf8(octets)
        .unwrap_or_else(|error| Charset::Unknown.decode(error.as_bytes()).into_owned())
}

/// Replaces each line end followed by a blank, with that blank, by a space, as Dovecot does.
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

/// The first line end from `from` on that a blank follows: its offset and that of the blank.
fn fold(value: &[u8], from: usize) -> Option<(usize, usize)> {
    memchr::memchr_iter(b'\n', &value[from..]).map(|at| from + at).find_map(|newline| {
        let blank = matches!(value.get(newline + 1), Some(b' ' | b'\t'));
        let cr = newline > from && value[newline - 1] == b'\r';
        blank.then_some((newline - usize::from(cr), newline + 1))
    })
}

/// Whether [`searchable`] may find parameters in a value.
pub(in crate::mime) fn has_parameters(value: &[u8]) -> bool {
    // `name*=`, or `name*0=` without a charset.
    memmem::find(value, b"*=").is_some() || memmem::find(value, b"*0=").is_some()
}

/// The text of a field's value, followed by the decoded parameters of RFC 2231, such as names of
/// attachments.
pub(in crate::mime) fn searchable(value: &[u8]) -> Cow<'_, str> {
    let text = decode(value);
    if !has_parameters(value) {
        return text;
    }
    let mut text = text.into_owned();
    for (name, value) in parameters_of(value) {
        text.push(' ');
        if name.ends_with(b"*") {
            text.push_str(&decode_extended(&value));
        } else {
            text.push_str(&decode(&value));
        }
    }
    Cow::Owned(text)
}

/// Decodes an extended parameter (RFC 2231 section 4).
///
/// ```abnf
/// extended-value = charset "'" [language] "'" *(%xHH / char)
/// ```
fn decode_extended(value: &[u8]) -> String {
    let mut pieces = value.splitn(3, |&octet| octet == b'\'');
    let (charset, text) = match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) => (charset, text),
        _ => (&b""[..], value),
    };
    let escaped: Vec<u8> = text.iter().map(|&o| if o == b'%' { b'=' } else { o }).collect();
    let mut octets = Vec::with_capacity(text.len());
    unescape(&escaped, &mut octets);
    Charset::of_name(charset).unwrap_or(Charset::Unknown).decode(&octets).into_owned()
}

/// ```abnf
/// encoded-word = "=?" charset "?" encoding "?" encoded-text "?="
/// ```
struct Word<'a> {
    charset: Charset,
    is_base64: bool,
    text: &'a [u8],
    /// The text after the word.
    rest: &'a [u8],
}

/// Consecutive words in one charset.
struct Joined {
    charset: Charset,
    octets: Vec<u8>,
    /// The start of a base64 group that the next word may complete.
    base64: Vec<u8>,
}

/// Decodes encoded-words and the text between them. Blanks between two encoded-words are not text
/// (RFC 2047 section 6.2). Octets of neighbours in the same charset are joined before they are
/// decoded: many senders cut characters in two, some even base64 groups. `=?utf-8?B?5Lit5?=
/// =?utf-8?B?paH?=` is 中文: the group `5paH` is divided between the words.
fn decode_words(value: &[u8], out: &mut String) {
    let mut rest = value;
    let mut open: Option<Joined> = None;
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
        if open.as_ref().is_some_and(|open| open.charset != word.charset) {
            close(&mut open, out);
        }
        let empty = || Joined { charset: word.charset, octets: Vec::new(), base64: Vec::new() };
        open.get_or_insert_with(empty).add(&word);
        rest = word.rest;
        plain_from = rest;
    }
    close(&mut open, out);
    out.push_str(&Charset::Unknown.decode(plain_from));
}

fn close(open: &mut Option<Joined>, out: &mut String) {
    if let Some(mut joined) = open.take() {
        joined.end_base64();
        out.push_str(&joined.charset.decode(&joined.octets));
    }
}

impl Joined {
    fn add(&mut self, word: &Word<'_>) {
        if !word.is_base64 {
            self.end_base64();
            return q(word.text, &mut self.octets);
        }
        self.base64.extend_from_slice(word.text);
        let cut = cut(&self.base64);
        let start = self.base64.split_off(cut);
        self.end_base64();
        self.base64 = start;
    }

    fn end_base64(&mut self) {
        self.octets.extend(base64(&std::mem::take(&mut self.base64)));
    }
}

/// Where the last base64 group begins, if the next word may complete it: it is incomplete, and its
/// unused bits are not the zeros that end unpadded base64. Otherwise the end of the text.
fn cut(text: &[u8]) -> usize {
    let last = text.iter().rposition(|&octet| octet == b'=').map_or(0, |at| at + 1);
    let group = || text[last..].iter().filter(|&&octet| is_base64(octet));
    let count = group().count() % 4;
    let zeros: &[u8] = match count {
        0 => return text.len(),
        1 => b"",
        2 => b"AQgw",
        _ => b"AEIMQUYcgkosw048",
    };
    if group().next_back().is_some_and(|octet| zeros.contains(octet)) {
        return text.len();
    }
    let sextets = text.iter().enumerate().rev().filter(|(_, octet)| is_base64(**octet));
    sextets.take(count).last().map_or(text.len(), |(at, _)| at)
}

impl<'a> Word<'a> {
    /// Parses a word after its `=?`. The error tells whether a `?=` may follow further on; if not,
    /// the caller need not search again.
    fn parse(text: &'a [u8]) -> Result<Word<'a>, bool> {
        const CHARSET: usize = 75;
        let head = &text[..text.len().min(CHARSET)];
        let question = memchr2(b'?', b' ', head).filter(|&at| head[at] == b'?').ok_or(true)?;
        let [b'?', encoding, b'?', body @ ..] = &text[question..] else { return Err(true) };
        // RFC 2231 section 5 allows a language after the charset.
        let name = text[..question].split(|&o| o == b'*').next().unwrap_or_default();
        // Checked before searching the end, or invalid words would take quadratic time.
        if !matches!(encoding, b'Q' | b'q' | b'B' | b'b') {
            return Err(true);
        }
        let end = memmem::find(body, b"?=").ok_or(false)?;
        // In an unknown charset at least ASCII is readable.
        let charset = Charset::of_name(name).unwrap_or(Charset::Unknown);
        let is_base64 = matches!(encoding, b'B' | b'b');
        Ok(Word { charset, is_base64, text: &body[..end], rest: &body[end + 2..] })
    }
}

/// The "Q" encoding (RFC 2047 section 4.2); octets that do not follow it stand for themselves.
fn q(text: &[u8], out: &mut Vec<u8>) {
    let spaced: Vec<u8> = text.iter().map(|&o| if o == b'_' { b' ' } else { o }).collect();
    unescape(&spaced, out);
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
            (b"=?iso-2022-jp?B?GyRCJCIbKEI=?=\r\n =?ISO-2022-JP?B?GyRCJCIbKEI=?=", "ああ"),
            (b"\x1b$B$\"\x1b(B a", "あ a"),
            (b"a\r\n \x1b$B$\"\x1b(B", "a あ"),
            (b"=?utf-8?B?5Lit5?=\r\n =?utf-8?B?paH?=", "中文"),
            (b"=?utf-8?B?5Lit5p?= =?utf-8?B?aH?=", "中文"),
            (b"=?utf-8?B?5Lit5pa?= =?utf-8?B?H?=", "中文"),
            (b"=?utf-8?B?YQ?= =?utf-8?B?Yg?= =?utf-8?B?YWI?=", "abab"),
            (b"=?utf-8?B?YQ==?= =?utf-8?Q?b?= =?utf-8?B?Yw==?=", "abc"),
            (b"", ""),
        ] {
            assert_eq!(decode_field(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn parameters_read_as_they_were_meant() {
        for (value, expected) in [
            (&b"attachment; filename*=utf-8''%E3%82%82%E3%81%AE.pdf"[..], "もの.pdf"),
            (b"a; name*0*=iso-8859-1'fr'caf%E9; name*1=\"%41.txt\"", "café%41.txt"),
            (b"a; name*0=one; name*1=two", "onetwo"),
            (b"a; name*=x-none''abc", "abc"),
            (b"a; name*=%41b", "Ab"),
        ] {
            let text = searchable(value);
            assert!(text.ends_with(&[" ", expected].concat()), "{text}");
            assert!(text.starts_with(&*decode(value)), "{text}");
        }
        assert_eq!(searchable(b"a; name=b*c"), "a; name=b*c");
    }

    #[test]
    fn unclosed_words_take_linear_time() {
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
