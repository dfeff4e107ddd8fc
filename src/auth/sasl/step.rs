//! What a mechanism says to a response.

use std::fmt;

use crate::auth::claim::Claim;

/// What comes of a response.
#[derive(Debug)]
pub enum Step {
    /// To be sent; the exchange goes on with the response to it.
    Challenge(Vec<u8>),
    /// The exchange goes on with the keys of this name: [`Mechanism::keys`](super::Mechanism::keys).
    Keys(String),
    /// To be verified. The client has said all that it has to say.
    Claim(Claim),
    /// The exchange is over, without anything to verify.
    Failed(SaslError),
}

/// Why a client's response is no login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslError {
    /// It does not have the shape that the mechanism asks for.
    Malformed(&'static str),
    /// The channel binding is not the one of this connection, or somebody has tampered with the
    /// list of mechanisms (RFC 5802 section 6).
    ChannelBinding(&'static str),
}

/// A name or password as text.
pub(super) fn text(octets: &[u8], what: &'static str) -> Result<String, SaslError> {
    let text = std::str::from_utf8(octets).map_err(|_| SaslError::Malformed(what))?;
    Ok(text.to_owned())
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaslError::Malformed(what) => write!(f, "that response makes no sense: {what}"),
            SaslError::ChannelBinding(what) => f.write_str(what),
        }
    }
}
