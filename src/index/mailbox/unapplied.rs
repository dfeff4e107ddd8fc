//! Changes that are in the log and not yet durable.
//!
//! A mailbox shows what is durable. A record is written against what the log says, which may be
//! further on: between the two lie changes that were written and wait for their fdatasync. A record
//! that ignored them would be wrong by the time it is read:
//!
//! ```text
//! session A  STORE 7 -FLAGS (\Deleted)   written ──────────── durable, applied, OK
//! session B                    EXPUNGE        composed here: message 7 still shows \Deleted
//! ```
//!
//! So whoever composes a record asks for the messages [`as written`](super::Mailbox::as_written),
//! and the record joins these changes in the same step.

use std::collections::{HashMap, HashSet, VecDeque};

use super::Mailbox;
use crate::index::chunk::Entry;
use crate::index::keywords::KeywordSet;
use crate::store::Record;
use imap::types::{FlagChange, Flags, ModSeq, Uid, UidRange};

/// A message as the next record in the log will find it.
#[derive(Clone, Copy, Debug)]
pub struct AsWritten<'m> {
    /// Where its octets are, size and dates: what never changes.
    pub entry: Entry<'m>,
    /// System flags.
    pub flags: Flags,
    /// Keywords, as a set in the mailbox's table.
    pub keywords: KeywordSet,
    /// Of its last change.
    pub modseq: ModSeq,
}

/// The changes of one mailbox, oldest first.
#[derive(Debug, Default)]
pub(super) struct Unapplied {
    changes: VecDeque<Change>,
}

#[derive(Debug)]
struct Change {
    modseq: ModSeq,
    /// Ranges that ascend and do not touch.
    uids: Vec<UidRange>,
    what: What,
}

#[derive(Debug)]
enum What {
    Flags {
        change: FlagChange,
        flags: Flags,
        /// What becomes of each set of keywords among these messages, where that is another.
        sets: HashMap<KeywordSet, KeywordSet>,
    },
    Expunged,
}

impl Unapplied {
    /// The change of this mod-sequence is applied from now on, and with it all before.
    pub(super) fn applied(&mut self, modseq: ModSeq) {
        while self.changes.front().is_some_and(|change| change.modseq <= modseq) {
            self.changes.pop_front();
        }
    }

    /// The message after all these changes; `None` when one of them takes it out.
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
        let What::Flags { change, flags, sets } = &self.what else { return None };
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
    /// Messages of a range of UIDs, ascending, as the next record in the log will find them: `None`
    /// for one that will be gone. Those that are themselves written and not yet durable are not
    /// among them: nobody has been told of these.
    pub fn as_written(&self, uids: UidRange) -> impl Iterator<Item = (Uid, Option<AsWritten<'_>>)> {
        self.range(uids).map(|entry| (entry.uid(), self.unapplied.to(entry)))
    }

    /// Changes of messages that were written and have not been applied.
    #[must_use]
    pub fn unapplied(&self) -> usize {
        self.unapplied.changes.len()
    }

    /// A record that changes messages of this mailbox has been written; the next one is composed
    /// after it. All its messages are in memory, and its keywords were admitted.
    pub(in crate::index) fn wrote(&mut self, record: &Record) {
        let change = match record {
            Record::Expunge { modseq, uids, .. } => {
                Change { modseq: *modseq, uids: UidRange::ascending(uids), what: What::Expunged }
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
                let what = What::Flags { change: *change, flags: *flags, sets };
                Change { modseq: *modseq, uids, what }
            }
            _ => return,
        };
        let last = self.unapplied.changes.back().map(|change| change.modseq);
        assert!(last < Some(change.modseq), "changes are written in the order of mod-sequences");
        self.unapplied.changes.push_back(change);
    }

    /// The sets of keywords among messages of these ranges, which ascend and do not touch.
    pub(super) fn sets_as_written(&self, uids: &[UidRange]) -> HashSet<KeywordSet> {
        let (mut sets, mut last) = (HashSet::new(), None);
        let messages = uids.iter().flat_map(|&range| self.as_written(range));
        for message in messages.filter_map(|(_, message)| message) {
            // Messages often have the same keywords as the one before.
            if last != Some(message.keywords) {
                sets.insert(message.keywords);
                last = Some(message.keywords);
            }
        }
        sets
    }
}
