//! A batch between its first octet and its reply.

use super::admission::OwnKeywords;
use super::batch::Batch;
use super::pending::PendingBatch;
use super::taking::free;
use crate::home::{Claim, Pinned, UnfinishedShare};
use crate::reactor::Instant;
use crate::store::{BatchId, Hold, Log, MailboxId};
use imap::protocol::Tag;

/// A batch and where it is to go.
pub(super) struct Current {
    pub id: BatchId,
    pub batch: Batch,
    pub share: UnfinishedShare,
    pub keywords: OwnKeywords,
    pub mailbox: MailboxId,
    pub claim: Option<Claim>,
    /// Octets of the current message that are not in it yet.
    pub unclaimed: u64,
    pub frames: u32,
    pub hold: Option<Hold>,
    /// When its command began.
    pub begun: Instant,
}

/// A batch of which everything has arrived.
pub(super) struct Finished {
    pub tag: Tag,
    pub current: Current,
    pub reply: PendingBatch,
    /// When everything had arrived.
    pub complete: Instant,
    /// Whether there is room for its keywords, if that was asked ahead.
    pub admitted: Option<Option<Pinned>>,
}

impl Current {
    /// Drops a batch that will not be, in turns.
    pub(super) async fn free(self, log: &Log) {
        let Current { batch, keywords, .. } = self;
        for messages in batch.into_pieces() {
            let count = messages.len();
            drop(messages);
            log.worked(count).await;
        }
        free(log, keywords.lists.into_values()).await;
    }
}
