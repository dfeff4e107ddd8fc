//! A connection that comes to a reactor, and what travels with it.

use std::cell::Cell;
use std::rc::Rc;

use super::connections::ConnectionPermit;
use crate::auth::User;
use crate::net::Guest;
use crate::reactor::Instant;
use imap::protocol::Tag;
use imap::protocol::response::Code;

/// What a reactor is sent.
pub enum Arrival {
    /// A connection from a listener.
    New {
        /// The connection.
        guest: Guest,
        /// Counts it among the connections of the server.
        permit: ConnectionPermit,
        /// It begins with a TLS handshake (RFC 8314 section 3.2).
        implicit_tls: bool,
    },
    /// A connection from another reactor, which authenticated it.
    LoggedIn {
        /// The connection.
        guest: Guest,
        /// Its user.
        user: User,
        /// Tag of the command that logged in; its OK is still to be sent.
        tag: Tag,
        /// What the client has sent since.
        input: Vec<u8>,
        /// Counts it among the connections of the server.
        permit: ConnectionPermit,
        /// What was said before the login.
        trail: Trail,
    },
    /// The server stops.
    Stop,
}

/// The code and the text of the BYE at the end of a session.
pub type Farewell = (Option<Code<'static>>, Rc<str>);

/// What the audit trail tells of a session.
#[derive(Debug, Default)]
pub struct Trail {
    /// How the client logs in, or tried to.
    pub mechanism: &'static str,
    /// What the client says that it is (RFC 2971).
    pub client: Option<Box<str>>,
    /// The time of the login, and the octets received and sent up to then.
    pub begun: Option<(Instant, (u64, u64))>,
    /// Commands since then.
    pub commands: u64,
    /// Messages whose octets were sent since then; one that is sent twice counts twice.
    pub fetched: Cell<u64>,
}
