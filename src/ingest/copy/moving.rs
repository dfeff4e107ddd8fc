//! A move in steps: each step moves as many messages as one frame can name.

use std::collections::HashMap;

use super::{Copied, CopyError, Job, fragments_at_once, reserve};
use crate::home::{Page, Stream};
use crate::index::{Account, AsWritten, Entry, KeywordSet, Mailbox};
use crate::reactor::fault::{Fault, made};
use crate::reactor::{LeaseClass, breathe, thresholds};
use crate::store::{Fragments, KeywordList, MessageRecord, Packing, Purpose, Record};
use imap::types::{ModSeq, Uid, UidRange};

/// Up to this number of messages fit in a small lease.
const FEW: u32 = 64;

/// The messages of one step.
#[derive(Default)]
struct Taken {
    messages: Vec<MessageRecord>,
    /// Size of the record with these messages, in bytes.
    messages_len: usize,
    uids: Vec<UidRange>,
    /// The keywords of all messages.
    sets: HashMap<KeywordSet, KeywordList>,
    octets: u64,
    /// Whether the first fragments of the message, the only one, are in the log already.
    continues_ahead: bool,
    /// The first UID of the next step; `None` after the last.
    next: Option<Uid>,
}

/// The result of one step.
struct Moved {
    from: Vec<UidRange>,
    to: UidRange,
    next: Option<Uid>,
}

/// The first fragments of a message with very many fragments, written to the log before the step
/// that moves it.
struct Ahead {
    uid: Uid,
    fragments: Fragments,
    stream: Stream,
}

