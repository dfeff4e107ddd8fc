//! Commands that name mailboxes.

use super::cursor::is_atom_char;
use super::parameters::parameter_name;
use super::{Cursor, Parsed};
use crate::protocol::{MailboxName, NameError};
use crate::types::SpecialUse;

/// The arguments of CREATE (RFC 3501 section 6.3.3, RFC 6154 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// The new mailbox, without a trailing separator.
    pub mailbox: Result<MailboxName, NameError>,
    /// Whether the name had a trailing separator: the client will create mailboxes below it.
    pub parent: bool,
    /// `USE (…)`: its special uses.
    pub special_use: SpecialUse,
    /// The first unknown use, as written; the answer is USEATTR.
    pub unknown_use: Option<Box<str>>,
}

/// The items of STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusItem {
    /// Messages in the mailbox (RFC 3501).
    Messages,
    /// Messages with `\Recent` (RFC 3501).
    Recent,
    /// The next UID (RFC 3501).
    UidNext,
    /// UIDVALIDITY (RFC 3501).
    UidValidity,
    /// Messages without `\Seen` (RFC 3501).
    Unseen,
    /// Messages with `\Deleted` (RFC 9051).
    Deleted,
    /// Octets of all messages (RFC 8438).
    Size,
    /// The highest mod-sequence (RFC 7162).
    HighestModSeq,
    /// The largest message that APPEND takes (RFC 7889).
    AppendLimit,
    /// The mailbox's identifier, which survives RENAME (RFC 8474).
    MailboxId,
}

impl StatusItem {
    /// All items with their names.
    pub const NAMES: [(&'static str, StatusItem); 10] = [
        ("MESSAGES", StatusItem::Messages),
        ("RECENT", StatusItem::Recent),
        ("UIDNEXT", StatusItem::UidNext),
        ("UIDVALIDITY", StatusItem::UidValidity),
        ("UNSEEN", StatusItem::Unseen),
        ("DELETED", StatusItem::Deleted),
        ("SIZE", StatusItem::Size),
        ("HIGHESTMODSEQ", StatusItem::HighestModSeq),
        ("APPENDLIMIT", StatusItem::AppendLimit),
        ("MAILBOXID", StatusItem::MailboxId),
    ];

    /// The name in requests and replies.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut names = StatusItem::NAMES.iter();
        names.find(|(_, item)| *item == self).expect("every item has a name").0
    }
}

/// ```abnf
/// mailbox = "INBOX" / astring
/// ```
/// An invalid name is not a syntax error: the command handler refuses it with NO.
pub fn mailbox(cursor: &mut Cursor) -> Parsed<Result<MailboxName, NameError>> {
    let name = cursor.astring("a mailbox name")?;
    Ok(MailboxName::from_wire(&name, cursor.utf8()))
}

