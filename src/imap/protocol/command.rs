//! Commands as values.

use std::fmt;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{
    Create, Fetch, GetMetadata, List, MailboxName, NameError, Search, Select, SequenceSet,
    SetMetadata, Sort, StatusItem, Store, Thread,
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
    /// GETMETADATA (RFC 5464)
    GetMetadata(GetMetadata),
    /// SETMETADATA (RFC 5464)
    SetMetadata(SetMetadata),
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
