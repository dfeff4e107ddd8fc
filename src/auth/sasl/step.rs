//! Results of a mechanism's steps.

use std::fmt;

use crate::auth::claim::Claim;

/// The result of a response.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send this challenge; the exchange continues with the response.
    Challenge(Vec<u8>),
    /// Look up the keys of this name and continue with [`Mechanism::keys`](super::Mechanism::keys).
    Keys(String),
    /// Verify this claim. The client has nothing more to say.
    Claim(Claim),
    /// The exchange has failed, and there is nothing to verify.
    Failed(SaslError),
}

/// Why an exchange fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaslError {
    /// The response does not have the form that the mechanism requires.
    Malformed(&'static str),
    /// The channel binding is not that of this connection, or the list of mechanisms was tampered
    /// with (RFC 5802 section 6).
    ChannelBinding(&'static str),
}

/// Decodes a name or token as text.
pub(super) fn text(octets: &[u8], what: &'static str) -> Result<String, SaslError> {
    let text = std::str::from_utf8(octets).map_err(|_| SaslError::Malformed(what))?;
    Ok(text.to_owned())
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaslError::Malformed(what) => write!(f, "malformed response: {what}"),
            SaslError::ChannelBinding(what) => f.write_str(what),
        }
    }
}
