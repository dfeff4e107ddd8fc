//! Commands as values.

use std::fmt;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::grammar::{self, Cursor, Expected, Parsed};
use super::{
    Create, Fetch, List, MailboxName, NameError, Search, Select, SequenceSet, Sort, StatusItem,
    Store, Thread,
};

/// A command with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The tag, which the tagged response repeats.
    pub tag: Tag,
    /// The command with its arguments.
    pub command: Command,
}

/// The tag of a command: printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(Box<str>);

impl Tag {
    pub(super) fn new(text: &str) -> Tag {
        Tag(text.into())
    }

    /// As the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Octets that must not appear in any log; `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Every command except APPEND, whose literals do not pass through here. A mailbox argument that is
/// a well-formed string but not a valid name carries the reason, for the NO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// STARTTLS
    StartTls,
    /// ID (RFC 2971): field names and values; empty for NIL.
    Id(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    /// LOGIN
    Login {
        /// User name.
        user: Vec<u8>,
        /// Password.
        password: Secret,
    },
    /// AUTHENTICATE
    Authenticate {
        /// Name of the SASL mechanism, in capitals.
        mechanism: Box<str>,
        /// The initial response, decoded (RFC 4959).
        initial: Option<Secret>,
    },
    /// ENABLE (RFC 5161): names of capabilities, in capitals.
    Enable(Vec<Box<str>>),
    /// NAMESPACE (RFC 2342)
    Namespace,
    /// LIST
    List(List),
    /// LSUB, with its arguments as written: see [`Pattern::new`](super::Pattern::new).
    Lsub {
        /// The reference name.
        reference: Vec<u8>,
        /// The mailbox name with wildcards.
        pattern: Vec<u8>,
    },
    /// SUBSCRIBE
    Subscribe(Result<MailboxName, NameError>),
    /// UNSUBSCRIBE
    Unsubscribe(Result<MailboxName, NameError>),
    /// CREATE
    Create(Create),
    /// DELETE
    Delete(Result<MailboxName, NameError>),
    /// RENAME
    Rename {
        /// The current name.
        from: Result<MailboxName, NameError>,
        /// The new name.
        to: Result<MailboxName, NameError>,
    },
    /// STATUS
    Status {
        /// The mailbox.
        mailbox: Result<MailboxName, NameError>,
        /// The requested items; at least one.
        items: Vec<StatusItem>,
    },
    /// SELECT
    Select(Select),
    /// EXAMINE
    Examine(Select),
    /// CLOSE
    Close,
    /// UNSELECT (RFC 3691)
    Unselect,
    /// CHECK
    Check,
    /// IDLE (RFC 2177)
    Idle,
    /// FETCH, UID FETCH
    Fetch(Fetch),
    /// STORE, UID STORE
    Store(Store),
    /// COPY, UID COPY
    Copy {
        /// Whether the set holds UIDs.
        uid: bool,
        /// The messages.
        set: SequenceSet,
        /// The target mailbox.
        mailbox: Result<MailboxName, NameError>,
    },
    /// MOVE, UID MOVE (RFC 6851)
    Move {
        /// Whether the set holds UIDs.
        uid: bool,
        /// The messages.
        set: SequenceSet,
        /// The target mailbox.
        mailbox: Result<MailboxName, NameError>,
    },
    /// EXPUNGE, or UID EXPUNGE with the set of UIDs (RFC 4315).
    Expunge(Option<SequenceSet>),
    /// SEARCH, UID SEARCH
    Search(Search),
    /// SORT, UID SORT (RFC 5256)
    Sort(Sort),
    /// THREAD, UID THREAD (RFC 5256)
    Thread(Thread),
    /// CANCELUPDATE (RFC 5267): tags of commands whose results are no longer followed.
    CancelUpdate(Vec<Vec<u8>>),
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate,
}

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
        "LSUB" => grammar::lsub(cursor)?,
        "SUBSCRIBE" => Command::Subscribe(mailbox_argument(cursor)?),
        "UNSUBSCRIBE" => Command::Unsubscribe(mailbox_argument(cursor)?),
        "CREATE" => grammar::create(cursor)?,
        "DELETE" => Command::Delete(mailbox_argument(cursor)?),
        "RENAME" => rename(cursor)?,
        "STATUS" => grammar::status(cursor)?,
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

/// Decodes a SASL response sent during AUTHENTICATE. `None` if it is not base64; `*`, which
/// cancels, is not.
///
/// ```abnf
/// base64          = *(4base64-char) [base64-terminal]
/// base64-terminal = (2base64-char "==") / (3base64-char "=")
/// ```
/// Missing padding is accepted.
#[must_use]
pub fn decode_sasl(line: &[u8]) -> Option<Secret> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, CONFIG);
    ENGINE.decode(line).ok().map(Secret)
}
