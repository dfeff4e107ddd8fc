//! Why the pool has no segment.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::store::segments::Segments;

/// A segment could not be prepared or opened.
#[derive(Debug)]
pub struct NoSegment {
    /// Bytes that it should have had.
    size: u32,
    /// The folder of segments.
    folder: PathBuf,
    error: io::Error,
}

impl NoSegment {
    pub(super) fn new(error: io::Error, size: u32, segments: &Segments) -> NoSegment {
        NoSegment { size, folder: segments.folder().to_owned(), error }
    }

    /// The disk has no room for a segment of this size.
    pub(super) fn no_room(size: u32, segments: &Segments) -> NoSegment {
        NoSegment::new(io::Error::from_raw_os_error(libc::ENOSPC), size, segments)
    }

    /// Whether there is no room on the disk: someone can make room, and all is well again.
    pub(super) fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        // The first one for a limit on the size of files.
        matches!(self.error.kind(), FileTooLarge | QuotaExceeded | StorageFull)
    }

    /// Whether the system lacks something at the moment: room, file descriptors, memory. Any other
    /// error means that the disk fails.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        let code = self.error.raw_os_error();
        self.is_full() || matches!(code, Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
    }
}

impl fmt::Display for NoSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoSegment { size, folder, error } = self;
        write!(f, "no segment of {} MiB in {}: {error}", size >> 20, folder.display())?;
        match error.kind() {
            io::ErrorKind::FileTooLarge => {
                f.write_str("; it is over the limit on the size of files (RLIMIT_FSIZE)")
            }
            _ => Ok(()),
        }
    }
}

impl Error for NoSegment {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
