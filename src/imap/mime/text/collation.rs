//! i;unicode-casemap (RFC 5051), the comparison of SEARCH, SORT and THREAD.

use std::sync::OnceLock;

use unicode_normalization::char::decompose_compatible;

/// Characters below this, which include most with case, are in the table.
const TABLE: u32 = 0x3100;

/// The text with each character converted to title case and then decomposed (i;unicode-casemap).
/// Two texts are equal if their maps are, and one contains the other if its map does. Each
/// character is mapped on its own, so the map of a text is the concatenation of its pieces' maps.
/// ASCII becomes upper case.
#[must_use]
pub fn casemap(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    casemap_into(text, &mut out);
    String::from_utf8(out).expect("characters become characters")
}

/// Appends the [`casemap`] of a text.
pub(in crate::mime) fn casemap_into(text: &str, out: &mut Vec<u8>) {
    let table = table();
    let octets = text.as_bytes();
    let (mut at, mut end) = (0, out.len());
    // Reserved up front for the longest mapping, so that the loop need not check.
    out.resize(end + room(octets.len()), 0);
    while at < octets.len() {
        if octets[at].is_ascii() {
            let Some(word) = octets[at..].first_chunk() else {
                out[end] = octets[at].to_ascii_uppercase();
                (at, end) = (at + 1, end + 1);
                continue;
            };
            let word = u64::from_le_bytes(*word);
            let length = (word & HIGH).trailing_zeros() as usize / 8;
            put(out, end, uppercase(word));
            (at, end) = (at + length, end + length);
            if length == 8 {
                continue;
            }
        }
        let rest = &octets[at..];
        let (code, mut length) = code_point(rest);
        match table.get(code as usize) {
            Some(&entry) if entry != LONG => {
                put(out, end, entry);
                end += (entry >> 56) as usize;
            }
            // Chinese characters have neither case nor decomposition, and are the most numerous.
            _ if matches!(code, 0x4000..=0x9fff) => {
                let chinese = |three: &&[u8]| matches!(three[0], 0xe4..=0xe9);
                length = 3 * rest.chunks_exact(3).take_while(chinese).count();
                out[end..end + length].copy_from_slice(&rest[..length]);
                end += length;
            }
            _ if matches!(code, 0xac00..=0xd7a3) => end = put_hangul(code - 0xac00, out, end),
            _ => end = put_rare(&text[at..], out, end),
        }
        at += length;
    }
    out.truncate(end);
}

/// Writes the letters of a Hangul syllable (Unicode section 3.12). Returns the new end.
fn put_hangul(syllable: u32, out: &mut [u8], end: usize) -> usize {
    let (lead, vowel, trail) = (syllable / 588, syllable % 588 / 28, syllable % 28);
    put(out, end, utf8_3(0x1100 + lead));
    put(out, end + 3, utf8_3(0x1161 + vowel));
    put(out, end + 6, utf8_3(0x11a7 + trail));
    // The first trailing letter stands for none.
    end + if trail == 0 { 6 } else { 9 }
}

/// The UTF-8 of a three-octet character, first octet lowest.
fn utf8_3(code: u32) -> u64 {
    let six = |bits: u32| u64::from(bits & 0x3f | 0x80);
    u64::from(code >> 12 | 0xe0) | six(code >> 6) << 8 | six(code) << 16
}

/// Upper bound on the mapped length of `length` octets, without rare characters: two become at most
/// seven, and the last word is written whole.
fn room(length: usize) -> usize {
    4 * length + 8
}

/// Writes a whole word, lowest octet first, which is faster than only its used octets.
#[inline]
fn put(out: &mut [u8], end: usize, word: u64) {
    out[end..end + 8].copy_from_slice(&word.to_le_bytes());
}

/// Maps the first character of a text, which is not in the table. Returns the new end.
fn put_rare(text: &str, out: &mut Vec<u8>, mut end: usize) -> usize {
    text.chars().take(1).for_each(|c| {
        decompose_compatible(titlecase(c), |part| {
            let after = end + part.len_utf8();
            if out.len() < after + room(text.len()) {
                out.resize(after + room(text.len()), 0);
            }
            part.encode_utf8(&mut out[end..after]);
            end = after;
        });
    });
    end
}

/// The non-ASCII character at the start, and its octets. For a four-octet character, which is in no
/// table, only the code is returned.
///
/// ```abnf
/// UTF8-2 = %xC2-DF UTF8-tail                                        ; RFC 3629 section 4
/// UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) / ...
/// ```
#[inline]
fn code_point(octets: &[u8]) -> (u32, usize) {
    let six = |octet: u8| u32::from(octet & 0x3f);
    match *octets {
        [a, b, ..] if a < 0xe0 => (six(a & 0x1f) << 6 | six(b), 2),
        [a, b, c, ..] if a < 0xf0 => (six(a & 0xf) << 12 | six(b) << 6 | six(c), 3),
        _ => (u32::MAX, 4),
    }
}

