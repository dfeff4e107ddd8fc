//! The chunks of a mailbox that are in memory: those with changes that the catalog lacks and, while
//! a session has the mailbox selected, all others.
//!
//! # Joins
//!
//! An append must not wait for the catalog. When the mailbox's last chunk is not in memory, an
//! append begins a new chunk, marked *joins*. The checkpoint appends it to the row before it if
//! both fit into one, so rows are well filled even when every message arrives alone:
//!
//! ```text
//! catalog   row 1 = UIDs 1..300
//! append    UID 301            memory: chunk 301 (joins) = 301
//! saved     row 1 = 1..301     row 1 has room, so there is no row 301
//! append    UID 302            memory: chunk 301 (joins) = 301..302, kept because it is pinned
//! saved     row 1 = 1..302     row 1 was first cut back to 1..300
//! ```
//!
//! So the end of row 1 is a copy of chunk 301, and only chunk 301 in memory is current. Three rules
//! follow:
//! - A row read from the catalog ends where the next chunk in memory begins (`insert`).
//! - Writing a chunk that joins first cuts the row before it at the chunk's first UID (`file.rs`).
//! - Writing row 1 drops the copy, so a change of chunk 1 makes chunk 301 dirty too (`change`).
//!   Empty chunks have no row, so this looks past them: in 1, 200 (emptied), 301 the chunk 301 has
//!   joined row 1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::chunk::{Chunk, Entry, Fill};
use super::error::Rot;
use super::keywords::{KeywordSet, Keywords};
use super::live::counts::LiveChanges;
use super::rows::{ChunkRow, Saved};
use crate::store::{MailboxId, Relocated};
use imap::types::{Flags, ModSeq, Uid, UidRange};

/// Consecutive chunks of a mailbox, as read from the catalog.
#[derive(Debug)]
pub struct Piece {
    /// The piece has all chunks that begin at or above this, and below `next`.
    pub(super) from: Uid,
    /// Each with the UID at which it begins.
    pub(super) chunks: Vec<(Uid, Chunk)>,
    /// Start of the next piece; `None` in the last.
    pub(super) next: Option<Uid>,
}

#[derive(Debug)]
pub(super) struct Chunks {
    /// Keyed by the UID at which a chunk begins: its first message when it was created. The key
    /// stays when that message is expunged.
    slots: BTreeMap<Uid, Slot>,
    presence: Presence,
    /// The last slot is the mailbox's last chunk, or the mailbox has no chunk at all.
    has_last: bool,
    /// Bytes of dirty chunks.
    dirty_octets: usize,
}

#[derive(Debug)]
struct Slot {
    /// Shared with a checkpoint in flight; a change in that time copies the chunk.
    chunk: Arc<Chunk>,
    /// See the head of this file.
    joins: bool,
    saved: Saved,
}

/// Which messages are certainly in memory.
#[derive(Debug, PartialEq, Eq)]
enum Presence {
    /// All.
    Whole,
    /// Those with UIDs below this.
    Below(Uid),
    /// Those in these ranges: the messages of the change being replayed.
    Of(Vec<UidRange>),
}

const NONE: Presence = Presence::Below(Uid(1));

impl Chunks {
    /// The chunks of a mailbox without messages.
    pub(super) fn empty() -> Chunks {
        Chunks {
            slots: BTreeMap::new(),
            presence: Presence::Whole,
            has_last: true,
            dirty_octets: 0,
        }
    }

    /// The chunks of a mailbox whose messages are all in the catalog.
    pub(super) fn absent() -> Chunks {
        Chunks { presence: NONE, has_last: false, ..Chunks::empty() }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.presence == Presence::Whole
    }

    pub(super) fn has(&self, uids: &[UidRange]) -> bool {
        match &self.presence {
            Presence::Whole => true,
            Presence::Below(end) => uids.iter().all(|range| range.last < *end),
            Presence::Of(loaded) => loaded == uids,
        }
    }

    /// Whether a chunk in memory begins at this UID.
    pub(super) fn begins_at(&self, first: Uid) -> bool {
        self.slots.contains_key(&first)
    }

    /// Bytes that the next checkpoint has to write.
    pub(super) fn dirty_octets(&self) -> usize {
        self.dirty_octets
    }

    /// Bytes in memory.
    pub(super) fn octets(&self) -> usize {
        self.slots.values().map(|slot| slot.chunk.octets()).sum()
    }

    pub(super) fn is_saved(&self) -> bool {
        self.slots.values().all(|slot| slot.saved == Saved::Clean)
    }

