//! COPY and MOVE (RFC 3501 section 6.4.7, RFC 6851): messages that come into a mailbox by
//! reference. Their octets stay where they are in the log; what is written is what an index needs.
//!
//! A copy is a batch like that of an APPEND: all messages are there, or none. A move is one too,
//! whose commit and expunge are records of the same frame, so that no crash leaves a message in
//! both mailboxes or in none. The UIDs of a move may be so scattered that one frame cannot name
//! them all; then it is several such batches one after the other (RFC 6851 section 3.3 allows a
//! move to be carried out in part; no message is ever moved by half).

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::owner::{Claim, Owner};
use crate::index::{Chunk, Entry, KeywordSet, Mailbox};
use crate::limits::{LARGE_LEASE, UID_RANGES};
use crate::log::{Commit, Frame, HEADER, Hold, Log, LogError, MessageRecord, Record, sealed_len};
use crate::reactor::{Arena, Lease, LeaseClass, unix_seconds};
use crate::types::{BatchId, Keyword, MailboxId, ModSeq, Uid, UidRange, UidValidity};

/// Octets for records in one frame.
const ROOM: usize = LARGE_LEASE - HEADER - 8;

/// Fragments of one message in the record that also has the rest of it; more go ahead.
const FRAGMENTS: usize = 4 << 10;

/// Frames of one copy that may be on their way to the disk.
const FRAMES_IN_FLIGHT: usize = 3;

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
    log: &Log,
    arena: &Arena,
    owner: &Rc<Owner>,
    source: MailboxId,
    uids: &[UidRange],
    target: MailboxId,
    moved: bool,
) -> Result<Copied, CopyError> {
    // To the end: what is moved is in the source until the expunge is applied.
    let _one_at_a_time = if moved { Some(owner.moving.lock().await) } else { None };
    let job = Job { log, arena, owner, source, target, moved };
    if moved && !job.is_settled() {
        // A STORE on its way that comes before the expunge must not be lost with it.
        log.durable().await?;
    }
    let (validity, uids) = job.begin(uids)?;
    let mut copied = Copied { validity, from: Vec::new(), to: Vec::new(), unfinished: None };
    for part in uids.chunks(if moved { UID_RANGES } else { usize::MAX }) {
        match job.batch(part).await {
            Ok(Some((from, to))) => {
                copied.from.extend(from);
                copied.to.push(to);
            }
            Ok(None) => {}
            Err(error) if copied.from.is_empty() => return Err(error),
            Err(error) => {
                copied.unfinished = Some(error);
                break;
            }
        }
    }
    Ok(copied)
}

struct Job<'a> {
    log: &'a Log,
    arena: &'a Arena,
    owner: &'a Rc<Owner>,
    source: MailboxId,
    target: MailboxId,
    moved: bool,
}

/// A batch of which nothing is committed yet.
struct Writing {
    batch: BatchId,
    /// Frames written so far.
    position: u32,
    hold: Option<Hold>,
    in_flight: Arc<Semaphore>,
}

