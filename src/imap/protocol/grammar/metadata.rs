//! GETMETADATA and SETMETADATA (RFC 5464).

use super::mailbox::mailbox;
use super::{Cursor, Parsed};
use crate::protocol::{MailboxName, NameError};

/// The arguments of GETMETADATA (RFC 5464 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMetadata {
    /// The mailbox; the error `Empty` is the server itself.
    pub mailbox: Result<MailboxName, NameError>,
    /// MAXSIZE: no values of more octets.
    pub max_size: Option<u64>,
    /// DEPTH: whether entries below the named ones are asked for too.
    pub depth: Depth,
    /// The named entries, as written; at least one.
    pub entries: Vec<Box<str>>,
}

/// How far below an entry GETMETADATA looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// At the entry alone.
    #[default]
    Zero,
    /// At the entry and those one level below it.
    One,
    /// At the entry and all below it.
    Infinity,
}

/// The arguments of SETMETADATA (RFC 5464 section 4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMetadata {
    /// The mailbox; the error `Empty` is the server itself.
    pub mailbox: Result<MailboxName, NameError>,
    /// Entries, as written, and their values; `None` takes an entry away. At least one.
    pub entries: Vec<(Box<str>, Option<Vec<u8>>)>,
}

/// ```abnf
/// getmetadata         = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries
/// getmetadata-options = "(" getmetadata-option *(SP getmetadata-option) ")"
/// entries             = entry / "(" entry *(SP entry) ")"
/// ```
/// The examples of RFC 5464 have the options behind the mailbox, and so do clients.
pub fn get_metadata(cursor: &mut Cursor) -> Parsed<GetMetadata> {
    cursor.sp()?;
    let mut get = GetMetadata {
        mailbox: Err(NameError::Empty),
        max_size: None,
        depth: Depth::default(),
        entries: Vec::new(),
    };
    if cursor.peek() == Some(b'(') {
        options(cursor, &mut get)?;
        cursor.spaces();
    }
    get.mailbox = mailbox(cursor)?;
    cursor.spaces();
    if at_options(cursor) {
        options(cursor, &mut get)?;
        cursor.spaces();
    }
    get.entries = match cursor.peek() {
        Some(b'(') => cursor.list("a list of entries", false, entry)?,
        _ => vec![entry(cursor)?],
    };
    Ok(get)
}

/// Whether a list begins here that is not one of entries: their names begin with a slash.
fn at_options(cursor: &Cursor) -> bool {
    let mut ahead = cursor.clone();
    let list = ahead.accept(b'(');
    ahead.spaces();
    list && ahead.peek().is_some_and(|octet| octet.is_ascii_alphabetic())
}

/// ```abnf
/// maxsize-opt = "MAXSIZE" SP number
/// scope-opt   = "DEPTH" SP ("0" / "1" / "infinity")
/// ```
fn options(cursor: &mut Cursor, get: &mut GetMetadata) -> Parsed<()> {
    cursor.list("a list of options", false, |c| {
        let start = c.clone();
        match c.atom("MAXSIZE or DEPTH")?.to_ascii_uppercase().as_str() {
            "MAXSIZE" => {
                c.sp()?;
                get.max_size = Some(c.number("a number of octets")?);
            }
            "DEPTH" => {
                c.sp()?;
                get.depth = depth(c)?;
            }
            _ => return start.expected("MAXSIZE or DEPTH"),
        }
        Ok(())
    })?;
    Ok(())
}

fn depth(cursor: &mut Cursor) -> Parsed<Depth> {
    let what = "0, 1 or infinity";
    let start = cursor.clone();
    match cursor.atom(what)?.to_ascii_lowercase().as_str() {
        "0" => Ok(Depth::Zero),
        "1" => Ok(Depth::One),
        "infinity" => Ok(Depth::Infinity),
        _ => start.expected(what),
    }
}

/// ```abnf
/// setmetadata  = "SETMETADATA" SP mailbox SP entry-values
/// entry-values = "(" entry-value *(SP entry-value) ")"
/// entry-value  = entry SP value
/// value        = nstring / literal8
/// ```
pub fn set_metadata(cursor: &mut Cursor) -> Parsed<SetMetadata> {
    cursor.sp()?;
    let mailbox = mailbox(cursor)?;
    cursor.spaces();
    let entries = cursor.list("a list of entries and values", false, |c| {
        let start = c.clone();
        let name = entry(c)?;
        if name.split('/').count() < 3 {
            return start.expected("an entry below /private or /shared");
        }
        c.sp()?;
        Ok((name, c.nstring8("a value or NIL")?))
    })?;
    Ok(SetMetadata { mailbox, entries })
}