    pub(super) fn get(&self, uid: Uid) -> Option<Entry<'_>> {
        let (_, slot) = self.slots.range(..=uid).next_back()?;
        slot.chunk.get(slot.chunk.find(uid).ok()?)
    }

    /// The chunks that may hold messages with these UIDs, ascending.
    pub(super) fn range(&self, uids: UidRange) -> impl Iterator<Item = &Arc<Chunk>> {
        self.slots_of(uids).map(|(_, slot)| &slot.chunk)
    }

    fn slots_of(&self, uids: UidRange) -> impl Iterator<Item = (Uid, &Slot)> {
        let floor = self.slots.range(..=uids.first).next_back().map_or(uids.first, |(&key, _)| key);
        // An empty range must not reach `BTreeMap::range`, which panics on it.
        let slots = (floor <= uids.last).then(|| self.slots.range(floor..=uids.last));
        slots.into_iter().flatten().map(|(&key, slot)| (key, slot))
    }

    // ---- Changes ------------------------------------------------------------------------------

    /// Fill of the chunk that the next message goes into; empty if that is a new one.
    pub(super) fn last_fill(&self) -> Fill {
        let last = self.slots.last_key_value().filter(|_| self.has_last);
        last.map(|(_, slot)| slot.chunk.fill()).filter(|fill| !fill.is_full()).unwrap_or_default()
    }

    /// Appends chunks of messages. Takes time per chunk, not per message.
    pub(super) fn link(&mut self, chunks: Vec<Chunk>) {
        for chunk in chunks {
            let Some(first) = chunk.iter().next().map(Entry::uid) else { continue };
            match self.slots.last_key_value().filter(|_| self.has_last) {
                Some((&key, slot)) if slot.chunk.has_room_for(&chunk) => {
                    self.change(key, |last| last.join(&chunk));
                }
                _ => {
                    self.dirty_octets += chunk.octets();
                    let (chunk, joins) = (Arc::new(chunk), !self.has_last);
                    self.slots.insert(first, Slot { chunk, joins, saved: Saved::Dirty });
                    self.has_last = true;
                }
            }
        }
    }

    /// Calls `new` for every message in these ranges and stores the flags it returns, if any.
    pub(super) fn set_flags(
        &mut self,
        uids: &[UidRange],
        modseq: ModSeq,
        mut new: impl FnMut(Entry<'_>) -> Option<(Flags, KeywordSet)>,
    ) {
        for key in self.keys_of(uids) {
            let chunk = &self.slots[&key].chunk;
            let named =
                chunk.iter().enumerate().filter(|(_, entry)| UidRange::covers(uids, entry.uid()));
            let edits: Vec<_> = named.filter_map(|(i, e)| Some((i, new(e)?))).collect();
            if edits.is_empty() {
                continue;
            }
            self.change(key, |chunk| {
                for (index, (flags, keywords)) in edits {
                    chunk.set(index, flags, keywords, modseq);
                }
            });
        }
    }

    /// Removes every message in these ranges, calling `gone` for each first.
    pub(super) fn remove(&mut self, uids: &[UidRange], mut gone: impl FnMut(Entry<'_>)) {
        for key in self.keys_of(uids) {
            if !self.slots[&key].chunk.iter().any(|entry| UidRange::covers(uids, entry.uid())) {
                continue;
            }
            self.change(key, |chunk| {
                chunk.retain(|entry| {
                    let named = UidRange::covers(uids, entry.uid());
                    if named {
                        gone(entry);
                    }
                    !named
                });
            });
        }
    }

    /// Replaces the fragments of these messages, which are those of `uids` and ascend.
    ///
    /// # Errors
    /// UID and size of a message that has another size than its new fragments.
    pub(super) fn relocate(
        &mut self,
        uids: &[UidRange],
        messages: &[Relocated],
        live: &mut LiveChanges,
    ) -> Result<(), (Uid, u64)> {
        let find = |uid: Uid| {
            let index = messages.binary_search_by_key(&uid, |message| message.uid).ok()?;
            Some(messages[index].fragments.as_slice())
        };
        let mut named = BTreeSet::new();
        for key in self.keys_of(uids) {
            let mut found = false;
            for entry in self.slots[&key].chunk.iter() {
                let Some(fragments) = find(entry.uid()) else { continue };
                let lengths = fragments.iter().map(|fragment| u64::from(fragment.length));
                if lengths.sum::<u64>() != entry.size() {
                    return Err((entry.uid(), entry.size()));
                }
                entry.fragments().for_each(|old| live.goes(old));
                fragments.iter().for_each(|&new| live.comes(new));
                named.insert(entry.uid());
                found = true;
            }
            if found {
                self.change(key, |chunk| chunk.relocate(find));
            }
        }
        // They were expunged after their octets had been written again.
        let gone = messages.iter().filter(|message| !named.contains(&message.uid));
        let unnamed = gone.flat_map(|message| &message.fragments);
        unnamed.for_each(|&fragment| live.never_named(fragment));
        Ok(())
    }

    /// Keys of the chunks that may hold messages in these ascending ranges.
    fn keys_of(&self, uids: &[UidRange]) -> Vec<Uid> {
        let mut keys: Vec<Uid> = Vec::new();
        for &range in uids {
            let known = keys.last().copied();
            keys.extend(self.slots_of(range).map(|(k, _)| k).filter(|&k| known < Some(k)));
        }
        keys
    }

    /// Changes a chunk. It becomes dirty, and so do the chunks that have joined its row.
    fn change(&mut self, key: Uid, change: impl FnOnce(&mut Chunk)) {
        let slot = self.slots.get_mut(&key).expect("the key was just found");
        if slot.saved == Saved::Dirty {
            self.dirty_octets -= slot.chunk.octets();
        }
        change(Arc::make_mut(&mut slot.chunk));
        slot.saved = Saved::Dirty;
        self.dirty_octets += slot.chunk.octets();
        for (_, next) in self.slots.range_mut(Uid(key.0 + 1)..) {
            if next.joins && next.saved != Saved::Dirty {
                next.saved = Saved::Dirty;
                self.dirty_octets += next.chunk.octets();
            }
            if !next.joins && !next.chunk.is_empty() {
                break;
            }
        }
    }

    // ---- From the catalog and back ------------------------------------------------------------

    /// Start of the next piece to read; `None` when all messages are in memory.
    pub(super) fn to_load(&self) -> Option<Uid> {
        match self.presence {
            Presence::Whole => None,
            Presence::Below(uid) => Some(uid),
            Presence::Of(_) => Some(Uid(1)),
        }
    }

    /// Takes the piece that starts at [`Chunks::to_load`] and ignores any other, which is stale.
    /// After the last piece the number of messages must match.
    pub(super) fn load(
        &mut self,
        piece: Piece,
        messages: u32,
        keywords: &Keywords,
    ) -> Result<(), Rot> {
        if self.to_load() != Some(piece.from) {
            return Ok(());
        }
        self.insert(piece.chunks, keywords)?;
        if let Some(next) = piece.next {
            self.presence = Presence::Below(next);
            return Ok(());
        }
        let found: usize = self.slots.values().map(|slot| slot.chunk.len()).sum();
        if found != messages as usize {
            return Err(Rot("a mailbox and its chunks differ in the number of messages"));
        }
        self.presence = Presence::Whole;
        self.has_last = true;
        Ok(())
    }

    /// Takes the chunks that hold the messages in these ranges, for one change of those messages.
    pub(super) fn load_for(
        &mut self,
        uids: Vec<UidRange>,
        chunks: Vec<(Uid, Chunk)>,
        keywords: &Keywords,
    ) -> Result<(), Rot> {
        self.insert(chunks, keywords)?;
        self.presence = Presence::Of(uids);
        Ok(())
    }

    /// Takes chunks that the catalog has. The mailbox was pinned before they were read, so a chunk
    /// that has changed since is in memory.
    pub(super) fn bring(
        &mut self,
        chunks: Vec<(Uid, Chunk)>,
        keywords: &Keywords,
    ) -> Result<(), Rot> {
        self.insert(chunks, keywords)
    }

    /// Adds chunks from the catalog. Chunks in memory are newer and win. Keywords are checked after
    /// the cut only: in the stale rest a number may already name another set.
    fn insert(&mut self, chunks: Vec<(Uid, Chunk)>, keywords: &Keywords) -> Result<(), Rot> {
        for (key, mut chunk) in chunks {
            let mut above = self.slots.range(key..).map(|(&key, _)| key);
            let next = above.next();
            if next == Some(key) {
                continue;
            }
            if let Some(next) = next {
                chunk.retain(|entry| entry.uid() < next);
            }
            if !chunk.iter().all(|entry| keywords.exists(entry.keywords())) {
                return Err(Rot("a message has a keyword set that is missing in its mailbox"));
            }
            let slot = Slot { chunk: Arc::new(chunk), joins: false, saved: Saved::Clean };
            self.slots.insert(key, slot);
        }
        Ok(())
    }

    /// Adds all dirty chunks to a checkpoint.
    pub(super) fn begin_saving(&mut self, mailbox: MailboxId, rows: &mut Vec<ChunkRow>) {
        for (&first, slot) in &mut self.slots {
            if slot.saved.begin() {
                let (chunk, joins) = (slot.chunk.clone(), slot.joins);
                rows.push(ChunkRow { mailbox, first, chunk, joins });
            }
        }
        self.dirty_octets = 0;
    }

    /// The checkpoint was written, or failed: then its chunks are dirty again.
    pub(super) fn end_saving(&mut self, written: bool) {
        for slot in self.slots.values_mut() {
            if slot.saved.end(written) {
                self.dirty_octets += slot.chunk.octets();
            }
        }
    }

    /// Drops every chunk that the catalog has.
    pub(super) fn drop_clean(&mut self) {
        let last = self.slots.last_key_value().map(|(&key, _)| key);
        let before: usize = self.slots.values().map(|slot| slot.chunk.len()).sum();
        self.slots.retain(|_, slot| slot.saved != Saved::Clean);
        let after: usize = self.slots.values().map(|slot| slot.chunk.len()).sum();
        if after < before || !self.is_whole() {
            self.presence = NONE;
            self.has_last &= self.slots.last_key_value().map(|(&key, _)| key) == last;
        }
    }
}