/// The highest bit of each octet.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The lowest bit of each octet.
const LOW: u64 = 0x0101_0101_0101_0101;

/// Upper case of eight octets at once; the result for non-ASCII octets is arbitrary.
///
/// Additions to seven-bit octets never carry into the next octet, so their highest bits work as
/// eight comparisons. Upper and lower case differ in the bit 0x20. For four octets:
///
/// ```text
/// word                      a    Z    z    {      61 5a 7a 7b
/// + 1f: is it at least a?                         80 79 99 9a
/// + 05: is it beyond z?                           66 5f 7f 80
/// from_a & !beyond_z & 80                         80 00 80 00
/// >> 2, then xor            A    Z    Z    {      41 5a 5a 7b
/// ```
fn uppercase(word: u64) -> u64 {
    let seven = word & !HIGH;
    // The highest bit of each octet tells which are at least `a`, and which are beyond `z`.
    let from_a = seven + LOW * u64::from(0x80 - b'a');
    let beyond_z = seven + LOW * u64::from(0x7f - b'z');
    word ^ ((from_a & !beyond_z & HIGH) >> 2)
}

/// Marks a mapping too long for a table entry.
const LONG: u64 = 0;

/// The mapping of each character: its octets, first lowest, and their number in the highest octet.
fn table() -> &'static [u64] {
    static MAPPED: OnceLock<Box<[u64]>> = OnceLock::new();
    MAPPED.get_or_init(|| (0..TABLE).map(entry).collect())
}

fn entry(code: u32) -> u64 {
    let mut mapped = String::new();
    if let Some(c) = char::from_u32(code) {
        decompose_compatible(titlecase(c), |part| mapped.push(part));
    }
    let mut entry = [0; 8];
    let Some(place) = entry[..7].get_mut(..mapped.len()) else { return LONG };
    place.copy_from_slice(mapped.as_bytes());
    entry[7] = mapped.len() as u8;
    u64::from_le_bytes(entry)
}

/// The simple titlecase mapping of UnicodeData. It equals the upper case except for digraphs with a
/// title form, for Georgian, and where the upper case is several characters.
fn titlecase(c: char) -> char {
    match c {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        '\u{10d0}'..='\u{10ff}' => c,
        'ᾀ'..='ᾇ' | 'ᾐ'..='ᾗ' | 'ᾠ'..='ᾧ' => char::from_u32(c as u32 + 8).unwrap_or(c),
        'ᾳ' => 'ᾼ',
        'ῃ' => 'ῌ',
        'ῳ' => 'ῼ',
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_composition_make_no_difference() {
        for (text, expected) in [
            ("Hello, World 9", "HELLO, WORLD 9"),
            ("é", "E\u{301}"),
            ("É", "E\u{301}"),
            ("e\u{301}", "E\u{301}"),
            ("straße", "STRAßE"),
            ("ﬁ", "fi"),
            ("ǆǅǄ", "Dz\u{30c}Dz\u{30c}Dz\u{30c}"),
            ("Привет", "ПРИВЕТ"),
            ("йЙ", "И\u{306}И\u{306}"),
            ("ᾳᾼ", "Α\u{345}Α\u{345}"),
            ("漢字 かガ", "漢字 かカ\u{3099}"),
            ("ＡＢｃ", "ABC"),
            ("\u{212b}", "A\u{30a}"),
            ("გ", "გ"),
            ("한가", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1161}"),
            ("\u{fdfa}", "صلى الله عليه وسلم"),
            ("\u{10428}\u{0}", "\u{10400}\u{0}"),
            ("", ""),
        ] {
            assert_eq!(casemap(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_the_rules(text in "(?s)[ -~é-ſА-я漢가-힣]{0,80}.{0,20}") {
            let mut expected = String::new();
            for c in text.chars() {
                decompose_compatible(titlecase(c), |part| expected.push(part));
            }
            prop_assert_eq!(casemap(&text), expected);
        }

        #[test]
        fn pieces_join(text in "(?s).{0,40}", at in 0_usize..200) {
            let at = text.floor_char_boundary(at.min(text.len()));
            let (head, tail) = text.split_at(at);
            prop_assert_eq!(casemap(&text), casemap(head) + &casemap(tail));
        }
    }
}
