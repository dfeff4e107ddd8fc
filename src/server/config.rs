//! What an operator can set.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::{MechanismName, TokenConfig};
use crate::index::OnDamage;
use crate::limits::{
    APPEND_LIMIT, AUTOLOGOUT, COMMANDS_BEFORE_LOGIN, CONNECTIONS_PER_ADDRESS, CONNECTIONS_PER_USER,
    LOGIN_FAILURES, LOGIN_TIME, RESERVE, RESERVES, SPARE,
};
use crate::net::TlsFiles;
use crate::reactor::HandedOver;

/// How a server runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data folder; made when it is not there.
    pub data: PathBuf,
    /// Where to listen in clear text, which STARTTLS may end.
    pub listen: SocketAddr,
    /// Where to listen by TLS; needs `tls`.
    pub tls_listen: Option<SocketAddr>,
    /// Sockets to listen on instead of these addresses.
    pub handed_over: HandedOver,
    /// Certificate and key; `None`: there is no TLS.
    pub tls: Option<TlsFiles>,
    /// Passwords are taken in clear text from other machines as well.
    pub allow_plaintext_auth: bool,
    /// How many reactors; `None` is one for each core.
    pub reactors: Option<usize>,
    /// Octets of a segment, a multiple of [`crate::limits::BLOCK`].
    pub segment_size: u32,
    /// Octets of the first segment of each reactor, which is written through while the server
    /// starts; at most `segment_size`.
    pub first_segment: u32,
    /// Octets of a segment that is held back for records; likewise.
    pub reserve: u32,
    /// How many of these are held back for each reactor.
    pub reserves: usize,
    /// Octets of disk that are held back for the catalog.
    pub spare: u64,
    /// Segments kept ready, written ahead of need.
    pub segments_ahead: usize,
    /// Largest message, in octets.
    pub append_limit: u64,
    /// Connections at a time; `None` is [`crate::limits::CONNECTIONS`]. There are fewer when there
    /// are not as many descriptors.
    pub connections: Option<usize>,
    /// Connections from one address at a time.
    pub connections_per_address: usize,
    /// Connections of one user at a time.
    pub connections_per_user: usize,
    /// Time that a connection has to log in.
    pub login_time: Duration,
    /// Whether uploads and refusals are remembered for [`Server::watch`](super::Server::watch).
    pub observed: bool,
    /// Time after which a session ends that says nothing.
    pub idle_time: Duration,
    /// Commands that a connection has to log in.
    pub commands_before_login: u32,
    /// Failed logins of an address in ten minutes, beyond which none is looked at.
    pub login_failures: u32,
    /// Mechanisms that may be offered.
    pub mechanisms: Vec<MechanismName>,
    /// Users who may act as any other.
    pub master_users: Vec<Box<str>>,
    /// Whose tokens are taken, if any are.
    pub tokens: Option<TokenConfig>,
    /// What to do when mail that was acknowledged is damaged.
    pub on_damage: OnDamage,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data: PathBuf::from("./mailrace-data"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1143)),
            tls_listen: None,
            handed_over: HandedOver::default(),
            tls: None,
            allow_plaintext_auth: false,
            reactors: None,
            segment_size: 1 << 30,
            first_segment: 64 << 20,
            reserve: RESERVE,
            reserves: RESERVES,
            spare: SPARE,
            segments_ahead: 2,
            append_limit: APPEND_LIMIT,
            connections: None,
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            connections_per_user: CONNECTIONS_PER_USER,
            login_time: LOGIN_TIME,
            observed: false,
            idle_time: AUTOLOGOUT,
            commands_before_login: COMMANDS_BEFORE_LOGIN,
            login_failures: LOGIN_FAILURES,
            mechanisms: MechanismName::ALL.to_vec(),
            master_users: Vec::new(),
            tokens: None,
            on_damage: OnDamage::Stop,
        }
    }
}
