//! Why a start failed, in words for the operator.

use std::fmt;

use crate::index::error::{ApplyError, CatalogError};
use crate::store::{Damage, Epoch, LogId, Lsn, RecoveryError};

/// Why a start failed.
#[derive(Debug)]
pub enum ReplayError {
    /// The catalog.
    Catalog(CatalogError),
    /// The log.
    Log(RecoveryError),
    /// A change in the log does not fit what is there before it.
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
    /// An earlier start has gone past damage that is still there.
    Known {
        /// The first.
        damage: Box<Damage>,
        /// How many there are.
        count: usize,
    },
}

impl ReplayError {
    /// The errors of the visitor come back wrapped.
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
            ReplayError::Misfit { epoch, log, lsn, error } => write!(
                f,
                "frame {lsn} of log {log} of epoch {epoch} does not fit what comes before it: \
                 {error}. If catalog.redb was put there from elsewhere, delete it: it is rebuilt \
                 from the segments. If it was not, a file is missing in segments/: put it back \
                 from a copy. Nothing was changed"
            ),
            ReplayError::Known { damage, count } => write!(
                f,
                "{count} damages that an earlier start with --quarantine has gone past are still \
                 there. The first: {damage} Restore what is damaged from a copy and delete \
                 catalog.redb, which is rebuilt from the segments; or start with --quarantine \
                 again. Nothing was changed"
            ),
        }
    }
}

impl std::error::Error for ReplayError {}
