//! A message to upload.

use bytes::Bytes;
use imap::types::{Flags, InternalDate};

/// A message, with what APPEND says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The message as it goes over the wire. Never empty: an empty literal cancels the APPEND (RFC
    /// 3502 section 6.3.11).
    pub octets: Bytes,
    /// Its system flags.
    pub flags: Flags,
    /// Its internal date. Without one the server uses the time of arrival.
    pub date: Option<InternalDate>,
}
