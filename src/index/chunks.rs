//! The chunks of a mailbox that are in memory: those with changes that the catalog does not have
//! yet, and, while sessions have the mailbox selected, all others.
//!
//! An append must not wait for the catalog. When the mailbox's last chunk is not in memory, a new
//! one is begun that *joins*: the checkpoint puts it behind the one before it in the catalog if
//! there is room, so that chunks are well filled even if every message comes alone. From then on a
//! part of the lower chunk's row belongs to the chunk in memory, hence three rules:
//! - a row read from the catalog ends where the next chunk in memory begins;
//! - writing a chunk that joins first cuts the row before it where the chunk begins;
//! - whoever changes a chunk has the one behind it written again as well, if that joins. Empty
//!   chunks have no row, so "behind" looks past them: the chunk behind an emptied one has joined
//!   the one before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::checkpoint::{ChunkRow, Saved};
use super::chunk::{Chunk, Entry, Fill};
use super::error::Rot;
use super::keywords::{KeywordSet, Keywords};
use crate::store::MailboxId;
use imap::types::{Flags, ModSeq, Uid, UidRange};

/// Chunks of a mailbox that were read from the catalog one after the other.
#[derive(Debug)]
pub struct Piece {
    /// All chunks whose UIDs begin here or above, up to `next`.
    pub(super) from: Uid,
    /// With the UID at which each begins.
    pub(super) chunks: Vec<(Uid, Chunk)>,
    /// Where the next piece begins. `None` after the last.
    pub(super) next: Option<Uid>,
}

#[derive(Debug)]
pub(super) struct Chunks {
    /// By the UID at which they begin: that of their first message when they were begun.
    slots: BTreeMap<Uid, Slot>,
    presence: Presence,
    /// The last slot is the mailbox's last chunk, or there is none at all.
    has_last: bool,
    dirty_octets: usize,
}

#[derive(Debug)]
struct Slot {
    /// Shared with checkpoints on their way to the catalog: changing it then makes a copy.
    chunk: Arc<Chunk>,
    /// See the head of this file.
    joins: bool,
    saved: Saved,
}

/// Which messages are sure to be in memory.
#[derive(Debug, PartialEq, Eq)]
enum Presence {
    /// All.
    Whole,
    /// Those with UIDs below this.
    Below(Uid),
    /// Those of these ranges, which a change that is being replayed needs.
    Of(Vec<UidRange>),
}

const NONE: Presence = Presence::Below(Uid(1));

impl Chunks {
    /// Those of a mailbox that has no message.
    pub(super) fn empty() -> Chunks {
        Chunks {
            slots: BTreeMap::new(),
            presence: Presence::Whole,
            has_last: true,
            dirty_octets: 0,
        }
    }

    /// Those of a mailbox whose messages are in the catalog.
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

    /// Octets of chunks that have to be written.
    pub(super) fn dirty_octets(&self) -> usize {
        self.dirty_octets
    }

    /// Octets of all chunks.
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

    /// The chunks that messages of these UIDs would be in, ascending.
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

    /// How full the chunk is that the next message goes into; empty when that is a new one.
    pub(super) fn last_fill(&self) -> Fill {
        let last = self.slots.last_key_value().filter(|_| self.has_last);
        last.map(|(_, slot)| slot.chunk.fill()).filter(|fill| !fill.is_full()).unwrap_or_default()
    }

    /// Adds messages above all others: goes by chunks, not by messages.
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

    /// Offers every message of these UIDs to `new`, which may give other flags for it.
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

    /// Removes every message of these UIDs and tells `gone` of it first.
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

    /// Where the chunks begin that may hold messages of these UIDs, which ascend.
    fn keys_of(&self, uids: &[UidRange]) -> Vec<Uid> {
        let mut keys: Vec<Uid> = Vec::new();
        for &range in uids {
            let known = keys.last().copied();
            keys.extend(self.slots_of(range).map(|(k, _)| k).filter(|&k| known < Some(k)));
        }
        keys
    }

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

    // ---- Coming from the catalog and going there ----------------------------------------------

    /// Where the next piece to read begins; `None` when all messages are in memory.
    pub(super) fn to_load(&self) -> Option<Uid> {
        match self.presence {
            Presence::Whole => None,
            Presence::Below(uid) => Some(uid),
            Presence::Of(_) => Some(Uid(1)),
        }
    }

    /// Takes the piece that [`Chunks::to_load`] asked for; any other is of no use any more.
    /// With the last one, the number of messages must be right.
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

    /// Takes the chunks that hold the messages of these UIDs, for a change of just these.
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

    /// What is in memory is newer than what was read. Numbers in what is older may be those of
    /// other sets of keywords by now.
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
                return Err(Rot("a message has a set of keywords that its mailbox has not"));
            }
            let slot = Slot { chunk: Arc::new(chunk), joins: false, saved: Saved::Clean };
            self.slots.insert(key, slot);
        }
        Ok(())
    }

    /// Hands over copies of all chunks that have to be written.
    pub(super) fn begin_saving(&mut self, mailbox: MailboxId, rows: &mut Vec<ChunkRow>) {
        for (&first, slot) in &mut self.slots {
            if slot.saved.begin() {
                let (chunk, joins) = (slot.chunk.clone(), slot.joins);
                rows.push(ChunkRow { mailbox, first, chunk, joins });
            }
        }
        self.dirty_octets = 0;
    }

    /// What was handed over is in the catalog now, or is not.
    pub(super) fn end_saving(&mut self, written: bool) {
        for slot in self.slots.values_mut() {
            if slot.saved.end(written) {
                self.dirty_octets += slot.chunk.octets();
            }
        }
    }

    /// Forgets all that the catalog has.
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
