//! Since when each segment may have octets of mail that nothing names any more, and that have to go
//! in time (`--purge-within`).
//!
//! ```text
//! deaths      segment → seconds since 1970 UTC; 0 if that was at an unknown time
//! unfinished  (epoch, log) → the first segment with octets that no record named yet
//! ```
//!
//! The counts in the other tables do not tell: frames and records are not counted, and copies count
//! twice. So each checkpoint notes where fragments have gone since the one before, and where a
//! batch was given up. What a crash leaves is noted by the next start: segments that the log
//! reached after its position, and those of `unfinished`. A segment may be noted although all of it
//! lives, for example because a message was moved to another mailbox; it is never left out.

use redb::{ReadableDatabase, ReadableTable, Table, TableDefinition, TableError, WriteTransaction};

use super::tables::SEGMENTS;
use crate::index::failure::Failure;
use crate::store::{SegmentId, Unfinished};

pub(super) const DEATHS: TableDefinition<u64, u64> = TableDefinition::new("deaths");
pub(super) const UNFINISHED: TableDefinition<(u32, u16), u64> = TableDefinition::new("unfinished");

/// The table while it is written.
pub(in crate::index) struct Deaths<'t> {
    table: Table<'t, u64, u64>,
    at: u64,
}

impl<'t> Deaths<'t> {
    /// For octets that died at this time, in seconds since 1970 UTC; 0 if that is unknown.
    pub(in crate::index) fn open(
        transaction: &'t WriteTransaction,
        at: u64,
    ) -> Result<Deaths<'t>, Failure> {
        Ok(Deaths { table: transaction.open_table(DEATHS)?, at })
    }

    pub(in crate::index) fn note(&mut self, segment: SegmentId) -> Result<(), Failure> {
        let before = self.table.get(segment.0)?.map(|row| row.value());
        if before.is_none_or(|before| self.at < before) {
            self.table.insert(segment.0, self.at)?;
        }
        Ok(())
    }
}

/// Makes the tables.
pub(super) fn prepare(transaction: &WriteTransaction) -> Result<(), Failure> {
    transaction.open_table(DEATHS)?;
    transaction.open_table(UNFINISHED)?;
    Ok(())
}

/// Whether the catalog has the tables.
pub(in crate::index) fn are_there(database: &redb::Database) -> Result<bool, Failure> {
    match database.begin_read()?.open_table(DEATHS) {
        Ok(_) => Ok(true),
        Err(TableError::TableDoesNotExist(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes the tables in a catalog that was written without them. Octets may have died in any of its
/// segments.
pub(in crate::index) fn prepare_existing(transaction: &WriteTransaction) -> Result<(), Failure> {
    prepare(transaction)?;
    note_all(transaction, 0)
}

/// Notes all segments in which something lives, from this one on, at an unknown time. Those in
/// which nothing lives are cleaned anyway.
pub(in crate::index) fn note_all(transaction: &WriteTransaction, from: u64) -> Result<(), Failure> {
    note_range(transaction, from, u64::MAX)
}

fn note_range(transaction: &WriteTransaction, from: u64, to: u64) -> Result<(), Failure> {
    let mut deaths = Deaths::open(transaction, 0)?;
    for row in transaction.open_table(SEGMENTS)?.range(from..=to)? {
        deaths.note(SegmentId(row?.0.value()))?;
    }
    Ok(())
}

/// Writes what a checkpoint says of unnamed octets, after all its other rows: there may be some
/// from each segment of `tails` to the end of its epoch, and those that no record has named yet. A
/// checkpoint that ends a replay (`replayed`) forgets what was unfinished before.
pub(in crate::index) fn write(
    transaction: &WriteTransaction,
    tails: &[SegmentId],
    unfinished: Option<&Unfinished>,
    replayed: bool,
) -> Result<(), Failure> {
    for from in tails {
        note_range(transaction, from.0, SegmentId::last_of(from.epoch()).0)?;
    }
    let mut table = transaction.open_table(UNFINISHED)?;
    if replayed {
        table.retain(|_, _| false)?;
    }
    if let Some(Unfinished { epoch, log, from }) = unfinished {
        match from {
            Some(from) => table.insert((epoch.0, log.0), from.0)?,
            None => table.remove((epoch.0, log.0))?,
        };
    }
    Ok(())
}
