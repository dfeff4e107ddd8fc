//! The catalog's file: a redb database with the tables below. Every call blocks; reactors use
//! [`super::Catalog`].
//!
//! After a disk error redb refuses all further work on an open database. The file is closed then,
//! and the next caller opens it again: a full disk may have room by that time.
//!
//! ```text
//! meta       "format" → version; "restored" → epoch (restored.rs)
//! positions  (epoch, log) → segment, offset, LSN, applied LSN: complete up to this
//! replaying  (epoch, log) → LSN: progress of an interrupted replay in each log
//! damaged    damage that earlier starts found and skipped (damaged.rs)
//! accounts   name → row (account/saving.rs)
//! subscribed account name → row (account/subscriptions.rs)
//! mailboxes  (account, mailbox) → row (mailbox/saving.rs)
//! chunks     (mailbox, first UID) → row (chunk.rs)
//! live, live_in, segments: what lives in each segment (live)
//! deaths, unfinished: which segments may have octets of dead mail (live/deaths.rs)
//! ```

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};

use super::account::Account;
use super::checkpoint::{Checkpoint, Coverage};
use super::chunk::Chunk;
use super::chunks::Piece;
use super::damaged::{self, DAMAGED};
use super::error::{CatalogError, Rot};
use super::failure::Failure;
use super::live::deaths::{self, Deaths};
use super::live::tables as live;
use super::mailbox::Mailbox;
use super::rows::ChunkRow;
use crate::limits::CATALOG_CACHE;
use crate::reactor::{Access, files, thresholds};
use crate::store::{Epoch, LogId, LogPosition, Lsn, MailboxId, SegmentId};
use imap::types::{Uid, UidRange};

/// Version of the tables and rows. A catalog of an older one is emptied and rebuilt from the log.
/// Once a snapshot was taken, the beginning of the log may be gone: whoever raises this number must
/// convert the rows of catalogs and snapshots, or refuse them.
pub(crate) const CATALOG_FORMAT: u64 = 6;

pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// Key in `meta` of the last epoch that was left for good by a restore: see `restored.rs`.
pub(super) const LEFT: &str = "restored";
pub(super) const POSITIONS: TableDefinition<(u32, u16), (u64, u32, u64, u64)> =
    TableDefinition::new("positions");
pub(super) const REPLAYING: TableDefinition<(u32, u16), u64> = TableDefinition::new("replaying");
pub(super) const ACCOUNTS: TableDefinition<&str, &[u8]> = TableDefinition::new("accounts");
pub(super) const SUBSCRIBED: TableDefinition<&str, &[u8]> = TableDefinition::new("subscribed");
pub(super) const MAILBOXES: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("mailboxes");
pub(super) const CHUNKS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("chunks");

type ChunkTable<'t> = redb::Table<'t, (u64, u32), &'static [u8]>;

type Opener = dyn Fn(&Path) -> Result<Database, DatabaseError> + Send + Sync;

/// The open file.
pub struct CatalogFile {
    path: PathBuf,
    opener: Box<Opener>,
    /// Locked for writing only to open and close the database; work holds a read lock.
    database: RwLock<Option<Database>>,
    /// How often the database was to be closed: long work ends then.
    closings: AtomicU64,
}

fn standard() -> Box<Opener> {
    Box::new(|path| {
        let mut builder = Builder::new();
        builder.set_cache_size(CATALOG_CACHE);
        #[cfg(test)]
        if let Some(file) = super::simulated::open(path) {
            return builder.create_with_backend(file.map_err(redb::StorageError::from)?);
        }
        builder.create(path)
    })
}

/// How far a replay has come: the last frame of each log whose changes are in the catalog.
pub(super) type ReplayMarks = BTreeMap<(Epoch, LogId), Lsn>;

impl CatalogFile {
    /// Opens the catalog, or creates an empty one.
    ///
    /// # Errors
    /// See [`CatalogError`]. Only a damaged or newer file has to be deleted.
    pub fn open(path: &Path) -> Result<CatalogFile, CatalogError> {
        if !files::exists(path).map_err(CatalogError::io(path))? {
            CatalogFile::create(path, |_| Ok::<_, CatalogError>(()))?;
        }
        if let Some(found) = newer(path) {
            return Err(Failure::Newer { found, known: CATALOG_FORMAT }.explain(path));
        }
        CatalogFile::open_by(path, standard())
    }

