//! A mailbox: counters, keywords, chunks of messages, and changes not yet durable.

mod arriving;
mod changes;
mod journal;
mod metadata;
mod saving;
mod unapplied;
mod vanished;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub(super) use self::arriving::Arriving;
use self::journal::Journal;
pub(crate) use self::journal::{Changes, What};
pub(super) use self::metadata::Metadata;
pub(crate) use self::unapplied::AsWritten;
use self::unapplied::Unapplied;
use self::vanished::Vanished;
use super::chunk::{Chunk, Entry};
use super::chunks::{Chunks, Piece};
use super::error::Rot;
use super::keywords::{KeywordSet, Keywords};
use super::live::counts::{LiveChanges, Unsure};
use super::rows::Saved;
use super::view::View;
use crate::store::{KeywordList, MailboxId};
use imap::types::{Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity};

/// The items of STATUS (RFC 9051 section 6.3.11). They count durable messages only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub messages: u32,
    /// Messages not yet reported as `\Recent` to any session.
    pub recent: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub octets: u64,
    /// UIDNEXT.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ (RFC 7162).
    pub highest_modseq: ModSeq,
    /// The lowest UID not yet reported as `\Recent` to any session.
    pub recent_from: Uid,
}

impl Counts {
    /// Whether the counts fit each other. A mailbox keeps this; a row of the catalog may not.
    fn are_coherent(&self) -> bool {
        self.recent.max(self.unseen).max(self.deleted) <= self.messages
            && self.messages < self.uid_next.0
            && self.recent_from <= self.uid_next
    }
}

/// UIDs and mod-sequence reserved for a batch or a change before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// UID of the first message; the others follow without a gap.
    pub first_uid: Uid,
    /// Mod-sequence of the change.
    pub modseq: ModSeq,
}

/// A mailbox. It shows durable messages; UIDs and mod-sequences may be reserved beyond them.
#[derive(Debug)]
pub struct Mailbox {
    id: MailboxId,
    name: Box<str>,
    uid_validity: UidValidity,
    special_use: SpecialUse,
    metadata: Metadata,
    counts: Counts,
    keywords: Keywords,
    vanished: Vanished,
    /// The next reservation.
    next: Reserved,
    unapplied: Unapplied,
    chunks: Chunks,
    live: LiveChanges,
    /// Changes before these, of which it is not known whether the catalog has them.
    unsure: Unsure,
    pins: u32,
    journal: Journal,
    saved: Saved,
}

impl Mailbox {
    /// A new mailbox without messages.
    pub(super) fn new(
        id: MailboxId,
        name: Box<str>,
        uid_validity: UidValidity,
        special_use: SpecialUse,
    ) -> Mailbox {
        let counts = Counts {
            messages: 0,
            recent: 0,
            unseen: 0,
            deleted: 0,
            octets: 0,
            uid_next: Uid(1),
            highest_modseq: ModSeq(1),
            recent_from: Uid(1),
        };
        Mailbox {
            id,
            name,
            uid_validity,
            special_use,
            metadata: Metadata::default(),
            counts,
            keywords: Keywords::default(),
            vanished: Vanished::default(),
            next: reserved_after(&counts),
            unapplied: Unapplied::default(),
            chunks: Chunks::empty(),
            live: LiveChanges::default(),
            unsure: Unsure::default(),
            pins: 0,
            journal: Journal::default(),
            saved: Saved::Dirty,
        }
    }

    /// Identifier.
    #[must_use]
    pub fn id(&self) -> MailboxId {
        self.id
    }

    /// Name in UTF-8, levels separated by `/`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// UIDVALIDITY.
    #[must_use]
    pub fn uid_validity(&self) -> UidValidity {
        self.uid_validity
    }

    /// Special uses (RFC 6154).
    #[must_use]
    pub fn special_use(&self) -> SpecialUse {
        self.special_use
    }

    /// The entries of metadata that clients have set, without the special use.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The items of STATUS.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The keywords of its messages.
    #[must_use]
    pub fn keywords(&self) -> &Keywords {
        &self.keywords
    }

    /// Adds the keywords of a coming message to the table. `None` when the mailbox or the account
    /// has no room for more keywords or keyword sets: `NO [LIMIT]`.
    #[must_use]
    pub fn admit(&mut self, keywords: &[Keyword]) -> Option<KeywordSet> {
        let set = self.keywords.admit(keywords);
        set.or_else(|| self.collect_keywords().then(|| self.keywords.admit(keywords))?)
    }