impl Job<'_> {
    fn is_settled(&self) -> bool {
        self.owner.account.borrow().mailbox(self.source).is_none_or(Mailbox::is_settled)
    }

    /// UIDVALIDITY of the target, and which of the messages there are.
    fn begin(&self, uids: &[UidRange]) -> Result<(UidValidity, Vec<UidRange>), CopyError> {
        let account = self.owner.account.borrow();
        let mailbox = |id| account.mailbox(id).ok_or(CopyError::NoMailbox(id));
        let validity = mailbox(self.target)?.uid_validity();
        let source = mailbox(self.source)?;
        assert_eq!(source.to_load(), None, "the source is pinned and loaded");
        let mut existing = Vec::new();
        for range in UidRange::ascending(uids) {
            for chunk in source.chunks(range) {
                chunk.range(range).for_each(|entry| UidRange::push(&mut existing, entry.uid()));
            }
        }
        Ok((validity, existing))
    }

    /// One batch, whole or not at all: the UIDs that there were, and those they have become.
    async fn batch(
        &self,
        uids: &[UidRange],
    ) -> Result<Option<(Vec<UidRange>, UidRange)>, CopyError> {
        let selection = Selection::take(self.owner, self.source, uids)?;
        if selection.messages == 0 {
            return Ok(None);
        }
        // A move adds nothing to what the account holds.
        let claim = match self.moved {
            true => None,
            false => Some(self.owner.claim(selection.octets).ok_or(CopyError::Quota)?),
        };
        {
            let mut account = self.owner.account.borrow_mut();
            let target = account.mailbox_mut(self.target);
            let target = target.ok_or(CopyError::NoMailbox(self.target))?;
            if !selection.sets.values().all(|keywords| target.admit(keywords)) {
                return Err(CopyError::Keywords);
            }
        }
        let mut writing = Writing {
            batch: self.log.next_batch(),
            position: 0,
            hold: None,
            in_flight: Arc::new(Semaphore::new(FRAMES_IN_FLIGHT)),
        };
        let from = selection.uids.clone();
        let result = self.write(&mut writing, selection, claim).await;
        if writing.position > 0 && !matches!(result, Ok(_) | Err(CopyError::Log(_))) {
            // It is no harm when there is no room for this.
            let cancel = Record::Cancel { batch: writing.batch };
            let _ = self.frame(&mut writing, vec![cancel]).await;
        }
        let to = result?;
        self.log.durable().await?;
        Ok(Some((from, to)))
    }

    /// Writes all frames. On return they are on their way.
    async fn write(
        &self,
        writing: &mut Writing,
        selection: Selection,
        claim: Option<Claim>,
    ) -> Result<UidRange, CopyError> {
        let pinned = self.owner.pin(self.source).ok_or(CopyError::NoMailbox(self.source))?;
        let batch = writing.batch;
        let (mut messages, mut length) = (Vec::new(), Record::MESSAGES_OVERHEAD);
        for mut message in selection.records() {
            while message.fragments.len() > FRAGMENTS {
                let rest = message.fragments.split_off(FRAGMENTS);
                let fragments = std::mem::replace(&mut message.fragments, rest);
                let before = references(batch, &mut messages, &mut length);
                self.frame(writing, before.into_iter().collect()).await?;
                self.frame(writing, vec![Record::Fragments { batch, fragments }]).await?;
            }
            let more = message.encoded_len();
            if length + more > ROOM {
                let before = references(batch, &mut messages, &mut length);
                self.frame(writing, before.into_iter().collect()).await?;
            }
            if length + more > ROOM {
                // A thousand keywords of the greatest length on one message.
                return Err(CopyError::Keywords);
            }
            length += more;
            messages.push(message);
        }

        let (mut commit, mut expunge) = (self.commit(batch, &selection), self.expunge(&selection));
        let footer = Record::Commit(commit.clone()).encoded_len()
            + expunge.as_ref().map_or(0, Record::encoded_len);
        if length + footer > ROOM {
            let before = references(batch, &mut messages, &mut length);
            self.frame(writing, before.into_iter().collect()).await?;
        }
        let mut records: Vec<Record> =
            references(batch, &mut messages, &mut length).into_iter().collect();
        let records_len = footer + records.iter().map(Record::encoded_len).sum::<usize>();
        let (lease, permit) = self.ready(writing, records_len).await?;
        // From here to the write nothing is awaited: UIDs and mod-sequences ascend with the log.
        let to = self.reserve(&mut commit, &mut expunge)?;
        records.push(Record::Commit(commit.clone()));
        records.extend(expunge.clone());
        let (stream, position) = (batch, writing.position);
        let frame = Frame { lease, stream, position, payload: 0, records_len };
        self.log.write(frame, |_| records, permit);
        let (owner, hold) = (self.owner.clone(), writing.hold.take());
        self.log.when_durable(move || {
            {
                let mut account = owner.account.borrow_mut();
                let appended = account.append(&commit, selection.records());
                appended.expect("nothing overtakes a batch in the log");
                if let Some(expunge) = &expunge {
                    account.apply(expunge).expect("the source is pinned and loaded");
                }
            }
            drop((pinned, claim, hold));
            owner.changed.notify_waiters();
        });
        Ok(to)
    }

    /// Gives UIDs and mod-sequences to what the next frame holds.
    fn reserve(
        &self,
        commit: &mut Commit,
        expunge: &mut Option<Record>,
    ) -> Result<UidRange, CopyError> {
        let needed = [Some(self.target), self.moved.then_some(self.source)];
        for mailbox in needed.into_iter().flatten() {
            if !self.owner.has(mailbox) {
                return Err(CopyError::NoMailbox(mailbox));
            }
        }
        let mut account = self.owner.account.borrow_mut();
        let mut reserve = |mailbox, messages| {
            let mailbox = account.mailbox_mut(mailbox).expect("the owner has it");
            mailbox.reserve(messages).ok_or(CopyError::Uids)
        };
        let reserved = reserve(self.target, commit.messages)?;
        (commit.first_uid, commit.modseq) = (reserved.first_uid, reserved.modseq);
        if let Some(Record::Expunge { modseq, .. }) = expunge {
            *modseq = reserve(self.source, 0)?.modseq;
        }
        let first = reserved.first_uid;
        Ok(UidRange { first, last: Uid(first.0 + (commit.messages - 1)) })
    }

    /// The footer, but for UIDs and mod-sequence.
    fn commit(&self, batch: BatchId, selection: &Selection) -> Commit {
        Commit {
            batch,
            account: self.owner.name(),
            mailbox: self.target,
            first_uid: Uid(0),
            modseq: ModSeq(0),
            save_date: unix_seconds().cast_signed(),
            messages: selection.messages,
            octets: selection.octets,
        }
    }

    /// What a move takes out of the source, but for the mod-sequence.
    fn expunge(&self, selection: &Selection) -> Option<Record> {
        self.moved.then(|| Record::Expunge {
            account: self.owner.name(),
            mailbox: self.source,
            modseq: ModSeq(0),
            uids: selection.uids.clone(),
        })
    }

    /// Writes records of a batch that is not complete. No records are no frame.
    async fn frame(&self, writing: &mut Writing, records: Vec<Record>) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let records_len = records.iter().map(Record::encoded_len).sum();
        let (lease, permit) = self.ready(writing, records_len).await?;
        let (stream, position) = (writing.batch, writing.position);
        let frame = Frame { lease, stream, position, payload: 0, records_len };
        let (place, _) = self.log.write(frame, |_| records, permit);
        writing.position += 1;
        writing.hold.get_or_insert_with(|| self.log.hold(&place));
        Ok(())
    }

    /// Waits until a frame with such records can be written; to be done without another await.
    async fn ready(
        &self,
        writing: &Writing,
        records_len: usize,
    ) -> Result<(Lease, OwnedSemaphorePermit), LogError> {
        let permit = writing.in_flight.clone().acquire_owned().await;
        let length = sealed_len(0, records_len);
        let lease = self.arena.lease(LeaseClass::holding(length)).await;
        self.log.ready(length).await?;
        Ok((lease, permit.expect("nobody closes the semaphore")))
    }
}

