//! Decodes Content-Transfer-Encoding (RFC 2045 section 6), as far as possible.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memchr;

/// The transfer encoding of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfer {
    /// None: 7bit, 8bit, binary, or no field.
    #[default]
    Identity,
    /// RFC 2045 section 6.7.
    QuotedPrintable,
    /// RFC 2045 section 6.8.
    Base64,
    /// Not known.
    Unknown,
}

/// Any tail is accepted, with or without padding: broken mail is read as far as it goes.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Octets of base64 gathered before they are decoded; fits in the first-level cache.
const STEP: usize = 8 << 10;

impl Transfer {
    /// ```abnf
    /// mechanism := "7bit" / "8bit" / "binary" / "quoted-printable" / "base64" /
    ///              ietf-token / x-token
    /// ```
    pub fn of_name(name: &[u8]) -> Transfer {
        match name.to_ascii_lowercase().as_slice() {
            b"7bit" | b"8bit" | b"binary" => Transfer::Identity,
            b"quoted-printable" => Transfer::QuotedPrintable,
            b"base64" => Transfer::Base64,
            _ => Transfer::Unknown,
        }
    }

    /// Decodes a body; an unknown encoding leaves it as it is.
    pub fn decode(self, body: &[u8]) -> Cow<'_, [u8]> {
        if matches!(self, Transfer::Identity | Transfer::Unknown) {
            return Cow::Borrowed(body);
        }
        let mut out = Vec::with_capacity(body.len());
        let mut decoder = Decoder::new(self);
        decoder.feed(body, &mut out);
        decoder.finish(&mut out);
        Cow::Owned(out)
    }

    /// Whether decoding changes the octets.
    #[must_use]
    pub fn decodes(self) -> bool {
        matches!(self, Transfer::QuotedPrintable | Transfer::Base64)
    }
}

/// Decodes a body that comes in pieces, wherever they are cut.
#[derive(Debug)]
pub struct Decoder {
    transfer: Transfer,
    /// Octets that cannot be decoded yet: base64 groups being gathered, or the end of a
    /// quoted-printable line.
    held: Vec<u8>,
}

impl Decoder {
    /// A decoder at the start of a body.
    #[must_use]
    pub fn new(transfer: Transfer) -> Decoder {
        Decoder { transfer, held: Vec::new() }
    }

    /// Takes the next octets and appends the decoded ones.
    pub fn feed(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match self.transfer {
            Transfer::Identity | Transfer::Unknown => out.extend_from_slice(octets),
            Transfer::QuotedPrintable => self.quoted_printable(octets, out),
            Transfer::Base64 => self.base64(octets, out),
        }
    }

    /// Ends the body.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match self.transfer {
            Transfer::Identity | Transfer::Unknown => {}
            Transfer::QuotedPrintable => unescape(&std::mem::take(&mut self.held), out),
            Transfer::Base64 => decode_groups(&mut self.held, out, true),
        }
    }

    /// Blanks at the end of a line were added in transit. An `=` followed by neither two hex digits
    /// nor a line end stands for itself.
    fn quoted_printable(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let mut rest = octets;
        while let Some(newline) = memchr(b'\n', rest) {
            let (line, tail) = (&rest[..newline], &rest[newline + 1..]);
            rest = tail;
            if self.held.is_empty() {
                unescape_line(line, out);
            } else {
                self.held.extend_from_slice(line);
                unescape_line(&self.held, out);
                self.held.clear();
            }
        }
        // Of an incomplete line, decode the part that its end cannot change.
        self.held.extend_from_slice(rest);
        let said = self.held.len() - open_end(&self.held);
        unescape(&self.held[..said], out);
        self.held.drain(..said);
    }

    /// Octets outside the alphabet are skipped, as RFC 2045 requires. Each `=` ends a group; what
    /// follows begins a new one.
    fn base64(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let mut rest = octets;
        while !rest.is_empty() {
            let line_end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, tail) = rest.split_at(line_end.min(STEP));
            rest = tail;
            self.held.extend_from_slice(line.trim_ascii_end());
            if self.held.len() >= STEP {
                decode_groups(&mut self.held, out, false);
            }
        }
    }
}

/// A quoted-printable line without its LF.
fn unescape_line(line: &[u8], out: &mut Vec<u8>) {
    let cr = line.iter().rev().take_while(|&&octet| octet == b'\r').count();
    let (text, end) = line.split_at(line.len() - cr);
    let blanks = text.iter().rev().take_while(|o| matches!(o, b' ' | b'\t')).count();
    let text = &text[..text.len() - blanks];
    let soft = text.strip_suffix(b"=");
    unescape(soft.unwrap_or(text), out);
    if soft.is_none() {
        out.extend_from_slice(end);
        out.push(b'\n');
    }
}

/// Octets at the end of an incomplete line whose meaning depends on what follows: blanks, an `=`
/// with at most one digit, the CR of the line end. A mebibyte of them is not waited for.
fn open_end(line: &[u8]) -> usize {
    const MOST: usize = 1 << 20;
    let open = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'=');
    let end = line.iter().rev().take_while(|&octet| open(octet)).count();
    let before = &line[..line.len() - end];
    let escape = before.iter().rev().take(2).position(|&octet| octet == b'=');
    match escape {
        _ if end > MOST => 0,
        Some(digits) if end == 0 => digits + 1,
        _ => end,
    }
}

