//! The part of the configuration that sessions use.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::MechanismName;
use crate::index::Quarantine;
use crate::net::Acceptor;

/// The configuration for sessions and uploads.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest message accepted, in octets (RFC 7889).
    pub append_limit: u64,
    /// Limit of connections per user.
    pub connections_per_user: usize,
    /// Time limit from the greeting to a login.
    pub login_time: Duration,
    /// TLS, if a certificate and a key are configured.
    pub tls: Option<Acceptor>,
    /// Whether the lists of uploads and refusals have a reader.
    pub observed: bool,
    /// A session ends after this long without input, or without reading its replies.
    pub idle_time: Duration,
    /// Limit of commands on a connection before login.
    pub commands_before_login: u32,
    /// Mechanisms that may be offered, in the order of the configuration.
    pub mechanisms: Vec<MechanismName>,
    /// Whether passwords and tokens are accepted in clear text from any address.
    pub allow_plaintext_auth: bool,
    /// Damage found by the check at startup.
    pub quarantine: Arc<Quarantine>,
}
