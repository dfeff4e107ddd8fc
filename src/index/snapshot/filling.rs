//! Filling a catalog from a snapshot.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::format::{SnapshotRow, Table, number};
use super::reading::{Broken, Reading, rows};
use super::{Flaw, SNAPSHOTS, SnapshotError, list, path_of};
use crate::index::failure::Failure;
use crate::index::file::{
    ACCOUNTS, CHUNKS, CatalogFile, LEFT, MAILBOXES, META, POSITIONS, SUBSCRIBED, begin_write,
};
use crate::index::live::deaths;
use crate::index::live::tables::{LIVE, LIVE_IN, SEGMENTS};
use crate::reactor::files;
use crate::store::was_dropped;

/// Bytes of rows that go into the catalog in one transaction.
const GATHERED: usize = 8 << 20;

/// Makes the catalog from the newest snapshot in the data folder, if there is no catalog and a
/// snapshot. Returns whether it did. Blocks until the catalog is durable.
///
/// # Errors
/// See [`SnapshotError`]. There is no catalog then.
pub(in crate::index) fn restore(data: &Path, catalog: &Path) -> Result<bool, SnapshotError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        |error| SnapshotError::Io { path, error }
    };
    if files::exists(catalog).map_err(io(catalog))? {
        return Ok(false);
    }
    let folder = data.join(SNAPSHOTS);
    let Some(newest) = list(&folder).map_err(io(&folder))?.into_iter().max() else {
        return match was_dropped(data).map_err(io(data))? {
            true => Err(SnapshotError::Missing(folder)),
            false => Ok(false),
        };
    };
    CatalogFile::create(catalog, |file| fill(file, &folder, newest))?;
    Ok(true)
}

/// Checks the newest snapshot of a data folder whole, and returns its number; `None` when there is
/// none.
///
/// # Errors
/// See [`SnapshotError`].
pub(crate) fn check(data: &Path) -> Result<Option<u64>, SnapshotError> {
    let Some(newest) = newest(data)? else { return Ok(None) };
    match check_one(data, newest) {
        // A newer one has taken its place.
        Err(SnapshotError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            check(data)
        }
        checked => checked.map(|()| Some(newest)),
    }
}

/// The number of the newest snapshot of a data folder; `None` when there is none.
///
/// # Errors
/// Those of the disk.
pub(crate) fn newest(data: &Path) -> Result<Option<u64>, SnapshotError> {
    let folder = data.join(SNAPSHOTS);
    let listed = list(&folder).map_err(|error| SnapshotError::Io { path: folder, error })?;
    Ok(listed.into_iter().max())
}

/// Checks the snapshot with this number whole.
///
/// # Errors
/// See [`SnapshotError`].
pub(crate) fn check_one(data: &Path, number: u64) -> Result<(), SnapshotError> {
    let folder = data.join(SNAPSHOTS);
    let explain = |broken: Broken| broken.explain(&path_of(&folder, number));
    let mut reading = Reading::open(&folder, number).map_err(explain)?;
    let mut block = Vec::new();
    while let Some(count) = reading.next(&mut block).map_err(explain)? {
        rows(&block, count, |_| Ok(())).map_err(|flaw: Flaw| explain(flaw.into()))?;
    }
    Ok(())
}

/// What the rows of the table `live` add up to, by segment: fragments and octets.
type Sums = BTreeMap<u64, (u64, u64)>;

fn fill(file: &CatalogFile, folder: &Path, number: u64) -> Result<(), SnapshotError> {
    let path = path_of(folder, number);
    let explain = |broken: Broken| broken.explain(&path);
    let mut reading = Reading::open(folder, number).map_err(explain)?;
    let (mut block, mut sums) = (Vec::new(), Sums::new());
    let mut gathered = Vec::new();
    let mut size = 0;
    loop {
        let more = reading.next(&mut block).map_err(explain)?;
        if let Some(rows) = more {
            size += block.len();
            gathered.push((std::mem::take(&mut block), rows));
        }
        if size >= GATHERED || more.is_none() {
            let flaw = insert(file, &gathered, &mut sums, more.is_none())?;
            flaw.map_err(|flaw| explain(flaw.into()))?;
            gathered.clear();
            size = 0;
        }
        if more.is_none() {
            return Ok(());
        }
    }
}

