//! Applying durable changes to a mailbox, in operation and in replay.

use super::journal::What;
use super::{Counts, Entry, Mailbox, reserved_after};
use crate::index::error::ApplyError;
use crate::index::rows::Saved;
use crate::reactor::fault::{Fault, made};
use crate::store::{MetadataEntry, Relocated};
use imap::types::{FlagChange, Flags, Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity};

/// `None` when the counts do not fit the messages: the mailbox's row in the catalog was wrong.
impl Counts {
    fn change(&mut self, old: Flags, new: Flags) -> Option<()> {
        let has = |flags: Flags, flag| u32::from(flags.contains(flag));
        let (seen, deleted) = (Flags::SEEN, Flags::DELETED);
        self.unseen = (self.unseen + has(old, seen)).checked_sub(has(new, seen))?;
        self.deleted = (self.deleted + has(new, deleted)).checked_sub(has(old, deleted))?;
        self.are_coherent().then_some(())
    }

    fn remove(&mut self, entry: Entry<'_>) -> Option<()> {
        let (flags, recent) = (entry.flags(), entry.uid() >= self.recent_from);
        self.messages = self.messages.checked_sub(1)?;
        self.octets = self.octets.checked_sub(entry.size())?;
        self.unseen = self.unseen.checked_sub(u32::from(!flags.contains(Flags::SEEN)))?;
        self.deleted = self.deleted.checked_sub(u32::from(flags.contains(Flags::DELETED)))?;
        self.recent = self.recent.checked_sub(u32::from(recent))?;
        self.are_coherent().then_some(())
    }
}

impl Mailbox {
    /// Renames the mailbox. The account keeps names unique.
    pub(in crate::index) fn rename(&mut self, name: Box<str>) {
        self.name = name;
        self.touch();
    }

    /// Changes the special use and entries of metadata.
    pub(in crate::index) fn set_metadata(
        &mut self,
        uses: Option<SpecialUse>,
        entries: &[MetadataEntry],
    ) {
        self.special_use = uses.unwrap_or(self.special_use);
        entries.iter().for_each(|entry| self.metadata.change(entry));
        if !made(Fault::MetadataUnsaved) {
            self.touch();
        }
    }

    /// Adds the keyword sets that result from a change of flags to the table. All messages must be
    /// in memory, and the change must be written without an await in between. `false` when the
    /// mailbox has no room for more keywords or keyword sets: `NO [LIMIT]`.
    #[must_use]
    pub fn admit_change(
        &mut self,
        uids: &[UidRange],
        change: FlagChange,
        keywords: &[Keyword],
    ) -> bool {
        if change == FlagChange::Replace {
            return self.admit(keywords).is_some();
        }
        if keywords.is_empty() {
            return true;
        }
        let sets = self.sets_as_written(&UidRange::ascending(uids));
        self.keywords.admit_change(&sets, change, keywords)
    }

    pub(in crate::index) fn set_flags(
        &mut self,
        modseq: ModSeq,
        uids: &[UidRange],
        change: FlagChange,
        flags: Flags,
        keywords: &[Keyword],
    ) -> Result<(), ApplyError> {
        self.check_modseq(modseq)?;
        let uids = self.loaded(uids)?;
        if self.keywords.is_crowded() {
            self.collect_keywords();
        }
        let (counts, table) = (&mut self.counts, &mut self.keywords);
        let told = self.journal.is_kept();
        let named = table.prepare(change, keywords).ok_or(ApplyError::TooManyKeywords(self.id))?;
        let (mut changed, mut counted) = (Vec::new(), true);
        // Neighbours often have equal keywords: the last result is reused.
        let mut last = None;
        self.chunks.set_flags(&uids, modseq, |entry| {
            let old = (entry.flags(), entry.keywords());
            let set = match last {
                Some((from, to)) if from == old.1 => to,
                _ => table.change(old.1, &named),
            };
            last = Some((old.1, set));
            let new = change.of(old.0, flags);
            counted &= counts.change(old.0, new).is_some();
            if set != old.1 {
                table.used(set, 1);
                counted &= table.released(old.1).is_some();
            }
            if (new, set) == old {
                return None;
            }
            if told {
                UidRange::push(&mut changed, entry.uid());
            }
            Some((new, set))
        });
        if !counted {
            return Err(ApplyError::Miscounted(self.id));
        }
        self.unapplied.applied(modseq);
        self.journal.push(modseq, What::Flags(changed.into()));
        self.changed_at(modseq);
        Ok(())
    }

