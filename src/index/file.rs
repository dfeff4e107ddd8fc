//! The file of the catalog: a redb database with the tables below. All of it blocks; the reactors
//! use [`super::Catalog`].
//!
//! After an error of the disk redb refuses all further work on a database. So it is closed then,
//! and opened again by whoever needs it next: a full disk ends when somebody makes room.
//!
//! ```text
//! meta       "format" → version
//! positions  (epoch, log) → segment, offset, LSN, applied LSN: complete up to there
//! replaying  (epoch, log) → LSN: how far into each log an interrupted replay had come
//! damaged    what earlier starts found damaged and went past (damaged.rs)
//! accounts   name → row (account/saving.rs)
//! subscribed name of the account → row (account/subscriptions.rs)
//! mailboxes  (account, mailbox) → row (mailbox/saving.rs)
//! chunks     (mailbox, first UID) → row (chunk.rs)
//! ```

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};

use super::account::Account;
use super::checkpoint::{Checkpoint, ChunkRow, Progress};
use super::chunk::Chunk;
use super::chunks::Piece;
use super::damaged::{self, DAMAGED};
use super::error::{CatalogError, Rot};
use super::mailbox::Mailbox;
use crate::limits::CATALOG_CACHE;
use crate::reactor::{Access, files, thresholds};
use crate::store::{Epoch, LogId, LogPosition, Lsn, MailboxId, SegmentId};
use imap::types::{Uid, UidRange};

/// Version of the tables and rows.
pub const CATALOG_FORMAT: u64 = 4;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const POSITIONS: TableDefinition<(u32, u16), (u64, u32, u64, u64)> =
    TableDefinition::new("positions");
const REPLAYING: TableDefinition<(u32, u16), u64> = TableDefinition::new("replaying");
const ACCOUNTS: TableDefinition<&str, &[u8]> = TableDefinition::new("accounts");
const SUBSCRIBED: TableDefinition<&str, &[u8]> = TableDefinition::new("subscribed");
const MAILBOXES: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("mailboxes");
const CHUNKS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("chunks");

type ChunkTable<'t> = redb::Table<'t, (u64, u32), &'static [u8]>;

type Opener = dyn Fn(&Path) -> Result<Database, DatabaseError> + Send + Sync;

/// The open file.
pub struct CatalogFile {
    path: PathBuf,
    opener: Box<Opener>,
    /// Written to only to open and to close; whoever works holds it for reading.
    database: RwLock<Option<Database>>,
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

/// How far an interrupted replay had come: the last frame of each log whose changes are in the
/// catalog.
pub(super) type Replayed = BTreeMap<(Epoch, LogId), Lsn>;

impl CatalogFile {
    /// Opens the catalog, or makes an empty one.
    ///
    /// # Errors
    /// When the file is newer, damaged, in use, or the disk refuses. Only a damaged or newer one
    /// need be deleted.
    pub fn open(path: &Path) -> Result<CatalogFile, CatalogError> {
        if !files::exists(path).map_err(CatalogError::io(path))? {
            CatalogFile::create(path)?;
        }
        if let Some(found) = newer(path) {
            return Err(Failure::Newer(found).explain(path));
        }
        CatalogFile::open_by(path, standard())
    }