/// A row cannot be used, or the catalog cannot be written.
enum Stop {
    Flaw(Flaw),
    Failure(Failure),
}

impl From<Flaw> for Stop {
    fn from(flaw: Flaw) -> Stop {
        Stop::Flaw(flaw)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

fn insert(
    file: &CatalogFile,
    blocks: &[(Vec<u8>, u32)],
    sums: &mut Sums,
    last: bool,
) -> Result<Result<(), Flaw>, SnapshotError> {
    let inserted = file.work(|database| {
        let transaction = begin_write(database)?;
        {
            let mut tables = Tables::open(&transaction)?;
            for (block, count) in blocks {
                match rows(block, *count, |row| tables.insert(&row, sums)) {
                    Err(Stop::Flaw(flaw)) => return Ok(Err(flaw)),
                    Err(Stop::Failure(failure)) => return Err(failure),
                    Ok(()) => {}
                }
            }
        }
        if last {
            let mut segments = transaction.open_table(SEGMENTS)?;
            for (segment, sum) in &*sums {
                segments.insert(segment, sum)?;
            }
            drop(segments);
            deaths::note_all(&transaction, 0)?;
        }
        transaction.commit()?;
        Ok(Ok(()))
    });
    Ok(inserted?)
}

struct Tables<'t> {
    positions: redb::Table<'t, (u32, u16), (u64, u32, u64, u64)>,
    accounts: redb::Table<'t, &'static str, &'static [u8]>,
    subscribed: redb::Table<'t, &'static str, &'static [u8]>,
    mailboxes: redb::Table<'t, (&'static str, u64), &'static [u8]>,
    chunks: redb::Table<'t, (u64, u32), &'static [u8]>,
    live: redb::Table<'t, (u64, &'static str, u64), (u64, u64)>,
    live_in: redb::Table<'t, (u64, u64), ()>,
    meta: redb::Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t redb::WriteTransaction) -> Result<Tables<'t>, Failure> {
        Ok(Tables {
            positions: transaction.open_table(POSITIONS)?,
            accounts: transaction.open_table(ACCOUNTS)?,
            subscribed: transaction.open_table(SUBSCRIBED)?,
            mailboxes: transaction.open_table(MAILBOXES)?,
            chunks: transaction.open_table(CHUNKS)?,
            live: transaction.open_table(LIVE)?,
            live_in: transaction.open_table(LIVE_IN)?,
            meta: transaction.open_table(META)?,
        })
    }

    fn insert(&mut self, row: &SnapshotRow<'_>, sums: &mut Sums) -> Result<(), Stop> {
        let SnapshotRow { table, first, second, name, octets } = *row;
        let failed = |error: redb::StorageError| Stop::Failure(error.into());
        match table {
            Table::Positions => {
                let log = (first & u64::from(u16::MAX)) as u16;
                let epoch = u32::try_from(first >> 16).map_err(|_| Flaw("an epoch is too high"))?;
                let (offset, mut rest) =
                    octets.split_first_chunk().ok_or(Flaw("a row ends early"))?;
                let offset = u32::from_le_bytes(*offset);
                let (lsn, applied) = (number(&mut rest)?, number(&mut rest)?);
                let place = (second, offset, lsn, applied);
                self.positions.insert((epoch, log), place).map_err(failed)?;
            }
            Table::Accounts => {
                self.accounts.insert(name, octets).map_err(failed)?;
            }
            Table::Subscribed => {
                self.subscribed.insert(name, octets).map_err(failed)?;
            }
            Table::Mailboxes => {
                self.mailboxes.insert((name, first), octets).map_err(failed)?;
            }
            Table::Chunks => {
                let uid = u32::try_from(second).map_err(|_| Flaw("a UID is too high"))?;
                self.chunks.insert((first, uid), octets).map_err(failed)?;
            }
            Table::Live => {
                let mut rest = octets;
                let lives = (number(&mut rest)?, number(&mut rest)?);
                self.live.insert((first, name, second), lives).map_err(failed)?;
                self.live_in.insert((second, first), ()).map_err(failed)?;
                let sum = sums.entry(first).or_default();
                *sum = (sum.0.saturating_add(lives.0), sum.1.saturating_add(lives.1));
            }
            Table::Restored => {
                self.meta.insert(LEFT, first).map_err(failed)?;
            }
        }
        Ok(())
    }
}
