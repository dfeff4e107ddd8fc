//! Charsets that are not in the Encoding Standard, and charsets that switch between character sets,
//! which the Standard decodes less forgivingly than mail requires.
//!
//! All of them accept octets in any pieces. Charsets that switch start each line in their initial
//! state, as RFC 1468, 1557, 1843 and 2152 require of senders.

use encoding_rs::{EUC_JP, EUC_KR, Encoding, GBK, ISO_8859_7, WINDOWS_1252};
use oem_cp::code_table::DECODING_TABLE_CP_MAP;

/// A charset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mime) enum Kind {
    /// ISO-2022-JP with all its extensions (RFC 1468, 1554, 2237), ISO-2022-KR (RFC 1557).
    Iso2022,
    /// HZ (RFC 1843).
    Hz,
    /// UTF-7 (RFC 2152).
    Utf7,
    /// UTF-32 in the byte order of its mark, else big-endian.
    Utf32,
    /// UTF-32, little-endian.
    Utf32Le,
    /// A DOS or Windows code page.
    Page(u16),
}

/// A character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Ascii,
    /// JIS X 0201, left half: ASCII with two characters replaced.
    Roman,
    /// JIS X 0201, right half: katakana.
    Kana,
    /// JIS X 0208. JIS X 0213 has nearly all of its characters in the same positions.
    Jis208,
    /// JIS X 0212.
    Jis212,
    /// GB 2312.
    Chinese,
    /// KS X 1001.
    Korean,
    /// The upper half of ISO 8859-7 if true, else of ISO 8859-1.
    Upper(bool),
}

/// A decoder for text that comes in pieces.
#[derive(Clone, Debug)]
pub(in crate::mime) struct Shifting {
    kind: Kind,
    /// The current set, the set that SO switches to, and whether it did.
    set: Set,
    other: Set,
    out: bool,
    /// Whether ESC N takes a character of ISO 8859-7 rather than 8859-1.
    greek: bool,
    /// Octets of the current set, and of an incomplete escape sequence or word.
    run: Vec<u8>,
    escape: Vec<u8>,
    /// Pending bits of UTF-7, and their number.
    bits: (u32, u32),
    /// Whether a UTF-7 word has more than its `+`.
    begun: bool,
    /// Whether it has switched to Japanese.
    pub japanese: bool,
}

impl Shifting {
    pub fn new(kind: Kind) -> Shifting {
        Shifting {
            kind,
            set: Set::Ascii,
            other: Set::Korean,
            out: false,
            greek: false,
            run: Vec::new(),
            escape: Vec::new(),
            bits: (0, 0),
            begun: false,
            japanese: false,
        }
    }

    /// Decodes the next octets and appends their text.
    pub fn feed(&mut self, octets: &[u8], text: &mut String) {
        match self.kind {
            Kind::Page(page) => {
                if let Some(table) = DECODING_TABLE_CP_MAP.get(&page) {
                    text.push_str(&table.decode_string_lossy(octets));
                }
            }
            Kind::Utf32 | Kind::Utf32Le => self.utf32(octets, text),
            Kind::Utf7 => octets.iter().for_each(|&octet| self.utf7(octet, text)),
            Kind::Hz => octets.iter().for_each(|&octet| self.hz(octet, text)),
            Kind::Iso2022 => self.iso2022(octets, text),
        }
    }

    /// Ends the text.
    pub fn finish(&mut self, text: &mut String) {
        match self.kind {
            Kind::Utf7 => self.end_word(text),
            Kind::Utf32 | Kind::Utf32Le | Kind::Page(_) if self.run.is_empty() => {}
            Kind::Utf32 | Kind::Utf32Le | Kind::Page(_) => text.push(char::REPLACEMENT_CHARACTER),
            Kind::Hz | Kind::Iso2022 => {
                self.end_run(text);
                if !self.escape.is_empty() {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
    }

    fn utf32(&mut self, octets: &[u8], text: &mut String) {
        for &octet in octets {
            self.run.push(octet);
            let Ok(four) = <[u8; 4]>::try_from(&*self.run) else { continue };
            self.run.clear();
            match four {
                [0xff, 0xfe, 0, 0] => self.kind = Kind::Utf32Le,
                [0, 0, 0xfe, 0xff] => self.kind = Kind::Utf32,
                _ => {
                    let code = match self.kind {
                        Kind::Utf32Le => u32::from_le_bytes(four),
                        _ => u32::from_be_bytes(four),
                    };
                    text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
        }
    }

    /// In UTF-7 mode, `out` means within a base64 word, and `run` holds its UTF-16.
    fn utf7(&mut self, octet: u8, text: &mut String) {
        if !self.out {
            match octet {
                b'+' => (self.out, self.begun, self.bits) = (true, false, (0, 0)),
                0x80.. => text.push(char::REPLACEMENT_CHARACTER),
                _ => text.push(char::from(octet)),
            }
            return;
        }
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => {
                self.end_word(text);
                match octet {
                    b'-' if !self.begun => text.push('+'),
                    b'-' => {}
                    _ => self.utf7(octet, text),
                }
                return;
            }
        };
        self.begun = true;
        let (bits, count) = (self.bits.0 << 6 | u32::from(value), self.bits.1 + 6);
        self.bits = (bits, count);
        if count >= 16 {
            let unit = (bits >> (count - 16)) as u16;
            self.run.extend(unit.to_be_bytes());
            self.bits = (bits & ((1 << (count - 16)) - 1), count - 16);
            // A high surrogate waits for its other half.
            if !(0xd800..0xdc00).contains(&unit) {
                self.end_units(text);
            }
        }
    }

    fn end_units(&mut self, text: &mut String) {
        let units = self.run.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]]));
        text.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        self.run.clear();
    }

