//! What the reactors of a server share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;

use super::asked::CleanRequests;
use super::{CleaningConfig, Config, SnapshotConfig, StartError, resources};
use crate::auth::{Tokens, Users, Verifier, VerifierOptions};
use crate::home::{Arrival, ConnectionLimit, Offload, Settings};
use crate::index::{Catalog, Quarantine};
use crate::limits::{OPENERS, SEGMENT_LEAST};
use crate::net::Acceptor;
use crate::reactor::Jobs;
use crate::stats::{ScrubCounts, SpaceCounts};
use crate::store::{Epoch, PoolConfig, Recovered, SegmentId, SegmentPool, Segments, Spare, piece};

/// State shared by the reactors.
pub(crate) struct Shared {
    pub catalog: Catalog,
    pub verifier: Verifier,
    pub offload: Offload,
    pub pool: SegmentPool,
    pub settings: Settings,
    pub segments: Segments,
    /// Length of a whole segment in bytes.
    pub segment_size: u64,
    /// Bytes of a segment that cleaning writes to on a full disk.
    pub piece: u32,
    /// Threads that open segments for reading.
    pub openers: Jobs,
    pub epoch: Epoch,
    pub count: u16,
    pub pin: bool,
    pub reactors: Arc<OnceLock<Vec<mpsc::UnboundedSender<Arrival>>>>,
    pub mailboxes: Arc<AtomicU64>,
    pub connections: Arc<ConnectionLimit>,
    pub ingested: Arc<AtomicU64>,
    pub cleaning: CleaningConfig,
    pub snapshots: SnapshotConfig,
    pub space: Arc<SpaceCounts>,
    pub scrub_every: Option<Duration>,
    pub scrub: Arc<ScrubCounts>,
    pub asked: CleanRequests,
}

impl Shared {
    pub(super) fn new(
        config: &Config,
        tls: Option<Acceptor>,
        catalog: Catalog,
        users: Users,
        (segments, recovered, quarantine): (Segments, &Recovered, Quarantine),
        (reactors, connections): (usize, usize),
    ) -> Result<Arc<Shared>, StartError> {
        let ingested = Arc::new(AtomicU64::new(0));
        let pool = PoolConfig {
            segments: segments.clone(),
            size: config.segment_size,
            first: config.segment_size.min(config.first_segment),
            least: least_segment(config),
            reserve: config.segment_size.min(config.reserve),
            reserves: config.reserves * reactors,
            piece: piece(config.segment_size, reactors),
            spare: Spare::new(&config.data, config.spare),
            ahead: config.segments_ahead,
            first_id: SegmentId::first_of(recovered.next_epoch),
            ready: recovered.ready.clone(),
            purges: config.cleaning.purge_within.is_some(),
            stale: recovered.stale.clone(),
            ingested: ingested.clone(),
        };
        Ok(Arc::new(Shared {
            catalog,
            offload: Offload::start().map_err(StartError::System)?,
            verifier: verifier(config, users)?,
            pool: SegmentPool::start(pool).map_err(StartError::System)?,
            settings: Settings {
                append_limit: config.append_limit,
                connections_per_user: config.connections_per_user,
                login_time: config.login_time,
                tls,
                observed: config.observed,
                idle_time: config.idle_time,
                commands_before_login: config.commands_before_login,
                mechanisms: config.mechanisms.clone(),
                allow_plaintext_auth: config.allow_plaintext_auth,
                quarantine: Arc::new(quarantine),
            },
            segments,
            segment_size: config.segment_size.into(),
            piece: piece(config.segment_size, reactors),
            openers: Jobs::start("opener", OPENERS, Jobs::ANY).map_err(StartError::System)?,
            epoch: recovered.next_epoch,
            count: u16::try_from(reactors).map_err(|_| StartError::TooManyReactors)?,
            // With more reactors than cores, the kernel places them.
            pin: reactors <= resources::cores(),
            reactors: Arc::default(),
            mailboxes: Arc::new(AtomicU64::new(1)),
            connections: ConnectionLimit::new(connections, config.connections_per_address),
            ingested,
            cleaning: config.cleaning.clone(),
            snapshots: config.snapshots.clone(),
            space: Arc::default(),
            scrub_every: config.scrub_every,
            scrub: Arc::default(),
            asked: CleanRequests::new(),
        }))
    }
}

fn verifier(config: &Config, users: Users) -> Result<Verifier, StartError> {
    let secret = users.secret().map_err(StartError::Users)?;
    let tokens = config.tokens.clone().map(Tokens::open).transpose();
    let options = VerifierOptions {
        masters: config.master_users.clone(),
        tokens: tokens.map_err(StartError::Tokens)?,
        failures: Some(config.login_failures),
    };
    Verifier::start(users, secret, options).map_err(StartError::System)
}

/// Bytes of the smallest segment that mail is written to.
pub(super) fn least_segment(config: &Config) -> u32 {
    config.segment_size.min(config.first_segment).min(SEGMENT_LEAST)
}
