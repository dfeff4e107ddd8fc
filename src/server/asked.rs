//! Requests of operators to clean, on their way to the coordinator.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Requests to clean that may wait for the one in progress.
const WAITING: usize = 1;

/// A request to clean, for the coordinator.
pub(super) struct AskedToClean {
    /// Whether everything is cleaned that gives something back, as fast as possible; else only what
    /// the server would clean by itself now.
    pub(super) all: bool,
    /// Whether everything is cleaned that may have octets of expunged mail, too.
    pub(super) purge: bool,
    /// Is told what is done. When its receiver has gone, cleaning ends with the current segment.
    pub(super) tell: mpsc::UnboundedSender<Cleaned>,
}

/// What has become of a request to clean. Each request ends with `All` or `Failed`; without them,
/// the server has stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cleaned {
    /// Comes first: what is to be cleaned.
    Begun {
        /// Number of segments, at most.
        segments: u64,
        /// Bytes that should come back.
        bytes: u64,
    },
    /// A segment was emptied and given back.
    Segment {
        /// Its number.
        segment: u64,
        /// Length of its file.
        bytes: u64,
        /// Bytes of messages that were written again for that.
        rewritten: u64,
    },
    /// A segment was not cleaned; the next is.
    Left {
        /// Its number.
        segment: u64,
        /// The reason.
        why: String,
    },
    /// Everything was done.
    All,
    /// The log, the catalog or the disk failed. What was cleaned before stays cleaned.
    Failed {
        /// The reason.
        why: String,
    },
}

/// The way from operators to the coordinator.
pub(super) struct CleanRequests {
    pub(super) sender: mpsc::Sender<AskedToClean>,
    receiver: Mutex<Option<mpsc::Receiver<AskedToClean>>>,
}

impl CleanRequests {
    pub(super) fn new() -> CleanRequests {
        let (sender, receiver) = mpsc::channel(WAITING);
        CleanRequests { sender, receiver: Mutex::new(Some(receiver)) }
    }

    /// The receiving end, for the coordinator, of which there is one.
    pub(super) fn take_receiver(&self) -> mpsc::Receiver<AskedToClean> {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        receiver.expect("a server has one coordinator")
    }
}
