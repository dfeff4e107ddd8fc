//! Special uses of mailboxes (RFC 6154, RFC 8457).

/// Special uses as bits. LIST shows them as attributes; CREATE may ask for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SpecialUse(pub u16);

impl SpecialUse {
    /// `\All`: every message of the account. A virtual mailbox in servers that have it.
    pub const ALL: SpecialUse = SpecialUse(1);
    /// `\Archive`
    pub const ARCHIVE: SpecialUse = SpecialUse(1 << 1);
    /// `\Drafts`
    pub const DRAFTS: SpecialUse = SpecialUse(1 << 2);
    /// `\Flagged`: every message with that flag. A virtual mailbox in servers that have it.
    pub const FLAGGED: SpecialUse = SpecialUse(1 << 3);
    /// `\Junk`
    pub const JUNK: SpecialUse = SpecialUse(1 << 4);
    /// `\Sent`
    pub const SENT: SpecialUse = SpecialUse(1 << 5);
    /// `\Trash`
    pub const TRASH: SpecialUse = SpecialUse(1 << 6);
    /// `\Important` (RFC 8457)
    pub const IMPORTANT: SpecialUse = SpecialUse(1 << 7);

    /// Name and bit of every use, in the order in which clients see them.
    pub const NAMES: [(&'static str, SpecialUse); 8] = [
        ("\\All", SpecialUse::ALL),
        ("\\Archive", SpecialUse::ARCHIVE),
        ("\\Drafts", SpecialUse::DRAFTS),
        ("\\Flagged", SpecialUse::FLAGGED),
        ("\\Important", SpecialUse::IMPORTANT),
        ("\\Junk", SpecialUse::JUNK),
        ("\\Sent", SpecialUse::SENT),
        ("\\Trash", SpecialUse::TRASH),
    ];

    /// The use with this name, in any case.
    #[must_use]
    pub fn by_name(name: &[u8]) -> Option<SpecialUse> {
        let mut names = SpecialUse::NAMES.iter();
        names.find(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name)).map(|&(_, found)| found)
    }

    /// Whether no use is set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every use in `other` is set here.
    #[must_use]
    pub fn contains(self, other: SpecialUse) -> bool {
        self.0 & other.0 == other.0
    }

    /// The uses in either set.
    #[must_use]
    pub fn union(self, other: SpecialUse) -> SpecialUse {
        SpecialUse(self.0 | other.0)
    }

    /// The uses that are not in `other`.
    #[must_use]
    pub fn without(self, other: SpecialUse) -> SpecialUse {
        SpecialUse(self.0 & !other.0)
    }

    /// The names of the uses that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        SpecialUse::NAMES.into_iter().filter(move |&(_, u)| self.contains(u)).map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        let both = SpecialUse::by_name(b"\\sENT").unwrap().union(SpecialUse::DRAFTS);
        assert_eq!(both.names().collect::<Vec<_>>(), ["\\Drafts", "\\Sent"]);
        assert!(both.contains(SpecialUse::SENT) && !both.contains(SpecialUse::JUNK));
        assert!(both.without(both).is_empty());
        assert_eq!(SpecialUse::by_name(b"\\Noselect"), None);
        let all = SpecialUse::NAMES.into_iter().fold(0u16, |all, (_, one)| all | one.0);
        assert_eq!(all, u16::from(u8::MAX));
    }
}
