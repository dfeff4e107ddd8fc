//! The log of a reactor, without the right to write to it.

use crate::store::{Cause, Log, LogError, SegmentId, Unnamed};

/// A log that can be waited for and observed. Only a [`Ledger`](super::Ledger) writes to it.
pub struct GuardedLog(pub(super) Log);

impl GuardedLog {
    /// Restricts a log.
    #[must_use]
    pub fn new(log: Log) -> GuardedLog {
        GuardedLog(log)
    }

    /// Waits until everything written so far is durable and applied.
    ///
    /// # Errors
    /// When the log fails first.
    pub async fn durable(&self) -> Result<(), LogError> {
        self.0.durable().await
    }

    /// Waits until the log fails. Returns the cause.
    pub async fn broken(&self) -> Cause {
        self.0.broken().await
    }

    /// Counts work on messages, and yields when there was enough of it since the last yield, by any
    /// task.
    pub async fn worked(&self, messages: usize) {
        self.0.worked(messages).await;
    }

    /// Begins to write octets of mail that a later record names.
    #[must_use]
    pub fn writes_unnamed(&self) -> Unnamed {
        self.0.writes_unnamed()
    }

    /// Notes that a segment gets octets of mail that nothing will name.
    pub fn has_dead(&self, segment: SegmentId) {
        self.0.has_dead(segment);
    }

    /// A segment in use whose file was deleted.
    #[must_use]
    pub fn nameless(&self) -> Option<SegmentId> {
        self.0.nameless()
    }

    /// Stops the log, because writes to it would be lost.
    pub fn lose(&self, why: &str) {
        self.0.lose(why);
    }
}