impl Job<'_> {
    /// # Errors
    /// When nothing was moved. An error after the first step is in `copied`.
    pub(super) async fn move_in_steps(
        &self,
        uids: &[UidRange],
        copied: &mut Copied,
    ) -> Result<(), CopyError> {
        let mut next = uids.first().map(|range| range.first);
        let mut class = match UidRange::count(uids) <= FEW {
            true => LeaseClass::Small,
            false => LeaseClass::Large,
        };
        let mut failed = None;
        while let Some(from) = next {
            match self.move_some(uids, from, class, copied).await {
                Ok(then) => next = then,
                // Keywords take the most space, so a large lease may help.
                Err(CopyError::Keywords) if class == LeaseClass::Small => class = LeaseClass::Large,
                Err(error) => (next, failed) = (None, Some(error)),
            }
            if next.is_some() {
                breathe().await;
            }
        }
        copied.from = UidRange::ascending(&copied.from);
        copied.to = UidRange::ascending(&copied.to);
        // Even if no message was moved: the expunge by other sessions must be durable before the
        // reply.
        self.ledger.durable().await?;
        match failed {
            Some(error) if copied.from.is_empty() => Err(error),
            failed => {
                copied.unfinished = failed;
                Ok(())
            }
        }
    }

    /// Runs one step, from this UID on. Returns the first UID of the next step; `None` after the
    /// last.
    async fn move_some(
        &self,
        uids: &[UidRange],
        from: Uid,
        class: LeaseClass,
        copied: &mut Copied,
    ) -> Result<Option<Uid>, CopyError> {
        self.ledger.not_too_far_ahead(self.source).await?;
        let (mut class, mut ahead) = (class, None);
        if let Some((uid, fragments)) = self.in_many_pieces(uids, from) {
            class = LeaseClass::Large;
            ahead = Some(self.log_ahead(uid, fragments).await?);
        }
        let mut next = None;
        let moved = self
            .ledger
            .step(class, Purpose::Changes, |page| {
                let taken = self.take(page.account, uids, from, page.room, ahead.as_ref())?;
                next = taken.next;
                if taken.messages.is_empty() {
                    return Ok(None);
                }
                // Not if the message was relocated meanwhile, and a frame can name all of it now.
                let used = ahead.take_if(|_| taken.continues_ahead);
                self.compose(page, taken, used).map(Some)
            })
            .await;
        if let Some(unused) = ahead {
            self.cancel(unused.stream).await;
        }
        if let Some(moved) = moved? {
            if made(Fault::MoveInTwoFrames) {
                self.expunge_alone(moved.from.clone()).await?;
            }
            copied.from.extend(moved.from);
            copied.to.push(moved.to);
            next = moved.next;
        }
        Ok(next)
    }

    /// Takes messages from this UID on, in their written state.
    fn take(
        &self,
        account: &Account,
        uids: &[UidRange],
        from: Uid,
        room: usize,
        ahead: Option<&Ahead>,
    ) -> Result<Taken, CopyError> {
        let source = self.open(account, self.source)?;
        let batch = ahead.map(|ahead| ahead.stream.id).unwrap_or_default();
        let around = Record::Commit(self.footer(batch, 0, 0)).encoded_len()
            + self.expunge(ModSeq(0), Vec::new()).encoded_len();
        // Records are padded to eight octets.
        let room = room.saturating_sub(around + 16);
        let (mut taken, mut packing) = (Taken::default(), Packing::of_references());
        for (looked_at, (uid, message)) in from_uid(source, uids, from).enumerate() {
            taken.next = Some(uid);
            if looked_at == thresholds().step_messages {
                let skips = made(Fault::MoveSkipsOne);
                taken.next = Some(if skips { uid.next() } else { uid });
                return Ok(taken);
            }
            let gone = || source.get(uid).filter(|_| made(Fault::MovesTogether)).map(as_applied);
            let Some(message) = message.or_else(gone) else { continue };
            let in_pieces = message.entry.fragments().len() > fragments_at_once();
            let alone =
                in_pieces && ahead.is_some_and(|ahead| ahead.is_start_of(uid, message.entry));
            if in_pieces && !(alone && taken.messages.is_empty()) {
                return Ok(taken);
            }
            let keywords = || source.keywords().list(message.keywords);
            let keywords = taken.sets.entry(message.keywords).or_insert_with(keywords);
            let mut record = message.entry.to_record(keywords.clone());
            if !made(Fault::MoveOfAppliedFlags) {
                record.flags = message.flags;
            }
            if let Some(ahead) = ahead.filter(|_| alone) {
                record.fragments.drain(..ahead.fragments.len());
            }
            let ranges = (taken.uids.len() + 1) * size_of::<UidRange>();
            let messages_len = packing.add(&record);
            if messages_len.saturating_add(ranges) > room {
                return match taken.messages.is_empty() {
                    true => Err(CopyError::Keywords),
                    false => Ok(taken),
                };
            }
            taken.octets += record.size;
            taken.messages_len = messages_len;
            taken.messages.push(record);
            UidRange::push(&mut taken.uids, uid);
            if alone {
                taken.continues_ahead = true;
                taken.next = Some(uid.next());
                return Ok(taken);
            }
        }
        taken.next = None;
        Ok(taken)
    }

    /// Composes the frame of a step: the messages, their commit, and their expunge.
    fn compose(
        &self,
        page: &mut Page<'_>,
        taken: Taken,
        ahead: Option<Ahead>,
    ) -> Result<Moved, CopyError> {
        self.open(page.account, self.target)?;
        let target = page.account.mailbox_mut(self.target).expect("it is open");
        if !target.admit_all(taken.sets.values()) {
            return Err(CopyError::Keywords);
        }
        let Ahead { fragments, stream, .. } =
            ahead.unwrap_or_else(|| Ahead::none(self.ledger.begin()));
        let Taken { mut messages, messages_len, uids: from, octets, next, .. } = taken;
        let count = u32::try_from(messages.len()).expect("a frame names fewer");
        let mut commit = self.footer(stream.id, count, octets);
        let to = reserve(target, &mut commit)?;
        if made(Fault::EmailIdsOfMoveNew) {
            for message in &mut messages {
                message.email = page.account.reserve_emails(1).unwrap_or(message.email);
            }
        }
        let source = page.account.mailbox_mut(self.source).expect("it is open");
        let reserved = source.reserve(0).expect("a reservation of no UID never runs out");
        let references = Record::References { batch: stream.id, messages };
        page.belongs_to(stream.id, stream.frames());
        page.commit(Some((references, messages_len)), commit, |messages| {
            joined(fragments, messages).into_iter()
        });
        if !made(Fault::MoveInTwoFrames) {
            page.change(self.expunge(reserved.modseq, from.clone()));
        }
        page.then(move || drop(stream));
        Ok(Moved { from, to, next })
    }

    /// Planted fault: the source messages are expunged in a separate step.
    async fn expunge_alone(&self, uids: Vec<UidRange>) -> Result<(), CopyError> {
        let compose = |page: &mut Page<'_>| {
            let source = page.account.mailbox_mut(self.source);
            let source = source.ok_or(CopyError::NoMailbox(self.source))?;
            let reserved = source.reserve(0).expect("a reservation of no UID never runs out");
            page.change(self.expunge(reserved.modseq, uids));
            Ok::<_, CopyError>(())
        };
        self.ledger.step(LeaseClass::Large, Purpose::Changes, compose).await
    }

    fn expunge(&self, modseq: ModSeq, uids: Vec<UidRange>) -> Record {
        Record::Expunge { account: self.account.clone(), mailbox: self.source, modseq, uids }
    }

    /// The first message, if one frame cannot name all its fragments, with the fragments to write
    /// ahead.
    fn in_many_pieces(&self, uids: &[UidRange], from: Uid) -> Option<(Uid, Fragments)> {
        let account = self.ledger.owner().account.borrow();
        let mut messages =
            from_uid(account.mailbox(self.source)?, uids, from).take(thresholds().step_messages);
        let first = messages.find_map(|(_, message)| message)?.entry;
        let ahead =
            first.fragments().len().checked_sub(fragments_at_once()).filter(|&more| more > 0)?;
        Some((first.uid(), first.fragments().take(ahead).collect()))
    }

    async fn log_ahead(&self, uid: Uid, fragments: Fragments) -> Result<Ahead, CopyError> {
        let mut stream = self.ledger.begin();
        let batch = stream.id;
        for part in fragments.chunks(fragments_at_once()) {
            let record = Record::Fragments { batch, fragments: part.to_vec() };
            if let Err(error) = self.write_ahead(&mut stream, vec![record]).await {
                self.cancel(stream).await;
                return Err(error.into());
            }
        }
        Ok(Ahead { uid, fragments, stream })
    }
}

