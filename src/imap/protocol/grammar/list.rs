//! LIST and LSUB (RFC 5258, RFC 5819, RFC 6154).

use super::{Cursor, Parsed, StatusItem};

/// The arguments of LIST, as written: see
/// [`Pattern::new`](crate::protocol::Pattern::new).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Which mailboxes to list.
    pub selection: SelectionOptions,
    /// The reference name.
    pub reference: Vec<u8>,
    /// Names with wildcards; at least one. A single empty name in a command that is not `extended`
    /// asks for the separator.
    pub patterns: Vec<Vec<u8>>,
    /// What to return besides the standard attributes.
    pub returns: ReturnOptions,
    /// Whether the command has selection options, several patterns or return options, even empty
    /// ones (RFC 5258 section 3). An empty pattern then does not ask for the separator.
    pub extended: bool,
}

/// Selection options: which mailboxes to list (RFC 5258 section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelectionOptions {
    /// `SUBSCRIBED`: subscribed names, whether or not the mailbox exists.
    pub subscribed: bool,
    /// `REMOTE`: also mailboxes on other servers.
    pub remote: bool,
    /// `RECURSIVEMATCH`: also parents of matching mailboxes.
    pub recursive_match: bool,
    /// `SPECIAL-USE`: mailboxes with a special use (RFC 6154).
    pub special_use: bool,
}

/// Return options: what to tell about each mailbox (RFC 5258 section 3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReturnOptions {
    /// `SUBSCRIBED`: whether it is subscribed.
    pub subscribed: bool,
    /// `CHILDREN`: whether it has children.
    pub children: bool,
    /// `SPECIAL-USE`: its special uses (RFC 6154).
    pub special_use: bool,
    /// `STATUS (…)`: these items for each; empty if not requested (RFC 5819).
    pub status: Vec<StatusItem>,
}

/// ```abnf
/// list             = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat
///                    [SP list-return-opts]                               ; RFC 5258
/// list-select-opts = "(" [list-select-option *(SP list-select-option)] ")"
/// mbox-or-pat      = list-mailbox / patterns
/// patterns         = "(" list-mailbox *(SP list-mailbox) ")"
/// list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"
/// ```
pub fn list(cursor: &mut Cursor) -> Parsed<List> {
    cursor.sp()?;
    let mut list = List::default();
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.selection = selection(cursor)?;
        cursor.spaces();
    }
    list.reference = cursor.astring("a reference name")?;
    cursor.sp()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = cursor.list("a list of mailbox patterns", false, list_mailbox)?;
    } else {
        list.patterns.push(list_mailbox(cursor)?);
    }
    cursor.spaces();
    if cursor.accept_word("RETURN") {
        list.extended = true;
        cursor.spaces();
        list.returns = return_options(cursor)?;
    }
    Ok(list)
}

/// ```abnf
/// lsub = "LSUB" SP mailbox SP list-mailbox
/// ```
/// Returns the reference and the pattern.
pub fn lsub(cursor: &mut Cursor) -> Parsed<(Vec<u8>, Vec<u8>)> {
    cursor.sp()?;
    let reference = cursor.astring("a reference name")?;
    cursor.sp()?;
    Ok((reference, list_mailbox(cursor)?))
}

/// ```abnf
/// list-mailbox = 1*list-char / string
/// list-char    = ATOM-CHAR / list-wildcards / resp-specials
/// ```
fn list_mailbox(cursor: &mut Cursor) -> Parsed<Vec<u8>> {
    let what = "a mailbox pattern";
    let is_list_char =
        |octet: u8| octet >= 0x80 || super::is_astring_char(octet) || matches!(octet, b'*' | b'%');
    match cursor.peek() {
        Some(b'"' | b'{') => cursor.string(what),
        _ => Ok(cursor.run(what, is_list_char)?.to_vec()),
    }
}

/// ```abnf
/// list-select-option = "SUBSCRIBED" / "REMOTE" / "RECURSIVEMATCH" / "SPECIAL-USE"
/// ```
/// RECURSIVEMATCH needs another option that selects mailboxes; REMOTE does not count.
fn selection(cursor: &mut Cursor) -> Parsed<SelectionOptions> {
    let start = cursor.clone();
    let mut selection = SelectionOptions::default();
    cursor.list("a list of selection options", true, |c| {
        let start = c.clone();
        let what = "SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE";
        match c.atom(what)?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => selection.subscribed = true,
            "REMOTE" => selection.remote = true,
            "RECURSIVEMATCH" => selection.recursive_match = true,
            "SPECIAL-USE" => selection.special_use = true,
            _ => return start.expected(what),
        }
        Ok(())
    })?;
    if selection.recursive_match && !selection.subscribed && !selection.special_use {
        return start.expected("SUBSCRIBED or SPECIAL-USE beside RECURSIVEMATCH");
    }
    Ok(selection)
}

