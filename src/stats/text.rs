//! Names that strangers chose, for the eyes of the operator.

/// Longest piece of such a text that is shown, in characters.
const LENGTH: usize = 200;

/// A text without what a terminal obeys or what turns the direction of writing, and not too long.
/// It says nothing of HTML: who shows it there has to use it as text.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut shown: String = text.chars().take(LENGTH).map(visible).collect();
    if text.chars().nth(LENGTH).is_some() {
        shown.push('…');
    }
    shown
}

fn visible(c: char) -> char {
    let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{061c}');
    if c.is_control() || turns { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_told_anything() {
        assert_eq!(harmless("a\x1b[2Jb\r\nc\u{9b}d"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d");
        assert_eq!(harmless("\u{202e}gpj.exe"), "\u{fffd}gpj.exe");
        assert_eq!(harmless("Entwürfe <b>&"), "Entwürfe <b>&");
    }

    #[test]
    fn it_has_an_end() {
        let long = harmless(&"ü".repeat(10_000));
        assert_eq!(long.chars().count(), LENGTH + 1);
        assert_eq!(harmless(&"ü".repeat(LENGTH)).chars().count(), LENGTH);
    }
}
