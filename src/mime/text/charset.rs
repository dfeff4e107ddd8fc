//! Charsets of mail, and of what SEARCH asks for.

use std::borrow::Cow;
use std::fmt;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use mail_parser::decoders::charsets::DecoderFnc;
use mail_parser::decoders::charsets::map::charset_decoder;

/// What BADCHARSET lists (RFC 3501 section 7.1): the charsets in use. More are taken.
pub const CHARSETS: [&str; 16] = [
    "US-ASCII",
    "UTF-8",
    "ISO-8859-1",
    "ISO-8859-2",
    "ISO-8859-5",
    "ISO-8859-7",
    "ISO-8859-15",
    "WINDOWS-1250",
    "WINDOWS-1251",
    "WINDOWS-1252",
    "KOI8-R",
    "ISO-2022-JP",
    "SHIFT_JIS",
    "EUC-KR",
    "GB18030",
    "BIG5",
];

/// That a charset is none we know. [`CHARSETS`] are some that we do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCharset;

impl fmt::Display for BadCharset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("unknown charset")
    }
}

impl std::error::Error for BadCharset {}

/// How octets become text.
#[derive(Clone, Copy)]
pub(in crate::mime) enum Charset {
    /// None, or US-ASCII, which senders say when they mean none: UTF-8 if the octets are, else
    /// Windows-1252, which is a superset of Latin 1.
    Unknown,
    /// One of the Encoding Standard.
    Standard(&'static Encoding),
    /// One that only mail-parser knows: UTF-7 and those of old PCs.
    Other(DecoderFnc),
}

impl Charset {
    /// The charset of this name, in any case.
    pub fn of_name(name: &[u8]) -> Result<Charset, BadCharset> {
        let name = name.trim_ascii();
        let ascii: [&[u8]; 4] = [b"us-ascii", b"ascii", b"ansi_x3.4-1968", b"unknown-8bit"];
        if ascii.iter().any(|ascii| name.eq_ignore_ascii_case(ascii)) {
            return Ok(Charset::Unknown);
        }
        if let Some(encoding) = Encoding::for_label_no_replacement(name) {
            return Ok(Charset::Standard(encoding));
        }
        // Those of the Encoding Standard that nobody may decode any more, ISO-2022-KR and the like.
        if Encoding::for_label(name).is_some() {
            return Err(BadCharset);
        }
        // Names of an octet or of a hundred are not worth asking for.
        let plausible = (2..=40).contains(&name.len());
        let decoder = if plausible { charset_decoder(name) } else { None };
        decoder.map(Charset::Other).ok_or(BadCharset)
    }

    /// Whether octets below 128 are always themselves, wherever they stand.
    pub fn keeps_ascii(self) -> bool {
        match self {
            Charset::Unknown => true,
            Charset::Standard(encoding) => encoding.is_ascii_compatible(),
            Charset::Other(_) => false,
        }
    }

    /// The text of some octets; what is no text becomes U+FFFD.
    pub fn decode(self, octets: &[u8]) -> Cow<'_, str> {
        match self {
            Charset::Unknown => match std::str::from_utf8(octets) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => guess(octets),
            },
            Charset::Standard(encoding) => encoding.decode_with_bom_removal(octets).0,
            Charset::Other(decoder) => Cow::Owned(decoder(octets)),
        }
    }
}

/// Octets that are not whole UTF-8: they stay UTF-8 when most of what is not ASCII is sound.
fn guess(octets: &[u8]) -> Cow<'_, str> {
    let (text, _) = UTF_8.decode_without_bom_handling(octets);
    let broken = text.chars().filter(|&c| c == char::REPLACEMENT_CHARACTER).count();
    let sound = text.chars().filter(|c| !c.is_ascii()).count() - broken;
    if sound > broken { text } else { WINDOWS_1252.decode_without_bom_handling(octets).0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(name: &str, octets: &[u8]) -> String {
        let charset = Charset::of_name(name.as_bytes()).map_err(|_| name).expect("known");
        charset.decode(octets).into_owned()
    }

    #[test]
    fn known_charsets_are_decoded() {
        assert_eq!(decode("UTF-8", b"\xc3\xa9"), "é");
        assert_eq!(decode("iso-8859-1", b"\xe9"), "é");
        assert_eq!(decode(" KOI8-R ", b"\xc1"), "а");
        assert_eq!(decode("iso-2022-jp", b"\x1b$B$\"\x1b(B"), "あ");
        assert_eq!(decode("utf-7", b"+AOk-"), "é");
        assert_eq!(decode("us-ascii", b"\xc3\xa9"), "é");
        assert_eq!(decode("us-ascii", b"\xe9"), "é");
        assert_eq!(decode("us-ascii", b"\xc3\xa9\xc3\xa9\xff"), "éé\u{fffd}");
    }

    #[test]
    fn all_that_badcharset_lists_are_known() {
        for name in CHARSETS {
            assert!(Charset::of_name(name.as_bytes()).is_ok(), "{name}");
        }
    }

    #[test]
    fn unknown_charsets_are_refused() {
        let long = "x".repeat(1000);
        for name in ["", "x", "x-unknown", "utf-99", "iso-2022-cn", "hz-gb-2312", &long] {
            assert!(Charset::of_name(name.as_bytes()).is_err(), "{name}");
        }
    }
}