/// ```abnf
/// create        = "CREATE" SP mailbox [create-params]                    ; RFC 4466
/// create-params = SP "(" create-param *( SP create-param) ")"
/// create-param  =/ "USE" SP "(" [use-attr *(SP use-attr)] ")"            ; RFC 6154
/// use-attr      = "\All" / "\Archive" / "\Drafts" / "\Flagged" / "\Junk" / "\Sent" /
///                 "\Trash" / use-attr-ext
/// use-attr-ext  = "\" atom
/// ```
/// A trailing separator announces mailboxes below this one. No announcement is needed here, so it
/// is removed and reported in `parent` (RFC 3501 section 6.3.3).
pub fn create(cursor: &mut Cursor) -> Parsed<Create> {
    cursor.sp()?;
    let name = cursor.astring("a mailbox name")?;
    let (name, parent) = match name.as_slice() {
        [shorter @ .., b'/'] if !shorter.is_empty() => (shorter, true),
        whole => (whole, false),
    };
    let mailbox = MailboxName::from_wire(name, cursor.utf8());
    let mut create =
        Create { mailbox, parent, special_use: SpecialUse::default(), unknown_use: None };
    cursor.spaces();
    if cursor.peek() != Some(b'(') {
        return Ok(create);
    }
    cursor.list("a list of parameters", true, |c| {
        let start = c.clone();
        if &*parameter_name(c)? != "USE" {
            return start.expected("USE");
        }
        c.spaces();
        c.list("a list of special uses", true, |c| {
            let name = c.run("a special use", |o| o == b'\\' || is_atom_char(o))?;
            match SpecialUse::by_name(name) {
                Some(known) => create.special_use = create.special_use.union(known),
                None => {
                    let name = String::from_utf8_lossy(name).into();
                    create.unknown_use.get_or_insert(name);
                }
            }
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(create)
}

/// ```abnf
/// status     = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
/// status-att = "MESSAGES" / "RECENT" / "UIDNEXT" / "UIDVALIDITY" / "UNSEEN"
/// ```
/// Later RFCs add items: see [`StatusItem`].
pub fn status(cursor: &mut Cursor) -> Parsed<(Result<MailboxName, NameError>, Vec<StatusItem>)> {
    cursor.sp()?;
    let mailbox = mailbox(cursor)?;
    cursor.spaces();
    Ok((mailbox, status_items(cursor)?))
}

/// ```abnf
/// "(" status-att *(SP status-att) ")"
/// ```
pub(super) fn status_items(cursor: &mut Cursor) -> Parsed<Vec<StatusItem>> {
    cursor.list("a list of status items", false, |c| {
        let start = c.clone();
        let name = c.atom("a status item")?;
        let known = StatusItem::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        known.map_or_else(|| start.expected("a status item"), |&(_, item)| Ok(item))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Command, parse};

    fn create(text: &str) -> Create {
        match parse(format!("a CREATE {text}\r\n").as_bytes(), false).map(|t| t.command) {
            Ok(Command::Create(create)) => create,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_trailing_separator_is_reported() {
        let new = create("owatagusiam/");
        assert_eq!((new.mailbox, new.parent), (MailboxName::from_utf8("owatagusiam"), true));
        assert!(!create("owatagusiam").parent);
        let root = create("/");
        assert_eq!((root.mailbox, root.parent), (Err(NameError::EmptyLevel), false));
    }

    /// RFC 6154 section 5.3 and 5.4.
    #[test]
    fn special_uses() {
        let both = create("MySpecial (USE (\\Drafts \\Sent))");
        assert_eq!(both.special_use, SpecialUse::DRAFTS.union(SpecialUse::SENT));
        assert_eq!(both.unknown_use, None);
        let odd = create("x (use( \\sent  \\Odd \\Odder ))");
        assert_eq!(
            (odd.special_use, odd.unknown_use.as_deref()),
            (SpecialUse::SENT, Some("\\Odd"))
        );
        assert!(create("x (USE ())").special_use.is_empty());
        for (text, expected) in [
            ("x (ODD (\\Sent))", "expected USE at octet 12"),
            ("x (USE)", "expected a list of special uses at octet 15"),
            ("x (USE (\"a\"))", "expected a special use at octet 17"),
            ("x (USE (\\Sent)", "expected a space or a closing parenthesis at octet 23"),
        ] {
            let error = parse(format!("a CREATE {text}").as_bytes(), false).expect_err(text);
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn utf8_names_are_taken_literally() {
        let named = |text: &str, utf8| match parse(text.as_bytes(), utf8).map(|t| t.command) {
            Ok(Command::Delete(name)) => name.map(|name| name.to_string()),
            other => panic!("{other:?}"),
        };
        assert_eq!(named("a DELETE &AOQ-", false).as_deref(), Ok("ä"));
        assert_eq!(named("a DELETE &AOQ-", true).as_deref(), Ok("&AOQ-"));
        assert_eq!(named("a DELETE \"R&D ä\"", true).as_deref(), Ok("R&D ä"));
    }
}
