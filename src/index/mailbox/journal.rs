//! The journal: recent changes of flags and expunges in a selected mailbox. A session that has to
//! report another session's STORE reads what changed here, instead of comparing a million messages.
//!
//! It is in memory only, begins with the first pin of the mailbox and ends with the last. When it
//! grows beyond `limits::JOURNAL` it drops its oldest changes, and the *floor* rises to the last
//! mod-sequence dropped. It answers only for mod-sequences at or above the floor:
//!
//! ```text
//! begin at 5         floor 5   -
//! 6, 7, 8 pushed     floor 5   6 7 8      since(5) = 6 7 8    since(7) = 8    since(4) = Lost
//! 9 pushed, too big  floor 7   8 9        since(7) = 8 9                      since(6) = Lost
//! ```
//!
//! `Lost` sends the session back to comparing all messages.

use std::collections::VecDeque;
use std::collections::vec_deque;

use crate::reactor::fault::{Fault, made};
use crate::reactor::thresholds;
use imap::types::{ModSeq, UidRange};

/// A change of existing messages. New messages need no journal: they are those at or above the
/// UIDNEXT that the session knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Mod-sequence of the change.
    pub modseq: ModSeq,
    /// What changed: at least one range; ascending, with gaps between them.
    pub what: What,
}

/// What a [`Recent`] change did, and to which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Changed flags or keywords.
    Flags(Box<[UidRange]>),
    /// Removed the messages.
    Expunged(Box<[UidRange]>),
}

/// Answer of [`super::Mailbox::changes_since`].
#[derive(Clone, Debug)]
pub enum Changes<'m> {
    /// All changes above the mod-sequence, oldest first.
    Known(vec_deque::Iter<'m, Recent>),
    /// The journal does not reach back that far: compare all messages.
    Lost,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Changes up to this mod-sequence may be missing. `None` while the journal is off.
    floor: Option<ModSeq>,
    recent: VecDeque<Recent>,
    /// Sum over `recent`, in ranges.
    weight: usize,
}

impl Journal {
    /// Starts recording changes above `known`.
    pub(super) fn begin(&mut self, known: ModSeq) {
        *self = Journal { floor: Some(known), ..Journal::default() };
    }

    /// Stops recording and forgets everything.
    pub(super) fn end(&mut self) {
        *self = Journal::default();
    }

    pub(super) fn is_kept(&self) -> bool {
        self.floor.is_some()
    }

    /// Records a change and drops the oldest ones beyond the limit.
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

    /// Approximate bytes in memory.
    pub(super) fn octets(&self) -> usize {
        self.recent.len() * size_of::<Recent>() + self.weight * size_of::<UidRange>()
    }
}

impl Recent {
    /// Weight in ranges; the change itself weighs four.
    fn weight(&self) -> usize {
        4 + self.what.ranges().len()
    }
}

impl What {
    /// The affected messages.
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
        // A change above the limit by itself empties the journal.
        journal.push(ModSeq(8), flags(JOURNAL as u32));
        assert_eq!(known(&journal, 7), None);
        assert_eq!(known(&journal, 8), Some(vec![]));
        assert_eq!(journal.octets(), 0);
    }
}
