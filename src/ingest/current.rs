//! A batch between its first octet and its reply.

use super::admission::OwnKeywords;
use super::batch::Batch;
use super::pending::PendingReply;
use super::taking::free;
use crate::home::{Claim, GuardedLog, Pinned, Stream, UnfinishedShare};
use crate::reactor::Instant;
use crate::store::{Commit, MailboxId};
use imap::protocol::Tag;

/// A batch and where it is to go.
pub(super) struct Current {
    pub stream: Stream,
    pub batch: Batch,
    pub share: UnfinishedShare,
    pub keywords: OwnKeywords,
    pub mailbox: MailboxId,
    pub claim: Option<Claim>,
    /// Octets of the current message that are not in it yet.
    pub unclaimed: u64,
    /// When its command began.
    pub begun: Instant,
}

/// A batch of which everything has arrived.
pub(super) struct Finished {
    pub tag: Tag,
    pub current: Current,
    pub reply: PendingReply,
    /// When everything had arrived.
    pub complete: Instant,
    /// Its commit, but for the UIDs and the mod-sequence.
    pub commit: Commit,
    /// Bytes that the commit takes.
    pub commit_len: usize,
    /// Bytes that the record of its last messages takes, when they were last counted.
    pub messages_len: usize,
    /// Whether there is room for its keywords, if that was asked ahead.
    pub admitted: Option<Option<Pinned>>,
}

impl Current {
    /// Drops a batch that will not be, in turns.
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
