//! What can be seen of a server from outside.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Config;
use crate::index::Quarantine;
use crate::net::Acceptor;
use crate::stats::Tally;
use crate::store::PoolCounts;

/// Everything that there is to know of a running server, to be read from any thread. It keeps
/// nothing of the server alive but these counters.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Where it listens.
    pub address: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// Connections at a time.
    pub connections: usize,
    /// Octets that the disk must have room for when no segment is ready, or nothing can be written
    /// soon: the smallest segment that is made.
    pub segment: u64,
    /// The counters of each reactor, in order.
    pub reactors: Vec<Arc<Tally>>,
    /// Segments that are ready.
    pub pool: Arc<PoolCounts>,
    /// Messages in mailboxes whose octets are damaged, as the start found them.
    pub damaged_messages: u64,
    /// Other damages that the start found and went past.
    pub damages: u64,
    /// What is shown to clients of TLS.
    pub certificate: Option<Acceptor>,
    /// The server is about to end.
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
            segment: super::least_segment(config).into(),
            reactors: Vec::new(),
            pool: Arc::default(),
            damaged_messages: messages as u64,
            damages: (findings - messages) as u64,
            certificate: None,
            stopping: Arc::default(),
        }
    }

    /// The folder of the log.
    #[must_use]
    pub fn segments(&self) -> PathBuf {
        self.data.join(super::SEGMENTS)
    }
}
