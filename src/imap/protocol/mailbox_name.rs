//! Mailbox names: modified UTF-7 on the wire, UTF-8 inside (RFC 3501 section 5.1).

use std::fmt;

use crate::limits::{MAILBOX_LEVELS, MAILBOX_NAME};

use super::utf7;

const INBOX: &str = "INBOX";

/// A valid mailbox name within the limits: UTF-8, levels separated by `/`, no empty level, no
/// control characters. INBOX in any case becomes capitals, also as the first level of a longer
/// name, so there is one INBOX tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

/// Why a text is not a mailbox name. The command is well-formed all the same, so the answer is NO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// No octets.
    Empty,
    /// Longer than [`MAILBOX_NAME`].
    TooLong,
    /// More levels than [`MAILBOX_LEVELS`].
    TooDeep,
    /// Begins or ends with `/`, or contains `//`.
    EmptyLevel,
    /// Contains a control character (ASCII or Latin-1) or a Unicode line separator.
    Control,
    /// ASCII, but its `&` does not begin valid modified UTF-7.
    NotUtf7,
    /// Contains octets over 127 and is not UTF-8.
    NotUtf8,
}

impl MailboxName {
    /// The hierarchy separator.
    pub const SEPARATOR: char = '/';

    /// INBOX, which every account has.
    #[must_use]
    pub fn inbox() -> MailboxName {
        MailboxName(INBOX.into())
    }

    /// Decodes a name from a client: modified UTF-7, or raw UTF-8 if it contains octets over 127.
    /// With `utf8`, always UTF-8, and `&` stands for itself: the client enabled IMAP4rev2
    /// (RFC 9051) or UTF8=ACCEPT (RFC 6855 section 3).
    ///
    /// # Errors
    /// If it cannot be decoded, or is not a valid name.
    pub fn from_wire(octets: &[u8], utf8: bool) -> Result<MailboxName, NameError> {
        // Modified UTF-7 is less than three times as long as UTF-8 ("&APw-" for two octets).
        if octets.len() > 3 * MAILBOX_NAME {
            return Err(NameError::TooLong);
        }
        MailboxName::from_utf8(&decode(octets, utf8)?)
    }

    /// Checks a name in UTF-8.
    ///
    /// # Errors
    /// If it is not a valid name.
    pub fn from_utf8(name: &str) -> Result<MailboxName, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > MAILBOX_NAME {
            return Err(NameError::TooLong);
        }
        if name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(NameError::Control);
        }
        if name.split(Self::SEPARATOR).any(str::is_empty) {
            return Err(NameError::EmptyLevel);
        }
        if name.split(Self::SEPARATOR).count() > MAILBOX_LEVELS {
            return Err(NameError::TooDeep);
        }
        match name.split_at_checked(INBOX.len()) {
            Some((first, rest))
                if first.eq_ignore_ascii_case(INBOX)
                    && (rest.is_empty() || rest.starts_with(Self::SEPARATOR)) =>
            {
                Ok(MailboxName([INBOX, rest].concat().into()))
            }
            _ => Ok(MailboxName(name.into())),
        }
    }

    /// The name in UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in modified UTF-7.
    #[must_use]
    pub fn to_wire(&self) -> String {
        utf7::encode(&self.0)
    }

    /// Whether this is INBOX itself.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        &*self.0 == INBOX
    }

    /// The name one level up; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<MailboxName> {
        let (parent, _) = self.0.rsplit_once(Self::SEPARATOR)?;
        Some(MailboxName::from_utf8(parent).expect("part of a valid name, cut at a separator"))
    }

    /// Whether this name lies below `other`, at any depth.
    #[must_use]
    pub fn is_below(&self, other: &MailboxName) -> bool {
        let below = self.0.strip_prefix(&*other.0);
        below.is_some_and(|rest| rest.starts_with(Self::SEPARATOR))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("mailbox name is empty"),
            NameError::TooLong => write!(f, "mailbox name is longer than {MAILBOX_NAME} octets"),
            NameError::TooDeep => write!(f, "mailbox name has more than {MAILBOX_LEVELS} levels"),
            NameError::EmptyLevel => f.write_str("mailbox name has an empty level"),
            NameError::Control => f.write_str("mailbox name contains a control character"),
            NameError::NotUtf7 => f.write_str("mailbox name is not modified UTF-7"),
            NameError::NotUtf8 => f.write_str("mailbox name is not UTF-8"),
        }
    }
}

