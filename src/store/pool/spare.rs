//! Room on the disk for the catalog, held by a file without content.
//!
//! The catalog grows at checkpoints, and while a start brings it to the end of the log. Without
//! room for that a server could not start on a full disk. So this file is deleted then, and created
//! again when there is plenty of room.

use std::io;
use std::path::{Path, PathBuf};

use crate::reactor::Access;
use crate::reactor::files;

/// The name of the file in the data folder.
const NAME: &str = "spare";

/// The file is created only where the disk has room for this many of it.
const PLENTY: u64 = 2;

/// A file that holds room on the disk for the catalog.
#[derive(Clone, Debug)]
pub struct Spare {
    folder: PathBuf,
    size: u64,
}

impl Spare {
    /// This many bytes in the data folder. With 0 there is no such file.
    #[must_use]
    pub fn new(data: &Path, size: u64) -> Spare {
        Spare { folder: data.to_owned(), size }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// Deletes the file if the disk has less room than it holds. `false` when the disk has more, or
    /// there was no file.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn release(&self) -> io::Result<bool> {
        let enough = files::room(&self.folder)? >= self.size;
        if enough || !files::exists(&self.path())? {
            return Ok(false);
        }
        files::remove(&self.path())?;
        // So that the room is free now, and not only after a power loss.
        files::sync_folder(&self.folder)?;
        Ok(true)
    }

    /// Creates the file, if there is plenty of room.
    pub(super) fn hold(&self) -> io::Result<()> {
        let plenty = self.size.saturating_mul(PLENTY);
        if self.size == 0 || files::room(&self.folder)? < plenty {
            return Ok(());
        }
        let file = files::open(&self.path(), Access::Create)?;
        if file.length()? == self.size {
            return Ok(());
        }
        if let Err(error) = file.allocate(self.size).and_then(|_| file.sync_all()) {
            drop(file);
            let _ = files::remove(&self.path());
            return Err(error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_held_and_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let spare = Spare::new(dir.path(), 1 << 20);
        assert!(!spare.release().unwrap());
        spare.hold().unwrap();
        let path = dir.path().join(NAME);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 20);
        assert!(!spare.release().unwrap(), "there is room enough");
        assert!(path.exists());
        assert!(Spare::new(dir.path(), 1 << 61).release().unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn no_room_is_held_where_there_is_little() {
        let dir = tempfile::tempdir().unwrap();
        for size in [0, 1 << 61] {
            Spare::new(dir.path(), size).hold().unwrap();
            assert!(!dir.path().join(NAME).exists(), "{size}");
        }
    }
}
