//! The mechanism XOAUTH2: not a standard, but what Google and Microsoft used before RFC 7628, and
//! most clients support.

use super::oauthbearer::bearer;
use super::step::{SaslError, Step, text};
use crate::auth::claim::Claim;

/// The error for a refused token, in Google's format; the client answers with an empty response.
pub(super) const ERROR: &[u8] = br#"{"status":"401","schemes":"bearer","scope":"mail"}"#;

const SEPARATOR: char = '\x01';

/// The mechanism has a single message.
pub(super) struct Xoauth2;

impl Xoauth2 {
    /// ```abnf
    /// response = "user=" name %x01 "auth=Bearer " token %x01 %x01
    /// ```
    pub(super) fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        let response = text(response, "it is not UTF-8")?;
        let field = |key: &str| response.split(SEPARATOR).find_map(|pair| pair.strip_prefix(key));
        let (Some(user), Some(auth)) = (field("user="), field("auth=")) else {
            return Err(SaslError::Malformed("XOAUTH2 is user=name^Aauth=Bearer token^A^A"));
        };
        let acts_for = Some(user.to_owned()).filter(|user| !user.is_empty());
        Ok(Step::Claim(Claim::Token { token: bearer(auth).into(), acts_for }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_googles_manual() {
        let response = "user=someuser@example.com\x01\
            auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01";
        let Ok(Step::Claim(Claim::Token { token, acts_for })) = Xoauth2.step(response.as_bytes())
        else {
            panic!("no claim");
        };
        assert_eq!(&*token, "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
        assert_eq!(acts_for.as_deref(), Some("someuser@example.com"));
    }

    #[test]
    fn malformed_responses_are_refused() {
        for response in [&b""[..], b"user=x\x01\x01", b"auth=Bearer x\x01\x01", b"user=\xff\x01"] {
            assert!(Xoauth2.step(response).is_err(), "{response:?}");
        }
    }
}
