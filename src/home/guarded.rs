//! The log of a reactor, as everyone but the ledger sees it.

use crate::store::{Cause, Log, LogError, SegmentId};

/// A log that can be waited for and watched. Only a [`Ledger`](super::Ledger) writes to it.
pub struct GuardedLog(pub(super) Log);

impl GuardedLog {
    /// Leaves writing to the ledgers.
    #[must_use]
    pub fn new(log: Log) -> GuardedLog {
        GuardedLog(log)
    }

    /// Waits until everything written so far is durable and applied.
    ///
    /// # Errors
    /// When it never will be.
    pub async fn durable(&self) -> Result<(), LogError> {
        self.0.durable().await
    }

    /// Waits until the log breaks; says why.
    pub async fn broken(&self) -> Cause {
        self.0.broken().await
    }

    /// Counts work on messages. Other tasks get their turn when there was enough of it for one,
    /// whoever has done it.
    pub async fn worked(&self, messages: usize) {
        self.0.worked(messages).await;
    }

    /// A segment in use whose file was deleted.
    #[must_use]
    pub fn nameless(&self) -> Option<SegmentId> {
        self.0.nameless()
    }

    /// Breaks the log, because what is written to it would not be found again.
    pub fn lose(&self, why: &str) {
        self.0.lose(why);
    }
}
