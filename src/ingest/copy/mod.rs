//! COPY and MOVE (RFC 3501 section 6.4.7, RFC 6851): messages that come into a mailbox by
//! reference. Their octets stay where they are in the log; what is written is what an index needs.
//!
//! The two differ in what may happen half way, and so in how they keep to the truth:
//!
//! - A copy is one batch: all messages are there, or none (RFC 3501 section 6.4.7). A large one
//!   names its messages in many frames before the last one commits them, so no other session may
//!   change a message until then: [`copying`] holds the account still.
//! - A move is a row of small batches, each with its expunge in the same frame, so that no crash
//!   leaves a message in both mailboxes or in none; a move may be carried out in part, and no
//!   message is ever moved by half (RFC 6851 section 3.3). Each batch is composed of what is there
//!   in the step that writes it: [`moving`] holds nobody up.

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
use crate::store::{BatchId, Commit, LogError, MailboxId, Record};
use imap::types::{ModSeq, Uid, UidRange, UidValidity};

/// Fragments of one message in the record that also has the rest of it; more go ahead.
const FRAGMENTS: usize = 4 << 10;

/// Frames of one batch that may be on their way to the disk.
const FRAMES_IN_FLIGHT: usize = 3;

/// As many of them as there may be on this machine.
fn fragments_at_once() -> usize {
    FRAGMENTS.min(thresholds().copied_fragments)
}

/// What COPYUID tells (RFC 4315 section 3): message by message, `from` became `to`.
#[derive(Clone, Debug)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub validity: UidValidity,
    /// UIDs in the source, ascending. Empty when none of the messages was there.
    pub from: Vec<UidRange>,
    /// As many UIDs in the target, ascending.
    pub to: Vec<UidRange>,
    /// Why the messages above these were not moved. Always `None` after a copy.
    pub unfinished: Option<CopyError>,
}

/// Why nothing was copied or moved.
#[derive(Clone, Debug)]
pub enum CopyError {
    /// One of the mailboxes is gone, or on its way out; when it is the target, `NO [TRYCREATE]`.
    NoMailbox(MailboxId),
    /// The quota does not allow so many octets: `NO [OVERQUOTA]`.
    Quota,
    /// The target has as many keywords, or sets of them, as it can hold: `NO [LIMIT]`.
    Keywords,
    /// The target has run out of UIDs: `NO [LIMIT]`.
    Uids,
    /// The log takes nothing.
    Log(LogError),
}

/// Copies or moves messages of a mailbox that the caller has pinned and loaded. UIDs that do not
/// exist are passed over. The target may be the source. On return all is durable, and sessions have
/// been told.
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
    // What comes into the source from now on stays there, were it this very command that brings it.
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
    /// Limits the frames on their way to the disk.
    in_flight: Arc<Semaphore>,
}

impl Job<'_> {
    /// A mailbox, unless it is gone or its deletion is on its way.
    fn open<'a>(&self, account: &'a Account, id: MailboxId) -> Result<&'a Mailbox, CopyError> {
        let open = account.mailbox(id).filter(|_| !self.ledger.owner().is_dying(id));
        open.ok_or(CopyError::NoMailbox(id))
    }

    /// Writes records of a batch that is not complete. No records are no frame.
    async fn write_ahead(&self, stream: &mut Stream, records: Vec<Record>) -> Result<(), LogError> {
        let records_len = records.iter().map(Record::encoded_len).sum();
        let room = Room::of(records_len).among(&self.in_flight);
        self.ledger.write_ahead(stream, room, records).await.map(drop)
    }

    /// The batch will not be committed. Recovery need not keep it in mind then; it is no harm when
    /// there is no room to say so.
    async fn cancel(&self, mut stream: Stream) {
        if stream.frames() > 0 {
            let cancel = Record::Cancel { batch: stream.id };
            let _ = self.write_ahead(&mut stream, vec![cancel]).await;
        }
    }

    /// The footer of a batch, but for UIDs and mod-sequence.
    fn footer(&self, batch: BatchId, messages: u32, octets: u64) -> Commit {
        Commit {
            batch,
            account: self.account.clone(),
            mailbox: self.target,
            first_uid: Uid(0),
            modseq: ModSeq(0),
            save_date: unix_seconds().cast_signed(),
            messages,
            octets,
        }
    }
}

/// Gives a footer its UIDs and mod-sequence; these are the UIDs.
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
