//! Why a walk along a log ends.

use super::error::RecoveryError;
use crate::store::format::{Lsn, MailboxId};

/// Why the walk stops: the first invalid frame.
pub(super) struct Stop {
    pub(super) what: String,
    /// There is nothing of this log.
    pub(super) blank: bool,
    /// The octets of a message are wrong, and lie in frames up to this one: if it was durable, that
    /// is damage.
    pub(super) held_by: Option<Lsn>,
    pub(super) messages: Vec<(MailboxId, u32)>,
}

/// What can go wrong with a frame: it is invalid, or reading it failed.
pub(super) enum Broken {
    Stop(Stop),
    Failed(RecoveryError),
}

impl Stop {
    pub(super) fn new(what: String) -> Stop {
        Stop { what, blank: false, held_by: None, messages: Vec::new() }
    }

    pub(super) fn affecting(mut self, mailbox: MailboxId, messages: u32) -> Stop {
        self.messages.push((mailbox, messages));
        self
    }
}

impl From<Stop> for Broken {
    fn from(stop: Stop) -> Broken {
        Broken::Stop(stop)
    }
}

impl From<RecoveryError> for Broken {
    fn from(error: RecoveryError) -> Broken {
        Broken::Failed(error)
    }
}