/// Appends a text, replacing each `=XX` by its octet.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(equals) = memchr(b'=', rest) {
        out.extend_from_slice(&rest[..equals]);
        rest = &rest[equals + 1..];
        if let [high, low, tail @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = tail;
        } else {
            out.push(b'=');
        }
    }
    out.extend_from_slice(rest);
}

/// Decodes base64 as a whole.
pub(super) fn base64(body: &[u8]) -> Vec<u8> {
    Transfer::Base64.decode(body).into_owned()
}

/// Decodes what was gathered; keeps an incomplete last group unless `last`.
fn decode_groups(gathered: &mut Vec<u8>, out: &mut Vec<u8>, last: bool) {
    let whole = if last { gathered.len() } else { gathered.len() / 4 * 4 };
    let start = out.len();
    if BASE64.decode_vec(&gathered[..whole], out).is_ok() {
        gathered.drain(..whole);
        return;
    }
    // Other octets are among them: decode again, octet by octet.
    out.truncate(start);
    let mut clean = Vec::with_capacity(gathered.len());
    for &octet in &*gathered {
        if is_base64(octet) {
            clean.push(octet);
        } else if octet == b'=' {
            flush(&mut clean, out);
        }
    }
    let kept = if last { Vec::new() } else { clean.split_off(clean.len() / 4 * 4) };
    flush(&mut clean, out);
    *gathered = kept;
}

/// A single sextet at the end does not make an octet.
fn flush(group: &mut Vec<u8>, out: &mut Vec<u8>) {
    if group.len() % 4 == 1 {
        group.pop();
    }
    let decoded = BASE64.decode_vec(&*group, out);
    debug_assert!(decoded.is_ok(), "nothing but the alphabet was gathered");
    group.clear();
}

/// Whether an octet is in the base64 alphabet.
pub(super) fn is_base64(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'+' || octet == b'/'
}

/// The value of a hex digit in either case.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::header::content::mechanism;
    use crate::mime::header::fields::Fields;
    use proptest::prelude::*;

    #[test]
    fn mechanisms_are_read_in_any_dress() {
        for (header, expected) in [
            (&b"Content-Transfer-Encoding: base64\r\n"[..], Some(Transfer::Base64)),
            (b"Content-Transfer-Encoding: BASE64; x=y", Some(Transfer::Base64)),
            (
                b"Content-Transfer-Encoding:\r\n (a) quoted-Printable (sic",
                Some(Transfer::QuotedPrintable),
            ),
            (b"Content-Transfer-Encoding: 8bit", Some(Transfer::Identity)),
            (b"Content-Transfer-Encoding: base65", Some(Transfer::Unknown)),
            (b"Content-Transfer-Encoding: (base64)", None),
            (b"Content-Transfer-Encoding", None),
        ] {
            let field = Fields::new(header).next().expect("a field");
            let mechanism = mechanism(&field).map(|name| Transfer::of_name(&name));
            assert_eq!(mechanism, expected, "{}", header.escape_ascii());
        }
    }

    #[test]
    fn quoted_printable_is_forgiving() {
        for (body, expected) in [
            (&b"a=E9b=e9"[..], &b"a\xe9b\xe9"[..]),
            (b"so=\r\nft, so=\nft, so= \t\r\nft", b"soft, soft, soft"),
            (b"1=2, =3, =, ==3D", b"1=2, =3, =, =="),
            (b"=", b"="),
            (b"=4", b"=4"),
            (b"= a", b"= a"),
            (b"a \t\r\n b \n c ", b"a\r\n b\n c "),
            (b"a==\n=3D=\n=\n\nb", b"a==\nb"),
            (b"so=\r\r\nft\r\r\n", b"soft\r\r\n"),
        ] {
            let decoded = Transfer::QuotedPrintable.decode(body);
            assert_eq!(&*decoded, expected, "{}", decoded.escape_ascii());
        }
    }

    #[test]
    fn base64_is_forgiving() {
        for (body, expected) in [
            (&b"aGVsbG8gd29ybGQ=\r\n"[..], &b"hello world"[..]),
            (b"aGVs\nbG8gd2\r\n9ybGQ", b"hello world"),
            (b"aG!V-s bG8=aGVsbG8=", b"hellohello"),
            (b"aGVsbG8=\r\n!!!!aGVsbG8", b"hellohello"),
            (b"aGVsbA=", b"hell"),
            (b"aGVsb", b"hel"),
            (b"a", b""),
            (b"====", b""),
            (b"\xff\0", b""),
        ] {
            let decoded = base64(body);
            assert_eq!(decoded, expected, "{}", decoded.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            pieces in prop::collection::vec("[=4E9e \t\r\nQWx!-]{0,6}|=E9|=\r\n|QUJD", 0..20),
        ) {
            let body = pieces.concat();
            for transfer in [Transfer::QuotedPrintable, Transfer::Base64] {
                let mut out = Vec::new();
                let mut decoder = Decoder::new(transfer);
                pieces.iter().for_each(|piece| decoder.feed(piece.as_bytes(), &mut out));
                decoder.finish(&mut out);
                prop_assert_eq!(&out, &*transfer.decode(body.as_bytes()), "{:?}", transfer);
            }
        }

        #[test]
        fn base64_in_any_lines_comes_back(
            octets in prop::collection::vec(any::<u8>(), 0..60_000),
            width in 1_usize..30_000,
            between in prop::sample::select(vec!["\r\n", "\n", " \n", "!\n-"]),
        ) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&octets);
            let lines: Vec<&[u8]> = encoded.as_bytes().chunks(width).collect();
            prop_assert_eq!(super::base64(&lines.join(between.as_bytes())), octets);
        }
    }
}
