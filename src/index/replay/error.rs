//! Why a start failed, explained to the operator.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::index::error::{ApplyError, CatalogError};
use crate::index::losses::LossesError;
use crate::index::snapshot::SnapshotError;
use crate::store::{Damage, Epoch, LogId, Lsn, RecoveryError};

/// Why a start failed.
#[derive(Debug)]
pub enum ReplayError {
    /// The catalog cannot be used.
    Catalog(CatalogError),
    /// The log cannot be read.
    Log(RecoveryError),
    /// A change in the log contradicts the changes before it.
    Misfit {
        /// The epoch of the log.
        epoch: Epoch,
        /// The log.
        log: LogId,
        /// The frame.
        lsn: Lsn,
        /// Why.
        error: ApplyError,
    },
    /// Damage that an earlier start skipped is still there.
    Known {
        /// The first damage.
        damage: Box<Damage>,
        /// Number of damages.
        count: usize,
    },
    /// The list of accepted losses cannot be used.
    Losses(LossesError),
    /// There is no catalog, and no snapshot to make it from.
    Snapshot(SnapshotError),
    /// The list of restored backups cannot be used.
    Restored(PathBuf, io::Error),
}

impl ReplayError {
    /// Unwraps an error that came from this module's own visitor.
    pub(super) fn of_recovery(error: RecoveryError) -> ReplayError {
        match error {
            RecoveryError::Visit(inner) => match inner.downcast::<ReplayError>() {
                Ok(error) => *error,
                Err(inner) => ReplayError::Log(RecoveryError::Visit(inner)),
            },
            error => ReplayError::Log(error),
        }
    }
}

impl From<SnapshotError> for ReplayError {
    fn from(error: SnapshotError) -> ReplayError {
        match error {
            SnapshotError::Catalog(error) => ReplayError::Catalog(error),
            error => ReplayError::Snapshot(error),
        }
    }
}

impl From<CatalogError> for ReplayError {
    fn from(error: CatalogError) -> ReplayError {
        ReplayError::Catalog(error)
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Catalog(error @ CatalogError::Damaged { .. }) => {
                write!(f, "{error}. --quarantine keeps it under another name instead")
            }
            ReplayError::Catalog(error) => error.fmt(f),
            ReplayError::Log(error) => error.fmt(f),
            ReplayError::Restored(path, error) => write!(
                f,
                "cannot use {}: {error}. It says which backups this folder was restored from. Copy \
                 it from a newer backup of this folder, or restore the backup again",
                path.display()
            ),
            ReplayError::Misfit { epoch, log, lsn, error } => write!(
                f,
                "frame {lsn} of log {log} of epoch {epoch} contradicts the log before it: {error}. \
                 If catalog.redb was copied from elsewhere, delete it: it is rebuilt from the \
                 segments. Otherwise a file is missing in segments/: restore it from a copy. \
                 Nothing was changed"
            ),
            ReplayError::Known { damage, count } => write!(
                f,
                "damage that an earlier start with --quarantine skipped is still there, in {count} \
                 places. The first: {damage} Restore the damaged files from a copy and delete \
                 catalog.redb, which is rebuilt from the segments; or start with --quarantine \
                 again, or accept the loss with `mailrace verify --repair`. Nothing was changed"
            ),
            ReplayError::Losses(error) => error.fmt(f),
            ReplayError::Snapshot(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReplayError::Catalog(error) => Some(error),
            ReplayError::Log(error) => Some(error),
            ReplayError::Misfit { error, .. } => Some(error),
            ReplayError::Losses(error) => Some(error),
            ReplayError::Snapshot(error) => Some(error),
            ReplayError::Restored(_, error) => Some(error),
            ReplayError::Known { .. } => None,
        }
    }
}