impl Ahead {
    /// Whether these fragments are still the first ones of this message: its octets may have been
    /// relocated since.
    fn is_start_of(&self, uid: Uid, entry: Entry<'_>) -> bool {
        self.uid == uid && entry.fragments().zip(&self.fragments).all(|(now, then)| now == *then)
    }

    /// No fragments were written ahead.
    fn none(stream: Stream) -> Ahead {
        Ahead { uid: Uid(0), fragments: Fragments::default(), stream }
    }
}

/// Adds the fragments written ahead to the first message.
fn joined(mut ahead: Fragments, mut messages: Vec<MessageRecord>) -> Vec<MessageRecord> {
    if let Some(first) = messages.first_mut().filter(|_| !made(Fault::AheadForgotten)) {
        ahead.append(&mut first.fragments);
        first.fragments = ahead;
    }
    messages
}

/// Planted fault: the applied state of a message, without the changes already written.
fn as_applied(entry: Entry<'_>) -> AsWritten<'_> {
    let (flags, keywords, modseq) = (entry.flags(), entry.keywords(), entry.modseq());
    AsWritten { entry, flags, keywords, modseq }
}

/// The named messages from this UID on, in their written state.
fn from_uid<'a>(
    mailbox: &'a Mailbox,
    uids: &'a [UidRange],
    from: Uid,
) -> impl Iterator<Item = (Uid, Option<AsWritten<'a>>)> {
    let begun = uids.partition_point(|range| range.last < from);
    uids[begun..].iter().flat_map(move |range| {
        mailbox.as_written(UidRange { first: range.first.max(from), last: range.last })
    })
}
