//! Claims: the identity that a client asserts, and its evidence.

use std::sync::Arc;

use super::keys::Keys;
use super::password::Password;

/// The names in a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The authentication identity: the owner of the password or proof.
    pub name: String,
    /// The authorization identity: the user whose mail to open, if it is another.
    pub acts_for: Option<String>,
}

/// Evidence to verify.
#[derive(Debug)]
pub enum Claim {
    /// A password.
    Password {
        /// The names.
        identity: Identity,
        /// The password.
        password: Password,
    },
    /// A SCRAM proof of knowing the password.
    Proof(Box<Proof>),
    /// A token, which names the user itself.
    Token {
        /// The JWT.
        token: Box<str>,
        /// The user whose mail to open, if the client named one.
        acts_for: Option<String>,
    },
    /// A certificate verified by the transport.
    Certificate {
        /// The names in the certificate.
        names: Vec<Box<str>>,
        /// The user whose mail to open, if the client named one.
        acts_for: Option<String>,
    },
}

/// The evidence of SCRAM.
#[derive(Debug)]
pub struct Proof {
    /// The names.
    pub(super) identity: Identity,
    /// The keys that the proof refers to.
    pub(super) keys: Keyring,
    /// `AuthMessage` (RFC 5802).
    pub(super) message: Vec<u8>,
    /// `ClientProof` (RFC 5802).
    pub(super) proof: Vec<u8>,
}

/// The keys of a name. They do not tell whether the user exists.
#[derive(Clone)]
pub struct Keyring(pub(super) Arc<Keys>);

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(..)")
    }
}

impl Claim {
    /// The claimed name, for the log; empty if the claim has none.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Claim::Password { identity, .. } => &identity.name,
            Claim::Proof(proof) => &proof.identity.name,
            Claim::Token { acts_for, .. } => acts_for.as_deref().unwrap_or_default(),
            Claim::Certificate { names, acts_for } => {
                let first = names.first().map(|name| &**name);
                acts_for.as_deref().or(first).unwrap_or_default()
            }
        }
    }
}

impl Identity {
    /// A user who opens their own mail.
    #[must_use]
    pub fn of(name: impl Into<String>) -> Identity {
        Identity { name: name.into(), acts_for: None }
    }

    /// An `acts_for` that is empty or equals `name` counts as absent.
    pub(super) fn new(name: String, acts_for: String) -> Identity {
        let acts_for = Some(acts_for).filter(|other| !other.is_empty() && *other != name);
        Identity { name, acts_for }
    }
}
