//! What happened of late in a mailbox that sessions have selected: so that each of them tells its
//! client what changed, and does not compare a million messages after every STORE of another.
//!
//! In memory only. It begins when the first session pins the mailbox and ends with the last.

use std::collections::VecDeque;
use std::collections::vec_deque;

use crate::reactor::fault::{Fault, made};
use crate::reactor::thresholds;
use imap::types::{ModSeq, UidRange};

/// A change of messages that exist, or did. New messages are not among these: they are those from
/// the UIDNEXT on that a session knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Of the change.
    pub modseq: ModSeq,
    /// What changed: ranges that ascend and do not touch, at least one.
    pub what: What,
}

/// See [`Recent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// These messages have other flags or keywords than before.
    Flags(Box<[UidRange]>),
    /// These messages are gone.
    Expunged(Box<[UidRange]>),
}

/// What [`super::Mailbox::changes_since`] knows.
#[derive(Clone, Debug)]
pub enum Changes<'m> {
    /// All changes above the mod-sequence, in their order.
    Known(vec_deque::Iter<'m, Recent>),
    /// The journal does not reach back so far: all messages have to be looked at.
    Lost,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Changes up to this mod-sequence may be missing. `None` while nobody reads the journal.
    floor: Option<ModSeq>,
    recent: VecDeque<Recent>,
    /// Of all `recent`.
    weight: usize,
}

impl Journal {
    /// From here on changes are kept; those up to `known` are not.
    pub(super) fn begin(&mut self, known: ModSeq) {
        *self = Journal { floor: Some(known), ..Journal::default() };
    }

    /// Nobody reads it any more.
    pub(super) fn end(&mut self) {
        *self = Journal::default();
    }

    pub(super) fn is_kept(&self) -> bool {
        self.floor.is_some()
    }

    /// What is too much leaves, the oldest first.
    pub(super) fn push(&mut self, modseq: ModSeq, what: What) {
        if self.floor.is_none() || what.ranges().is_empty() {
            return;
        }
        let recent = Recent { modseq, what };
        self.weight += recent.weight();
        self.recent.push_back(recent);
        while self.weight > thresholds().journal
            && let Some(oldest) = self.recent.pop_front()
        {
            self.weight -= oldest.weight();
            if !made(Fault::JournalFloorForgotten) {
                self.floor = self.floor.max(Some(oldest.modseq));
            }
        }
    }

    pub(super) fn since(&self, known: ModSeq) -> Changes<'_> {
        if self.floor.is_none_or(|floor| known < floor) {
            return Changes::Lost;
        }
        // Changes are applied in the order of their mod-sequences.
        let from = self.recent.partition_point(|recent| recent.modseq <= known);
        Changes::Known(self.recent.range(from..))
    }

    /// What it takes in memory, about.
    pub(super) fn octets(&self) -> usize {
        self.recent.len() * size_of::<Recent>() + self.weight * size_of::<UidRange>()
    }
}

impl Recent {
    /// In ranges: an entry itself counts as much as four.
    fn weight(&self) -> usize {
        4 + self.what.ranges().len()
    }
}

impl What {
    /// The messages.
    #[must_use]
    pub fn ranges(&self) -> &[UidRange] {
        match self {
            What::Flags(ranges) | What::Expunged(ranges) => ranges,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::JOURNAL;
    use imap::types::Uid;

    fn flags(ranges: u32) -> What {
        let range = |n| UidRange { first: Uid(2 * n), last: Uid(2 * n) };
        What::Flags((1..=ranges).map(range).collect())
    }

    fn known(journal: &Journal, since: u64) -> Option<Vec<u64>> {
        match journal.since(ModSeq(since)) {
            Changes::Known(recent) => Some(recent.map(|recent| recent.modseq.0).collect()),
            Changes::Lost => None,
        }
    }

    #[test]
    fn it_knows_what_came_after_its_beginning() {
        let mut journal = Journal::default();
        journal.push(ModSeq(4), flags(1));
        assert_eq!(known(&journal, 9), None);
        journal.begin(ModSeq(5));
        for modseq in 6..9 {
            journal.push(ModSeq(modseq), flags(1));
        }
        journal.push(ModSeq(9), What::Expunged(Box::default()));
        assert_eq!(known(&journal, 4), None);
        assert_eq!(known(&journal, 5), Some(vec![6, 7, 8]));
        assert_eq!(known(&journal, 7), Some(vec![8]));
        assert_eq!(known(&journal, 9), Some(vec![]));
        journal.end();
        assert_eq!(known(&journal, 9), None);
    }

    #[test]
    fn it_forgets_the_oldest_first_and_says_so() {
        let mut journal = Journal::default();
        journal.begin(ModSeq(1));
        let each = JOURNAL / 4;
        for modseq in 2..=7 {
            journal.push(ModSeq(modseq), flags(each as u32 - 4));
        }
        assert_eq!(known(&journal, 2), None);
        assert_eq!(known(&journal, 3), Some(vec![4, 5, 6, 7]));
        // One that is too large by itself leaves nothing behind.
        journal.push(ModSeq(8), flags(JOURNAL as u32));
        assert_eq!(known(&journal, 7), None);
        assert_eq!(known(&journal, 8), Some(vec![]));
        assert_eq!(journal.octets(), 0);
    }
}
