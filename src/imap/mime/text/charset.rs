//! Charsets of mail and of search strings.

use std::borrow::Cow;
use std::fmt;

use encoding_rs::{Encoding, UTF_8, UTF_16LE, WINDOWS_1252};
use memchr::{memchr, memmem};
use oem_cp::code_table::DECODING_TABLE_CP_MAP;

use super::shifting::{Kind, Shifting};

/// The charsets that BADCHARSET lists (RFC 3501 section 7.1): those in common use. More are
/// accepted.
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

/// Names used in mail for charsets of the Encoding Standard, which does not have these names.
const ALIASES: [(&str, &str); 32] = [
    ("932", "shift_jis"),
    ("936", "gbk"),
    ("949", "euc-kr"),
    ("950", "big5"),
    ("51932", "euc-jp"),
    ("51949", "euc-kr"),
    ("20866", "koi8-r"),
    ("21866", "koi8-u"),
    ("28591", "iso-8859-1"),
    ("28592", "iso-8859-2"),
    ("28605", "iso-8859-15"),
    ("65001", "utf-8"),
    ("54936", "gb18030"),
    ("10000", "macintosh"),
    ("874", "windows-874"),
    ("819", "windows-1252"),
    ("eucjp", "euc-jp"),
    ("ujis", "euc-jp"),
    ("eucjp-ms", "euc-jp"),
    ("euckr", "euc-kr"),
    ("uhc", "euc-kr"),
    ("euccn", "gbk"),
    ("euc-cn", "gbk"),
    ("gb-2312", "gbk"),
    ("gb2312-80", "gbk"),
    ("big-5", "big5"),
    ("shiftjis", "shift_jis"),
    ("ms-kanji", "shift_jis"),
    ("koi", "koi8-r"),
    ("koi8-ru", "koi8-u"),
    ("tis-620", "windows-874"),
    ("utf8mb4", "utf-8"),
];

/// Charsets that the Encoding Standard does not have, or maps to an error.
const OTHERS: [(&str, Kind); 19] = [
    ("iso-2022-jp", Kind::Iso2022),
    ("csiso2022jp", Kind::Iso2022),
    ("iso-2022-jp-ms", Kind::Iso2022),
    ("iso-2022-jp-1", Kind::Iso2022),
    ("iso-2022-jp-2", Kind::Iso2022),
    ("iso-2022-jp-3", Kind::Iso2022),
    ("iso-2022-jp-2004", Kind::Iso2022),
    ("iso-2022-kr", Kind::Iso2022),
    ("csiso2022kr", Kind::Iso2022),
    ("50220", Kind::Iso2022),
    ("50221", Kind::Iso2022),
    ("50222", Kind::Iso2022),
    ("50225", Kind::Iso2022),
    ("hz-gb-2312", Kind::Hz),
    ("utf-7", Kind::Utf7),
    ("unicode-1-1-utf-7", Kind::Utf7),
    ("utf-32", Kind::Utf32),
    ("utf-32be", Kind::Utf32),
    ("utf-32le", Kind::Utf32Le),
];

/// The charset is unknown. [`CHARSETS`] lists some that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCharset;

impl fmt::Display for BadCharset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("unknown charset")
    }
}

impl std::error::Error for BadCharset {}

/// How to decode octets to text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::mime) enum Charset {
    /// No charset, or US-ASCII, which senders declare by mistake. It is ISO-2022-JP if the text
    /// switches to Japanese, else UTF-8 if valid, else Windows-1252, a superset of Latin 1.
    Unknown,
    /// A charset of the Encoding Standard.
    Standard(&'static Encoding),
    /// Any other charset.
    Other(Kind),
}

impl Charset {
    /// The charset with this name, in any case.
    pub fn of_name(name: &[u8]) -> Result<Charset, BadCharset> {
        // Much shorter or longer names are not worth a lookup.
        let name = name.trim_ascii();
        let name = std::str::from_utf8(name).map_err(|_| BadCharset)?;
        if !(2..=60).contains(&name.len()) {
            return Err(BadCharset);
        }
        let written = Encoding::for_label_no_replacement(name.as_bytes());
        let name = name.to_ascii_lowercase().replace('_', "-");
        let known = Charset::named(&name).or_else(|| written.map(Charset::Standard));
        let known = known.or_else(|| Charset::named(name.strip_prefix("x-")?));
        known.or_else(|| Charset::of_number(&name)).ok_or(BadCharset)
    }

    fn named(name: &str) -> Option<Charset> {
        if matches!(name, "us-ascii" | "ascii" | "ansi-x3.4-1968" | "unknown-8bit") {
            return Some(Charset::Unknown);
        }
        if let Some((_, kind)) = OTHERS.iter().find(|(other, _)| *other == name) {
            return Some(Charset::Other(*kind));
        }
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let label = alias.map_or(name, |(_, label)| label).as_bytes();
        let underscores = || Encoding::for_label_no_replacement(name.replace('-', "_").as_bytes());
        Encoding::for_label_no_replacement(label).or_else(underscores).map(Charset::Standard)
    }

    /// A code page by number: `cp850`, `ibm-852`, `windows1252`, `ms949`.
    fn of_number(name: &str) -> Option<Charset> {
        let name = name.strip_prefix("x-").unwrap_or(name);
        let names =
            ["cp-", "cp", "ibm-", "ibm", "windows-", "windows", "win-", "win", "ms", "dos-"];
        let number = names.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        let page: u16 = number.parse().ok()?;
        let known = Charset::named(&format!("windows-{number}")).or_else(|| Charset::named(number));
        let oem = || DECODING_TABLE_CP_MAP.get(&page).map(|_| Charset::Other(Kind::Page(page)));
        known.or_else(oem)
    }