/// ```abnf
/// entry = astring   ; slash-separated path to entry, MUST NOT contain "*" or "%"
/// ```
/// The name of no entry is an error of syntax (RFC 5464 section 3.2).
fn entry(cursor: &mut Cursor) -> Parsed<Box<str>> {
    let start = cursor.clone();
    let name = cursor.astring("the name of an entry")?;
    let allowed = |&octet: &u8| matches!(octet, b' '..=b'~') && !matches!(octet, b'*' | b'%');
    let name = match std::str::from_utf8(&name) {
        Ok(text) if name.iter().all(allowed) => text,
        _ => return start.expected("an entry name of ASCII without * and %"),
    };
    let mut levels = name.split('/');
    let scope = (levels.next(), levels.next());
    let scoped = matches!(scope, (Some(""), Some(scope))
        if ["private", "shared"].iter().any(|known| scope.eq_ignore_ascii_case(known)));
    if !scoped {
        return start.expected("an entry name that begins with /private or /shared");
    }
    if levels.any(str::is_empty) {
        return start.expected("an entry name without // and without / at its end");
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Command, parse};

    fn parsed(text: &[u8]) -> Result<Command, String> {
        parse(&[b"a ", text].concat(), false).map(|t| t.command).map_err(|e| e.to_string())
    }

    fn get(text: &str) -> GetMetadata {
        match parsed(text.as_bytes()) {
            Ok(Command::GetMetadata(get)) => get,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn set(text: &[u8]) -> SetMetadata {
        match parsed(text) {
            Ok(Command::SetMetadata(set)) => set,
            other => panic!("{}: {other:?}", text.escape_ascii()),
        }
    }

    #[test]
    fn options_stand_before_or_behind_the_mailbox() {
        let one = get("GETMETADATA \"\" /shared/comment");
        assert_eq!((one.mailbox, one.max_size), (Err(NameError::Empty), None));
        for text in [
            "GETMETADATA (MAXSIZE 1024 DEPTH infinity) INBOX (/shared/a /private/b)",
            "getmetadata \"INBOX\" ( depth INFINITY  maxsize 1024 ) ( /shared/a \"/private/b\" )",
        ] {
            let both = get(text);
            assert_eq!(both.mailbox, Ok(MailboxName::inbox()));
            assert_eq!((both.max_size, both.depth), (Some(1024), Depth::Infinity));
            assert_eq!(both.entries, ["/shared/a".into(), "/private/b".into()]);
        }
        assert_eq!(get("GETMETADATA (DEPTH 1) x /private").depth, Depth::One);
        assert_eq!(get("GETMETADATA x (DEPTH 0) /Private/A").entries.len(), 1);
    }

    #[test]
    fn values() {
        let text =
            b"SETMETADATA \"a b\" (/private/specialuse \"\\\\Drafts \\\\Sent\" /shared/x NIL \
            /Shared/y {3+}\r\nNIL /shared/z ~{3+}\r\na\0b)";
        let set = set(text);
        assert_eq!(set.mailbox, MailboxName::from_utf8("a b"));
        let entry = |name: &str, value: Option<&[u8]>| (name.into(), value.map(<[u8]>::to_vec));
        assert_eq!(
            set.entries,
            [
                entry("/private/specialuse", Some(b"\\Drafts \\Sent")),
                entry("/shared/x", None),
                entry("/Shared/y", Some(b"NIL")),
                entry("/shared/z", Some(b"a\0b")),
            ]
        );
    }

    #[test]
    fn what_is_no_entry() {
        for (text, expected) in [
            ("GETMETADATA x /comment", "an entry name that begins with /private or /shared"),
            ("GETMETADATA x comment", "an entry name that begins with /private or /shared"),
            ("GETMETADATA x /", "an entry name that begins with /private or /shared"),
            ("GETMETADATA x /private/", "an entry name without // and without / at its end"),
            ("GETMETADATA x /private//a", "an entry name without // and without / at its end"),
            ("GETMETADATA x \"/private/*\"", "an entry name of ASCII without * and %"),
            ("GETMETADATA x \"/private/%\"", "an entry name of ASCII without * and %"),
            ("GETMETADATA x {10}\r\n/private/\x01", "an entry name of ASCII without * and %"),
            ("GETMETADATA x /private/ä", "an entry name of ASCII without * and %"),
            ("GETMETADATA x ()", "the name of an entry"),
            ("GETMETADATA x", "the name of an entry"),
            ("GETMETADATA x (MAXSIZE) /private/a", "a space"),
            ("GETMETADATA x (MAXSIZE -1) /private/a", "a number of octets"),
            ("GETMETADATA x (DEPTH 2) /private/a", "0, 1 or infinity"),
            ("GETMETADATA x (DEPT 1) /private/a", "MAXSIZE or DEPTH"),
            ("SETMETADATA x", "a list of entries and values"),
            ("SETMETADATA x ()", "the name of an entry"),
            ("SETMETADATA x /private/a NIL", "a list of entries and values"),
            ("SETMETADATA x (/private NIL)", "an entry below /private or /shared"),
            ("SETMETADATA x (/private/a)", "a space"),
            ("SETMETADATA x (/private/a b)", "a value or NIL"),
            ("SETMETADATA x (/private/a NILE)", "a space or a closing parenthesis"),
            ("SETMETADATA x (/private/a \"b\"", "a space or a closing parenthesis"),
            ("SETMETADATA x (/private/a ~\"b\")", "a value or NIL"),
            ("SETMETADATA x (/private/a {1}\r\n\0)", "a literal without NUL"),
            ("SETMETADATA x (/private/a ~{9}\r\n\0)", "a literal and all its octets"),
        ] {
            let error = parsed(format!("{text}\r\n").as_bytes()).expect_err(text);
            let expected = format!("expected {expected} at octet ");
            assert!(error.starts_with(&expected), "{text}: {error}");
        }
    }
}
