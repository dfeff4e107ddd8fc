//! What the operator configured, as far as sessions ask for it.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::MechanismName;
use crate::index::Quarantine;
use crate::net::Acceptor;

/// The configuration that sessions and uploads read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest message accepted, in octets (RFC 7889).
    pub append_limit: u64,
    /// Most connections of one user.
    pub connections_per_user: usize,
    /// Time from the greeting to a login.
    pub login_time: Duration,
    /// TLS, when a certificate and a key are configured.
    pub tls: Option<Acceptor>,
    /// Whether anything reads the lists of uploads and refusals.
    pub observed: bool,
    /// A session ends after this long without input, or without reading its replies.
    pub idle_time: Duration,
    /// Most commands on a connection before a login.
    pub commands_before_login: u32,
    /// Mechanisms that may be offered, in the order in which they are.
    pub mechanisms: Vec<MechanismName>,
    /// Whether passwords and tokens are accepted in clear text from any address.
    pub allow_plaintext_auth: bool,
    /// What the start found damaged.
    pub quarantine: Arc<Quarantine>,
}
