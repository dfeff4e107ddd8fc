//! Flags and keywords as bits. The model knows all that its clients ever set.

use super::wire::{Checked, Stop, wrong};

/// System flags, then keywords.
pub const NAMES: [&str; 9] = [
    "\\Seen",
    "\\Answered",
    "\\Flagged",
    "\\Deleted",
    "\\Draft",
    "work",
    "$Forwarded",
    "later",
    "to-be-or-not",
];

/// The number of system flags in [`NAMES`].
pub const SYSTEM: usize = 5;

/// A set of [`NAMES`], one bit each.
pub type Flags = u16;

/// `\Seen`.
pub const SEEN: Flags = 1;

/// `\Deleted`.
pub const DELETED: Flags = 8;

/// What STORE does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `+FLAGS`.
    Add,
    /// `-FLAGS`.
    Remove,
    /// `FLAGS`.
    Replace,
}

impl Change {
    /// The flags after it.
    pub fn of(self, old: Flags, named: Flags) -> Flags {
        match self {
            Change::Add => old | named,
            Change::Remove => old & !named,
            Change::Replace => named,
        }
    }

    /// The sign before `FLAGS`.
    pub fn sign(self) -> &'static str {
        match self {
            Change::Add => "+",
            Change::Remove => "-",
            Change::Replace => "",
        }
    }
}

/// As a list without its parentheses.
pub fn written(flags: Flags) -> String {
    let named = NAMES.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
    named.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

/// Reads a list without its parentheses. `\Recent` belongs to the session and is left out.
pub fn parse(list: &[u8]) -> Checked<Flags> {
    let mut flags = 0;
    for word in list.split(|&octet| octet == b' ').filter(|word| !word.is_empty()) {
        if word == b"\\Recent" {
            continue;
        }
        match NAMES.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word)) {
            Some(bit) => flags |= 1 << bit,
            None => {
                let word = String::from_utf8_lossy(word);
                return wrong::<Flags>(format!("the flag {word}, which nobody has ever set"));
            }
        }
    }
    Ok::<Flags, Stop>(flags)
}
