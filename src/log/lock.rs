//! One server for one data folder.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Held as long as the server works on its data folder.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Why the data folder is not ours.
#[derive(Debug)]
pub enum LockError {
    /// Another server works on it.
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process that has it, if it left its number.
        pid: Option<u32>,
    },
    /// The lock file could not be opened or written.
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl DataLock {
    /// Takes the file `lock` in the folder, which must exist.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be opened.
    pub fn acquire(_dir: &Path) -> Result<DataLock, LockError> {
        todo!()
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for LockError {}
