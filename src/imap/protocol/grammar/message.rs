//! Flags, and STORE.

use std::collections::HashSet;

use super::parameters::parameter_name;
use super::{Cursor, Parsed, quoted};
use crate::limits::KEYWORDS;
use crate::protocol::SequenceSet;
use crate::types::{FlagChange, Flags, Keyword, KeywordError};

/// Up to this many keywords are compared one by one; more are hashed.
const FEW: usize = 16;

/// Flags as the client sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagList {
    /// System flags.
    pub flags: Flags,
    /// Keywords without duplicates, as first spelt.
    pub keywords: Vec<Keyword>,
    /// The first flag that cannot be kept, and why.
    pub refused: Option<FlagError>,
    /// The keywords again, if there are more than [`FEW`].
    many: HashSet<Keyword>,
}

/// Why a well-formed flag cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagError {
    /// No known RFC defines this system flag; shortened for a reply.
    UnknownSystemFlag(Box<str>),
    /// Not a valid keyword, and why; shortened for a reply.
    Keyword(Box<str>, KeywordError),
    /// More keywords than a mailbox can have.
    TooMany,
}

impl FlagList {
    /// Adds one flag. `\Recent` is ignored: no client may set it, but migration tools send it.
    fn take(&mut self, flag: &[u8]) {
        if self.refused.is_some() {
            return;
        }
        let refused = match Flags::by_name(flag) {
            Some(flag) => {
                self.flags = self.flags.union(flag);
                return;
            }
            None if flag.eq_ignore_ascii_case(b"\\Recent") => return,
            None if flag.starts_with(b"\\") => FlagError::UnknownSystemFlag(quoted(flag)),
            None => match Keyword::new(flag) {
                Ok(keyword) if self.has(&keyword) => return,
                Ok(_) if self.keywords.len() >= KEYWORDS => FlagError::TooMany,
                Ok(keyword) => return self.push(keyword),
                Err(error) => FlagError::Keyword(quoted(flag), error),
            },
        };
        self.refused.get_or_insert(refused);
    }

    fn has(&self, keyword: &Keyword) -> bool {
        match self.many.is_empty() {
            true => self.keywords.contains(keyword),
            false => self.many.contains(keyword),
        }
    }

    fn push(&mut self, keyword: Keyword) {
        if self.keywords.len() >= FEW {
            if self.many.is_empty() {
                self.many.extend(self.keywords.iter().cloned());
            }
            self.many.insert(keyword.clone());
        }
        self.keywords.push(keyword);
    }
}

impl std::fmt::Display for FlagError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FlagError::UnknownSystemFlag(flag) => write!(f, "unknown system flag {flag}"),
            FlagError::Keyword(flag, error) => write!(f, "{flag} is not a valid keyword: {error}"),
            FlagError::TooMany => write!(f, "more than {KEYWORDS} keywords"),
        }
    }
}

/// The arguments of STORE (RFC 3501 section 6.4.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Whether the set holds UIDs.
    pub uid: bool,
    /// The messages.
    pub set: SequenceSet,
    /// `UNCHANGEDSINCE`: skip messages with a higher mod-sequence (RFC 7162). 0 skips all messages.
    pub unchanged_since: Option<u64>,
    /// Replace, add or remove.
    pub change: FlagChange,
    /// `.SILENT`: do not send the new flags.
    pub silent: bool,
    /// The flags.
    pub flags: FlagList,
}

/// ```abnf
/// store           = "STORE" SP sequence-set [store-modifiers] SP store-att-flags  ; RFC 4466
/// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
/// ```
pub fn store(cursor: &mut Cursor, uid: bool) -> Parsed<Store> {
    cursor.sp()?;
    let set = cursor.sequence_set()?;
    cursor.sp()?;
    let unchanged_since = store_modifiers(cursor)?;
    cursor.spaces();
    let change = if cursor.accept(b'+') {
        FlagChange::Add
    } else if cursor.accept(b'-') {
        FlagChange::Remove
    } else {
        FlagChange::Replace
    };
    if !cursor.accept_word("FLAGS") {
        return cursor.expected("FLAGS, +FLAGS or -FLAGS");
    }
    let silent = cursor.accept_word(".SILENT");
    cursor.spaces();
    let flags = match cursor.peek() {
        Some(b'(') => flag_list(cursor)?,
        _ => bare_flags(cursor)?,
    };
    Ok(Store { uid, set, unchanged_since, change, silent, flags })
}

/// ```abnf
/// store-modifiers = SP "(" store-modifier *(SP store-modifier) ")"       ; RFC 4466
/// store-modifier  =/ "UNCHANGEDSINCE" SP mod-sequence-valzer             ; RFC 7162
/// ```
fn store_modifiers(cursor: &mut Cursor) -> Parsed<Option<u64>> {
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        cursor.list("a list of modifiers", true, |c| {
            let start = c.clone();
            if &*parameter_name(c)? != "UNCHANGEDSINCE" {
                return start.expected("UNCHANGEDSINCE");
            }
            c.sp()?;
            unchanged_since = Some(c.number("a mod-sequence")?);
            Ok(())
        })?;
    }
    Ok(unchanged_since)
}

/// ```abnf
/// flag-list      = "(" [flag *(SP flag)] ")"
/// flag           = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" /
///                  flag-keyword / flag-extension
/// flag-extension = "\" atom
/// flag-keyword   = atom
/// ```
pub fn flag_list(cursor: &mut Cursor) -> Parsed<FlagList> {
    let mut flags = FlagList::default();
    cursor.list("a list of flags", true, |c| {
        flags.take(flag(c)?);
        Ok(())
    })?;
    Ok(flags)
}

fn bare_flags(cursor: &mut Cursor) -> Parsed<FlagList> {
    let mut flags = FlagList::default();
    loop {
        flags.take(flag(cursor)?);
        cursor.spaces();
        if cursor.at_end() {
            return Ok(flags);
        }
    }
}

/// Any run of octets where a flag should be. An invalid keyword is refused as such, not as a syntax
/// error.
fn flag<'a>(cursor: &mut Cursor<'a>) -> Parsed<&'a [u8]> {
    let delimits = |o: u8| matches!(o, b'(' | b')' | b'"' | b'{') || o <= b' ' || o == 0x7f;
    cursor.run("a flag", |o| !delimits(o))
}