    pub(in crate::index) fn expunge(
        &mut self,
        modseq: ModSeq,
        uids: &[UidRange],
    ) -> Result<(), ApplyError> {
        self.check_modseq(modseq)?;
        let uids = self.loaded(uids)?;
        let (counts, table, live) = (&mut self.counts, &mut self.keywords, &mut self.live);
        let (mut gone, mut counted) = (Vec::new(), true);
        self.chunks.remove(&uids, |entry| {
            UidRange::push(&mut gone, entry.uid());
            counted &= counts.remove(entry).is_some();
            entry.fragments().for_each(|fragment| live.goes(fragment));
            counted &= table.released(entry.keywords()).is_some();
        });
        if !counted {
            return Err(ApplyError::Miscounted(self.id));
        }
        self.unapplied.applied(modseq);
        self.vanished.push(modseq, &gone);
        self.journal.push(modseq, What::Expunged(gone.into()));
        self.changed_at(modseq);
        Ok(())
    }

    /// Changes where the octets of messages lie. Messages that are not in memory are left out: in
    /// operation they were expunged, or else their old segment goes on counting them.
    pub(in crate::index) fn relocate(&mut self, messages: &[Relocated]) -> Result<(), ApplyError> {
        let mut uids = Vec::new();
        messages.iter().for_each(|message| UidRange::push(&mut uids, message.uid));
        let mailbox = self.id;
        let relocated = self.chunks.relocate(&uids, messages, &mut self.live);
        relocated.map_err(|(uid, size)| ApplyError::OtherSize { mailbox, uid, size })?;
        self.touch();
        Ok(())
    }

    /// Makes clients forget what they know of the mailbox, because lost frames may have changed it.
    /// At most `given` UIDs and mod-sequences were given out in those frames. They are skipped, so
    /// that the frames still fit if they come back from a backup.
    pub(in crate::index) fn forget_clients(&mut self, validity: UidValidity, given: u32) {
        self.uid_validity = validity;
        let counts = &mut self.counts;
        let beyond = counts.uid_next.0.checked_add(given).filter(|&next| next <= u32::MAX / 4 * 3);
        counts.uid_next = beyond.map_or(counts.uid_next, Uid);
        counts.highest_modseq = ModSeq(counts.highest_modseq.0.saturating_add(given.into()));
        self.next = reserved_after(&self.counts);
        self.touch();
    }

    /// A change continues the mailbox: its mod-sequence is above all others. [`Mailbox::wrote`]
    /// asserts this before a change of messages; a log that is replayed may not keep it.
    pub(super) fn check_modseq(&self, found: ModSeq) -> Result<(), ApplyError> {
        let (mailbox, highest) = (self.id, self.counts.highest_modseq);
        match found > highest {
            true => Ok(()),
            false => Err(ApplyError::ModSeqOutOfOrder { mailbox, highest, found }),
        }
    }

    /// The ranges in ascending order, once their messages are known to be in memory.
    fn loaded(&self, uids: &[UidRange]) -> Result<Vec<UidRange>, ApplyError> {
        let uids = UidRange::ascending(uids);
        if self.chunks.has(&uids) { Ok(uids) } else { Err(ApplyError::NotLoaded(self.id)) }
    }

    pub(super) fn changed_at(&mut self, modseq: ModSeq) {
        self.counts.highest_modseq = self.counts.highest_modseq.max(modseq);
        let next = reserved_after(&self.counts);
        self.next.first_uid = self.next.first_uid.max(next.first_uid);
        self.next.modseq = self.next.modseq.max(next.modseq);
        self.touch();
    }

    pub(super) fn touch(&mut self) {
        self.saved = Saved::Dirty;
    }
}