    /// Creates a catalog under a temporary name, fills it, and renames it when it is complete. A
    /// crash in between leaves no file that the operator has to delete.
    pub(super) fn create<E: From<CatalogError>>(
        path: &Path,
        fill: impl FnOnce(&CatalogFile) -> Result<(), E>,
    ) -> Result<(), E> {
        let unfinished = path.with_extension("creating");
        match files::remove(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CatalogError::io(&unfinished)(error).into());
            }
            _ => {}
        }
        // redb would not set the permissions that all our files have.
        drop(files::open(&unfinished, Access::Create).map_err(CatalogError::io(&unfinished))?);
        let file = CatalogFile::open_by(&unfinished, standard())?;
        if let Err(error) = fill(&file) {
            drop(file);
            let _ = files::remove(&unfinished);
            return Err(error);
        }
        drop(file);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        files::rename(&unfinished, path)
            .and_then(|()| files::sync_folder(folder.unwrap_or(Path::new("."))))
            .map_err(|error| CatalogError::io(path)(error).into())
    }

    pub(super) fn open_by(path: &Path, opener: Box<Opener>) -> Result<CatalogFile, CatalogError> {
        let file = CatalogFile {
            path: path.into(),
            opener,
            database: RwLock::new(None),
            closings: AtomicU64::new(0),
        };
        file.work(prepare)?;
        Ok(file)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on the open database. redb panics on some damage that it finds late; this turns
    /// the panic into a damage error.
    pub(super) fn work<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Failure>,
    ) -> Result<T, CatalogError> {
        let attempt = AssertUnwindSafe(|| {
            let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(database) = &*open {
                return work(database);
            }
            drop(open);
            let mut closed = self.database.write().unwrap_or_else(PoisonError::into_inner);
            if closed.is_none() {
                *closed = Some((self.opener)(&self.path)?);
            }
            let open = RwLockWriteGuard::downgrade(closed);
            work(open.as_ref().expect("it was just opened"))
        });
        let result = catch_unwind(attempt)
            .unwrap_or_else(|_| Err(Rot("the database contradicts itself").into()));
        result.map_err(|failure| {
            self.close();
            failure.explain(&self.path)
        })
    }

    /// Closes the database. If redb panics, the file is damaged, and the next open finds it again.
    fn close(&self) {
        self.closings.fetch_add(1, Ordering::Relaxed);
        let closing = AssertUnwindSafe(|| {
            self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        });
        let _ = catch_unwind(closing);
    }

    /// A number that changes when the database is to be closed. Work of any length looks at it.
    pub(super) fn closings(&self) -> u64 {
        self.closings.load(Ordering::Relaxed)
    }

    // ---- Reading ------------------------------------------------------------------------------

    /// The position in each log up to which the catalog is complete.
    #[allow(clippy::missing_errors_doc)]
    pub fn positions(&self) -> Result<Vec<LogPosition>, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(POSITIONS)?;
            let mut positions = Vec::new();
            for row in table.iter()? {
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
            Ok(positions)
        })
    }

    /// How far an interrupted replay had come, beyond the positions. Empty when the last replay was
    /// completed.
    pub(super) fn replayed(&self) -> Result<ReplayMarks, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(REPLAYING)?;
            let mut replayed = ReplayMarks::new();
            for row in table.iter()? {
                let (key, lsn) = row?;
                let (epoch, log) = key.value();
                replayed.insert((Epoch(epoch), LogId(log)), Lsn(lsn.value()));
            }
            Ok(replayed)
        })
    }

    /// An account and its mailboxes, without their messages.
    #[allow(clippy::missing_errors_doc)]
    pub fn account(&self, name: &str) -> Result<Option<Account>, CatalogError> {
        self.work(|database| {
            let transaction = database.begin_read()?;
            let accounts = transaction.open_table(ACCOUNTS)?;
            let Some(row) = accounts.get(name)? else { return Ok(None) };
            let mut mailboxes = Vec::new();
            for entry in transaction.open_table(MAILBOXES)?.range((name, 0)..=(name, u64::MAX))? {
                let (key, row) = entry?;
                mailboxes.push(Mailbox::decode(MailboxId(key.value().1), row.value())?);
            }
            let subscribed = transaction.open_table(SUBSCRIBED)?.get(name)?;
            let subscribed = subscribed.as_ref().map(|row| row.value());
            Ok(Some(Account::decode(name, row.value(), subscribed, mailboxes)?))
        })
    }

    /// The next account names after `after`, ascending, at most `count`.
    #[allow(clippy::missing_errors_doc)]
    pub fn names(&self, after: &str, count: usize) -> Result<Vec<Box<str>>, CatalogError> {
        self.work(|database| {
            let accounts = database.begin_read()?.open_table(ACCOUNTS)?;
            let mut names = Vec::new();
            for entry in accounts.range(after..)? {
                let (name, _) = entry?;
                if name.value() != after {
                    names.push(name.value().into());
                }
                if names.len() == count {
                    break;
                }
            }
            Ok(names)
        })
    }

    /// The next few chunks of a mailbox that begin at or above `from`.
    #[allow(clippy::missing_errors_doc)]
    pub fn chunks(&self, mailbox: MailboxId, from: Uid) -> Result<Piece, CatalogError> {
        self.chunks_up_to(thresholds().chunks_at_once, mailbox, from)
    }

    /// The same, at most `count` of them.
    pub(super) fn chunks_up_to(
        &self,
        count: usize,
        mailbox: MailboxId,
        from: Uid,
    ) -> Result<Piece, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(CHUNKS)?;
            let mut piece = Piece { from, chunks: Vec::new(), next: None };
            for entry in table.range((mailbox.0, from.0)..=(mailbox.0, u32::MAX))? {
                let (key, row) = entry?;
                let first = Uid(key.value().1);
                if piece.chunks.len() == count {
                    piece.next = Some(first);
                    break;
                }
                piece.chunks.push((first, Chunk::decode(row.value())?));
            }
            Ok(piece)
        })
    }

    /// The chunks of a mailbox that may hold messages in these ascending ranges, except chunks that
    /// begin at a `known` UID.
    pub(super) fn chunks_of(
        &self,
        mailbox: MailboxId,
        uids: &[UidRange],
        known: impl Fn(Uid) -> bool,
    ) -> Result<Vec<(Uid, Chunk)>, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(CHUNKS)?;
            let mut chunks: Vec<(Uid, Chunk)> = Vec::new();
            for range in uids {
                let (first, last) = ((mailbox.0, range.first.0), (mailbox.0, range.last.0));
                let before = table.range((mailbox.0, 0)..=first)?.next_back().transpose()?;
                let from = before.map_or(first, |(key, _)| key.value());
                if from > last {
                    continue;
                }
                for entry in table.range(from..=last)? {
                    let (key, row) = entry?;
                    let key = Uid(key.value().1);
                    if chunks.last().is_none_or(|&(last, _)| last < key) && !known(key) {
                        chunks.push((key, Chunk::decode(row.value())?));
                    }
                }
            }
            Ok(chunks)
        })
    }

    // ---- Writing ------------------------------------------------------------------------------

    /// Writes a checkpoint atomically. It is durable on return.
    #[allow(clippy::missing_errors_doc)]
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<(), CatalogError> {
        self.work(|database| {
            let transaction = begin_write(database)?;
            write_accounts(&transaction, checkpoint)?;
            write_chunks(&transaction, checkpoint)?;
            let covered = checkpoint.coverage.before(&transaction)?;
            let Checkpoint { live, deleted, dead, tails, unfinished, coverage, .. } = checkpoint;
            let mut deaths = Deaths::open(&transaction, checkpoint.at)?;
            dead.iter().try_for_each(|&segment| deaths.note(segment))?;
            live::write(&transaction, deleted, live, covered, &mut deaths)?;
            drop(deaths);
            let replayed = matches!(coverage, Coverage::Replayed(_));
            deaths::write(&transaction, tails, unfinished.as_ref(), replayed)?;
            checkpoint.coverage.write(&transaction)?;
            if let Some(known) = &checkpoint.damaged {
                damaged::write(&transaction, known)?;
            }
            if let Some(epoch) = checkpoint.restored {
                transaction.open_table(META)?.insert(LEFT, u64::from(epoch.0))?;
            }
            Ok(transaction.commit()?)
        })
    }
}

