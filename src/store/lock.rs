//! The lock on a data folder: one server at a time.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Held as long as the server uses its data folder. The kernel releases it when the process ends,
/// however that happens; the file itself stays.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Why the data folder cannot be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another server uses it.
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process that holds the lock, if it left its number.
        pid: Option<u32>,
    },
    /// The lock file could not be opened or written.
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl DataLock {
    /// Takes the file `lock` in the folder, which must exist.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be opened.
    pub fn acquire(dir: &Path) -> Result<DataLock, LockError> {
        let path = dir.join("lock");
        match DataLock::open(&path) {
            Ok(Ok(file)) => Ok(DataLock { _file: file }),
            Ok(Err(pid)) => Err(LockError::Held { path, pid }),
            Err(error) => Err(LockError::Io { path, error }),
        }
    }

    /// Whether a server uses this folder.
    #[must_use]
    pub fn is_held(dir: &Path) -> bool {
        let held = |file| flock(&file, FlockOperation::NonBlockingLockShared).is_err();
        File::open(dir.join("lock")).is_ok_and(held)
    }

    /// The locked file, or the number of the process that holds the lock.
    fn open(path: &Path) -> io::Result<Result<File, Option<u32>>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                file.take(16).read_to_string(&mut pid)?;
                return Ok(Err(pid.trim().parse().ok()));
            }
            Err(error) => return Err(error.into()),
        }
        // For the message of a second server. A full disk does not prevent a start.
        let _ = writeln!(file, "{:<15}", std::process::id());
        Ok(Ok(file))
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held { path, pid } => {
                let dir = path.parent().unwrap_or(path).display();
                write!(f, "another mailrace works on {dir}")?;
                pid.map_or(Ok(()), |pid| write!(f, " (process {pid})"))
            }
            LockError::Io { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::Held { .. } => None,
            LockError::Io { error, .. } => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_server_is_told_who_was_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataLock::acquire(dir.path()).unwrap();
        let error = DataLock::acquire(dir.path()).unwrap_err();
        assert!(error.to_string().ends_with(&format!("(process {})", std::process::id())));
        drop(first);
        DataLock::acquire(dir.path()).unwrap();
    }
}