/// The messages that wait for a frame, as a record, if there are any.
fn references(
    batch: BatchId,
    messages: &mut Vec<MessageRecord>,
    length: &mut usize,
) -> Option<Record> {
    *length = Record::MESSAGES_OVERHEAD;
    let messages = std::mem::take(messages);
    (!messages.is_empty()).then_some(Record::References { batch, messages })
}

/// Messages as they were at one moment. The chunks are those of the mailbox, not copies.
struct Selection {
    chunks: Vec<Arc<Chunk>>,
    /// All of them existed.
    uids: Vec<UidRange>,
    /// The keywords, whatever becomes of the source meanwhile.
    sets: HashMap<KeywordSet, Vec<Keyword>>,
    messages: u32,
    octets: u64,
}

impl Selection {
    fn take(owner: &Owner, id: MailboxId, uids: &[UidRange]) -> Result<Selection, CopyError> {
        let account = owner.account.borrow();
        let mailbox = account.mailbox(id).ok_or(CopyError::NoMailbox(id))?;
        let mut taken = Selection {
            chunks: Vec::new(),
            uids: Vec::new(),
            sets: HashMap::new(),
            messages: 0,
            octets: 0,
        };
        let table = mailbox.keywords();
        for &range in uids {
            for chunk in mailbox.chunks(range) {
                for entry in chunk.range(range) {
                    UidRange::push(&mut taken.uids, entry.uid());
                    let set = entry.keywords();
                    taken.sets.entry(set).or_insert_with(|| table.of(set).cloned().collect());
                    taken.messages += 1;
                    taken.octets += entry.size();
                }
                if taken.chunks.last().is_none_or(|last| !Arc::ptr_eq(last, &chunk)) {
                    taken.chunks.push(chunk);
                }
            }
        }
        Ok(taken)
    }

    fn records(&self) -> impl Iterator<Item = MessageRecord> + '_ {
        let entries = self.chunks.iter().flat_map(|chunk| chunk.iter());
        let chosen = entries.filter(|entry| UidRange::covers(&self.uids, entry.uid()));
        chosen.map(|entry: Entry<'_>| entry.to_record(self.sets[&entry.keywords()].clone()))
    }
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
            CopyError::Keywords => f.write_str("the mailbox has too many keywords"),
            CopyError::Uids => f.write_str("the mailbox has run out of UIDs"),
            CopyError::Log(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CopyError {}
