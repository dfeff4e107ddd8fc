//! Unapplied changes: written to the log and not yet durable.
//!
//! A mailbox shows durable state only. The log may be ahead of it by changes that wait for their
//! fdatasync. A record composed from the durable state would contradict them:
//!
//! ```text
//! session A  STORE 7 -FLAGS (\Deleted)   written ──────────── durable, applied, OK
//! session B                    EXPUNGE        composed here: message 7 still shows \Deleted
//! ```
//!
//! So a record is composed from the messages [`as written`](Mailbox::as_written): the durable state
//! plus all unapplied changes, in order. The new record joins the unapplied changes in the same
//! step (`Account::wrote`), and leaves them when it is applied. In the example `as_written` shows
//! message 7 without `\Deleted`, and the EXPUNGE does not name it.

use std::collections::{HashMap, HashSet, VecDeque};

use super::Mailbox;
use crate::index::chunk::Entry;
use crate::index::keywords::KeywordSet;
use crate::store::Record;
use imap::types::{FlagChange, Flags, ModSeq, Uid, UidRange};

/// A message with all unapplied changes: the state that the next record in the log changes.
#[derive(Clone, Copy, Debug)]
pub struct AsWritten<'m> {
    /// The durable entry, for what never changes: fragments, size and dates.
    pub entry: Entry<'m>,
    /// System flags.
    pub flags: Flags,
    /// Keywords, as a set in the mailbox's table.
    pub keywords: KeywordSet,
    /// Mod-sequence of its last change.
    pub modseq: ModSeq,
}

/// The unapplied changes of a mailbox, oldest first.
#[derive(Debug, Default)]
pub(super) struct Unapplied {
    changes: VecDeque<Change>,
}

#[derive(Debug)]
struct Change {
    modseq: ModSeq,
    /// Ascending, with gaps between them.
    uids: Vec<UidRange>,
    effect: Effect,
}

#[derive(Debug)]
enum Effect {
    Flags {
        change: FlagChange,
        flags: Flags,
        /// Each keyword set among these messages that the change replaces, and its replacement.
        sets: HashMap<KeywordSet, KeywordSet>,
    },
    Expunged,
}

impl Unapplied {
    /// Removes the changes up to this mod-sequence, which have been applied.
    pub(super) fn applied(&mut self, modseq: ModSeq) {
        while self.changes.front().is_some_and(|change| change.modseq <= modseq) {
            self.changes.pop_front();
        }
    }

    /// The message after all changes; `None` when one of them expunges it.
    fn to<'m>(&self, entry: Entry<'m>) -> Option<AsWritten<'m>> {
        let (flags, keywords, modseq) = (entry.flags(), entry.keywords(), entry.modseq());
        let mut message = AsWritten { entry, flags, keywords, modseq };
        for change in &self.changes {
            if UidRange::covers(&change.uids, entry.uid()) {
                change.to(&mut message)?;
            }
        }
        Some(message)
    }
}

impl Change {
    fn to(&self, message: &mut AsWritten<'_>) -> Option<()> {
        let Effect::Flags { change, flags, sets } = &self.effect else { return None };
        let old = (message.flags, message.keywords);
        message.flags = change.of(old.0, *flags);
        message.keywords = sets.get(&old.1).copied().unwrap_or(old.1);
        if old != (message.flags, message.keywords) {
            message.modseq = self.modseq;
        }
        Some(())
    }
}

impl Mailbox {
    /// The messages in a range of UIDs, ascending, with all unapplied changes; `None` for a message
    /// that one of them expunges. Appended messages that are not durable yet are not included: no
    /// client knows of them.
    pub fn as_written(&self, uids: UidRange) -> impl Iterator<Item = (Uid, Option<AsWritten<'_>>)> {
        self.range(uids).map(|entry| (entry.uid(), self.unapplied.to(entry)))
    }

    /// Number of unapplied changes.
    #[must_use]
    pub fn unapplied(&self) -> usize {
        self.unapplied.changes.len()
    }

    /// Adds a record that changes messages of this mailbox and has been written. Its messages are
    /// in memory, and its keywords were admitted.
    pub(in crate::index) fn wrote(&mut self, record: &Record) {
        let change = match record {
            Record::Expunge { modseq, uids, .. } => {
                let uids = UidRange::ascending(uids);
                Change { modseq: *modseq, uids, effect: Effect::Expunged }
            }
            Record::SetFlags { modseq, uids, change, flags, keywords, .. } => {
                let uids = UidRange::ascending(uids);
                let mut sets = HashMap::new();
                if *change == FlagChange::Replace || !keywords.is_empty() {
                    let named = self.keywords.prepare(*change, keywords).expect("admitted");
                    for set in self.sets_as_written(&uids) {
                        let new = self.keywords.change(set, &named);
                        if new != set {
                            sets.insert(set, new);
                        }
                    }
                }
                let effect = Effect::Flags { change: *change, flags: *flags, sets };
                Change { modseq: *modseq, uids, effect }
            }
            _ => return,
        };
        let last = self.unapplied.changes.back().map(|change| change.modseq);
        let highest = last.unwrap_or(self.counts.highest_modseq);
        assert!(highest < change.modseq, "mod-sequences of written changes do not ascend");
        assert!(change.modseq < self.next.modseq, "a written change has no reserved mod-sequence");
        self.unapplied.changes.push_back(change);
    }

    /// The keyword sets of all messages in these ascending ranges, with all unapplied changes.
    pub(super) fn sets_as_written(&self, uids: &[UidRange]) -> HashSet<KeywordSet> {
        let (mut sets, mut last) = (HashSet::new(), None);
        let messages = uids.iter().flat_map(|&range| self.as_written(range));
        for message in messages.filter_map(|(_, message)| message) {
            // Neighbours often have equal keywords: this skips the lookup.
            if last != Some(message.keywords) {
                sets.insert(message.keywords);
                last = Some(message.keywords);
            }
        }
        sets
    }
}
