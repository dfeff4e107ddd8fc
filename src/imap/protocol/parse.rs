//! From the octets of a whole command to its value.

use std::fmt;

use super::grammar::{self, Cursor, Expected, Parsed};
use super::{Command, MailboxName, NameError, Tag, Tagged};

/// Why a text is not a command. The answer is BAD. Displayed as "expected a sequence set at octet
/// 12".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The tag, if it could be read.
    pub tag: Option<Tag>,
    /// What the grammar requires; completes the sentence "expected …".
    pub expected: &'static str,
    /// Offset in the command, from 0, where it was expected.
    pub at: usize,
}

/// Stands in [`ParseError::expected`] for an unknown command.
const KNOWN: &str = "a known command";

impl ParseError {
    /// Whether the command is unknown, whatever its arguments.
    #[must_use]
    pub fn is_unknown_command(&self) -> bool {
        self.expected == KNOWN
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at octet {}", self.expected, self.at)
    }
}

impl std::error::Error for ParseError {}

/// Parses a whole command as delimited by the framer, including literals and line end. `utf8`: the
/// client enabled IMAP4rev2 or UTF8=ACCEPT, so mailbox names are in UTF-8; see
/// [`MailboxName::from_wire`].
///
/// ```abnf
/// command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
/// ```
///
/// # Errors
/// If the text is not a command, or the command is unknown.
pub fn parse(octets: &[u8], utf8: bool) -> Result<Tagged, ParseError> {
    let mut cursor = Cursor::new(octets, utf8);
    let failed = |tag, error: Expected| ParseError { tag, expected: error.what, at: error.at };
    let tag = match cursor.tag() {
        Ok(tag) => Tag::new(tag),
        Err(error) => return Err(failed(None, error)),
    };
    match command(&mut cursor) {
        Ok(command) => Ok(Tagged { tag, command }),
        Err(error) => Err(failed(Some(tag), error)),
    }
}

/// The tag and verb at the start of an incomplete command. `None` if no tag can be read; the verb
/// is empty if it cannot be read.
#[must_use]
pub fn first_words(octets: &[u8]) -> Option<(Tag, &str)> {
    let mut cursor = Cursor::new(octets, false);
    let tag = Tag::new(cursor.tag().ok()?);
    let is_whole = |cursor: &Cursor| cursor.peek().is_some();
    if !is_whole(&cursor) {
        return None;
    }
    let verb = cursor.sp().and_then(|()| cursor.atom("a command"));
    Some((tag, verb.ok().filter(|_| is_whole(&cursor)).unwrap_or_default()))
}

fn command(cursor: &mut Cursor) -> Parsed<Command> {
    cursor.sp()?;
    let start = cursor.clone();
    let verb = cursor.atom("a command")?.to_ascii_uppercase();
    let command = match verb.as_str() {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::StartTls,
        "ID" => grammar::id(cursor)?,
        "LOGIN" => grammar::login(cursor)?,
        "AUTHENTICATE" => grammar::authenticate(cursor)?,
        "ENABLE" => grammar::enable(cursor)?,
        "NAMESPACE" => Command::Namespace,
        "LIST" => Command::List(grammar::list(cursor)?),
        "LSUB" => {
            let (reference, pattern) = grammar::lsub(cursor)?;
            Command::Lsub { reference, pattern }
        }
        "SUBSCRIBE" => Command::Subscribe(mailbox_argument(cursor)?),
        "UNSUBSCRIBE" => Command::Unsubscribe(mailbox_argument(cursor)?),
        "CREATE" => Command::Create(grammar::create(cursor)?),
        "DELETE" => Command::Delete(mailbox_argument(cursor)?),
        "RENAME" => rename(cursor)?,
        "STATUS" => {
            let (mailbox, items) = grammar::status(cursor)?;
            Command::Status { mailbox, items }
        }
        "GETMETADATA" => Command::GetMetadata(grammar::get_metadata(cursor)?),
        "SETMETADATA" => Command::SetMetadata(grammar::set_metadata(cursor)?),
        "SELECT" => Command::Select(grammar::select(cursor)?),
        "EXAMINE" => Command::Examine(grammar::select(cursor)?),
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "CHECK" => Command::Check,
        "IDLE" => Command::Idle,
        "CANCELUPDATE" => grammar::cancel_update(cursor)?,
        "UNAUTHENTICATE" => Command::Unauthenticate,
        "EXPUNGE" => Command::Expunge(None),
        "UID" => uid(cursor)?,
        "APPEND" => return cursor.expected("a message literal"),
        verb => match on_messages(cursor, verb, false)? {
            Some(command) => command,
            None => return start.expected(KNOWN),
        },
    };
    cursor.end()?;
    Ok(command)
}

/// ```abnf
/// uid         = "UID" SP (copy / fetch / search / store)
/// uid-expunge = "UID" SP "EXPUNGE" SP sequence-set            ; RFC 4315
/// ```
fn uid(cursor: &mut Cursor) -> Parsed<Command> {
    cursor.sp()?;
    let start = cursor.clone();
    let verb = cursor.atom("a command that takes UIDs")?.to_ascii_uppercase();
    if verb == "EXPUNGE" {
        cursor.sp()?;
        return Ok(Command::Expunge(Some(cursor.sequence_set()?)));
    }
    match on_messages(cursor, &verb, true)? {
        Some(command) => Ok(command),
        None => start.expected("a command that takes UIDs"),
    }
}

/// Commands that take message numbers, or UIDs after the word UID.
///
/// ```abnf
/// copy = "COPY" SP sequence-set SP mailbox
/// move = "MOVE" SP sequence-set SP mailbox                    ; RFC 6851
/// ```
fn on_messages(cursor: &mut Cursor, verb: &str, uid: bool) -> Parsed<Option<Command>> {
    Ok(Some(match verb {
        "FETCH" => Command::Fetch(grammar::fetch(cursor, uid)?),
        "STORE" => Command::Store(grammar::store(cursor, uid)?),
        "COPY" | "MOVE" => {
            cursor.sp()?;
            let set = cursor.sequence_set()?;
            let mailbox = mailbox_argument(cursor)?;
            if verb == "COPY" {
                Command::Copy { uid, set, mailbox }
            } else {
                Command::Move { uid, set, mailbox }
            }
        }
        "SEARCH" => Command::Search(grammar::search(cursor, uid)?),
        "SORT" => Command::Sort(grammar::sort(cursor, uid)?),
        "THREAD" => Command::Thread(grammar::thread(cursor, uid)?),
        _ => return Ok(None),
    }))
}

/// ```abnf
/// rename = "RENAME" SP mailbox SP mailbox
/// ```
fn rename(cursor: &mut Cursor) -> Parsed<Command> {
    Ok(Command::Rename { from: mailbox_argument(cursor)?, to: mailbox_argument(cursor)? })
}

/// ```abnf
/// SP mailbox
/// ```
fn mailbox_argument(cursor: &mut Cursor) -> Parsed<Result<MailboxName, NameError>> {
    cursor.sp()?;
    grammar::mailbox(cursor)
}
