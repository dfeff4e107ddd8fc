//! Detects whether a file has changed since it was read.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Identifies one state of a file by inode, times and size; `None` if there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<(u64, i64, i64, u64)>);

impl Stamp {
    /// The stamp of a missing file.
    pub(super) const NONE: Stamp = Stamp(None);

    /// `None` if the file cannot be examined. Costs one stat.
    pub(super) fn of(path: &Path) -> Option<Stamp> {
        match fs::metadata(path) {
            Ok(metadata) => Some(Stamp::from(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Stamp::NONE),
            Err(_) => None,
        }
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(m: &fs::Metadata) -> Stamp {
        Stamp(Some((m.ino(), m.mtime(), m.mtime_nsec(), m.size())))
    }
}
