//! Writing a snapshot of an open catalog.

use std::io;
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::format::{BLOCK, SnapshotRow, Table, block_head, head, tail};
use super::{Flaw, Snapshot, SnapshotError, list, path_of, remove_others};
use crate::index::codec::Fields;
use crate::index::damaged::DAMAGED;
use crate::index::error::CatalogError;
use crate::index::failure::Failure;
use crate::index::file::{
    ACCOUNTS, CHUNKS, CatalogFile, LEFT, MAILBOXES, META, POSITIONS, REPLAYING, SUBSCRIBED,
};
use crate::index::live::tables::LIVE;
use crate::reactor::Access;
use crate::reactor::fault::{Fault, made};
use crate::reactor::files::{self, File};
use crate::store::{Epoch, LogId, LogPosition, Lsn, SegmentId};

/// Why a snapshot is not complete.
enum Stop {
    Failure(Failure),
    Io(io::Error),
    Flaw(Flaw),
    /// The catalog has to be closed.
    Closing,
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failure(error.into())
    }
}

impl CatalogFile {
    /// Writes a snapshot of the catalog into this folder, and removes older ones. It is durable on
    /// return. `None` when there is nothing to keep yet, or the catalog knows of damage: then the
    /// whole log may be needed again, with the damaged files restored.
    ///
    /// `pause` is called after each piece, with its length in bytes, and says whether to go on.
    /// Blocks.
    ///
    /// # Errors
    /// See [`SnapshotError`]. Older snapshots stay then.
    pub(crate) fn write_snapshot(
        &self,
        folder: &Path,
        pause: &dyn Fn(usize) -> bool,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        let io = |error| SnapshotError::Io { path: folder.to_owned(), error };
        files::create_folder(folder).map_err(io)?;
        // Even if it was there: its name may not be durable yet.
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        files::sync_folder(above.unwrap_or(Path::new("."))).map_err(io)?;
        let newest = list(folder).map_err(io)?.into_iter().max().unwrap_or_default();
        let number = newest + 1;
        let path = path_of(folder, number);
        let unfinished = path.with_extension("writing");
        let io = |error| SnapshotError::Io { path: unfinished.clone(), error };
        let file = files::open(&unfinished, Access::Create).map_err(io)?;
        file.set_length(0).map_err(io)?;
        let closings = self.closings();
        let mut output = Output::new(file, number, pause);
        let written = self.work(|database| {
            let is_closing = || self.closings() != closings;
            match write_rows(database, &mut output, &is_closing) {
                Err(Stop::Failure(failure)) => Err(failure),
                other => Ok(other.map_err(|stop| match stop {
                    Stop::Io(error) => SnapshotError::Io { path: unfinished.clone(), error },
                    Stop::Flaw(flaw) => SnapshotError::Damaged { path: self.path().into(), flaw },
                    Stop::Failure(_) | Stop::Closing => CatalogError::Closed.into(),
                })),
            }
        });
        let written = written.map_err(SnapshotError::from).and_then(|written| written);
        let positions = match written {
            Ok(Some(positions)) => positions,
            other => {
                // The next snapshot replaces it.
                let _ = files::remove(&unfinished);
                return other.map(|_| None);
            }
        };
        let (length, rows) = output.end().map_err(io)?;
        files::rename(&unfinished, &path).map_err(io)?;
        if !made(Fault::RecordsDroppedEarly) {
            files::sync_folder(folder).map_err(io)?;
        }
        remove_others(folder, number).map_err(io)?;
        Ok(Some(Snapshot { number, positions, length, rows }))
    }
}

