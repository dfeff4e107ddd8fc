//! The messages of the selected mailbox, as the client knows them.

use crate::index::View;
use imap::protocol::SequenceSet;
use imap::types::{Uid, UidRange};

/// The client's view of the mailbox.
#[derive(Default)]
pub(in crate::session) struct Shown {
    /// The messages, by number and by UID.
    pub view: View,
    /// The value of `$`, set by SEARCH (RFC 5182).
    pub saved: Vec<UidRange>,
    /// UIDs that are `\Recent` in this session, ascending.
    pub(super) recent: Vec<UidRange>,
}

/// The message number does not exist (RFC 9051 section 9, `seq-number`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct NoSuchMessage(pub u32);

impl Shown {
    pub(super) fn new(view: View) -> Shown {
        Shown { view, ..Shown::default() }
    }

    /// The messages of the view that a set names, as ascending ranges without gaps. UIDs that do
    /// not exist are ignored (RFC 3501 section 6.4.8).
    ///
    /// # Errors
    /// When a message number is beyond the last message: client and server disagree about the view.
    pub(crate) fn resolve(
        &self,
        set: &SequenceSet,
        uid: bool,
    ) -> Result<Vec<UidRange>, NoSuchMessage> {
        match set.largest() {
            Some(number) if !uid && number > self.view.len() => Err(NoSuchMessage(number)),
            _ => Ok(self.named(set, uid)),
        }
    }

    /// Like `resolve`, but message numbers that do not exist are ignored too, as SEARCH needs it.
    pub(crate) fn named(&self, set: &SequenceSet, uid: bool) -> Vec<UidRange> {
        if set.is_saved() {
            return self.known_of(self.saved.iter().copied());
        }
        if uid {
            let last = self.view.last().map_or(0, |uid| uid.0);
            return self.known_of(set.resolve(last).uids());
        }
        let numbers = set.resolve(self.view.len());
        numbers.iter().flat_map(|(first, last)| self.view.uids_of(first..=last)).collect()
    }

    /// The messages of the view in these ranges, which ascend.
    pub(super) fn known_of(&self, uids: impl Iterator<Item = UidRange>) -> Vec<UidRange> {
        uids.flat_map(|range| self.view.uids_of(self.view.sequences(range))).collect()
    }

    /// The message numbers of these UIDs, as ranges; UIDs outside the view are left out.
    pub(crate) fn numbers(&self, uids: &[UidRange]) -> Vec<(u32, u32)> {
        let of = |range: &UidRange| self.view.sequences(*range).into_inner();
        uids.iter().map(of).filter(|(first, last)| first <= last).collect()
    }

    pub(crate) fn is_recent(&self, uid: Uid) -> bool {
        let after = self.recent.partition_point(|range| range.first <= uid);
        after > 0 && uid <= self.recent[after - 1].last
    }

    pub(super) fn recent_count(&self) -> u32 {
        let of = |range: &UidRange| {
            let numbers = self.view.sequences(*range);
            (numbers.end() + 1).saturating_sub(*numbers.start())
        };
        self.recent.iter().map(of).sum()
    }
}