impl Drop for CatalogFile {
    fn drop(&mut self) {
        self.close();
    }
}

/// Checks the version of an existing catalog. Creates the tables in a new one, and in one of an
/// older format, which loses its contents: without positions the whole log is replayed.
fn prepare(database: &Database) -> Result<(), Failure> {
    match format(database)? {
        Some(CATALOG_FORMAT) if deaths::are_there(database)? => return Ok(()),
        Some(CATALOG_FORMAT) => {
            let transaction = begin_write(database)?;
            deaths::prepare_existing(&transaction)?;
            return Ok(transaction.commit()?);
        }
        Some(found) if found > CATALOG_FORMAT => {
            return Err(Failure::Newer { found, known: CATALOG_FORMAT });
        }
        _ => {}
    }
    let transaction = begin_write(database)?;
    // The log's format is independent of this one. Old tables may have had other types.
    let old: Vec<_> = transaction.list_tables()?.collect();
    for table in old {
        transaction.delete_table(table)?;
    }
    transaction.open_table(META)?.insert("format", CATALOG_FORMAT)?;
    transaction.open_table(POSITIONS)?;
    transaction.open_table(REPLAYING)?;
    transaction.open_table(DAMAGED)?;
    transaction.open_table(ACCOUNTS)?;
    transaction.open_table(SUBSCRIBED)?;
    transaction.open_table(MAILBOXES)?;
    transaction.open_table(CHUNKS)?;
    live::prepare(&transaction)?;
    Ok(transaction.commit()?)
}