impl std::error::Error for NameError {}

/// A client that sends octets over 127 does not use modified UTF-7, so its `&` stands for itself.
fn decode(octets: &[u8], utf8: bool) -> Result<String, NameError> {
    if octets.is_ascii() && !utf8 {
        utf7::decode(octets).ok_or(NameError::NotUtf7)
    } else {
        let text = std::str::from_utf8(octets).map_err(|_| NameError::NotUtf8)?;
        Ok(text.to_owned())
    }
}

/// The pattern of LIST and LSUB: reference and mailbox argument joined (RFC 3501 section 6.3.8).
///
/// ```abnf
/// list-mailbox   = 1*list-char / string
/// list-char      = ATOM-CHAR / list-wildcards / resp-specials
/// list-wildcards = "%" / "*"
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Literal(char),
    /// `%`: any number of characters within one level.
    Level,
    /// `*`: any number of characters.
    All,
}

impl Pattern {
    /// The pattern of a LIST command: the mailbox argument is appended to the reference unchanged.
    /// For `utf8` see [`MailboxName::from_wire`].
    ///
    /// # Errors
    /// If an argument cannot be decoded, or is so long that no valid name matches.
    pub fn new(reference: &[u8], mailbox: &[u8], utf8: bool) -> Result<Pattern, NameError> {
        let mut parts = Vec::new();
        for text in [reference, mailbox] {
            for c in decode(text, utf8)?.chars() {
                match (c, parts.last()) {
                    ('*', Some(Part::All)) | ('%', Some(Part::All | Part::Level)) => {}
                    ('*', Some(Part::Level)) => {
                        parts.pop();
                        parts.push(Part::All);
                    }
                    ('*', _) => parts.push(Part::All),
                    ('%', _) => parts.push(Part::Level),
                    (c, _) => parts.push(Part::Literal(c)),
                }
            }
        }
        let literals = parts.iter().filter(|p| matches!(p, Part::Literal(_))).count();
        if literals > MAILBOX_NAME {
            return Err(NameError::TooLong);
        }
        Ok(Pattern(parts))
    }

    /// The characters before the first wildcard. Every matching name begins with them, ignoring the
    /// case of INBOX.
    #[must_use]
    pub fn beginning(&self) -> String {
        self.literals().collect()
    }

