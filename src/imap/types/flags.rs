//! System flags and keywords (RFC 3501 section 2.3.2).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::limits::KEYWORD_LENGTH;

/// The permanent system flags of a message, as bits. `\Recent` is not one of them: it is a property
/// of a session, not of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// `\Answered`
    pub const ANSWERED: Flags = Flags(1);
    /// `\Flagged`
    pub const FLAGGED: Flags = Flags(1 << 1);
    /// `\Deleted`
    pub const DELETED: Flags = Flags(1 << 2);
    /// `\Seen`
    pub const SEEN: Flags = Flags(1 << 3);
    /// `\Draft`
    pub const DRAFT: Flags = Flags(1 << 4);

    /// Name and bit of every flag, in the order in which clients see them.
    pub const NAMES: [(&'static str, Flags); 5] = [
        ("\\Answered", Flags::ANSWERED),
        ("\\Flagged", Flags::FLAGGED),
        ("\\Deleted", Flags::DELETED),
        ("\\Seen", Flags::SEEN),
        ("\\Draft", Flags::DRAFT),
    ];

    /// The flag with this name, in any case.
    #[must_use]
    pub fn by_name(name: &[u8]) -> Option<Flags> {
        let mut names = Flags::NAMES.iter();
        names.find(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name)).map(|&(_, flag)| flag)
    }

    /// Whether every flag in `other` is set here.
    #[must_use]
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags in either set.
    #[must_use]
    pub fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// The flags that are not in `other`.
    #[must_use]
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// The names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Flags::NAMES.into_iter().filter(move |&(_, f)| self.contains(f)).map(|(name, _)| name)
    }
}

/// What STORE does to the existing flags (RFC 3501 section 6.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagChange {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

impl FlagChange {
    /// The result of changing `named` in `old`.
    #[must_use]
    pub fn of(self, old: Flags, named: Flags) -> Flags {
        match self {
            FlagChange::Replace => named,
            FlagChange::Add => old.union(named),
            FlagChange::Remove => old.without(named),
        }
    }
}

/// A keyword: a flag named by a client, an atom without a leading backslash (RFC 3501 section 9,
/// `flag-keyword`). Comparison ignores case; the first spelling is kept. Clones share the text.
#[derive(Clone, Debug)]
pub struct Keyword(Arc<str>);

/// Why a text is not a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordError {
    /// No octets.
    Empty,
    /// Longer than [`KEYWORD_LENGTH`].
    TooLong,
    /// Contains an octet that an atom cannot contain.
    NotAnAtom(u8),
}

impl Keyword {
    /// Checks and copies a keyword.
    ///
    /// # Errors
    /// If the octets are not an atom, or too many.
    pub fn new(octets: &[u8]) -> Result<Keyword, KeywordError> {
        if octets.is_empty() {
            return Err(KeywordError::Empty);
        }
        if octets.len() > KEYWORD_LENGTH {
            return Err(KeywordError::TooLong);
        }
        if let Some(&bad) = octets.iter().find(|&&o| !is_atom_char(o)) {
            return Err(KeywordError::NotAnAtom(bad));
        }
        let text = std::str::from_utf8(octets).expect("atom characters are ASCII");
        Ok(Keyword(text.into()))
    }

    /// The keyword as first spelt.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// ```abnf
/// ATOM-CHAR       = <any CHAR except atom-specials>
/// atom-specials   = "(" / ")" / "{" / SP / CTL / list-wildcards /
///                   quoted-specials / resp-specials
/// ```
fn is_atom_char(octet: u8) -> bool {
    octet.is_ascii_graphic()
        && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl Hash for Keyword {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Hashed in pieces, so that no capitalised copy is allocated.
        let mut piece = [0; 64];
        for octets in self.0.as_bytes().chunks(piece.len()) {
            let piece = &mut piece[..octets.len()];
            piece.copy_from_slice(octets);
            piece.make_ascii_uppercase();
            state.write(piece);
        }
        state.write_u8(0xff);
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeywordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeywordError::Empty => f.write_str("it is empty"),
            KeywordError::TooLong => write!(f, "it is longer than {KEYWORD_LENGTH} octets"),
            KeywordError::NotAnAtom(octet) => {
                write!(f, "it contains {:?}, which an atom cannot contain", char::from(*octet))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_listed_in_order() {
        let both = Flags::by_name(b"\\sEEN").unwrap().union(Flags::by_name(b"\\Answered").unwrap());
        assert_eq!(both.names().collect::<Vec<_>>(), ["\\Answered", "\\Seen"]);
        assert_eq!(Flags::by_name(b"\\Recent"), None);
    }

    #[test]
    fn keywords_are_atoms() {
        assert_eq!(Keyword::new(b"$Forwarded").unwrap(), Keyword::new(b"$forwarded").unwrap());
        assert_eq!(Keyword::new(b"\\Odd"), Err(KeywordError::NotAnAtom(b'\\')));
        assert_eq!(Keyword::new(b"a b"), Err(KeywordError::NotAnAtom(b' ')));
        assert_eq!(Keyword::new(b""), Err(KeywordError::Empty));
    }
}
