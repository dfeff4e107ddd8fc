//! A batch from its first octet to its reply.

use super::admission::OwnKeywords;
use super::batch::Batch;
use super::pending::PendingReply;
use super::taking::free;
use crate::home::{Claim, GuardedLog, Pinned, Stream, UnfinishedShare};
use crate::reactor::Instant;
use crate::store::{Commit, MailboxId, Unnamed};
use imap::protocol::Tag;

/// The batch being received, and its target.
pub(super) struct Current {
    pub stream: Stream,
    /// Its octets are dead unless its commit becomes durable.
    pub unnamed: Unnamed,
    pub batch: Batch,
    pub share: UnfinishedShare,
    pub keywords: OwnKeywords,
    pub mailbox: MailboxId,
    pub claim: Option<Claim>,
    /// Announced octets of the current message that `claim` does not cover yet.
    pub unclaimed: u64,
    /// When the command started.
    pub begun: Instant,
}

/// A batch that has arrived completely.
pub(super) struct Finished {
    pub tag: Tag,
    pub current: Current,
    pub reply: PendingReply,
    /// When it was complete.
    pub complete: Instant,
    /// The commit, without UIDs and mod-sequence.
    pub commit: Commit,
    /// Size of the commit, in bytes.
    pub commit_len: usize,
    /// Size of the record with the last messages, in bytes, when it was last counted.
    pub messages_len: usize,
    /// The result of admitting the keywords, if that was done ahead of the commit.
    pub admitted: Option<Option<Pinned>>,
}

impl Current {
    /// Drops an abandoned batch, with yields.
    pub(super) async fn free(self, log: &GuardedLog) {
        let Current { batch, keywords, .. } = self;
        for messages in batch.into_pieces() {
            let count = messages.len();
            drop(messages);
            log.worked(count).await;
        }
        free(log, keywords.lists.into_values()).await;
    }
}
