//! What lives in each segment: how many fragments of messages lie in it, and how many octets they
//! have. Copies count like other messages, although they share their octets: a segment may seem to
//! hold more than it does, and one that seems empty is empty.
//!
//! A mailbox counts what changed since the last checkpoint ([`LiveChanges`]). The checkpoint adds
//! that to the rows of these tables:
//!
//! ```text
//! live      (segment, account, mailbox) → fragments, octets
//! live_in   (mailbox, segment) → nothing: finds the rows of a mailbox that is deleted
//! segments  segment → fragments, octets: the sum of its rows in `live`
//! ```
//!
//! A row that comes to nothing is removed. So the mailboxes with mail in a segment are found
//! without reading any mailbox, and so is a segment in which nothing lives.

use std::collections::BTreeMap;

use redb::{ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::error::{CatalogError, Rot};
use super::file::{CatalogFile, Failure};
use crate::store::{Fragment, MailboxId, SegmentId};

const LIVE: TableDefinition<(u64, &str, u64), (u64, u64)> = TableDefinition::new("live");
const LIVE_IN: TableDefinition<(u64, u64), ()> = TableDefinition::new("live_in");
const SEGMENTS: TableDefinition<u64, (u64, u64)> = TableDefinition::new("segments");

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
struct Change {
    fragments: i64,
    octets: i64,
}

impl Change {
    fn is_nothing(self) -> bool {
        self == Change::default()
    }

    fn and(self, other: Change) -> Change {
        Change { fragments: self.fragments + other.fragments, octets: self.octets + other.octets }
    }
}

impl Live {
    fn changed(self, by: Change) -> Result<Live, Rot> {
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
pub(super) struct LiveChanges(Vec<(SegmentId, Change)>);

impl LiveChanges {
    /// Counts a fragment that is named from now on.
    pub(super) fn comes(&mut self, fragment: Fragment) {
        self.add(fragment.segment, Change { fragments: 1, octets: fragment.length.into() });
    }

    /// Counts a fragment that is no longer named.
    pub(super) fn goes(&mut self, fragment: Fragment) {
        self.add(fragment.segment, Change { fragments: -1, octets: -i64::from(fragment.length) });
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
    pub(super) fn join(&mut self, other: LiveChanges) {
        other.0.into_iter().for_each(|(segment, change)| self.add(segment, change));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, change)| change.is_nothing())
    }

    /// Approximate bytes in memory.
    pub(super) fn octets(&self) -> usize {
        self.0.len() * size_of::<(SegmentId, Change)>()
    }
}

/// The changes of a mailbox, for a checkpoint.
#[derive(Debug)]
pub(super) struct LiveRow {
    pub(super) account: Box<str>,
    pub(super) mailbox: MailboxId,
    pub(super) changes: LiveChanges,
}

/// Makes the tables.
pub(super) fn prepare(transaction: &WriteTransaction) -> Result<(), Failure> {
    transaction.open_table(LIVE)?;
    transaction.open_table(LIVE_IN)?;
    transaction.open_table(SEGMENTS)?;
    Ok(())
}

/// Takes away the rows of deleted mailboxes, and adds the changes of others.
pub(super) fn write(
    transaction: &WriteTransaction,
    deleted: &[(Box<str>, MailboxId)],
    rows: &[LiveRow],
) -> Result<(), Failure> {
    let mut live = transaction.open_table(LIVE)?;
    let mut live_in = transaction.open_table(LIVE_IN)?;
    let mut sums: BTreeMap<SegmentId, Change> = BTreeMap::new();
    for (account, mailbox) in deleted {
        for row in live_in.extract_from_if((mailbox.0, 0)..=(mailbox.0, u64::MAX), |_, ()| true)? {
            let segment = row?.0.value().1;
            let removed = live.remove((segment, &**account, mailbox.0))?;
            let missing = Rot("a mailbox has no row in one of its segments");
            let (fragments, octets) = removed.ok_or(missing)?.value();
            let gone =
                Change { fragments: -fragments.cast_signed(), octets: -octets.cast_signed() };
            let sum = sums.entry(SegmentId(segment)).or_default();
            *sum = sum.and(gone);
        }
    }
    for LiveRow { account, mailbox, changes } in rows {
        for &(segment, change) in changes.0.iter().filter(|(_, change)| !change.is_nothing()) {
            let key = (segment.0, &**account, mailbox.0);
            let before = live.get(key)?.map(|row| row.value());
            let (fragments, octets) = before.unwrap_or_default();
            match (Live { fragments, octets }).changed(change)? {
                Live { fragments: 0, .. } => {
                    live.remove(key)?;
                    live_in.remove((mailbox.0, segment.0))?;
                }
                after => {
                    live.insert(key, (after.fragments, after.octets))?;
                    if before.is_none() {
                        live_in.insert((mailbox.0, segment.0), ())?;
                    }
                }
            }
            let sum = sums.entry(segment).or_default();
            *sum = sum.and(change);
        }
    }
    let mut segments = transaction.open_table(SEGMENTS)?;
    for (segment, change) in sums {
        let (fragments, octets) = segments.get(segment.0)?.map(|row| row.value()).unwrap_or((0, 0));
        match (Live { fragments, octets }).changed(change)? {
            Live { fragments: 0, .. } => {
                segments.remove(segment.0)?;
            }
            after => {
                segments.insert(segment.0, (after.fragments, after.octets))?;
            }
        }
    }
    Ok(())
}

impl CatalogFile {
    /// What lives in each segment, ascending by segment; segments in which nothing lives are left
    /// out.
    #[allow(clippy::missing_errors_doc)]
    pub fn live(&self) -> Result<Vec<(SegmentId, Live)>, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(SEGMENTS)?;
            let mut live = Vec::new();
            for row in table.iter()? {
                let (segment, row) = row?;
                let (fragments, octets) = row.value();
                live.push((SegmentId(segment.value()), Live { fragments, octets }));
            }
            Ok(live)
        })
    }

    /// The next mailboxes with mail in a segment after `after`, ascending by account and mailbox,
    /// at most `count`.
    #[allow(clippy::missing_errors_doc)]
    pub fn live_in(
        &self,
        segment: SegmentId,
        (account, mailbox): (&str, MailboxId),
        count: usize,
    ) -> Result<Vec<LiveIn>, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(LIVE)?;
            let from = (segment.0, account, mailbox.0);
            let mut found = Vec::new();
            for row in table.range(from..(segment.0 + 1, "", 0))? {
                let (key, row) = row?;
                let (_, account, id) = key.value();
                if key.value() == from {
                    continue;
                }
                let (fragments, octets) = row.value();
                let live = Live { fragments, octets };
                found.push(LiveIn { account: account.into(), mailbox: MailboxId(id), live });
                if found.len() == count {
                    break;
                }
            }
            Ok(found)
        })
    }
}

/// What a mailbox has in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveIn {
    /// Owner of the mailbox.
    pub account: Box<str>,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// What lives in the segment because of it.
    pub live: Live,
}
