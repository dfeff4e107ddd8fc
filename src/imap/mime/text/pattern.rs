//! Case-insensitive substring search.
//!
//! Most mail is ASCII, and so are most search strings. ASCII is searched in place: memchr jumps
//! between occurrences of the string's rarest letter, in both cases, and only there the rest is
//! compared. For `Fuzzy` that letter is `z`: in English mail 20 of ten thousand octets are `z`, and
//! 230 are `u`. All other text is mapped by i;unicode-casemap, piece by piece in a buffer that
//! stays in cache, and memmem searches the map.

use memchr::memmem::Finder;
use memchr::{memchr_iter, memchr2_iter};

use super::collation::{casemap, casemap_into};

/// Octets of text mapped in one step.
const STEP: usize = 16 << 10;

/// A search string.
#[derive(Clone, Debug)]
pub(in crate::mime) struct Pattern {
    /// Its casemap.
    finder: Finder<'static>,
    /// How to search ASCII text.
    ascii: Ascii,
    /// Whether it contains a space, so that it may match across a fold.
    pub has_space: bool,
    /// Whether it contains control characters, which decoding adds and removes.
    pub has_control: bool,
}

#[derive(Clone, Debug)]
enum Ascii {
    /// No ASCII text contains it.
    Never,
    /// The rarest octet in both cases, and its offset in the string.
    Rarest { upper: u8, lower: u8, at: usize },
    /// The empty string, which every text contains.
    Always,
}

impl Pattern {
    pub fn new(text: &str) -> Pattern {
        let mapped = casemap(text).into_bytes();
        let rarest = mapped.iter().enumerate().min_by_key(|&(_, &octet)| frequency(octet));
        // The map contains lower case only from the decomposition of ligatures; no ASCII text maps
        // to it.
        let never = mapped.iter().any(|o| !o.is_ascii() || o.is_ascii_lowercase());
        let ascii = match rarest {
            None => Ascii::Always,
            Some(_) if never => Ascii::Never,
            Some((at, &upper)) => Ascii::Rarest { upper, lower: upper.to_ascii_lowercase(), at },
        };
        Pattern {
            ascii,
            has_space: mapped.contains(&b' '),
            has_control: mapped.iter().any(u8::is_ascii_control),
            finder: Finder::new(&mapped).into_owned(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.finder.needle().is_empty()
    }

    /// Length of its casemap.
    pub fn len(&self) -> usize {
        self.finder.needle().len()
    }

    /// Whether this ASCII text contains the string.
    pub fn is_in_ascii(&self, text: &[u8]) -> bool {
        match self.ascii {
            Ascii::Never => false,
            Ascii::Always => true,
            Ascii::Rarest { upper, lower, at } => {
                let needle = self.finder.needle();
                if text.len() < needle.len() {
                    return false;
                }
                // Only where the whole string fits within the text.
                let places = &text[at..text.len() - (needle.len() - 1 - at)];
                let equal =
                    |start: usize| text[start..start + needle.len()].eq_ignore_ascii_case(needle);
                if upper == lower {
                    memchr_iter(upper, places).any(equal)
                } else {
                    memchr2_iter(upper, lower, places).any(equal)
                }
            }
        }
    }

    /// Whether a text contains the string, given the text's casemap.
    pub fn is_in_mapped(&self, mapped: &[u8]) -> bool {
        self.finder.find(mapped).is_some()
    }

    /// Whether the text contains the string.
    pub fn is_in(&self, text: &str) -> bool {
        if text.is_ascii() {
            return self.is_in_ascii(text.as_bytes());
        }
        let mut mapped = Vec::with_capacity(text.len().min(STEP) * 2);
        let mut rest = text;
        while !rest.is_empty() {
            let (step, tail) = rest.split_at(rest.floor_char_boundary(STEP));
            casemap_into(step, &mut mapped);
            if self.finder.find(&mapped).is_some() {
                return true;
            }
            // Keep the possible start of a match that ends in the next step.
            let kept = mapped.len().saturating_sub(self.finder.needle().len());
            mapped.drain(..kept);
            rest = tail;
        }
        self.is_empty()
    }
}

/// Frequency of a letter in English mail, in either case, roughly per ten thousand octets.
fn frequency(upper: u8) -> u16 {
    match upper {
        b' ' => 1500,
        b'E' => 850,
        b'T' => 640,
        b'A' | b'O' => 570,
        b'I' | b'N' | b'S' | b'R' => 500,
        b'H' | b'L' | b'D' => 300,
        b'C' | b'U' | b'M' => 230,
        b'P' | b'F' | b'G' | b'W' | b'\r' | b'\n' => 160,
        b'.' | b'-' | b'=' | b'>' | b'Y' | b'B' | b'0'..=b'2' => 130,
        b'V' | b'K' | b',' | b'/' | b':' | b'<' | b'_' | b'\t' | b'3'..=b'9' => 80,
        b'J' | b'Q' | b'X' | b'Z' => 20,
        _ => 40,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(needle: &str, text: &str) -> bool {
        casemap(text).contains(&casemap(needle))
    }

    #[test]
    fn strings_are_found_in_any_case() {
        for (needle, text, expected) in [
            ("hello", "Oh, HeLLo!", true),
            ("hello", "hell", false),
            ("hello", "hellhello", true),
            ("", "", true),
            ("", "é", true),
            ("@[`", "@[`", true),
            ("@", "`", false),
            ("[", "{", false),
            ("cafe", "CAFÉ", true),
            ("é", "cafe", false),
            ("é", "CAFE\u{301}", true),
            ("ﬁ", "fi", false),
            ("ﬁ", "oﬁn", true),
            ("k", "\u{212a}", true),
        ] {
            assert_eq!(Pattern::new(needle).is_in(text), expected, "{needle} in {text}");
            assert_eq!(naive(needle, text), expected, "{needle} in {text}, as the model has it");
        }
    }

    #[test]
    fn strings_are_found_across_steps() {
        let needle = "наїдений, Needle";
        let pattern = Pattern::new(needle);
        for before in (STEP - 60)..(STEP + 10) {
            let text = ["x".repeat(before).as_str(), "НАЇДЕНИЙ, nEEDLE", "é"].concat();
            assert!(pattern.is_in(&text), "{before}");
        }
        let long = "é".repeat(STEP * 3);
        assert!(Pattern::new(&long).is_in(&["a", long.as_str(), "b"].concat()));
        assert!(!Pattern::new(&[&long, "c"].concat()).is_in(&["a", long.as_str(), "b"].concat()));
    }

    proptest! {
        #[test]
        fn the_fast_search_agrees_with_the_slow_one(
            needle in "(?s)[aAbB@` ]{0,3}[aAbBé\u{301}ßﬁ]{0,2}",
            text in "(?s)[aAbB@` ]{0,40}[aAbBéE\u{301}ßﬁf]{0,10}[ab]{0,10}",
        ) {
            prop_assert_eq!(Pattern::new(&needle).is_in(&text), naive(&needle, &text));
        }
    }
}