    fn end_word(&mut self, text: &mut String) {
        self.end_units(text);
        (self.out, self.bits) = (false, (0, 0));
    }

    fn hz(&mut self, octet: u8, text: &mut String) {
        if std::mem::take(&mut self.escape) == b"~" {
            match octet {
                b'{' => self.turn(Set::Chinese, text),
                b'}' => self.turn(Set::Ascii, text),
                b'~' => self.put(b'~', text),
                b'\n' => {}
                _ => {
                    self.put(b'~', text);
                    self.hz(octet, text);
                }
            }
        } else if octet == b'~' && (self.set == Set::Ascii || self.run.len().is_multiple_of(2)) {
            self.escape.push(octet);
        } else {
            self.put(octet, text);
        }
    }

    fn iso2022(&mut self, octets: &[u8], text: &mut String) {
        let mut rest = octets;
        while let Some((&octet, tail)) = rest.split_first() {
            let plain = self.set == Set::Ascii && !self.out && self.escape.is_empty();
            if plain && self.run.is_empty() {
                let ascii = |octet: &u8| octet.is_ascii() && !matches!(octet, 0x0e | 0x0f | 0x1b);
                let length = rest.iter().position(|o| !ascii(o)).unwrap_or(rest.len());
                text.push_str(std::str::from_utf8(&rest[..length]).unwrap_or_default());
                if length > 0 {
                    rest = &rest[length..];
                    continue;
                }
            }
            rest = tail;
            if !self.escape.is_empty() {
                self.escape.push(octet);
                self.switch(text);
                continue;
            }
            match octet {
                0x1b => self.escape.push(octet),
                0x0e | 0x0f => {
                    self.end_run(text);
                    self.out = octet == 0x0e;
                }
                _ => self.put(octet, text),
            }
        }
    }

    /// Handles an escape sequence, if it is complete.
    fn switch(&mut self, text: &mut String) {
        let set = match &self.escape[1..] {
            b"(B" => Set::Ascii,
            b"(J" | b"(H" => Set::Roman,
            b"(I" => Set::Kana,
            b"$@" | b"$B" | b"$(@" | b"$(B" | b"$(O" | b"$(Q" => Set::Jis208,
            b"$(D" => Set::Jis212,
            b"$A" | b"$(A" => Set::Chinese,
            b"$(C" => Set::Korean,
            b"$)C" | b"$)A" => {
                self.other = if self.escape[3] == b'C' { Set::Korean } else { Set::Chinese };
                return self.escape.clear();
            }
            b".A" | b".F" => {
                self.greek = self.escape[2] == b'F';
                return self.escape.clear();
            }
            [b'N', octet] => {
                let octet = octet | 0x80;
                self.end_run(text);
                push(&[octet], Set::Upper(self.greek), text);
                return self.escape.clear();
            }
            b"" | b"(" | b"$" | b"$(" | b"$)" | b"." | b"N" => return,
            // Not an escape sequence: its octets are text.
            _ => {
                let octets = std::mem::take(&mut self.escape);
                octets.iter().for_each(|&octet| self.put(octet, text));
                return;
            }
        };
        self.japanese |= matches!(&*self.escape, b"\x1b$@" | b"\x1b$B" | b"\x1b$(D");
        self.escape.clear();
        self.turn(set, text);
    }

    fn turn(&mut self, set: Set, text: &mut String) {
        self.end_run(text);
        (self.set, self.out) = (set, false);
    }

    /// Takes an octet of the current set.
    fn put(&mut self, octet: u8, text: &mut String) {
        if (0x21..0x7f).contains(&octet) {
            self.run.push(octet);
            if self.run.len() >= 1 << 10 && self.run.len().is_multiple_of(2) {
                self.end_run(text);
            }
            return;
        }
        self.end_run(text);
        text.push(if octet.is_ascii() { char::from(octet) } else { char::REPLACEMENT_CHARACTER });
        if octet == b'\n' {
            (self.set, self.out) = (Set::Ascii, false);
        }
    }

