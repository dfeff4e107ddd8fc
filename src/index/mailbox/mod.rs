//! One mailbox, as the reactor of its account holds it.

mod arriving;
mod changes;
mod journal;
mod saving;
mod unapplied;
mod vanished;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub use self::arriving::Arriving;
use self::journal::Journal;
pub use self::journal::{Changes, Recent, What};
pub use self::unapplied::AsWritten;
use self::unapplied::Unapplied;
use self::vanished::Vanished;
use super::checkpoint::Saved;
use super::chunk::{Chunk, Entry};
use super::chunks::{Chunks, Piece};
use super::error::Rot;
use super::keywords::{KeywordSet, Keywords};
use super::view::View;
use crate::store::{KeywordList, MailboxId};
use imap::types::{Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity};

/// What STATUS tells (RFC 9051 section 6.3.11): of what is durable, and so visible, alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub messages: u32,
    /// Messages that no session has seen as `\Recent` yet.
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
    /// The first UID that no session has seen as `\Recent` yet.
    pub recent_from: Uid,
}

/// What a batch or a change is given before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// UID of the first message; the others follow without a gap.
    pub first_uid: Uid,
    /// Mod-sequence of the change.
    pub modseq: ModSeq,
}

/// A mailbox. What is durable is visible in it; UIDs and mod-sequences may be reserved beyond.
#[derive(Debug)]
pub struct Mailbox {
    id: MailboxId,
    name: Box<str>,
    uid_validity: UidValidity,
    special_use: SpecialUse,
    counts: Counts,
    keywords: Keywords,
    vanished: Vanished,
    /// What the next reservation begins with.
    next: Reserved,
    unapplied: Unapplied,
    chunks: Chunks,
    pins: u32,
    journal: Journal,
    saved: Saved,
}