/// Writes all rows. Returns the positions; `None` when no snapshot may be taken.
fn write_rows(
    database: &Database,
    output: &mut Output<'_>,
    is_closing: &dyn Fn() -> bool,
) -> Result<Option<Vec<LogPosition>>, Stop> {
    let transaction = database.begin_read()?;
    if !transaction.open_table(REPLAYING)?.is_empty()?
        || !transaction.open_table(DAMAGED)?.is_empty()?
    {
        return Ok(None);
    }
    let mut positions = Vec::new();
    for row in transaction.open_table(POSITIONS)?.iter()? {
        let (key, value) = row?;
        let ((epoch, log), (segment, offset, lsn, applied)) = (key.value(), value.value());
        positions.push(LogPosition {
            epoch: Epoch(epoch),
            log: LogId(log),
            segment: SegmentId(segment),
            offset,
            lsn: Lsn(lsn),
            applied: Lsn(applied),
        });
    }
    let positions = super::newest(positions);
    if positions.is_empty() {
        return Ok(None);
    }
    for at in &positions {
        let (first, name) = (u64::from(at.epoch.0) << 16 | u64::from(at.log.0), "");
        let mut octets = [0; 20];
        octets[..4].copy_from_slice(&at.offset.to_le_bytes());
        octets[4..12].copy_from_slice(&at.lsn.0.to_le_bytes());
        octets[12..].copy_from_slice(&at.applied.0.to_le_bytes());
        let (table, second, octets) = (Table::Positions, at.segment.0, &octets);
        output.put(SnapshotRow { table, first, second, name, octets })?;
    }
    let mut put = |row: SnapshotRow<'_>| match is_closing() {
        true => Err(Stop::Closing),
        false => output.put(row),
    };
    let (first, second) = (0, 0);
    for (table, rows) in [
        (Table::Accounts, transaction.open_table(ACCOUNTS)?),
        (Table::Subscribed, transaction.open_table(SUBSCRIBED)?),
    ] {
        for row in rows.iter()? {
            let (key, row) = row?;
            let (name, octets) = (key.value(), row.value());
            Fields::open(octets)?;
            put(SnapshotRow { table, first, second, name, octets })?;
        }
    }
    for row in transaction.open_table(MAILBOXES)?.iter()? {
        let (key, row) = row?;
        let ((name, first), octets) = (key.value(), row.value());
        Fields::open(octets)?;
        put(SnapshotRow { table: Table::Mailboxes, first, second, name, octets })?;
    }
    for row in transaction.open_table(CHUNKS)?.iter()? {
        let (key, row) = row?;
        let ((first, second), octets) = (key.value(), row.value());
        Fields::open(octets)?;
        let (second, name) = (second.into(), "");
        put(SnapshotRow { table: Table::Chunks, first, second, name, octets })?;
    }
    for row in transaction.open_table(LIVE)?.iter()? {
        let (key, row) = row?;
        let ((first, name, second), (fragments, lengths)) = (key.value(), row.value());
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&fragments.to_le_bytes());
        octets[8..].copy_from_slice(&lengths.to_le_bytes());
        put(SnapshotRow { table: Table::Live, first, second, name, octets: &octets })?;
    }
    // Without it, a catalog made from this would make clients forget everything once more.
    if let Some(left) = transaction.open_table(META)?.get(LEFT)? {
        let (first, second, name, octets) = (left.value(), 0, "", &[][..]);
        put(SnapshotRow { table: Table::Restored, first, second, name, octets })?;
    }
    Ok(Some(positions))
}

/// The file that is being written.
struct Output<'p> {
    file: File,
    pause: &'p dyn Fn(usize) -> bool,
    written: u64,
    hash: Xxh3Default,
    /// Rows of the block that comes next, and their number.
    block: Vec<u8>,
    in_block: u32,
    /// The head of the file, while it waits for the first block.
    waiting: Vec<u8>,
    rows: u64,
    blocks: u64,
}

impl<'p> Output<'p> {
    fn new(file: File, number: u64, pause: &'p dyn Fn(usize) -> bool) -> Output<'p> {
        let (hash, waiting) = (Xxh3Default::new(), head(number).to_vec());
        let block = Vec::with_capacity(BLOCK);
        Output { file, pause, written: 0, hash, block, in_block: 0, waiting, rows: 0, blocks: 0 }
    }

    fn put(&mut self, row: SnapshotRow<'_>) -> Result<(), Stop> {
        row.put(&mut self.block).map_err(Stop::Flaw)?;
        self.in_block += 1;
        self.rows += 1;
        match self.block.len() < BLOCK {
            true => Ok(()),
            false => self.close_block().map_err(Stop::Io),
        }
    }

    fn close_block(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.block.len()).map_err(io::Error::other)?;
        let mut octets = std::mem::take(&mut self.waiting);
        octets.extend_from_slice(&block_head(length, self.in_block));
        octets.extend_from_slice(&self.block);
        octets.extend_from_slice(&xxh3_64(&self.block).to_le_bytes());
        self.blocks += 1;
        self.in_block = 0;
        self.block.clear();
        self.write(&octets)
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.hash.update(octets);
        self.file.write_all_at(octets, self.written)?;
        self.written += octets.len() as u64;
        match (self.pause)(octets.len()) {
            true => Ok(()),
            false => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// Writes the end, and makes the file durable. Returns its length in bytes and its rows.
    fn end(mut self) -> io::Result<(u64, u64)> {
        if !self.block.is_empty() {
            self.close_block()?;
        }
        let mut octets = block_head(0, 0).to_vec();
        octets.extend_from_slice(&tail(self.rows, self.blocks));
        self.write(&octets)?;
        let checksum = self.hash.digest().to_le_bytes();
        self.file.write_all_at(&checksum, self.written)?;
        if !made(Fault::SnapshotHalfBelieved) {
            self.file.sync_all()?;
        }
        Ok((self.written + checksum.len() as u64, self.rows))
    }
}
