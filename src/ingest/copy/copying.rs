//! A copy: one batch, all or nothing. Its messages are locked until it is committed.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::{Copied, CopyError, Job, fragments_at_once, reserve};
use crate::home::{Claim, Owner, Pinned, ROOM, Room, Stream};
use crate::index::{Chunk, Entry, KeywordSet};
use crate::ingest::taking::admit_many;
use crate::reactor::fault::{Fault, made};
use crate::reactor::{breathe, thresholds};
use crate::store::{BatchId, KeywordList, MailboxId, MessageRecord, Packing, Record};
use imap::types::{SpecialUse, Uid, UidRange};

/// Names of the trash folder in clients that do not use special use: older clients, Outlook, and
/// Apple Mail. They count only if no mailbox has that special use.
const TRASH: [&str; 3] = ["Trash", "Deleted Items", "Deleted Messages"];

impl Job<'_> {
    /// # Errors
    /// When nothing was copied.
    pub(super) async fn copy_whole(
        &self,
        uids: &[UidRange],
        copied: &mut Copied,
    ) -> Result<(), CopyError> {
        let written = {
            // No session may change a message until the commit is written, or the frames before it
            // would be wrong.
            let _still = self.ledger.owner().changing.write().await;
            self.settled().await?;
            self.write_whole(uids).await?
        };
        // Even if no message was found: the expunge by another session must be durable before the
        // reply.
        self.ledger.durable().await?;
        if let Some((from, to)) = written {
            copied.from = from;
            copied.to = vec![to];
        }
        Ok(())
    }

    /// Whether the target is the mailbox for deleted messages.
    fn is_to_trash(&self) -> bool {
        let account = self.ledger.owner().account.borrow();
        account.mailbox(self.target).is_some_and(|target| {
            let name = target.name();
            target.special_use().contains(SpecialUse::TRASH)
                || TRASH.iter().any(|trash| name.eq_ignore_ascii_case(trash))
        })
    }

    /// Waits until every written change of the source has been applied. The lock prevents new ones.
    async fn settled(&self) -> Result<(), CopyError> {
        let source = self.source;
        let owner = self.ledger.owner();
        let is_settled =
            || owner.account.borrow().mailbox(source).is_none_or(|m| m.unapplied() == 0);
        while !is_settled() {
            self.ledger.durable().await?;
        }
        Ok(())
    }

    /// Writes all frames. Returns the source UIDs that were found, and the UIDs of the copies,
    /// which are valid once the frames are durable.
    async fn write_whole(
        &self,
        uids: &[UidRange],
    ) -> Result<Option<(Vec<UidRange>, UidRange)>, CopyError> {
        let owner = self.ledger.owner();
        let selection = Selection::take(owner, self.source, uids).await?;
        if selection.messages == 0 {
            return Ok(None);
        }
        let octets = if made(Fault::CopyUnclaimed) { 0 } else { selection.octets };
        let claim = match self.is_to_trash() {
            true => owner.claim_in_trash(octets),
            false => owner.claim(octets),
        };
        let claim = claim.ok_or(CopyError::Quota)?;
        if owner.account.borrow().mailbox(self.target).is_none() {
            return Err(CopyError::NoMailbox(self.target));
        }
        let admitted = admit_many(owner, self.target, selection.sets.values()).await;
        let admitted = admitted.ok_or(CopyError::Keywords)?;
        let mut stream = self.ledger.begin();
        let from = selection.uids.clone();
        match self.write_batch(&mut stream, selection, (claim, admitted)).await {
            Ok(to) => Ok(Some((from, to))),
            Err(error) => {
                self.cancel(stream).await;
                Err(error)
            }
        }
    }

    /// Writes all frames. On return they are in flight.
    async fn write_batch(
        &self,
        stream: &mut Stream,
        selection: Selection,
        reserved: (Claim, Pinned),
    ) -> Result<UidRange, CopyError> {
        let batch = stream.id;
        let room = ROOM.min(thresholds().records_room);
        let (mut messages, mut packing) = (Vec::new(), Packing::of_references());
        for mut message in selection.records() {
            while message.fragments.len() > fragments_at_once() {
                let rest = message.fragments.split_off(fragments_at_once());
                let fragments = std::mem::replace(&mut message.fragments, rest);
                let before = references(batch, &mut messages, &mut packing);
                self.write_ahead(stream, before.into_iter().collect()).await?;
                self.write_ahead(stream, vec![Record::Fragments { batch, fragments }]).await?;
            }
            if packing.add(&message) > room {
                let before = references(batch, &mut messages, &mut packing);
                self.write_ahead(stream, before.into_iter().collect()).await?;
                packing.add(&message);
            }
            messages.push(message);
        }

        let mut commit = self.footer(batch, selection.messages, selection.octets);
        let footer = Record::Commit(commit.clone()).encoded_len();
        if packing.octets() + footer > room {
            let before = references(batch, &mut messages, &mut packing);
            self.write_ahead(stream, before.into_iter().collect()).await?;
        }
        let last_len = packing.octets();
        let last = references(batch, &mut messages, &mut packing).map(|last| (last, last_len));
        let records_len = footer + last.as_ref().map_or(0, |(_, len)| *len);
        let room = Room::of(records_len).among(&self.in_flight);
        // The guard must not be dropped while the account is borrowed.
        let mut reserved = Some(reserved);
        self.ledger
            .write(room, |page| {
                self.open(page.account, self.source)?;
                self.open(page.account, self.target)?;
                let target = page.account.mailbox_mut(self.target).expect("it is open");
                let to = reserve(target, &mut commit)?;
                page.belongs_to(batch, stream.frames());
                let (selection, hold) = (Rc::new(selection), stream.take_hold());
                let shared = selection.clone();
                page.commit(last, commit, |_| shared.shared_records());
                let reserved = reserved.take();
                page.then(move || drop((reserved, hold)));
                page.drop_later(selection.into_leftovers());
                Ok(to)
            })
            .await
    }
}

