//! The tables in the catalog.

use std::collections::BTreeMap;

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::counts::{Change, Live, LiveRow};
use super::deaths::{self, Deaths};
use crate::index::error::Rot;
use crate::index::failure::Failure;
use crate::store::{Lsn, MailboxId, SegmentId};

pub(in crate::index) const LIVE: TableDefinition<(u64, &str, u64), (u64, u64)> =
    TableDefinition::new("live");
pub(in crate::index) const LIVE_IN: TableDefinition<(u64, u64), ()> =
    TableDefinition::new("live_in");
pub(in crate::index) const SEGMENTS: TableDefinition<u64, (u64, u64)> =
    TableDefinition::new("segments");

/// Makes the tables.
pub(in crate::index) fn prepare(transaction: &WriteTransaction) -> Result<(), Failure> {
    transaction.open_table(LIVE)?;
    transaction.open_table(LIVE_IN)?;
    transaction.open_table(SEGMENTS)?;
    deaths::prepare(transaction)
}

/// Takes away the rows of deleted mailboxes, and adds the changes of others that the catalog, which
/// covers their log up to `covered`, does not have. Segments in which mail died are noted.
pub(in crate::index) fn write(
    transaction: &WriteTransaction,
    deleted: &[(Box<str>, MailboxId)],
    rows: &[LiveRow],
    covered: Option<Lsn>,
    deaths: &mut Deaths<'_>,
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
            let gone = Change {
                fragments: -fragments.cast_signed(),
                octets: -octets.cast_signed(),
                dies: true,
            };
            let sum = sums.entry(SegmentId(segment)).or_default();
            *sum = sum.and(gone);
            deaths.note(SegmentId(segment))?;
        }
    }
    for LiveRow { account, mailbox, changes } in rows {
        for (segment, change) in changes.beyond(covered).filter(|(_, change)| !change.is_nothing())
        {
            if change.dies {
                deaths.note(segment)?;
            }
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
