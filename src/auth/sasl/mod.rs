//! SASL (RFC 4422) without I/O: each mechanism is a small state machine. It takes the client's
//! responses and returns the next challenge, or the client's claim.
//!
//! ```text
//!   AUTHENTICATE ──▶ Mechanism::start
//!   a response  ──▶ step ──▶ Challenge: send it, come again with the response
//!                       ├──▶ Keys: come again with the keys of that name (`keys`)
//!                       ├──▶ Claim: to be verified; then `accepted` or `refused` may have a last
//!                       │    challenge
//!                       └──▶ Failed
//! ```

mod external;
mod login;
mod oauthbearer;
mod plain;
mod scram;
mod step;
mod xoauth2;

use super::claim::Keyring;
use crate::net::Security;
use external::External;
use login::Login;
use oauthbearer::OauthBearer;
use plain::Plain;
use scram::Scram;
pub(crate) use step::{SaslError, Step};
use xoauth2::Xoauth2;

/// The name of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MechanismName {
    /// User name and password in one message (RFC 4616).
    Plain,
    /// User name and password in two messages, as in Microsoft's and old clients
    /// (draft-murchison-sasl-login).
    Login,
    /// A proof instead of the password (RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-256 bound to the TLS connection (RFC 9266).
    ScramSha256Plus,
    /// A token (RFC 7628).
    OauthBearer,
    /// A token, in the earlier form of Google and Microsoft.
    Xoauth2,
    /// The client's certificate (RFC 4422 appendix A).
    External,
}

/// An exchange in progress.
pub(crate) struct Mechanism(Kind);

enum Kind {
    Plain(Plain),
    Login(Login),
    Scram(Box<Scram>),
    OauthBearer(OauthBearer),
    Xoauth2(Xoauth2),
    External(External),
}

impl MechanismName {
    /// All mechanisms, safest first: the order in which they are offered.
    pub const ALL: [MechanismName; 7] = [
        MechanismName::External,
        MechanismName::ScramSha256Plus,
        MechanismName::ScramSha256,
        MechanismName::OauthBearer,
        MechanismName::Xoauth2,
        MechanismName::Plain,
        MechanismName::Login,
    ];

    /// The name after `AUTH=`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MechanismName::Plain => "PLAIN",
            MechanismName::Login => "LOGIN",
            MechanismName::ScramSha256 => "SCRAM-SHA-256",
            MechanismName::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            MechanismName::OauthBearer => "OAUTHBEARER",
            MechanismName::Xoauth2 => "XOAUTH2",
            MechanismName::External => "EXTERNAL",
        }
    }

    /// The mechanism with this name, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<MechanismName> {
        Self::ALL.into_iter().find(|name| name.as_str().eq_ignore_ascii_case(text))
    }

    /// Whether an eavesdropper learns the password, or something as good.
    #[must_use]
    pub fn shows_secret(self) -> bool {
        matches!(self, Self::Plain | Self::Login | Self::OauthBearer | Self::Xoauth2)
    }
}

impl Mechanism {
    /// Begins an exchange. `nonce` was drawn for it; `offers_plus` tells whether the client was
    /// offered SCRAM-SHA-256-PLUS.
    #[must_use]
    pub(crate) fn start(
        name: MechanismName,
        security: &Security,
        nonce: [u64; 3],
        offers_plus: bool,
    ) -> Mechanism {
        Mechanism(match name {
            MechanismName::Plain => Kind::Plain(Plain),
            MechanismName::Login => Kind::Login(Login::default()),
            MechanismName::ScramSha256 => {
                Kind::Scram(Box::new(Scram::new(scram::Binding::Unused { offers_plus }, nonce)))
            }
            MechanismName::ScramSha256Plus => {
                let binding = scram::Binding::Exporter(security.exporter);
                Kind::Scram(Box::new(Scram::new(binding, nonce)))
            }
            MechanismName::OauthBearer => Kind::OauthBearer(OauthBearer),
            MechanismName::Xoauth2 => Kind::Xoauth2(Xoauth2),
            MechanismName::External => {
                Kind::External(External { names: security.certificate_names.clone() })
            }
        })
    }

    /// Continues with the client's response, decoded from base64; `None` at the beginning if the
    /// client sent no initial response (RFC 4959).
    pub(crate) fn step(&mut self, response: Option<&[u8]>) -> Step {
        let Some(response) = response else {
            // Every mechanism except LOGIN begins with the client's message.
            return Step::Challenge(match self.0 {
                Kind::Login(_) => login::USERNAME.to_vec(),
                _ => Vec::new(),
            });
        };
        let step = match &mut self.0 {
            Kind::Plain(plain) => plain.step(response),
            Kind::Login(login) => login.step(response),
            Kind::Scram(scram) => scram.step(response),
            Kind::OauthBearer(bearer) => bearer.step(response),
            Kind::Xoauth2(xoauth2) => xoauth2.step(response),
            Kind::External(external) => external.step(response),
        };
        step.unwrap_or_else(Step::Failed)
    }

    /// Continues with the keys that [`Step::Keys`] asked for.
    pub(crate) fn keys(&mut self, keys: Keyring) -> Step {
        match &mut self.0 {
            Kind::Scram(scram) => scram.keys(keys),
            _ => Step::Failed(SaslError::Malformed("no keys were asked for")),
        }
    }

    /// The challenge sent when the claim is accepted; the client answers with an empty response.
    #[must_use]
    pub(crate) fn accepted(&self) -> Option<Vec<u8>> {
        match &self.0 {
            Kind::Scram(scram) => scram.accepted(),
            _ => None,
        }
    }

    /// The challenge sent when the claim is refused; the client answers with some response.
    #[must_use]
    pub(crate) fn refused(&self) -> Option<Vec<u8>> {
        match &self.0 {
            Kind::OauthBearer(_) => Some(oauthbearer::ERROR.to_vec()),
            Kind::Xoauth2(_) => Some(xoauth2::ERROR.to_vec()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for name in MechanismName::ALL {
            assert_eq!(MechanismName::parse(&name.as_str().to_lowercase()), Some(name));
        }
        assert_eq!(MechanismName::parse("SCRAM-SHA-1"), None);
        assert_eq!(MechanismName::parse(""), None);
    }

    #[test]
    fn without_an_initial_response_the_client_is_asked() {
        for name in MechanismName::ALL {
            let mut mechanism = Mechanism::start(name, &Security::default(), [0; 3], false);
            let Step::Challenge(challenge) = mechanism.step(None) else { panic!("{name:?}") };
            let expected: &[u8] = if name == MechanismName::Login { b"Username:" } else { b"" };
            assert_eq!(challenge, expected, "{name:?}");
        }
    }
}
