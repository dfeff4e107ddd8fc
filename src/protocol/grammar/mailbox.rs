//! Commands that name mailboxes.

use super::{Cursor, Parsed};
use crate::protocol::command::Command;
use crate::protocol::{MailboxName, NameError};

/// What LIST and LSUB ask for (RFC 3501 section 6.3.8), as the client wrote it: see
/// [`Pattern::new`](crate::protocol::Pattern::new). When `pattern` is empty the client asks for
/// the separator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The reference name.
    pub reference: Vec<u8>,
    /// The mailbox name with wildcards.
    pub pattern: Vec<u8>,
}

/// The arguments of SELECT and EXAMINE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// The mailbox.
    pub mailbox: Result<MailboxName, NameError>,
    /// `CONDSTORE`, `QRESYNC` and the like, as they came.
    pub parameters: Vec<Parameter>,
}

/// An optional parameter of a command, in the form that RFC 4466 section 2.1 gives all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, in capitals.
    pub name: Box<str>,
    /// Its value as it was written, parentheses included.
    pub value: Option<Vec<u8>>,
}

/// What STATUS asks for.
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
    /// The identifier that outlives renaming (RFC 8474).
    MailboxId,
}

impl StatusItem {
    /// All of them with their names.
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

    /// Its name, in requests and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut names = StatusItem::NAMES.iter();
        names.find(|(_, item)| *item == self).expect("every item has a name").0
    }
}

/// ```abnf
/// mailbox = "INBOX" / astring
/// ```
/// A name that is none is not an error of syntax: the command is refused by whoever executes it.
pub fn mailbox(cursor: &mut Cursor) -> Parsed<Result<MailboxName, NameError>> {
    Ok(MailboxName::from_wire(&cursor.astring("a mailbox name")?))
}

/// ```abnf
/// list         = "LIST" SP mailbox SP list-mailbox
/// lsub         = "LSUB" SP mailbox SP list-mailbox
/// list-mailbox = 1*list-char / string
/// list-char    = ATOM-CHAR / list-wildcards / resp-specials
/// ```
pub fn list(cursor: &mut Cursor) -> Parsed<List> {
    cursor.sp()?;
    let reference = cursor.astring("a reference name")?;
    cursor.sp()?;
    let what = "a mailbox pattern";
    let pattern = match cursor.peek() {
        Some(b'"' | b'{') => cursor.string(what)?,
        _ => cursor.run(what, is_list_char)?.to_vec(),
    };
    Ok(List { reference, pattern })
}

fn is_list_char(octet: u8) -> bool {
    octet >= 0x80 || super::is_astring_char(octet) || matches!(octet, b'*' | b'%')
}

/// ```abnf
/// create        = "CREATE" SP mailbox [create-params]                    ; RFC 4466
/// create-params = SP "(" create-param *( SP create-param) ")"
/// ```
/// A separator at the end announces that names below will follow. That needs no announcement
/// here, so it is dropped (RFC 3501 section 6.3.3).
pub fn create(cursor: &mut Cursor) -> Parsed<Command> {
    cursor.sp()?;
    let name = cursor.astring("a mailbox name")?;
    let name = match name.as_slice() {
        [shorter @ .., b'/'] if !shorter.is_empty() => shorter,
        whole => whole,
    };
    let mailbox = MailboxName::from_wire(name);
    Ok(Command::Create { mailbox, parameters: parameters(cursor)? })
}

/// ```abnf
/// select        = "SELECT" SP mailbox [select-params]                    ; RFC 4466
/// examine       = "EXAMINE" SP mailbox [select-params]
/// select-params = SP "(" select-param *(SP select-param) ")"
/// ```
pub fn select(cursor: &mut Cursor) -> Parsed<Select> {
    cursor.sp()?;
    let mailbox = mailbox(cursor)?;
    Ok(Select { mailbox, parameters: parameters(cursor)? })
}

/// ```abnf
/// status     = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
/// status-att = "MESSAGES" / "RECENT" / "UIDNEXT" / "UIDVALIDITY" / "UNSEEN"
/// ```
/// with the items of later RFCs: see [`StatusItem`].
pub fn status(cursor: &mut Cursor) -> Parsed<Command> {
    cursor.sp()?;
    let mailbox = mailbox(cursor)?;
    cursor.spaces();
    let items = cursor.list("a list of status items", false, |c| {
        let start = c.clone();
        let name = c.atom("a status item")?;
        let known = StatusItem::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        known.map_or_else(|| start.expected("a status item"), |&(_, item)| Ok(item))
    })?;
    Ok(Command::Status { mailbox, items })
}

/// ```abnf
/// select-param         = select-param-name [SP select-param-value]       ; RFC 4466
/// select-param-name    = tagged-ext-label
/// select-param-value   = tagged-ext-val
/// tagged-ext-label     = tagged-label-fchar *tagged-label-char
/// tagged-label-fchar   = ALPHA / "-" / "_" / "."
/// tagged-label-char    = tagged-label-fchar / DIGIT / ":"
/// tagged-ext-val       = tagged-ext-simple / "(" [tagged-ext-comp] ")"
/// tagged-ext-simple    = sequence-set / number
/// ```
/// and the same for CREATE, EXAMINE, RENAME, FETCH and STORE. What follows a name is its value if
/// it cannot be a name.
pub fn parameters(cursor: &mut Cursor) -> Parsed<Vec<Parameter>> {
    cursor.spaces();
    if cursor.peek() != Some(b'(') {
        return Ok(Vec::new());
    }
    cursor.list("a list of parameters", false, |c| {
        let first = |o: u8| o.is_ascii_alphabetic() || matches!(o, b'-' | b'_' | b'.');
        if !c.peek().is_some_and(first) {
            return c.expected("the name of a parameter");
        }
        let label = |o: u8| first(o) || o.is_ascii_digit() || o == b':';
        let name = c.run("the name of a parameter", label)?;
        let name = String::from_utf8_lossy(name).to_ascii_uppercase().into();
        let mut ahead = c.clone();
        ahead.spaces();
        let value = match ahead.peek() {
            Some(b'(') => ahead.parenthesised("a value")?,
            Some(b'0'..=b'9' | b'*') => {
                ahead.run("a value", |o| o.is_ascii_digit() || matches!(o, b'*' | b':' | b','))?
            }
            _ => return Ok(Parameter { name, value: None }),
        };
        *c = ahead;
        Ok(Parameter { name, value: Some(value.to_vec()) })
    })
}
