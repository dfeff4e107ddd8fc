//! Snapshots of the catalog: a file with all its rows as of one instant, and the positions of the
//! logs that belong to them.
//!
//! The catalog can be deleted at any time; the next start makes it again. With a snapshot, it is
//! filled from that, and only the log behind the snapshot's positions is replayed. So whatever the
//! log only says about messages that are gone, before these positions, need not be kept.
//!
//! ```text
//! catalog ── one read transaction ─▶ snapshot/N.writing ── synced, renamed ─▶ snapshot/N.snap
//!                                                             then older snapshots are removed
//! start without catalog:
//! snapshot/N.snap ── block by block ─▶ catalog.creating ── whole ─▶ catalog.redb ─▶ replay
//! ```
//!
//! Only a whole snapshot is believed. It is checked block by block while the catalog is filled, and
//! the catalog gets its name after the checksum of the whole was found right.

mod filling;
mod format;
mod reading;
mod writing;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::error::CatalogError;
use crate::reactor::files;
use crate::store::LogPosition;

pub(super) use filling::restore;
pub(crate) use filling::{check, check_one, newest as newest_of};

/// Name of the folder, within the data folder.
pub(crate) const SNAPSHOTS: &str = "snapshot";

/// The end of a snapshot's name.
const SUFFIX: &str = ".snap";

/// A snapshot that was written.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its number.
    pub number: u64,
    /// The position in each log up to which it is complete. Logs of earlier epochs are in it to
    /// their ends.
    pub positions: Vec<LogPosition>,
    /// Length of the file in bytes.
    pub length: u64,
    /// Number of rows.
    pub rows: u64,
}

/// What is wrong with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw(&'static str);

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Why a snapshot cannot be written or read.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// It is not what was written.
    #[error(
        "{path} cannot be used: {flaw}. There is no catalog, and the log may begin only where \
         this snapshot ends. Restore the file from a backup, or start with --quarantine, which \
         serves what the log still has", path = .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        flaw: Flaw,
    },
    /// There is none, although the beginning of the log is gone.
    #[error(
        "there is neither a catalog nor a snapshot in {path}, and the beginning of the log was \
         dropped because a snapshot had everything in it. Restore the snapshot from a backup, or \
         start with --quarantine, which serves what the log still has", path = .0.display()
    )]
    Missing(PathBuf),
    /// It cannot be read or written.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The catalog cannot be read or written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(name_of(number))
}

/// The name of a snapshot's file.
pub(crate) fn name_of(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

/// The numbers of the snapshots in a folder, which need not exist.
fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let names = match files::list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let number = |name: &str| {
        let number: u64 = name.strip_suffix(SUFFIX)?.parse().ok()?;
        (name == format!("{number:020}{SUFFIX}")).then_some(number)
    };
    Ok(names.iter().filter_map(|(name, _)| number(name)).collect())
}

/// Removes all snapshots but this one. They need not go for good at once.
fn remove_others(folder: &Path, number: u64) -> io::Result<()> {
    let others = list(folder)?.into_iter().filter(|&other| other != number);
    others.map(|other| path_of(folder, other)).try_for_each(|path| files::remove(&path))
}

/// The positions that matter: those of the last epoch. When it began, the catalog had all earlier
/// logs to their ends.
pub(super) fn newest(mut positions: Vec<LogPosition>) -> Vec<LogPosition> {
    let last = positions.iter().map(|at| at.epoch).max();
    positions.retain(|at| Some(at.epoch) == last);
    positions
}