    /// Whether it has no wildcard.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.literals().count() == self.0.len()
    }

    /// The most levels a matching name can have; `None` if unbounded.
    #[must_use]
    pub fn levels(&self) -> Option<usize> {
        let is_separator = |part: &&Part| matches!(part, Part::Literal(MailboxName::SEPARATOR));
        let levels = 1 + self.0.iter().filter(is_separator).count();
        (!self.0.contains(&Part::All)).then_some(levels)
    }

    fn literals(&self) -> impl Iterator<Item = char> {
        let literal = |part: &Part| match part {
            Part::Literal(c) => Some(*c),
            Part::Level | Part::All => None,
        };
        self.0.iter().map_while(literal)
    }

    /// Whether this name matches. INBOX matches in any case, also as the first level of other
    /// names.
    #[must_use]
    pub fn matches(&self, name: &MailboxName) -> bool {
        self.matches_counting(name, &mut 0)
    }

    /// As [`Pattern::matches`]; adds the number of steps to `work`, one or two nanoseconds each.
    #[must_use]
    pub fn matches_counting(&self, name: &MailboxName, work: &mut usize) -> bool {
        let inbox = name.is_inbox() || name.is_below(&MailboxName::inbox());
        self.matches_text(name.as_str(), if inbox { INBOX.len() } else { 0 }, work)
    }

    /// Matches all parts of the pattern at once. After each character of the name, `reached[n]`
    /// tells whether the first `n` parts can match what was read so far. The cost is at most name
    /// times pattern, however many wildcards there are; backtracking would be exponential. For the
    /// pattern `a*b` and the name `acb`, the text before the first wildcard is compared up front,
    /// which leaves the parts `*` and `b`:
    ///
    /// ```text
    /// read    reached
    /// ""      0, 1     nothing, and `*` matching nothing
    /// "c"     1        `*` matching "c"
    /// "cb"    1, 2     `*` matching "cb"; and both parts, so the name matches
    /// ```
    ///
    /// The first `any_case` characters of the name match in any case.
    fn matches_text(&self, name: &str, any_case: usize, work: &mut usize) -> bool {
        let is_same = |at: usize, literal: char, c: char| match at < any_case {
            true => literal.eq_ignore_ascii_case(&c),
            false => literal == c,
        };
        let mut characters = name.chars().enumerate();
        let mut literals = 0;
        for literal in self.literals() {
            literals += 1;
            *work += 1;
            if !characters.next().is_some_and(|(at, c)| is_same(at, literal, c)) {
                return false;
            }
        }
        let parts = &self.0[literals..];
        if parts.is_empty() {
            return characters.next().is_none();
        }
        let mut reached = vec![false; parts.len() + 1];
        reached[0] = true;
        pass_wildcards(parts, &mut reached);
        *work += parts.len() + 1;
        for (at, c) in characters {
            // Backwards, so that each step reads the state before this character.
            for n in (1..=parts.len()).rev() {
                reached[n] = match parts[n - 1] {
                    Part::All => reached[n],
                    Part::Level => reached[n] && c != MailboxName::SEPARATOR,
                    Part::Literal(literal) => reached[n - 1] && is_same(at, literal, c),
                };
            }
            reached[0] = false;
            pass_wildcards(parts, &mut reached);
            *work += parts.len() + 1;
        }
        reached[parts.len()]
    }
}

