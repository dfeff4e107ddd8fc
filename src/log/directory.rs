//! The folder of segments as recovery sees it.

use std::io;
use std::path::{Path, PathBuf};

use super::recovery::Medium;
use crate::types::SegmentId;

/// A folder of segment files.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Opens the folder, creates it when it is not there, and removes what the pool was preparing
    /// when the server ended.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn open(path: &Path) -> io::Result<Directory> {
        Ok(Directory { path: path.to_path_buf() })
    }
}

impl Medium for Directory {
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        todo!("{:?}", self.path)
    }
    fn read_at(&self, _: SegmentId, _: u64, _: &mut [u8]) -> io::Result<usize> {
        todo!()
    }
    fn truncate(&mut self, _: SegmentId, _: u64) -> io::Result<()> {
        todo!()
    }
    fn remove(&mut self, _: SegmentId) -> io::Result<()> {
        todo!()
    }
}
