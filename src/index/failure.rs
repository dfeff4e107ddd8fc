//! Why work on the database failed.

use std::path::Path;
use std::sync::Arc;

use super::error::{CatalogError, Rot};

/// What redb said, or a row.
pub(super) enum Failure {
    Redb(redb::Error),
    Rot(Rot),
    Newer { found: u64, known: u64 },
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
    pub(super) fn explain(self, path: &Path) -> CatalogError {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        let at = path.to_path_buf();
        match self {
            Failure::Newer { found, known } => CatalogError::Newer { path: at, found, known },
            Failure::Rot(rot) => CatalogError::damaged(path, rot),
            Failure::Redb(error) => match error {
                redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                    CatalogError::InUse { path: at }
                }
                // redb reports a file that is not a database, or is too short, in this way.
                redb::Error::Io(error) if matches!(error.kind(), InvalidData | UnexpectedEof) => {
                    CatalogError::damaged(path, error)
                }
                redb::Error::Io(error) => CatalogError::io(path)(error),
                redb::Error::PreviousIo => CatalogError::Io { path: at, cause: Arc::new(error) },
                error => CatalogError::damaged(path, error),
            },
        }
    }
}
