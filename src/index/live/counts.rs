//! Counting in memory, between two checkpoints.

use crate::index::error::Rot;
use crate::reactor::fault::{Fault, made};
use crate::store::{Fragment, Lsn, MailboxId, SegmentId};

/// What lives in a segment, or in a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Fragments of messages.
    pub fragments: u64,
    /// Octets of these fragments.
    pub octets: u64,
}

/// A difference between two states of [`Live`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) fragments: i64,
    pub(super) octets: i64,
    /// Whether octets may have died, even if as many have come.
    pub(super) dies: bool,
}

impl Change {
    pub(super) fn is_nothing(self) -> bool {
        self == Change::default()
    }

    pub(super) fn and(self, other: Change) -> Change {
        Change {
            fragments: self.fragments + other.fragments,
            octets: self.octets + other.octets,
            dies: self.dies || other.dies,
        }
    }
}

impl Live {
    pub(super) fn changed(self, by: Change) -> Result<Live, Rot> {
        let below = Rot("more octets are gone from a segment than lay in it");
        let live = Live {
            fragments: self.fragments.checked_add_signed(by.fragments).ok_or(below)?,
            octets: self.octets.checked_add_signed(by.octets).ok_or(below)?,
        };
        // A fragment has at least one octet.
        if live.fragments > live.octets || live.fragments == 0 && live.octets > 0 {
            return Err(Rot("the fragments in a segment do not fit their octets"));
        }
        Ok(live)
    }
}

/// Changes of [`Live`] since the last checkpoint, by segment.
#[derive(Clone, Debug, Default)]
pub(in crate::index) struct LiveChanges(pub(super) Vec<(SegmentId, Change)>);

impl LiveChanges {
    /// Counts a fragment that is named from now on.
    pub(in crate::index) fn comes(&mut self, fragment: Fragment) {
        let octets = fragment.length.into();
        self.add(fragment.segment, Change { fragments: 1, octets, dies: false });
    }

    /// Counts a fragment that is no longer named.
    pub(in crate::index) fn goes(&mut self, fragment: Fragment) {
        let octets = -i64::from(fragment.length);
        self.add(fragment.segment, Change { fragments: -1, octets, dies: true });
    }

    /// Notes a fragment that was written for a message and that nothing will name.
    pub(in crate::index) fn never_named(&mut self, fragment: Fragment) {
        self.add(fragment.segment, Change { dies: true, ..Change::default() });
    }

    /// The segments with changes, in ascending order.
    pub(in crate::index) fn segments(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.0.iter().map(|(segment, _)| *segment)
    }

    fn add(&mut self, segment: SegmentId, change: Change) {
        // Most fragments lie in the segment that was written to last.
        if let Some((last, sum)) = self.0.last_mut()
            && *last == segment
        {
            *sum = sum.and(change);
            return;
        }
        match self.0.binary_search_by_key(&segment, |&(segment, _)| segment) {
            Ok(at) => self.0[at].1 = self.0[at].1.and(change),
            Err(at) => self.0.insert(at, (segment, change)),
        }
    }

    /// Adds other changes to these.
    pub(in crate::index) fn join(&mut self, other: LiveChanges) {
        other.0.into_iter().for_each(|(segment, change)| self.add(segment, change));
    }

    pub(in crate::index) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, change)| change.is_nothing())
    }

    /// Approximate bytes in memory.
    pub(in crate::index) fn octets(&self) -> usize {
        self.0.len() * size_of::<(SegmentId, Change)>()
    }
}

/// The changes of a mailbox, for a checkpoint.
#[derive(Debug)]
pub(in crate::index) struct LiveRow {
    pub(in crate::index) account: Box<str>,
    pub(in crate::index) mailbox: MailboxId,
    pub(in crate::index) changes: Unsure,
}

/// Changes that checkpoints wrote or tried to write, each with the LSN that the checkpoint covers.
///
/// A checkpoint that failed may be in the catalog nevertheless: the disk reports an error after it
/// has written everything. All other rows are written whole, so that they can be written again.
/// These are sums: whoever adds them looks how far the catalog has come, and leaves out what it
/// has.
#[derive(Clone, Debug, Default)]
pub(in crate::index) struct Unsure(Vec<(Lsn, LiveChanges)>);

impl Unsure {
    /// Adds the changes since the last checkpoint. The next one covers the log up to `covers`.
    pub(in crate::index) fn push(&mut self, covers: Lsn, changes: LiveChanges) {
        self.0.push((covers, changes));
    }

    /// The segments with changes.
    pub(in crate::index) fn segments(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.0.iter().flat_map(|(_, changes)| changes.segments())
    }

    /// A checkpoint was written.
    pub(in crate::index) fn clear(&mut self) {
        self.0.clear();
    }

    pub(in crate::index) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a catalog that covers the log up to `covered` does not have.
    pub(super) fn beyond(&self, covered: Option<Lsn>) -> impl Iterator<Item = (SegmentId, Change)> {
        let covered = covered.filter(|_| !made(Fault::CountedTwice));
        let new =
            self.0.iter().filter(move |(lsn, _)| covered.is_none_or(|covered| *lsn > covered));
        new.flat_map(|(_, changes)| changes.0.iter().copied())
    }

    /// Approximate bytes in memory.
    pub(in crate::index) fn octets(&self) -> usize {
        self.0.iter().map(|(_, changes)| size_of::<(Lsn, LiveChanges)>() + changes.octets()).sum()
    }
}
