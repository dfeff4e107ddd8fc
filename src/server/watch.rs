//! What other threads can read of a running server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Config;
use crate::index::Quarantine;
use crate::net::Acceptor;
use crate::stats::{ScrubCounts, SpaceCounts, Tally};
use crate::store::PoolCounts;

/// The state of a running server, readable from any thread. It keeps only these counters alive.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The address it listens on.
    pub address: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// Maximum number of connections.
    pub connections: usize,
    /// Size in bytes of the smallest segment that is made. The disk must have room for it if no
    /// segment is ready.
    pub segment: u64,
    /// Counters of each reactor, in order.
    pub reactors: Vec<Arc<Tally>>,
    /// Counts of the segment pool.
    pub pool: Arc<PoolCounts>,
    /// Counts of the cleaning.
    pub space: Arc<SpaceCounts>,
    /// Counts of the scrub; `None` when it is off.
    pub scrub: Option<Arc<ScrubCounts>>,
    /// Messages in mailboxes whose bytes the start found damaged.
    pub damaged_messages: u64,
    /// Other damage that the start found and skipped.
    pub damages: u64,
    /// The TLS certificate.
    pub certificate: Option<Acceptor>,
    /// Whether the server is stopping.
    pub stopping: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn new(
        address: SocketAddr,
        config: &Config,
        connections: usize,
        quarantine: &Quarantine,
    ) -> Watch {
        let (findings, messages) = (quarantine.findings.len(), quarantine.damaged_messages());
        Watch {
            address,
            data: config.data.clone(),
            connections,
            segment: super::shared::least_segment(config).into(),
            reactors: Vec::new(),
            pool: Arc::default(),
            space: Arc::default(),
            scrub: None,
            damaged_messages: messages as u64,
            damages: (findings - messages) as u64,
            certificate: None,
            stopping: Arc::default(),
        }
    }

    /// The folder of the log.
    #[must_use]
    pub fn segments(&self) -> PathBuf {
        self.data.join(super::folder::SEGMENTS)
    }
}