/// A wildcard may match nothing: if the parts before it match, so do those including it.
fn pass_wildcards(parts: &[Part], reached: &mut [bool]) {
    for (n, part) in parts.iter().enumerate() {
        if reached[n] && !matches!(part, Part::Literal(_)) {
            reached[n + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::from_utf8(text).unwrap()
    }

    #[test]
    fn names_are_checked() {
        use NameError::{Control, Empty, EmptyLevel, NotUtf7, NotUtf8, TooDeep, TooLong};
        let long = "x".repeat(1001);
        let deep = "x/".repeat(64) + "x";
        for (wire, error) in [
            (&b""[..], Empty),
            (b"/a", EmptyLevel),
            (b"a/", EmptyLevel),
            (b"a//b", EmptyLevel),
            (b"a\x07b", Control),
            (b"a\r\nb", Control),
            (b"&AIU-", Control),
            (b"R&D", NotUtf7),
            (b"b\xf6se", NotUtf8),
            (long.as_bytes(), TooLong),
            (&[b'&'; 9000], TooLong),
            (deep.as_bytes(), TooDeep),
        ] {
            assert_eq!(MailboxName::from_wire(wire, false), Err(error), "{}", wire.escape_ascii());
        }
        assert!(MailboxName::from_wire(&long.as_bytes()[..1000], false).is_ok());
        assert!(MailboxName::from_wire(&deep.as_bytes()[2..], false).is_ok());
    }

    #[test]
    fn both_ways_of_writing_a_name_are_one_name() {
        let utf7 = MailboxName::from_wire(b"Entw&APw-rfe/&2D3eAA-", false).unwrap();
        assert_eq!(utf7, MailboxName::from_wire("Entwürfe/😀".as_bytes(), false).unwrap());
        assert_eq!(utf7.to_wire(), "Entw&APw-rfe/&2D3eAA-");
        assert_eq!(MailboxName::from_wire("Böses & Gutes".as_bytes(), false).unwrap().to_wire(), {
            "B&APY-ses &- Gutes"
        });
    }

    #[test]
    fn the_longest_name_survives_the_wire() {
        for text in ["ü".repeat(500), "üx".repeat(333), "😀".repeat(250), "&".repeat(1000)] {
            let long = name(&text);
            assert_eq!(MailboxName::from_wire(long.to_wire().as_bytes(), false), Ok(long));
        }
    }

    #[test]
    fn inbox_in_any_case() {
        assert!(MailboxName::from_wire(b"iNbOx", false).unwrap().is_inbox());
        assert_eq!(name("inbox/x").as_str(), "INBOX/x");
        assert_eq!(name("inboxes").as_str(), "inboxes");
        assert!(!name("INBOX/x").is_inbox());
        assert_eq!(name("inbox/x").parent(), Some(MailboxName::inbox()));
        assert_eq!(name("a/b/c").parent(), Some(name("a/b")));
        assert!(name("a/b/c").is_below(&name("a")) && !name("ab").is_below(&name("a")));
    }

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(b"", pattern.as_bytes(), false).unwrap().matches(&name(text))
    }

    #[test]
    fn patterns() {
        for (pattern, text) in [
            ("*", "a/b/c"),
            ("%", "abc"),
            ("a/%", "a/b"),
            ("%/b/%", "a/b/c"),
            ("a*c", "a/b/c"),
            ("a%*c", "a/b/c"),
            ("*%c", "a/b/c"),
            ("%%%a%%", "a"),
            ("inb%", "INBOX"),
            ("inbox", "INBOX"),
            ("inbox/*", "INBOX/x"),
            ("*/c", "a/b/c"),
            ("*b%", "a/b/bc"),
            ("%*%/c", "a/b/c"),
            ("Entw&APw-rfe*", "Entwürfe/x"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("%", "a/b"),
            ("a%c", "a/b/c"),
            ("a", "A"),
            ("a", "ab"),
            ("ab", "a"),
            ("*b%", "a/b/c"),
            ("%/%", "a"),
            ("%/%", "a/b/c"),
            ("inbox/X", "INBOX/x"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn prefix_and_levels_of_a_pattern() {
        for (pattern, beginning, literal, levels) in [
            ("a/b", "a/b", true, Some(2)),
            ("a/%", "a/", false, Some(2)),
            ("%", "", false, Some(1)),
            ("a*/b", "a", false, None),
            ("", "", true, Some(1)),
        ] {
            let pattern = Pattern::new(b"", pattern.as_bytes(), false).unwrap();
            assert_eq!(pattern.beginning(), beginning);
            assert_eq!((pattern.is_literal(), pattern.levels()), (literal, levels));
        }
    }

    #[test]
    fn reference_and_name_are_joined() {
        let pattern = Pattern::new(b"a/", b"%", false).unwrap();
        assert!(pattern.matches(&name("a/b")) && !pattern.matches(&name("b")));
        assert!(Pattern::new(b"", b"R&D*", false).is_err());
    }

    #[test]
    fn hostile_patterns_cost_no_more_than_their_length() {
        let text = name(&"a".repeat(1000));
        assert!(!matches(&("*a%".repeat(900) + "b"), text.as_str()));
        assert!(matches(&"*%".repeat(30_000), text.as_str()));
        let work = |pattern: &str| {
            let (pattern, mut work) = (Pattern::new(b"", pattern.as_bytes(), false).unwrap(), 0);
            let _ = pattern.matches_counting(&text, &mut work);
            work
        };
        assert_eq!(work(&("*a%".repeat(900) + "b")), 1_001 * 1_803);
        assert_eq!((work("b*%*"), work("a")), (1, 1));
        assert_eq!(Pattern::new(b"", &[b'a'; 1001], false), Err(NameError::TooLong));
    }
}
