//! Who a client says to be, and what it gives to show it.

use std::sync::Arc;

use super::keys::Keys;
use super::password::Password;

/// The names of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose password or proof it is: the authentication identity.
    pub name: String,
    /// Whose mail is to be opened, if it is another's: the authorization identity.
    pub acts_for: Option<String>,
}

/// What is to be verified.
#[derive(Debug)]
pub enum Claim {
    /// A password.
    Password {
        /// Whose.
        identity: Identity,
        /// The password.
        password: Password,
    },
    /// That the password is known, by SCRAM.
    Proof(Box<Proof>),
    /// A token that names the user itself.
    Token {
        /// The JWT.
        token: Box<str>,
        /// Whose mail is to be opened, if the client said so.
        acts_for: Option<String>,
    },
    /// A certificate that the transport has verified.
    Certificate {
        /// The names that it proves.
        names: Vec<Box<str>>,
        /// Whose mail is to be opened, if the client said so.
        acts_for: Option<String>,
    },
}

/// The claim of SCRAM.
#[derive(Debug)]
pub struct Proof {
    /// Whose password is said to be known.
    pub(super) identity: Identity,
    /// The keys against which the proof was made.
    pub(super) keys: Keyring,
    /// `AuthMessage`.
    pub(super) message: Vec<u8>,
    /// `ClientProof`.
    pub(super) proof: Vec<u8>,
}

/// Keys of a name, of a user or of nobody; which of them, they do not tell.
#[derive(Clone)]
pub struct Keyring(pub(super) Arc<Keys>);

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(..)")
    }
}

impl Claim {
    /// Whose claim it says to be, for the log; empty when it does not say.
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
    /// Somebody who opens his own mail.
    #[must_use]
    pub fn of(name: impl Into<String>) -> Identity {
        Identity { name: name.into(), acts_for: None }
    }

    /// `acts_for` that is empty, or the name itself, is none.
    pub(super) fn new(name: String, acts_for: String) -> Identity {
        let acts_for = Some(acts_for).filter(|other| !other.is_empty() && *other != name);
        Identity { name, acts_for }
    }
}