    /// Makes an empty catalog, under another name until it is whole: a crash meanwhile must not
    /// leave a file that somebody would have to delete.
    fn create(path: &Path) -> Result<(), CatalogError> {
        let unfinished = path.with_extension("creating");
        match files::remove(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CatalogError::io(&unfinished)(error));
            }
            _ => {}
        }
        // With the permissions of all our files, which redb would not give it.
        drop(files::open(&unfinished, Access::Create).map_err(CatalogError::io(&unfinished))?);
        drop(CatalogFile::open_by(&unfinished, standard())?);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        files::rename(&unfinished, path)
            .and_then(|()| files::sync_folder(folder.unwrap_or(Path::new("."))))
            .map_err(CatalogError::io(path))
    }

    pub(super) fn open_by(path: &Path, opener: Box<Opener>) -> Result<CatalogFile, CatalogError> {
        let file = CatalogFile { path: path.into(), opener, database: RwLock::new(None) };
        file.work(prepare)?;
        Ok(file)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Works on the database. redb panics on some damage that it finds late: that is damage too,
    /// and no reason to end the process.
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

    /// Closes the database. Should redb panic at that, there is damage that it finds again when it
    /// opens the file.
    fn close(&self) {
        let closing = AssertUnwindSafe(|| {
            self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        });
        let _ = catch_unwind(closing);
    }

    // ---- Reading ------------------------------------------------------------------------------

    /// Up to where the catalog is complete, by log.
    ///
    /// # Errors
    /// Those of the file; likewise below.
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

    /// How far an interrupted replay had come, on top of the positions. Empty when none was
    /// interrupted.
    pub(super) fn replayed(&self) -> Result<Replayed, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(REPLAYING)?;
            let mut replayed = Replayed::new();
            for row in table.iter()? {
                let (key, lsn) = row?;
                let (epoch, log) = key.value();
                replayed.insert((Epoch(epoch), LogId(log)), Lsn(lsn.value()));
            }
            Ok(replayed)
        })
    }

    /// An account with its mailboxes, their messages not in memory.
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

    /// Names of accounts above `after`, ascending, at most `count`.
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

    /// Chunks of a mailbox that begin at `from` or above, some at a time.
    #[allow(clippy::missing_errors_doc)]
    pub fn chunks(&self, mailbox: MailboxId, from: Uid) -> Result<Piece, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(CHUNKS)?;
            let mut piece = Piece { from, chunks: Vec::new(), next: None };
            for entry in table.range((mailbox.0, from.0)..=(mailbox.0, u32::MAX))? {
                let (key, row) = entry?;
                let first = Uid(key.value().1);
                if piece.chunks.len() == thresholds().chunks_at_once {
                    piece.next = Some(first);
                    break;
                }
                piece.chunks.push((first, Chunk::decode(row.value())?));
            }
            Ok(piece)
        })
    }

    /// The chunks of a mailbox that messages of these UIDs, which ascend, are in; but those that
    /// begin at a UID that is `known`.
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

    /// Writes a checkpoint, whole or not at all. Durable on return.
    #[allow(clippy::missing_errors_doc)]
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<(), CatalogError> {
        self.work(|database| {
            let transaction = begin_write(database)?;
            write_accounts(&transaction, checkpoint)?;
            write_chunks(&transaction, checkpoint)?;
            write_progress(&transaction, &checkpoint.progress)?;
            if let Some(known) = &checkpoint.damaged {
                damaged::write(&transaction, known)?;
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

/// Checks the version, or writes it and makes the tables. What an older mailrace has written goes:
/// without positions, all of the log is read again.
fn prepare(database: &Database) -> Result<(), Failure> {
    match format(database)? {
        Some(CATALOG_FORMAT) => return Ok(()),
        Some(found) if found > CATALOG_FORMAT => return Err(Failure::Newer(found)),
        _ => {}
    }
    let transaction = begin_write(database)?;
    // The format of the log does not depend on this one, and the tables may have had other types.
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
    Ok(transaction.commit()?)
}

/// The version of a catalog that a newer mailrace has written. redb writes to a file when it opens
/// it, so this looks without opening it for that. What cannot be looked at, after a crash for
/// example, will be opened, and then it is found out as well.
fn newer(path: &Path) -> Option<u64> {
    #[cfg(test)]
    if files::are_simulated() {
        return None;
    }
    let look = AssertUnwindSafe(|| format(&Builder::new().open_read_only(path).ok()?).ok()?);
    let found = catch_unwind(look).unwrap_or_default();
    found.filter(|&found| found > CATALOG_FORMAT)
}

/// `None` in a database that is new.
fn format(database: &impl ReadableDatabase) -> Result<Option<u64>, Failure> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get("format")?.map(|version| version.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// With quick repair, since a crash must not cost a walk through the whole file at the next start.
fn begin_write(database: &Database) -> Result<WriteTransaction, Failure> {
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

/// Cuts the row before this chunk where the chunk begins, and puts the chunk behind it if there is
/// room. Whether it was.
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

fn write_progress(transaction: &WriteTransaction, progress: &Progress) -> Result<(), Failure> {
    let mut table = transaction.open_table(POSITIONS)?;
    let mut replaying = transaction.open_table(REPLAYING)?;
    let positions = match progress {
        Progress::Replaying(logs) => {
            for (&(epoch, log), lsn) in logs {
                replaying.insert((epoch.0, log.0), lsn.0)?;
            }
            return Ok(());
        }
        Progress::Replayed(positions) => {
            replaying.retain(|_, _| false)?;
            table.retain(|_, _| false)?;
            positions
        }
        Progress::Positions(positions) => positions,
    };
    for at in positions {
        let place = (at.segment.0, at.offset, at.lsn.0, at.applied.0);
        table.insert((at.epoch.0, at.log.0), place)?;
    }
    Ok(())
}

// ---- Errors ------------------------------------------------------------------------------------

pub(super) enum Failure {
    Redb(redb::Error),
    Rot(Rot),
    Newer(u64),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Redb(error.into())
    }
}

impl From<Rot> for Failure {
    fn from(rot: Rot) -> Failure {
        Failure::Rot(rot)
    }
}

impl Failure {
    /// In words for the operator.
    fn explain(self, path: &Path) -> CatalogError {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        let path = path.to_path_buf();
        let damaged = |what: String| CatalogError::Damaged { path: path.clone(), what };
        match self {
            Failure::Newer(found) => CatalogError::Newer { path, found, known: CATALOG_FORMAT },
            Failure::Rot(rot) => damaged(rot.to_string()),
            Failure::Redb(error) => match error {
                redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                    CatalogError::InUse { path }
                }
                // redb's words for a file that is no database, or shorter than it should be.
                redb::Error::Io(error) if matches!(error.kind(), InvalidData | UnexpectedEof) => {
                    damaged(error.to_string())
                }
                redb::Error::Io(_) | redb::Error::PreviousIo => {
                    CatalogError::Io { path, what: error.to_string() }
                }
                error => damaged(error.to_string()),
            },
        }
    }
}
