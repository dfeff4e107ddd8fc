//! A message on its way to a server.

use bytes::Bytes;

use imap::types::{Flags, InternalDate};

/// A message with what an APPEND says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The message, octet for octet as it goes over the wire. Never empty: a literal of no octets
    /// cancels an APPEND (RFC 3502 section 6.3.11).
    pub octets: Bytes,
    /// System flags it gets.
    pub flags: Flags,
    /// Its internal date; without one the server takes the time of arrival.
    pub date: Option<InternalDate>,
}