    /// Adds the keyword lists of several messages to the table: all of them, or none and `false`.
    #[must_use]
    pub fn admit_all<'l>(&mut self, lists: impl Iterator<Item = &'l KeywordList> + Clone) -> bool {
        self.keywords.admit_all(lists.clone())
            || self.collect_keywords() && self.keywords.admit_all(lists)
    }

    /// An early estimate of whether there is room for these keywords; [`Mailbox::admit`] decides.
    #[must_use]
    pub fn has_room_for(&mut self, keywords: &[Keyword]) -> bool {
        self.keywords.has_room_for(keywords)
            || self.collect_keywords() && self.keywords.has_room_for(keywords)
    }

    /// Forgets keywords that no message has. Returns `false`, and does nothing, while a session or
    /// a change in flight may hold their numbers.
    pub fn collect_keywords(&mut self) -> bool {
        let unknown = self.pins == 0 && self.is_settled();
        if unknown {
            self.keywords.collect();
        }
        unknown
    }

    /// Counts the keyword table towards this account's total.
    pub(super) fn belongs_to(&mut self, account: &Arc<AtomicUsize>) {
        self.keywords.belongs_to(account);
    }

    /// Reserves a mod-sequence, and UIDs for `messages`, which may be 0. Changes must be written
    /// and applied in the order of their reservations. `None` when the mailbox has run out of UIDs.
    #[must_use]
    pub fn reserve(&mut self, messages: u32) -> Option<Reserved> {
        let reserved = self.next;
        // UIDNEXT has to be a valid UID, so the highest UID is never given out.
        self.next.first_uid = Uid(reserved.first_uid.0.checked_add(messages)?);
        self.next.modseq = reserved.modseq.next();
        Some(reserved)
    }

    /// Whether every reserved change has been applied.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.next == reserved_after(&self.counts)
    }

    /// Claims all `\Recent` messages for a session that selects the mailbox. Returns the first UID
    /// that is `\Recent` to it; to later sessions none of these messages is.
    pub fn take_recent(&mut self) -> Uid {
        let from = self.counts.recent_from;
        if from != self.counts.uid_next {
            self.counts.recent_from = self.counts.uid_next;
            self.counts.recent = 0;
            self.touch();
        }
        from
    }

    // ---- The messages in memory ---------------------------------------------------------------

    /// Keeps messages in memory, both present and loaded later. Pin before [`Mailbox::to_load`],
    /// and until the session's changes of flags and expunges are written.
    pub fn pin(&mut self) {
        if self.pins == 0 {
            self.journal.begin(self.counts.highest_modseq);
        }
        self.pins += 1;
    }

    /// Undoes one [`Mailbox::pin`].
    ///
    /// # Panics
    /// When the mailbox is not pinned.
    pub fn unpin(&mut self) {
        self.pins = self.pins.checked_sub(1).expect("an unpin has its pin");
        if self.pins == 0 {
            self.journal.end();
            self.chunks.drop_clean();
            if self.keywords.is_crowded() {
                self.collect_keywords();
            }
        }
    }

    /// Start of the next [`Piece`] to read from the catalog; `None` when all are in memory.
    #[must_use]
    pub fn to_load(&self) -> Option<Uid> {
        self.chunks.to_load()
    }

    /// Takes a piece that was read while the mailbox was pinned, unless another session has loaded
    /// it already.
    ///
    /// # Errors
    /// When the catalog contradicts itself.
    pub fn load(&mut self, piece: Piece) -> Result<(), Rot> {
        self.check_chunks(&piece.chunks)?;
        self.chunks.load(piece, self.counts.messages, &self.keywords)
    }

    /// Takes the chunks of messages that are to be relocated. They were read while the mailbox was
    /// pinned, and stay until it is unpinned.
    ///
    /// # Errors
    /// When the catalog contradicts itself.
    pub fn bring(&mut self, chunks: Vec<(Uid, Chunk)>) -> Result<(), Rot> {
        self.check_chunks(&chunks)?;
        self.chunks.bring(chunks, &self.keywords)
    }

    /// Chunks from the catalog end below UIDNEXT and HIGHESTMODSEQ, as they did when written.
    fn check_chunks(&self, chunks: &[(Uid, Chunk)]) -> Result<(), Rot> {
        let (end, highest) = (self.counts.uid_next, self.counts.highest_modseq);
        match chunks.iter().all(|(_, chunk)| chunk.is_within(end, highest)) {
            true => Ok(()),
            false => Err(Rot("a chunk has messages beyond UIDNEXT or HIGHESTMODSEQ")),
        }
    }

    /// Loads the chunks that a replayed change of these messages needs. `read` gets the UIDs in
    /// ascending order and a test for chunks that are in memory already; it is not called when all
    /// are. Returns the bytes added.
    pub(super) fn load_for<E>(
        &mut self,
        uids: &[UidRange],
        read: impl FnOnce(&[UidRange], &dyn Fn(Uid) -> bool) -> Result<Vec<(Uid, Chunk)>, E>,
        rotten: impl FnOnce(Rot) -> E,
    ) -> Result<usize, E> {
        let uids = UidRange::ascending(uids);
        if self.chunks.has(&uids) {
            return Ok(0);
        }
        let chunks = read(&uids, &|first| self.chunks.begins_at(first))?;
        let octets = chunks.iter().map(|(_, chunk)| chunk.octets()).sum();
        self.check_chunks(&chunks)
            .and_then(|()| self.chunks.load_for(uids, chunks, &self.keywords))
            .map_err(rotten)?;
        Ok(octets)
    }

    /// The message with this UID, if it is in memory.
    #[must_use]
    pub fn get(&self, uid: Uid) -> Option<Entry<'_>> {
        self.chunks.get(uid)
    }

    /// The messages in memory in a range of UIDs, ascending.
    pub fn range(&self, uids: UidRange) -> impl Iterator<Item = Entry<'_>> {
        let chunks = self.chunks.range(uids);
        chunks.flat_map(move |chunk| {
            let found = chunk.find_range(uids.first, uids.last);
            found.map(move |index| chunk.get(index).expect("it was just found"))
        })
    }

    /// The chunks that may hold messages in a range of UIDs. They are snapshots: later changes of
    /// the mailbox do not show in them.
    pub fn chunks(&self, uids: UidRange) -> impl Iterator<Item = Arc<Chunk>> {
        self.chunks.range(uids).cloned()
    }

    /// The view of a session that selects the mailbox now.
    #[must_use]
    pub fn view(&self) -> View {
        let mut view = View::default();
        self.add_to(&mut view, UidRange::ALL);
        view
    }

    /// Appends the messages of these UIDs to a view, which must have lower ones only.
    pub fn add_to(&self, view: &mut View, uids: UidRange) {
        for chunk in self.chunks.range(uids) {
            let mut entries = chunk.range(uids);
            let (messages, first, last) = (entries.len(), entries.next(), entries.next_back());
            let Some(first) = first.map(Entry::uid) else { continue };
            let last = last.map_or(first, Entry::uid);
            // Most chunks have no gaps: a million messages take two thousand steps.
            if (last.0 - first.0) as usize + 1 == messages {
                view.push_run(UidRange { first, last });
            } else {
                chunk.range(uids).for_each(|entry| view.push(entry.uid()));
            }
        }
    }

    /// Approximate bytes in memory.
    #[must_use]
    pub fn octets_in_memory(&self) -> usize {
        self.row_octets()
            + self.chunks.octets()
            + self.live.octets()
            + self.unsure.octets()
            + self.journal.octets()
    }

    // ---- Past changes -------------------------------------------------------------------------

    /// Changes of flags and expunges above a mod-sequence: the [`Counts::highest_modseq`] that a
    /// session saw last. Recorded only while the mailbox is pinned, and up to a limit.
    #[must_use]
    pub fn changes_since(&self, known: ModSeq) -> Changes<'_> {
        if known >= self.counts.highest_modseq {
            return Changes::Known(std::collections::vec_deque::Iter::default());
        }
        self.journal.since(known)
    }

    /// UIDs expunged above a mod-sequence, as VANISHED (EARLIER) reports them (RFC 7162 section
    /// 3.2.10): ascending ranges with gaps between them. `None` when the record does not reach back
    /// that far; the answer is then every UID below UIDNEXT that does not exist.
    #[must_use]
    pub fn vanished_since(&self, modseq: ModSeq) -> Option<Vec<UidRange>> {
        self.vanished.since(modseq)
    }
}

fn reserved_after(counts: &Counts) -> Reserved {
    Reserved { first_uid: counts.uid_next, modseq: counts.highest_modseq.next() }
}