/// A record with the messages that wait for a frame; `None` if there are none.
fn references(
    batch: BatchId,
    messages: &mut Vec<MessageRecord>,
    packing: &mut Packing,
) -> Option<Record> {
    *packing = Packing::of_references();
    let messages = std::mem::take(messages);
    (!messages.is_empty()).then_some(Record::References { batch, messages })
}

/// A snapshot of messages. It shares the chunks of the mailbox.
struct Selection {
    chunks: Vec<Arc<Chunk>>,
    /// The UIDs. Each had a message.
    uids: Vec<UidRange>,
    /// The keywords, kept independently of the source.
    sets: HashMap<KeywordSet, KeywordList>,
    messages: u32,
    octets: u64,
}

impl Selection {
    /// Takes the snapshot, with yields. The mailbox must be pinned and its messages locked.
    async fn take(owner: &Owner, id: MailboxId, uids: &[UidRange]) -> Result<Selection, CopyError> {
        let mut taken = Selection {
            chunks: Vec::new(),
            uids: Vec::new(),
            sets: HashMap::new(),
            messages: 0,
            octets: 0,
        };
        let mut looked_at = 0;
        for &UidRange { first, last } in uids {
            let mut from = Some(first);
            while let Some(first) = from {
                let before = taken.messages;
                from = taken.add(owner, id, UidRange { first, last })?;
                looked_at += 1 + (taken.messages - before) as usize;
                if looked_at >= thresholds().step_messages {
                    looked_at = 0;
                    breathe().await;
                }
            }
        }
        Ok(taken)
    }

    /// Adds the messages of one chunk. Returns the first UID of the next chunk.
    fn add(
        &mut self,
        owner: &Owner,
        id: MailboxId,
        uids: UidRange,
    ) -> Result<Option<Uid>, CopyError> {
        let account = owner.account.borrow();
        let mailbox = account.mailbox(id).ok_or(CopyError::NoMailbox(id))?;
        let table = mailbox.keywords();
        let chunk = mailbox.chunks(uids).find(|chunk| chunk.range(uids).len() > 0);
        let Some(chunk) = chunk else { return Ok(None) };
        let mut last = uids.first;
        for entry in chunk.range(uids) {
            last = entry.uid();
            UidRange::push(&mut self.uids, last);
            let set = entry.keywords();
            self.sets.entry(set).or_insert_with(|| table.list(set));
            self.messages += 1;
            self.octets += entry.size();
        }
        // The chunk may be there already, in its state before mail was appended to it.
        let end = self.chunks.last().and_then(|taken| taken.iter().next_back()).map(Entry::uid);
        if end < Some(last) {
            self.chunks.push(chunk);
        }
        Ok((last < uids.last).then(|| last.next()))
    }

    fn records(&self) -> impl Iterator<Item = MessageRecord> + '_ {
        self.chunks.iter().flat_map(|chunk| self.records_in(chunk))
    }

    fn records_in<'s>(&'s self, chunk: &'s Chunk) -> impl Iterator<Item = MessageRecord> + 's {
        let chosen = chunk.iter().filter(|entry| UidRange::covers(&self.uids, entry.uid()));
        chosen.map(|entry: Entry<'_>| entry.to_record(self.sets[&entry.keywords()].clone()))
    }

    /// The parts whose number grows with the messages, if nothing else uses the snapshot.
    fn into_leftovers(self: Rc<Self>) -> impl Iterator<Item = (KeywordSet, KeywordList)> {
        let sets = move || Rc::into_inner(self).map(|selection| selection.sets);
        std::iter::once_with(sets).flatten().flatten()
    }

    /// The message records of a shared snapshot. Only one chunk at a time is copied.
    fn shared_records(self: Rc<Self>) -> impl Iterator<Item = MessageRecord> {
        (0..self.chunks.len())
            .flat_map(move |at| self.records_in(&self.chunks[at]).collect::<Vec<_>>())
    }
}