/// The version of a catalog that a newer mailrace wrote. Opening a redb file writes to it, so this
/// opens it read-only. That fails after a crash, for example; then [`prepare`] finds the version.
fn newer(path: &Path) -> Option<u64> {
    #[cfg(test)]
    if files::are_simulated() {
        return None;
    }
    let look = AssertUnwindSafe(|| format(&Builder::new().open_read_only(path).ok()?).ok()?);
    let found = catch_unwind(look).unwrap_or_default();
    found.filter(|&found| found > CATALOG_FORMAT)
}

/// The catalog's version; `None` in a new database.
pub(super) fn format(database: &impl ReadableDatabase) -> Result<Option<u64>, Failure> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get("format")?.map(|version| version.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Begins a write with quick repair, so that a start after a crash does not walk the whole file.
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction, Failure> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn write_accounts(transaction: &WriteTransaction, checkpoint: &Checkpoint) -> Result<(), Failure> {
    let mut accounts = transaction.open_table(ACCOUNTS)?;
    for (name, row) in &checkpoint.accounts {
        accounts.insert(&**name, &row[..])?;
    }
    let mut subscribed = transaction.open_table(SUBSCRIBED)?;
    for (name, row) in &checkpoint.subscriptions {
        subscribed.insert(&**name, &row[..])?;
    }
    let mut mailboxes = transaction.open_table(MAILBOXES)?;
    for row in &checkpoint.mailboxes {
        mailboxes.insert((&*row.account, row.mailbox.0), &row.row[..])?;
    }
    let mut chunks = transaction.open_table(CHUNKS)?;
    for (account, mailbox) in &checkpoint.deleted {
        mailboxes.remove((&**account, mailbox.0))?;
        chunks.retain_in((mailbox.0, 0)..=(mailbox.0, u32::MAX), |_, _| false)?;
    }
    Ok(())
}

fn write_chunks(transaction: &WriteTransaction, checkpoint: &Checkpoint) -> Result<(), Failure> {
    let mut table = transaction.open_table(CHUNKS)?;
    for row in &checkpoint.chunks {
        let key = (row.mailbox.0, row.first.0);
        let joined = row.joins && join(&mut table, row)?;
        if joined || row.chunk.is_empty() {
            table.remove(key)?;
        } else {
            table.insert(key, &row.chunk.encode()[..])?;
        }
    }
    Ok(())
}

/// Cuts the row before this chunk at the chunk's first UID, then appends the chunk to that row if
/// it fits. Returns whether it did. See `chunks.rs`.
fn join(table: &mut ChunkTable<'_>, row: &ChunkRow) -> Result<bool, Failure> {
    let (from, to) = ((row.mailbox.0, 0), (row.mailbox.0, row.first.0));
    let before = table.range(from..to)?.next_back().transpose()?;
    let Some((key, octets)) = before.map(|(key, octets)| (key.value(), octets)) else {
        return Ok(false);
    };
    let mut chunk = Chunk::decode(octets.value())?;
    drop(octets);
    let whole = chunk.len();
    chunk.retain(|entry| entry.uid() < row.first);
    let cut = chunk.len() < whole;
    let joined = !chunk.is_empty() && chunk.has_room_for(&row.chunk);
    if joined {
        chunk.join(&row.chunk);
    }
    if chunk.is_empty() {
        table.remove(key)?;
    } else if joined || cut {
        table.insert(key, &chunk.encode()[..])?;
    }
    Ok(joined)
}