impl Mailbox {
    /// A new one, without messages.
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
            counts,
            keywords: Keywords::default(),
            vanished: Vanished::default(),
            next: reserved_after(&counts),
            unapplied: Unapplied::default(),
            chunks: Chunks::empty(),
            pins: 0,
            journal: Journal::default(),
            saved: Saved::Dirty,
        }
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> MailboxId {
        self.id
    }

    /// Its name in UTF-8, levels divided by `/`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// UIDVALIDITY.
    #[must_use]
    pub fn uid_validity(&self) -> UidValidity {
        self.uid_validity
    }

    /// What it is meant for (RFC 6154), as the bits it was created with.
    #[must_use]
    pub fn special_use(&self) -> SpecialUse {
        self.special_use
    }

    /// What STATUS tells.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The keywords of its messages.
    #[must_use]
    pub fn keywords(&self) -> &Keywords {
        &self.keywords
    }

    /// Makes room in the table for the keywords of a message that is about to come. `None` when the
    /// mailbox, or the account, has as many keywords or sets of them as it can hold: `NO [LIMIT]`.
    #[must_use]
    pub fn admit(&mut self, keywords: &[Keyword]) -> Option<KeywordSet> {
        let set = self.keywords.admit(keywords);
        set.or_else(|| self.collect_keywords().then(|| self.keywords.admit(keywords))?)
    }

    /// The same for messages that come with their lists: room for all of them, or for none.
    #[must_use]
    pub fn admit_all<'l>(&mut self, lists: impl Iterator<Item = &'l KeywordList> + Clone) -> bool {
        self.keywords.admit_all(lists.clone())
            || self.collect_keywords() && self.keywords.admit_all(lists)
    }

    /// Whether there is room for these keywords, as far as that is known before they are admitted.
    #[must_use]
    pub fn has_room_for(&mut self, keywords: &[Keyword]) -> bool {
        self.keywords.has_room_for(keywords)
            || self.collect_keywords() && self.keywords.has_room_for(keywords)
    }

    /// Forgets the keywords that no message has. `false` while a session, or a change on its way,
    /// may know them by their numbers.
    pub fn collect_keywords(&mut self) -> bool {
        let unknown = self.pins == 0 && self.is_settled();
        if unknown {
            self.keywords.collect();
        }
        unknown
    }

    /// From now on its keywords count with those of the other mailboxes of this account.
    pub(super) fn belongs_to(&mut self, account: &Arc<AtomicUsize>) {
        self.keywords.belongs_to(account);
    }

    /// UIDs for so many messages, which may be none, and a mod-sequence. In the order in which
    /// changes are reserved they must be written and applied. `None` when the mailbox has run out
    /// of UIDs.
    #[must_use]
    pub fn reserve(&mut self, messages: u32) -> Option<Reserved> {
        let reserved = self.next;
        // UIDNEXT itself has to be a UID: the highest is never given out.
        self.next.first_uid = Uid(reserved.first_uid.0.checked_add(messages)?);
        self.next.modseq = reserved.modseq.next();
        Some(reserved)
    }

    /// Whether every change that was reserved has been applied, as far as that is known.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.next == reserved_after(&self.counts)
    }

    /// The first UID that is `\Recent` to the session that selects the mailbox now. All that there
    /// is now is so to no other session.
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

    /// Keeps in memory what there is and will be loaded. To be done before [`Mailbox::to_load`],
    /// and held as long as a change of flags or an expunge of the session is being written.
    pub fn pin(&mut self) {
        if self.pins == 0 {
            self.journal.begin(self.counts.highest_modseq);
        }
        self.pins += 1;
    }

    /// Takes back one [`Mailbox::pin`].
    ///
    /// # Panics
    /// When there is none.
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

    /// From where to read the next [`Piece`] from the catalog; `None` when all messages are in
    /// memory.
    #[must_use]
    pub fn to_load(&self) -> Option<Uid> {
        self.chunks.to_load()
    }

    /// Takes a piece that was read while the mailbox was pinned. One that another session has
    /// loaded meanwhile does no harm.
    ///
    /// # Errors
    /// When the catalog contradicts itself.
    pub fn load(&mut self, piece: Piece) -> Result<(), Rot> {
        self.chunks.load(piece, self.counts.messages, &self.keywords)
    }

    /// For a replayed change of these messages: takes the chunks they are in, which `read` reads
    /// unless they are in memory. It is given the UIDs in order, and which chunks it can leave out.
    /// Gives how many octets that added.
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
        self.chunks.load_for(uids, chunks, &self.keywords).map_err(rotten)?;
        Ok(octets)
    }

    /// A message, by its UID, if it is in memory; likewise below.
    #[must_use]
    pub fn get(&self, uid: Uid) -> Option<Entry<'_>> {
        self.chunks.get(uid)
    }

    /// Messages of a range of UIDs, ascending.
    pub fn range(&self, uids: UidRange) -> impl Iterator<Item = Entry<'_>> {
        let chunks = self.chunks.range(uids);
        chunks.flat_map(move |chunk| {
            let found = chunk.find_range(uids.first, uids.last);
            found.map(move |index| chunk.get(index).expect("it was just found"))
        })
    }

    /// The chunks in which messages of these UIDs are, to be read while the mailbox changes.
    pub fn chunks(&self, uids: UidRange) -> impl Iterator<Item = Arc<Chunk>> {
        self.chunks.range(uids).cloned()
    }

    /// All messages as a session sees them that selects the mailbox now.
    #[must_use]
    pub fn view(&self) -> View {
        let mut view = View::default();
        self.add_to(&mut view, UidRange::ALL);
        view
    }

    /// Adds the messages of these UIDs, which are above all others in the view.
    pub fn add_to(&self, view: &mut View, uids: UidRange) {
        for chunk in self.chunks.range(uids) {
            let mut entries = chunk.range(uids);
            let (messages, first, last) = (entries.len(), entries.next(), entries.next_back());
            let Some(first) = first.map(Entry::uid) else { continue };
            let last = last.map_or(first, Entry::uid);
            // Mostly they are without a gap: a million messages are two thousand steps.
            if (last.0 - first.0) as usize + 1 == messages {
                view.push_run(UidRange { first, last });
            } else {
                chunk.range(uids).for_each(|entry| view.push(entry.uid()));
            }
        }
    }

    /// What it takes in memory, about.
    #[must_use]
    pub fn octets_in_memory(&self) -> usize {
        self.row_octets() + self.chunks.octets() + self.journal.octets()
    }

    // ---- What happened ------------------------------------------------------------------------

    /// Changes of flags and expunges with mod-sequences above the one that a session knows: its
    /// last [`Counts::highest_modseq`]. When that has not moved, nothing has changed. Kept only
    /// while the mailbox is pinned, and not without bound.
    #[must_use]
    pub fn changes_since(&self, known: ModSeq) -> Changes<'_> {
        if known >= self.counts.highest_modseq {
            return Changes::Known(std::collections::vec_deque::Iter::default());
        }
        self.journal.since(known)
    }

    /// UIDs expunged with mod-sequences above this one, as VANISHED (EARLIER) tells them (RFC 7162
    /// section 3.2.10): ranges that ascend and do not touch. `None` when so much has gone since
    /// that it is not known any more; then all UIDs below UIDNEXT that do not exist are the answer.
    #[must_use]
    pub fn vanished_since(&self, modseq: ModSeq) -> Option<Vec<UidRange>> {
        self.vanished.since(modseq)
    }
}

fn reserved_after(counts: &Counts) -> Reserved {
    Reserved { first_uid: counts.uid_next, modseq: counts.highest_modseq.next() }
}