/// ```abnf
/// return-option  = "SUBSCRIBED" / "CHILDREN" / "SPECIAL-USE" / status-option
/// status-option  = "STATUS" SP "(" status-att *(SP status-att) ")"       ; RFC 5819
/// ```
fn return_options(cursor: &mut Cursor) -> Parsed<ReturnOptions> {
    let mut returns = ReturnOptions::default();
    cursor.list("a list of return options", true, |c| {
        let start = c.clone();
        let what = "SUBSCRIBED, CHILDREN, SPECIAL-USE or STATUS";
        match c.atom(what)?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" => returns.children = true,
            "SPECIAL-USE" => returns.special_use = true,
            "STATUS" => {
                c.spaces();
                returns.status = super::mailbox::status_items(c)?;
            }
            _ => return start.expected(what),
        }
        Ok(())
    })?;
    Ok(returns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Command, parse};

    fn command(text: &str) -> Command {
        parse(text.as_bytes(), false).unwrap_or_else(|error| panic!("{text}: {error}")).command
    }

    fn list(text: &str) -> List {
        match command(&format!("a LIST {text}\r\n")) {
            Command::List(list) => list,
            other => panic!("{other:?}"),
        }
    }

    fn refused(text: &str) -> String {
        parse(format!("a LIST {text}").as_bytes(), false).expect_err(text).to_string()
    }

    #[test]
    fn as_it_was_before_it_was_extended() {
        for (text, reference, pattern) in [
            ("\"\" *", "", "*"),
            ("~/Mail/ %", "~/Mail/", "%"),
            ("\"\" \"\"", "", ""),
            ("INBOX a]b*c%", "INBOX", "a]b*c%"),
            ("{0+}\r\n {1}\r\n*", "", "*"),
        ] {
            let patterns = vec![pattern.into()];
            let expected = List { reference: reference.into(), patterns, ..List::default() };
            assert_eq!(list(text), expected, "{text}");
        }
        assert_eq!(
            command("a LSUB \"#news.\" \"comp.mail.*\""),
            Command::Lsub { reference: b"#news.".to_vec(), pattern: b"comp.mail.*".to_vec() }
        );
        assert_eq!(refused("\"\""), "expected a space at octet 9");
        assert_eq!(refused("\"\" )"), "expected a mailbox pattern at octet 10");
        assert!(parse(b"a LSUB \"\" (a b)", false).is_err());
    }

    /// RFC 5258 section 5, RFC 5819 section 3, RFC 6154 section 5.
    #[test]
    fn the_examples_of_the_rfcs() {
        let all = list("() \"\" \"*\" RETURN (CHILDREN)");
        assert!(all.extended && all.returns.children);
        assert_eq!(all.selection, SelectionOptions::default());
        assert!(list("(SUBSCRIBED) \"\" \"*\"").selection.subscribed);
        let remote = list("(REMOTE) \"\" \"%\" RETURN (CHILDREN)");
        assert!(remote.selection.remote && remote.returns.children);
        let many = list("(REMOTE  SUBSCRIBED) \"\" (\"INBOX\" \"Drafts\" Sent/% )");
        assert_eq!(many.patterns, [&b"INBOX"[..], b"Drafts", b"Sent/%"]);
        let recursive = list("(SUBSCRIBED RECURSIVEMATCH) \"\" \"%\"").selection;
        assert!(recursive.subscribed && recursive.recursive_match);
        let status = list("\"\" % return (status (messages unseen) SUBSCRIBED)");
        assert_eq!(status.returns.status, [StatusItem::Messages, StatusItem::Unseen]);
        assert!(status.extended && status.returns.subscribed && !status.selection.subscribed);
        assert!(list("(SPECIAL-USE) \"\" \"*\"").selection.special_use);
        assert!(list("\"\" \"%\" RETURN (SPECIAL-USE)").returns.special_use);
        assert!(list("\"\" (\"\")").extended);
        assert!(list("\"\" % RETURN ()").extended);
    }

    #[test]
    fn unknown_options_are_refused_with_the_known_ones() {
        for (text, expected) in [
            ("(ODD) \"\" %", "SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE at octet 8"),
            ("\"\" % RETURN (ODD)", "SUBSCRIBED, CHILDREN, SPECIAL-USE or STATUS at octet 20"),
            ("(RECURSIVEMATCH) \"\" %", "SUBSCRIBED or SPECIAL-USE beside RECURSIVEMATCH"),
            ("(REMOTE RECURSIVEMATCH) \"\" %", "SUBSCRIBED or SPECIAL-USE beside"),
            ("\"\" ()", "a mailbox pattern at octet 11"),
            ("\"\" % RETURN (STATUS)", "a list of status items"),
            ("\"\" % RETURN (STATUS ())", "a status item"),
            ("\"\" % RETURN", "a list of return options"),
            ("\"\" % x", "the end of the command"),
            ("(SUBSCRIBED \"\" %", "SUBSCRIBED, REMOTE"),
        ] {
            assert!(refused(text).contains(expected), "{text}: {}", refused(text));
        }
    }
}
