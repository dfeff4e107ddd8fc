//! i;unicode-casemap (RFC 5051): what SEARCH, SORT and THREAD compare.

use std::sync::OnceLock;

use unicode_normalization::char::decompose_compatible;

/// The characters below this, most of those that have case, are looked up.
const TABLE: u32 = 0x3100;

/// Stands in the table for a character that becomes several.
const SEVERAL: char = '\0';

/// The text with each character in title case and then decomposed, as i;unicode-casemap has it.
/// Texts are equal, and one is found in the other, when their octets are. Each character is mapped
/// by itself: the map of a text is that of its pieces, joined. ASCII becomes upper case.
#[must_use]
pub fn casemap(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    casemap_into(text, &mut out);
    out
}

/// Appends the [`casemap`] of a text.
pub(in crate::mime) fn casemap_into(text: &str, out: &mut String) {
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = ascii_length(rest.as_bytes());
        let (run, tail) = rest.split_at(ascii);
        let start = out.len();
        out.push_str(run);
        out[start..].make_ascii_uppercase();
        let mut chars = tail.chars();
        rest = loop {
            let before = chars.as_str();
            match chars.next() {
                Some(c) if !c.is_ascii() => map(c, out),
                _ => break before,
            }
        };
    }
}

/// Octets of ASCII at the start.
fn ascii_length(octets: &[u8]) -> usize {
    const STEP: usize = 32;
    let steps = octets.chunks(STEP).take_while(|step| step.is_ascii()).count();
    let start = (steps * STEP).min(octets.len());
    let last = octets[start..].iter().position(|o| !o.is_ascii());
    last.map_or(octets.len(), |at| start + at)
}

fn map(c: char, out: &mut String) {
    static MAPPED: OnceLock<Box<[char]>> = OnceLock::new();
    if matches!(c, '\u{3400}'..='\u{9fff}') {
        // Chinese characters have neither case nor decomposition.
        return out.push(c);
    }
    let table = MAPPED.get_or_init(|| (0..TABLE).map(single).collect());
    match table.get(c as usize) {
        Some(&mapped) if mapped != SEVERAL => out.push(mapped),
        _ => decompose_compatible(titlecase(c), |part| out.push(part)),
    }
}

/// What becomes of a character, if that is one.
fn single(code: u32) -> char {
    let (mut mapped, mut parts) = (SEVERAL, 0);
    if let Some(c) = char::from_u32(code) {
        decompose_compatible(titlecase(c), |part| {
            mapped = part;
            parts += 1;
        });
    }
    if parts == 1 { mapped } else { SEVERAL }
}

/// The simple titlecase mapping of UnicodeData. It is the upper case but for digraphs that have a
/// form of their own, for Georgian, and where the upper case is several characters.
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
            ("\u{10428}\u{0}", "\u{10400}\u{0}"),
            ("", ""),
        ] {
            assert_eq!(casemap(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_table_says_what_the_rules_say(text in "(?s)[ -~é-ſА-я漢]{0,80}.{0,20}") {
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
