//! Connections that arrive at a reactor, and their state.

use std::cell::Cell;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::cleaning::steps::Cleaning;
use super::connections::ConnectionPermit;
use crate::auth::User;
use crate::net::Guest;
use crate::reactor::Instant;
use imap::protocol::Tag;
use imap::protocol::response::Code;

/// A message to a reactor.
pub enum Arrival {
    /// A connection from a listener.
    New {
        /// The connection.
        guest: Guest,
        /// Counts the connection against the server's limit.
        permit: ConnectionPermit,
        /// Whether it starts with a TLS handshake (RFC 8314 section 3.2).
        implicit_tls: bool,
    },
    /// A connection from another reactor, which authenticated it.
    LoggedIn {
        /// The connection.
        guest: Guest,
        /// Its user.
        user: User,
        /// Tag of the login command, whose OK is still to be sent.
        tag: Tag,
        /// Input received since the login command.
        input: Vec<u8>,
        /// Counts the connection against the server's limit.
        permit: ConnectionPermit,
        /// Audit data from before the login.
        trail: Trail,
    },
    /// A step in the cleaning of a segment.
    Clean(Cleaning),
    /// Deletes everything that an account has.
    Purge(PurgeRequest),
    /// The server stops.
    Stop,
}

/// A request to delete everything that the account of a removed user has.
pub struct PurgeRequest {
    /// The account.
    pub account: Box<str>,
    /// Is told what was deleted, once that is durable, or why not all of it.
    pub reply: oneshot::Sender<Result<Purged, String>>,
}

/// What was deleted of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// Number of mailboxes.
    pub mailboxes: u64,
    /// Number of messages in them.
    pub messages: u64,
}

/// The code and the text of the BYE at the end of a session.
pub(crate) type Farewell = (Option<Code<'static>>, Rc<str>);

/// What the audit trail records of a session.
#[derive(Debug, Default)]
pub struct Trail {
    /// The mechanism of the login, or of the last attempt.
    pub mechanism: &'static str,
    /// The name of the client program, from ID (RFC 2971).
    pub client: Option<Box<str>>,
    /// The time of the login, and the octets received and sent up to then.
    pub begun: Option<(Instant, (u64, u64))>,
    /// Number of commands since the login.
    pub commands: u64,
    /// Messages sent since the login; a message sent twice counts twice.
    pub fetched: Cell<u64>,
}
