//! COPY and MOVE (RFC 3501 section 6.4.7, RFC 6851). Messages enter a mailbox by reference: their
//! octets stay where they are in the log, and only index records are written.
//!
//! The two commands allow different partial results, so they are written differently:
//!
//! - A copy is one batch: all messages or none (RFC 3501 section 6.4.7). A large one names its
//!   messages in many frames before the last frame commits them, so no other session may change a
//!   message until then: [`copying`] locks the account.
//! - A move is a series of small batches, each with its expunge in the same frame, so that after a
//!   crash no message is in both mailboxes or in neither. A move may be incomplete, but each
//!   message is moved completely or not at all (RFC 6851 section 3.3). Each batch is composed from
//!   the state in the step that writes it: [`moving`] blocks no other session.

mod copying;
mod moving;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::home::{Ledger, Room, Stream};
use crate::index::{Account, Mailbox};
use crate::reactor::{thresholds, unix_seconds};
use crate::store::{BatchId, Commit, EmailId, LogError, MailboxId, Record};
use imap::types::{ModSeq, Uid, UidRange, UidValidity};

/// Fragments of one message that fit in the record with the rest of it; earlier ones are written
/// ahead.
const FRAGMENTS: usize = 4 << 10;

/// Frames of one batch that may be in flight.
const FRAMES_IN_FLIGHT: usize = 3;

/// `FRAGMENTS`, or less on a machine with other thresholds.
fn fragments_at_once() -> usize {
    FRAGMENTS.min(thresholds().copied_fragments)
}

/// The contents of COPYUID (RFC 4315 section 3): the UIDs of `from` became those of `to`, in order.
#[derive(Clone, Debug)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub validity: UidValidity,
    /// UIDs in the source, ascending. Empty if no message was found.
    pub from: Vec<UidRange>,
    /// The same number of UIDs in the target, ascending.
    pub to: Vec<UidRange>,
    /// Why the messages after these were not moved. Always `None` after a copy.
    pub unfinished: Option<CopyError>,
}

/// Why nothing was copied or moved.
#[derive(Clone, Debug)]
pub enum CopyError {
    /// One of the mailboxes is gone or being deleted; `NO [TRYCREATE]` if it is the target.
    NoMailbox(MailboxId),
    /// The quota has no room for the messages: `NO [OVERQUOTA]`.
    Quota,
    /// The target has reached its limit of keywords, or of sets of keywords: `NO [LIMIT]`.
    Keywords,
    /// The target has run out of UIDs: `NO [LIMIT]`.
    Uids,
    /// The log does not accept the batch.
    Log(LogError),
}

/// Copies or moves messages of a mailbox that the caller has pinned and loaded. UIDs that do not
/// exist are ignored. Source and target may be the same mailbox. On return everything is durable,
/// and other sessions were notified.
///
/// # Errors
/// See [`CopyError`]; then nothing has changed.
///
/// # Panics
/// When messages of the source are not in memory.
pub async fn copy_messages(
    ledger: Ledger<'_>,
    source: MailboxId,
    uids: &[UidRange],
    target: MailboxId,
    moved: bool,
) -> Result<Copied, CopyError> {
    let (validity, end) = {
        let account = ledger.owner().account.borrow();
        let mailbox = |id| account.mailbox(id).ok_or(CopyError::NoMailbox(id));
        let (source, target) = (mailbox(source)?, mailbox(target)?);
        assert_eq!(source.to_load(), None, "the source is pinned and loaded");
        (target.uid_validity(), source.counts().uid_next)
    };
    // Messages added to the source from now on are not affected, not even those added by this
    // command.
    let there = UidRange { first: Uid(1), last: Uid(end.0 - 1) };
    let uids = UidRange::intersection(&UidRange::ascending(uids), &[there]);
    let mut copied = Copied { validity, from: Vec::new(), to: Vec::new(), unfinished: None };
    let in_flight = Arc::new(Semaphore::new(FRAMES_IN_FLIGHT));
    let job = Job { account: ledger.owner().name(), ledger, source, target, in_flight };
    match moved {
        true => job.move_in_steps(&uids, &mut copied).await?,
        false => job.copy_whole(&uids, &mut copied).await?,
    }
    Ok(copied)
}

struct Job<'a> {
    ledger: Ledger<'a>,
    account: Box<str>,
    source: MailboxId,
    target: MailboxId,
    /// Limits the frames in flight.
    in_flight: Arc<Semaphore>,
}

impl Job<'_> {
    /// Finds a mailbox that exists and is not being deleted.
    fn open<'a>(&self, account: &'a Account, id: MailboxId) -> Result<&'a Mailbox, CopyError> {
        let open = account.mailbox(id).filter(|_| !self.ledger.owner().is_dying(id));
        open.ok_or(CopyError::NoMailbox(id))
    }

    /// Writes records of an uncommitted batch. Without records it writes no frame.
    async fn write_ahead(&self, stream: &mut Stream, records: Vec<Record>) -> Result<(), LogError> {
        let records_len = records.iter().map(Record::encoded_len).sum();
        let room = Room::of(records_len).among(&self.in_flight);
        self.ledger.write_ahead(stream, room, records).await.map(drop)
    }

    /// Tells recovery that the batch will not be committed, so that it can forget it. A failure is
    /// harmless.
    async fn cancel(&self, mut stream: Stream) {
        if stream.frames() > 0 {
            let cancel = Record::Cancel { batch: stream.id };
            let _ = self.write_ahead(&mut stream, vec![cancel]).await;
        }
    }

    /// The commit of a batch, without UIDs and mod-sequence. The messages keep their EMAILIDs, so
    /// it gives none.
    fn footer(&self, batch: BatchId, messages: u32, octets: u64) -> Commit {
        Commit {
            batch,
            account: self.account.clone(),
            mailbox: self.target,
            first_uid: Uid(0),
            first_email: EmailId(0),
            modseq: ModSeq(0),
            save_date: unix_seconds().cast_signed(),
            messages,
            octets,
        }
    }
}

/// Sets the UIDs and mod-sequence of a commit, and returns the UIDs.
fn reserve(target: &mut Mailbox, commit: &mut Commit) -> Result<UidRange, CopyError> {
    let reserved = target.reserve(commit.messages).ok_or(CopyError::Uids)?;
    (commit.first_uid, commit.modseq) = (reserved.first_uid, reserved.modseq);
    let first = reserved.first_uid;
    Ok(UidRange { first, last: Uid(first.0 + (commit.messages - 1)) })
}

impl From<LogError> for CopyError {
    fn from(error: LogError) -> CopyError {
        CopyError::Log(error)
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyError::NoMailbox(_) => f.write_str("the mailbox was deleted meanwhile"),
            CopyError::Quota => f.write_str("the quota does not allow it"),
            CopyError::Keywords => f.write_str(
                "the mailbox has as many keywords, or combinations of them, as it can hold; use \
                 another mailbox, or take keywords off the messages first",
            ),
            CopyError::Uids => f.write_str("the mailbox has run out of UIDs"),
            CopyError::Log(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CopyError {}
