//! One mailbox, as the reactor of its account holds it.

use std::borrow::Borrow;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, MailboxRow, Saved};
use super::chunk::{Chunk, Entry, Placed};
use super::chunks::{Chunks, Piece};
use super::codec::{Fields, Row};
use super::error::{ApplyError, Rot};
use super::keywords::Keywords;
use super::view::View;
use crate::log::{Commit, FlagChange, MessageRecord};
use crate::types::{Flags, Keyword, MailboxId, ModSeq, Uid, UidRange, UidValidity};

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
    counts: Counts,
    keywords: Keywords,
    /// What the next reservation begins with.
    next: Reserved,
    chunks: Chunks,
    pins: u32,
    saved: Saved,
}

impl Mailbox {
    /// A new one, without messages.
    pub(super) fn new(id: MailboxId, name: Box<str>, uid_validity: UidValidity) -> Mailbox {
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
            counts,
            keywords: Keywords::default(),
            next: reserved_after(&counts),
            chunks: Chunks::empty(),
            pins: 0,
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

    /// Makes room in the table for the keywords of a message that is about to come, as many as come
    /// at the same time. `false` when the mailbox has as many keywords, or sets of them, as it can
    /// hold: `NO [LIMIT]`.
    #[must_use]
    pub fn admit(&mut self, keywords: &[Keyword]) -> bool {
        let admitted = self.keywords.admits(keywords);
        if admitted {
            self.keywords.intern(keywords);
        }
        admitted
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
        self.pins += 1;
    }

    /// Takes back one [`Mailbox::pin`].
    ///
    /// # Panics
    /// When there is none.
    pub fn unpin(&mut self) {
        self.pins = self.pins.checked_sub(1).expect("an unpin has its pin");
        if self.pins == 0 {
            self.chunks.drop_clean();
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
        self.check(&piece.chunks)?;
        self.chunks.load(piece, self.counts.messages)
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
        let uids = ascending(uids);
        if self.chunks.has(&uids) {
            return Ok(0);
        }
        let chunks = read(&uids, &|first| self.chunks.begins_at(first))?;
        self.check(&chunks).map_err(rotten)?;
        let octets = chunks.iter().map(|(_, chunk)| chunk.octets()).sum();
        self.chunks.load_for(uids, chunks);
        Ok(octets)
    }

    fn check(&self, chunks: &[(Uid, Chunk)]) -> Result<(), Rot> {
        let mut entries = chunks.iter().flat_map(|(_, chunk)| chunk.iter());
        if entries.all(|entry| self.keywords.exists(entry.keywords())) {
            return Ok(());
        }
        Err(Rot("a message has a set of keywords that its mailbox has not"))
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
        self.range(UidRange { first: Uid(1), last: Uid(u32::MAX) }).map(Entry::uid).collect()
    }

    /// What it takes in memory, about.
    #[must_use]
    pub fn octets_in_memory(&self) -> usize {
        self.row_octets() + self.chunks.octets()
    }

    // ---- Changes, which are the same in operation and in replay -------------------------------

    pub(super) fn append<M: Borrow<MessageRecord>>(
        &mut self,
        commit: &Commit,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), ApplyError> {
        let (mailbox, next) = (self.id, self.counts.uid_next);
        let disorder = ApplyError::UidOutOfOrder { mailbox, next, found: commit.first_uid };
        let end = commit.first_uid.0.checked_add(commit.messages).ok_or(disorder)?;
        if commit.first_uid < next {
            return Err(disorder);
        }
        let (mut found, modseq, save_date) = (0, commit.modseq, commit.save_date);
        for message in messages {
            let message = message.borrow();
            if found < commit.messages {
                let keywords = self.keywords.intern(&message.keywords);
                let uid = Uid(commit.first_uid.0 + found);
                self.count_in(message.flags, message.size);
                self.chunks.push(Placed { uid, keywords, modseq, save_date }, message);
            }
            found += 1;
        }
        if found != commit.messages {
            return Err(ApplyError::WrongCount { announced: commit.messages, found });
        }
        self.counts.uid_next = Uid(end);
        self.changed_at(modseq);
        Ok(())
    }

    pub(super) fn set_flags(
        &mut self,
        modseq: ModSeq,
        uids: &[UidRange],
        change: FlagChange,
        flags: Flags,
        keywords: &[Keyword],
    ) -> Result<(), ApplyError> {
        let uids = self.at_hand(uids)?;
        let (counts, table) = (&mut self.counts, &mut self.keywords);
        // Messages often have the same keywords as the one before.
        let mut last = None;
        self.chunks.set_flags(&uids, modseq, |entry| {
            let old = (entry.flags(), entry.keywords());
            let set = match last {
                Some((from, to)) if from == old.1 => to,
                _ => table.change(old.1, change, keywords),
            };
            last = Some((old.1, set));
            let new = match change {
                FlagChange::Replace => flags,
                FlagChange::Add => old.0.union(flags),
                FlagChange::Remove => old.0.without(flags),
            };
            let has = |flags: Flags, flag| u32::from(flags.contains(flag));
            counts.unseen = counts.unseen + has(old.0, Flags::SEEN) - has(new, Flags::SEEN);
            counts.deleted = counts.deleted + has(new, Flags::DELETED) - has(old.0, Flags::DELETED);
            ((new, set) != old).then_some((new, set))
        });
        self.changed_at(modseq);
        Ok(())
    }

    pub(super) fn expunge(&mut self, modseq: ModSeq, uids: &[UidRange]) -> Result<(), ApplyError> {
        let uids = self.at_hand(uids)?;
        let counts = &mut self.counts;
        self.chunks.remove(&uids, |entry| {
            counts.messages -= 1;
            counts.octets -= entry.size();
            counts.unseen -= u32::from(!entry.flags().contains(Flags::SEEN));
            counts.deleted -= u32::from(entry.flags().contains(Flags::DELETED));
            counts.recent -= u32::from(entry.uid() >= counts.recent_from);
        });
        self.changed_at(modseq);
        Ok(())
    }

    fn at_hand(&self, uids: &[UidRange]) -> Result<Vec<UidRange>, ApplyError> {
        let uids = ascending(uids);
        if self.chunks.has(&uids) { Ok(uids) } else { Err(ApplyError::NotLoaded(self.id)) }
    }

    fn count_in(&mut self, flags: Flags, size: u64) {
        self.counts.messages += 1;
        self.counts.recent += 1;
        self.counts.unseen += u32::from(!flags.contains(Flags::SEEN));
        self.counts.deleted += u32::from(flags.contains(Flags::DELETED));
        self.counts.octets += size;
    }

    fn changed_at(&mut self, modseq: ModSeq) {
        self.counts.highest_modseq = self.counts.highest_modseq.max(modseq);
        let next = reserved_after(&self.counts);
        self.next.first_uid = self.next.first_uid.max(next.first_uid);
        self.next.modseq = self.next.modseq.max(next.modseq);
        self.touch();
    }

    fn touch(&mut self) {
        self.saved = Saved::Dirty;
    }

    // ---- Checkpoints --------------------------------------------------------------------------

    pub(super) fn dirty_octets(&self) -> usize {
        match self.saved {
            Saved::Dirty => self.chunks.dirty_octets() + self.row_octets(),
            Saved::Clean | Saved::Saving => 0,
        }
    }

    /// What it takes without its chunks, about: in memory, the counters and tables weigh most.
    fn row_octets(&self) -> usize {
        500 + self.name.len() + self.keywords.octets()
    }

    /// Whether nothing would be lost if it were forgotten and read again.
    pub(super) fn is_idle(&self) -> bool {
        let reserved = self.next != reserved_after(&self.counts);
        self.pins == 0 && self.saved == Saved::Clean && self.chunks.is_saved() && !reserved
    }

    pub(super) fn begin_saving(&mut self, account: &str, checkpoint: &mut Checkpoint) {
        if self.saved.begin() {
            let (account, mailbox) = (account.into(), self.id);
            checkpoint.mailboxes.push(MailboxRow { account, mailbox, row: self.encode() });
        }
        self.chunks.begin_saving(self.id, &mut checkpoint.chunks);
    }

    pub(super) fn end_saving(&mut self, written: bool) {
        self.saved.end(written);
        self.chunks.end_saving(written);
        if self.pins == 0 {
            self.chunks.drop_clean();
        }
    }

    /// ```text
    /// name text, UIDVALIDITY u32, messages u32, recent u32, unseen u32, deleted u32, octets u64,
    /// UIDNEXT u32, HIGHESTMODSEQ u64, first recent UID u32, keywords (see keywords.rs)
    /// ```
    fn encode(&self) -> Vec<u8> {
        let counts = &self.counts;
        let mut row = Row::with_capacity(self.row_octets());
        row.text(&self.name);
        row.u32(self.uid_validity.0);
        row.u32(counts.messages);
        row.u32(counts.recent);
        row.u32(counts.unseen);
        row.u32(counts.deleted);
        row.u64(counts.octets);
        row.u32(counts.uid_next.0);
        row.u64(counts.highest_modseq.0);
        row.u32(counts.recent_from.0);
        self.keywords.encode(&mut row);
        row.seal()
    }

    pub(super) fn decode(id: MailboxId, row: &[u8]) -> Result<Mailbox, Rot> {
        let mut fields = Fields::open(row)?;
        let name = fields.text()?.into();
        let uid_validity = UidValidity(fields.u32()?);
        let counts = Counts {
            messages: fields.u32()?,
            recent: fields.u32()?,
            unseen: fields.u32()?,
            deleted: fields.u32()?,
            octets: fields.u64()?,
            uid_next: Uid(fields.u32()?),
            highest_modseq: ModSeq(fields.u64()?),
            recent_from: Uid(fields.u32()?),
        };
        let keywords = Keywords::decode(&mut fields)?;
        fields.end()?;
        if counts.recent.max(counts.unseen).max(counts.deleted) > counts.messages {
            return Err(Rot("a mailbox has more messages of a kind than messages"));
        }
        let chunks = if counts.messages == 0 { Chunks::empty() } else { Chunks::absent() };
        let next = reserved_after(&counts);
        let (pins, saved) = (0, Saved::Clean);
        Ok(Mailbox { id, name, uid_validity, counts, keywords, next, chunks, pins, saved })
    }
}

fn reserved_after(counts: &Counts) -> Reserved {
    Reserved { first_uid: counts.uid_next, modseq: counts.highest_modseq.next() }
}

/// The same UIDs as ranges that ascend and do not touch.
fn ascending(uids: &[UidRange]) -> Vec<UidRange> {
    let mut sorted: Vec<UidRange> = uids.iter().filter(|r| r.first <= r.last).copied().collect();
    sorted.sort_unstable_by_key(|range| range.first);
    sorted.dedup_by(|next, last| {
        let touch = next.first.0 <= last.last.0.saturating_add(1);
        if touch {
            last.last = last.last.max(next.last);
        }
        touch
    });
    sorted
}