    /// Whether decoding these octets changes nothing.
    pub fn is_plain(self, octets: &[u8]) -> bool {
        let keeps_ascii = match self {
            Charset::Unknown => !is_japanese(octets),
            Charset::Standard(encoding) => encoding.is_ascii_compatible(),
            Charset::Other(kind) => matches!(kind, Kind::Page(_)),
        };
        keeps_ascii && octets.is_ascii()
    }

    /// Decodes octets; invalid ones become U+FFFD.
    pub fn decode(self, octets: &[u8]) -> Cow<'_, str> {
        match self {
            Charset::Unknown if is_japanese(octets) && octets.is_ascii() => {
                Charset::Other(Kind::Iso2022).decode(octets)
            }
            Charset::Unknown => match std::str::from_utf8(octets) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => guess(octets),
            },
            // Here a byte order mark for the other order is followed.
            Charset::Standard(encoding) if encoding == UTF_16LE => encoding.decode(octets).0,
            Charset::Standard(encoding) => encoding.decode_with_bom_removal(octets).0,
            Charset::Other(kind) => {
                let (mut text, mut shifting) = (String::new(), Shifting::new(kind));
                shifting.feed(octets, &mut text);
                shifting.finish(&mut text);
                Cow::Owned(text)
            }
        }
    }
}

/// Whether a text switches to Japanese as in ISO-2022-JP.
pub(in crate::mime) fn is_japanese(octets: &[u8]) -> bool {
    const ESCAPES: [&[u8]; 3] = [b"\x1b$B", b"\x1b$@", b"\x1b$(D"];
    let Some(first) = memchr(0x1b, octets) else { return false };
    ESCAPES.iter().any(|escape| memmem::find(&octets[first..], escape).is_some())
}

/// Decodes octets that are not valid UTF-8. They stay UTF-8 if most of what is not ASCII is valid.
fn guess(octets: &[u8]) -> Cow<'_, str> {
    let (text, _) = UTF_8.decode_without_bom_handling(octets);
    let mut sound = Sound::default();
    sound.count(&text);
    if sound.is_utf8() { text } else { WINDOWS_1252.decode_without_bom_handling(octets).0 }
}

/// How much of a text decoded as UTF-8 was valid.
#[derive(Clone, Debug, Default)]
pub(super) struct Sound {
    broken: u64,
    sound: u64,
}

impl Sound {
    pub fn count(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_ascii()) {
            if c == char::REPLACEMENT_CHARACTER { self.broken += 1 } else { self.sound += 1 }
        }
    }

    pub fn is_utf8(&self) -> bool {
        self.sound > self.broken
    }
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
        assert_eq!(decode("us-ascii", b"a\x1b$B$\"\x1b(B"), "aあ");
        assert_eq!(decode("us-ascii", b"\x1b[1m"), "\x1b[1m");
        assert_eq!(decode("utf-16", b"\xfe\xff\0a"), "a");
        assert_eq!(decode("utf-16", b"a\0"), "a");
    }

    /// Names found in real mail, in any spelling.
    #[test]
    fn labels_of_real_mail_are_known() {
        let japanese = "日本語";
        let (sjis, _, _) = encoding_rs::SHIFT_JIS.encode(japanese);
        for name in ["cp932", "CP-932", "ms932", "windows-31j", "x-sjis", "MS_Kanji", "ibm932"] {
            assert_eq!(decode(name, &sjis), japanese, "{name}");
        }
        let (euc, _, _) = encoding_rs::EUC_JP.encode(japanese);
        for name in ["eucjp", "x-euc-jp", "EUC_JP", "cp51932"] {
            assert_eq!(decode(name, &euc), japanese, "{name}");
        }
        let jis = b"\x1b$BF|K\\8l\x1b(B";
        for name in ["iso-2022-jp-ms", "iso-2022-jp-1", "ISO-2022-JP-3", "cp50220", "csISO2022JP"] {
            assert_eq!(decode(name, jis), japanese, "{name}");
        }
        let (korean, _, _) = encoding_rs::EUC_KR.encode("안녕하세요");
        for name in ["cp949", "ms949", "uhc", "euckr", "ks_c_5601-1987"] {
            assert_eq!(decode(name, &korean), "안녕하세요", "{name}");
        }
        assert_eq!(decode("cp950", b"\xa4\xa4\xa4\xe5"), "中文");
        assert_eq!(decode("cp936", b"\xd6\xd0\xce\xc4"), "中文");
        for name in ["cp852", "ibm852", "IBM-852"] {
            assert_eq!(decode(name, b"\x9fe\xe7tina"), "čeština", "{name}");
        }
        assert_eq!(decode("cp437", b"Gr\x81\xe1e"), "Grüße");
        assert_eq!(decode("cp850", b"\x81"), "ü");
        assert_eq!(decode("win-1251", b"\xcf"), "П");
        assert_eq!(decode("windows1252", b"\x80"), "€");
        assert_eq!(decode("iso8859-15", b"\xa4"), "€");
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
        for name in ["", "x", "x-unknown", "utf-99", "iso-2022-cn", "12345", "cp99999", &long] {
            assert!(Charset::of_name(name.as_bytes()).is_err(), "{name}");
        }
    }
}
