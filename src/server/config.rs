//! The configuration of a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::{MechanismName, TokenConfig};
use crate::index::OnDamage;
use crate::limits::{
    APPEND_LIMIT, AUTOLOGOUT, BLOCK, COMMANDS_BEFORE_LOGIN, CONNECTIONS_PER_ADDRESS,
    CONNECTIONS_PER_USER, LOGIN_FAILURES, LOGIN_TIME, RESERVE, RESERVES, SCRUB_EVERY,
    SEGMENT_SIZE_MIN, SEGMENTS_OF_DISK, SPARE,
};
use crate::net::TlsFiles;
use crate::reactor::{HandedOver, files};

/// The configuration of a server. `mailrace serve` fills it from its flags.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data folder; created if it does not exist.
    pub data: PathBuf,
    /// Address to listen on without TLS; clients can upgrade with STARTTLS.
    pub listen: SocketAddr,
    /// Whether it listens at all. Without, it only looks after its data.
    pub listens: bool,
    /// Address to listen on with implicit TLS; needs `tls`.
    pub tls_listen: Option<SocketAddr>,
    /// Sockets from the service manager, used instead of these addresses.
    pub handed_over: HandedOver,
    /// Certificate and key; no TLS without them.
    pub tls: Option<TlsFiles>,
    /// Whether passwords are accepted without TLS from other machines too.
    pub allow_plaintext_auth: bool,
    /// Number of reactors; one per core if `None`.
    pub reactors: Option<usize>,
    /// Size of a segment in bytes, a multiple of [`crate::limits::BLOCK`].
    pub segment_size: u32,
    /// Size in bytes of the first segment of each reactor, which is written through while the
    /// server starts; at most `segment_size`.
    pub first_segment: u32,
    /// Size in bytes of a segment reserved for records; at most `segment_size`.
    pub reserve: u32,
    /// Number of reserved segments per reactor.
    pub reserves: usize,
    /// Bytes of disk reserved for the catalog.
    pub spare: u64,
    /// Number of empty segments kept written and ready.
    pub segments_ahead: usize,
    /// Size limit of a message in bytes.
    pub append_limit: u64,
    /// Maximum number of connections; [`crate::limits::CONNECTIONS`] if `None`. The limit on file
    /// descriptors may lower it.
    pub connections: Option<usize>,
    /// Maximum number of connections from one address.
    pub connections_per_address: usize,
    /// Maximum number of connections per user.
    pub connections_per_user: usize,
    /// Time from the greeting to the login.
    pub login_time: Duration,
    /// Whether uploads and refusals are kept for [`Server::watch`](super::Server::watch).
    pub observed: bool,
    /// Time after which an idle session is closed.
    pub idle_time: Duration,
    /// Maximum number of commands before login.
    pub commands_before_login: u32,
    /// Failed logins from one address in ten minutes; further attempts are refused unchecked.
    pub login_failures: u32,
    /// SASL mechanisms to offer.
    pub mechanisms: Vec<MechanismName>,
    /// Users who may log in as any other.
    pub master_users: Vec<Box<str>>,
    /// The issuer of tokens, if tokens are accepted.
    pub tokens: Option<TokenConfig>,
    /// What to do if acknowledged mail is damaged.
    pub on_damage: OnDamage,
    /// When and how fast segments are cleaned.
    pub cleaning: CleaningConfig,
    /// When and how fast snapshots of the catalog are written.
    pub snapshots: SnapshotConfig,
    /// Everything sealed is read and checked once in this time; `None` does not.
    pub scrub_every: Option<Duration>,
}

/// When and how fast snapshots of the catalog are written, so that record files can be dropped: as
/// soon as there are more of them since the last snapshot than either limit allows.
#[derive(Clone, Debug)]
pub struct SnapshotConfig {
    /// Octets in record files that are worth a snapshot in any case.
    pub least: u64,
    /// How often the size of the catalog record files must have, too.
    pub times: u64,
    /// Number of record files.
    pub files: u64,
    /// Octets a second that may be written.
    pub rate: Option<u64>,
    /// Time between two looks at the record files.
    pub look: Duration,
}

impl Default for SnapshotConfig {
    fn default() -> SnapshotConfig {
        let look = Duration::from_secs(60);
        SnapshotConfig { least: 64 << 20, times: 3, files: 256, rate: Some(32 << 20), look }
    }
}

/// When and how fast segments are cleaned: living messages are written again, so that their segment
/// can be used for other mail.
#[derive(Clone, Debug)]
pub struct CleaningConfig {
    /// Octets a second that may be written again; `None` adapts it to the dead octets there are.
    pub rate: Option<u64>,
    /// Cleaning begins when there is one dead octet to this many living ones.
    pub begin: u64,
    /// It does not begin before there are this many dead octets: two segments, which is less than
    /// what a server prepares.
    pub least: u64,
    /// It is as fast as it can be when there is one dead octet to this many living ones.
    pub end: u64,
    /// Whether every segment with a dead octet is cleaned.
    pub eager: bool,
    /// How long octets of expunged mail may stay on the disk; `None` for as long as they like.
    pub purge_within: Option<Duration>,
    /// Time between two looks for something to clean.
    pub look: Duration,
}

impl Default for CleaningConfig {
    fn default() -> CleaningConfig {
        let look = Duration::from_secs(30);
        CleaningConfig {
            rate: None,
            begin: 5,
            least: 2 << 30,
            end: 4,
            eager: false,
            purge_within: None,
            look,
        }
    }
}

impl Config {
    /// With segments that are small against the disk. The folder must exist.
    #[must_use]
    pub(super) fn for_its_disk(mut self) -> Config {
        // An unknown size is a large one.
        let part = files::capacity(&self.data).unwrap_or(u64::MAX) / SEGMENTS_OF_DISK;
        let most = part.max(SEGMENT_SIZE_MIN) / BLOCK as u64 * BLOCK as u64;
        if let Ok(most) = u32::try_from(most)
            && most < self.segment_size
        {
            let (was, is) = (self.segment_size >> 20, most >> 20);
            tracing::info!("the disk is small: segments have {is} MiB instead of {was} MiB");
            self.cleaning.least = self.cleaning.least.min(2 * u64::from(most));
            (self.segment_size, self.first_segment) = (most, self.first_segment.min(most));
        }
        self
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data: PathBuf::from("./mailrace-data"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1143)),
            listens: true,
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
            cleaning: CleaningConfig::default(),
            snapshots: SnapshotConfig::default(),
            scrub_every: Some(SCRUB_EVERY),
        }
    }
}
