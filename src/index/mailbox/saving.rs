//! Writing mailboxes to the catalog, and reading them.

use std::mem;

use super::journal::Journal;
use super::unapplied::Unapplied;
use super::vanished::Vanished;
use super::{Counts, Mailbox, Metadata, reserved_after};
use crate::index::checkpoint::Checkpoint;
use crate::index::chunks::Chunks;
use crate::index::codec::{Fields, Row};
use crate::index::error::Rot;
use crate::index::keywords::Keywords;
use crate::index::live::counts::{LiveChanges, LiveRow, Unsure};
use crate::index::rows::{MailboxRow, Saved};
use crate::store::{Lsn, MailboxId, SegmentId};
use imap::types::{ModSeq, SpecialUse, Uid, UidValidity};

impl Mailbox {
    pub(in crate::index) fn dirty_octets(&self) -> usize {
        match self.saved {
            Saved::Dirty => self.chunks.dirty_octets() + self.row_octets(),
            Saved::Clean | Saved::Saving => 0,
        }
    }

    /// Approximate bytes without chunks, in memory: counters and tables weigh most.
    pub(super) fn row_octets(&self) -> usize {
        let lists = self.keywords.octets() + self.vanished.octets() + self.metadata.octets();
        500 + self.name.len() + lists
    }

    /// Whether the mailbox can be dropped from memory without loss.
    pub(in crate::index) fn is_idle(&self) -> bool {
        let counted = self.live.is_empty() && self.unsure.is_empty();
        let saved = self.saved == Saved::Clean && self.chunks.is_saved() && counted;
        self.pins == 0 && saved && self.is_settled()
    }

    /// Adds what changed to a checkpoint. [`Mailbox::decode`] and [`Mailbox::load`] check what is
    /// asserted here.
    pub(in crate::index) fn begin_saving(&mut self, account: &str, checkpoint: &mut Checkpoint) {
        assert!(self.counts.are_coherent(), "the counts of a mailbox do not fit each other");
        if self.saved.begin() {
            let (account, mailbox) = (account.into(), self.id);
            checkpoint.mailboxes.push(MailboxRow { account, mailbox, row: self.encode() });
        }
        if !self.live.is_empty() {
            let covers = checkpoint.coverage.one().map_or_else(Lsn::default, |at| at.applied);
            self.unsure.push(covers, mem::take(&mut self.live));
        }
        if !self.unsure.is_empty() {
            let (account, mailbox) = (account.into(), self.id);
            checkpoint.live.push(LiveRow { account, mailbox, changes: self.unsure.clone() });
        }
        let before = checkpoint.chunks.len();
        self.chunks.begin_saving(self.id, &mut checkpoint.chunks);
        let (end, highest) = (self.counts.uid_next, self.counts.highest_modseq);
        let within = checkpoint.chunks[before..].iter().all(|r| r.chunk.is_within(end, highest));
        assert!(within, "a chunk has messages beyond UIDNEXT or HIGHESTMODSEQ");
    }

    /// The segments in which messages have come or gone that the catalog does not count yet.
    pub(in crate::index) fn unsaved_segments(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.live.segments().chain(self.unsure.segments())
    }

    pub(in crate::index) fn end_saving(&mut self, written: bool) {
        self.saved.end(written);
        self.chunks.end_saving(written);
        if written {
            self.unsure.clear();
        }
        if self.pins == 0 {
            self.chunks.drop_clean();
            self.collect_keywords();
        }
    }

    /// ```text
    /// name text, UIDVALIDITY u32, messages u32, recent u32, unseen u32, deleted u32, octets u64,
    /// UIDNEXT u32, HIGHESTMODSEQ u64, first recent UID u32, special use u16,
    /// keywords (see keywords.rs), expunges (see vanished.rs), metadata (see metadata.rs)
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
        row.u16(self.special_use.0);
        self.keywords.encode(&mut row);
        self.vanished.encode(&mut row);
        self.metadata.encode(&mut row);
        row.seal()
    }

    pub(in crate::index) fn decode(id: MailboxId, row: &[u8]) -> Result<Mailbox, Rot> {
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
        let special_use = SpecialUse(fields.u16()?);
        let keywords = Keywords::decode(&mut fields)?;
        let vanished = Vanished::decode(&mut fields)?;
        let metadata = Metadata::decode(&mut fields)?;
        fields.end()?;
        if !counts.are_coherent() {
            return Err(Rot("the counts of a mailbox do not fit each other"));
        }
        let chunks = if counts.messages == 0 { Chunks::empty() } else { Chunks::absent() };
        Ok(Mailbox {
            id,
            name,
            uid_validity,
            special_use,
            metadata,
            counts,
            keywords,
            vanished,
            next: reserved_after(&counts),
            unapplied: Unapplied::default(),
            chunks,
            live: LiveChanges::default(),
            unsure: Unsure::default(),
            pins: 0,
            journal: Journal::default(),
            saved: Saved::Clean,
        })
    }
}