    fn end_run(&mut self, text: &mut String) {
        let set = if self.out { self.other } else { self.set };
        push(&self.run, set, text);
        self.run.clear();
    }
}

/// Appends the text of octets of a set.
fn push(octets: &[u8], set: Set, text: &mut String) {
    let with = |prefix: &[u8], width: usize| -> Vec<u8> {
        let upper = |octets: &[u8]| octets.iter().map(|octet| octet | 0x80).collect::<Vec<u8>>();
        octets.chunks(width).flat_map(|octets| [prefix, &upper(octets)].concat()).collect()
    };
    let (encoding, octets): (&Encoding, Vec<u8>) = match set {
        Set::Ascii => return text.extend(octets.iter().map(|&octet| char::from(octet))),
        Set::Roman => {
            let roman = |&octet: &u8| match octet {
                b'\\' => '¥',
                b'~' => '‾',
                octet => char::from(octet),
            };
            return text.extend(octets.iter().map(roman));
        }
        Set::Kana => (EUC_JP, with(&[0x8e], 1)),
        Set::Jis208 => (EUC_JP, with(&[], 2)),
        Set::Jis212 => (EUC_JP, with(&[0x8f], 2)),
        Set::Chinese => (GBK, with(&[], 2)),
        Set::Korean => (EUC_KR, with(&[], 2)),
        Set::Upper(false) => (WINDOWS_1252, octets.to_vec()),
        Set::Upper(true) => (ISO_8859_7, octets.to_vec()),
    };
    text.push_str(&encoding.decode_without_bom_handling(&octets).0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of several sizes; all must agree.
    fn decode(kind: Kind, octets: &[u8]) -> String {
        let mut whole = String::new();
        let mut shifting = Shifting::new(kind);
        shifting.feed(octets, &mut whole);
        shifting.finish(&mut whole);
        for length in 1..octets.len() {
            let (mut pieces, mut shifting) = (String::new(), Shifting::new(kind));
            octets.chunks(length).for_each(|piece| shifting.feed(piece, &mut pieces));
            shifting.finish(&mut pieces);
            assert_eq!(pieces, whole, "in pieces of {length}");
        }
        whole
    }

    #[test]
    fn sets_are_switched() {
        for (octets, expected) in [
            (&b"a\x1b$BF|K\\\x1b(Bb"[..], "a日本b"),
            (b"\x1b$BF|\x1b(B\x1b$BK\\\x1b(B", "日本"),
            (b"\x1b$BF|\nK", "日\nK"),
            (b"\x1b(I1\x1b(J\\~", "ｱ¥‾"),
            (b"\x1b$(D\x22\x6f", "™"),
            (b"\x1b$A\x56\x50\x1b$(C\x30\x21\x1b(B", "中가"),
            (b"\x1b.A\x1bNi\x1b.F\x1bNa", "éα"),
            (b"\x1b$)C\x0e\x30\x21\x0f a\n\x0e\x30\x21", "가 a\n가"),
            (b"\x1b[1m\xe9", "\x1b[1m\u{fffd}"),
            (b"\x1b$BF", "\u{fffd}"),
            (b"\x1b$BF \x1b", "\u{fffd} \u{fffd}"),
        ] {
            assert_eq!(decode(Kind::Iso2022, octets), expected, "{}", octets.escape_ascii());
        }
        for (octets, expected) in [
            (&b"a~{VPND~}b~~c~\nd"[..], "a中文b~cd"),
            (b"~{VP\nND", "中\nND"),
            (b"~x~", "~x\u{fffd}"),
        ] {
            assert_eq!(decode(Kind::Hz, octets), expected, "{}", octets.escape_ascii());
        }
    }

    #[test]
    fn words_of_unicode() {
        for (octets, expected) in [
            (&b"+AQ0-e+AWE-tina"[..], "čeština"),
            (b"1 +- 1 +AOk", "1 + 1 é"),
            (b"+2D3eAA-.", "😀."),
            (b"+AOk.+AOkA6Q-\xe9", "é.éé\u{fffd}"),
            (b"+2D0-", "\u{fffd}"),
        ] {
            assert_eq!(decode(Kind::Utf7, octets), expected, "{}", octets.escape_ascii());
        }
        assert_eq!(decode(Kind::Utf32, b"\0\0\0a\0\0\x01\x0d\0\x11\0\0\0"), "ač\u{fffd}\u{fffd}");
        assert_eq!(decode(Kind::Utf32, b"\xff\xfe\0\0a\0\0\0"), "a");
        assert_eq!(decode(Kind::Utf32Le, b"a\0\0\0"), "a");
        assert_eq!(decode(Kind::Page(852), b"\x9fe"), "če");
    }
}
