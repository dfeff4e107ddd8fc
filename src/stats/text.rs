//! Texts that strangers chose, for the eyes of the operator.

use std::borrow::Cow;
use std::fmt::Write;

use imap::types::UidRange;

/// Longest piece of such a text that is shown, in characters.
const LENGTH: usize = 200;

/// Length from which on a set of UIDs is not told to its end.
const UIDS: usize = 1000;

/// A text without what a terminal obeys or what turns the direction of writing, and not too long:
/// each such character is U+FFFD instead. HTML is left as it is: a page has to show it as text.
#[must_use]
pub fn harmless(text: &str) -> String {
    let visible = |c| if is_hidden(c) { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(LENGTH).map(visible).collect();
    if text.chars().nth(LENGTH).is_some() {
        shown.push('…');
    }
    shown
}

/// The whole text with such characters spelt as in JSON: `\n`, `\u202e`, and surrogate pairs beyond
/// U+FFFF. Backslashes are not doubled.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// UIDs as in IMAP, `1:3,7`. A set that is too long for a line ends in `,...`.
#[must_use]
pub fn uid_set(uids: &[UidRange]) -> String {
    let mut text = String::new();
    for UidRange { first, last } in uids {
        if !text.is_empty() {
            text.push(',');
        }
        if text.len() > UIDS {
            text.push_str("...");
            break;
        }
        let _ = match first == last {
            true => write!(text, "{first}"),
            false => write!(text, "{first}:{last}"),
        };
    }
    text
}

/// Whether a character is not shown as itself: a control, a line or paragraph separator, a
/// character of format (Unicode's Cc, Zl, Zp and Cf, among them all that turn the direction of
/// writing), or one that fonts leave blank although it is no space.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}' | '\u{2800}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{110bd}' | '\u{110cd}'
            | '\u{600}'..='\u{605}' | '\u{890}'..='\u{891}' | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff0}'..='\u{fffb}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use imap::types::Uid;

    #[test]
    fn terminals_are_not_told_anything() {
        assert_eq!(harmless("a\x1b[2Jb\r\nc\u{9b}d"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d");
        assert_eq!(harmless("\u{202e}gpj.exe"), "\u{fffd}gpj.exe");
        assert_eq!(harmless("Entwürfe <b>&"), "Entwürfe <b>&");
    }

    #[test]
    fn what_is_hidden_is_spelt_out() {
        assert_eq!(
            escaped("a\tb\r\n\x1b\u{2067}\u{e0041}"),
            "a\\tb\\r\\n\\u001b\\u2067\\udb40\\udc41"
        );
        assert!(matches!(escaped("Entwürfe \\ 😀 \"x\""), Cow::Borrowed(_)));
    }

    /// The standard library's `Debug` escapes what Unicode calls control, format or separator, what
    /// is private or unassigned, and spaces other than the one.
    #[test]
    fn no_character_of_format_is_forgotten() {
        let debug = |c: char| format!("{:?}", format!("a{c}")).contains("\\u{");
        for block in
            ["\u{ad}", "\u{600}\u{605}\u{61c}\u{6dd}\u{70f}\u{890}\u{891}\u{8e2}", "\u{180e}"]
        {
            assert!(block.chars().all(|c| is_hidden(c) && debug(c)), "{block:?}");
        }
        for c in
            ('\u{200b}'..='\u{200f}').chain('\u{2028}'..='\u{202e}').chain('\u{2060}'..='\u{206f}')
        {
            assert!(is_hidden(c) && debug(c), "{c:?}");
        }
        // Letters, marks and signs of common scripts are shown.
        for c in "aé漢字かなカ한عבไทकि😀€–“”…".chars() {
            assert!(!is_hidden(c), "{c:?}");
        }
    }

    #[test]
    fn a_set_of_uids_has_an_end() {
        let range = |first, last| UidRange { first: Uid(first), last: Uid(last) };
        assert_eq!(uid_set(&[range(1, 3), range(7, 7)]), "1:3,7");
        assert_eq!(uid_set(&[]), "");
        let many: Vec<_> = (1..100_000).map(|n| range(n * 2, n * 2)).collect();
        let text = uid_set(&many);
        assert!(
            text.starts_with("2,4,6,") && text.ends_with(",...") && text.len() < 1100,
            "{text}"
        );
    }

    #[test]
    fn it_has_an_end() {
        let long = harmless(&"ü".repeat(10_000));
        assert_eq!(long.chars().count(), LENGTH + 1);
        assert_eq!(harmless(&"ü".repeat(LENGTH)).chars().count(), LENGTH);
    }
}
