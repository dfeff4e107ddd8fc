//! Segments, open for reading.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::reactor::{Access, LogFile, files, thresholds};
use crate::store::format::ids::SegmentId;
use crate::store::format::segment::SegmentHeader;

/// Segments open for reading.
pub struct Files {
    folder: PathBuf,
    open: RefCell<BTreeMap<SegmentId, LogFile>>,
}

impl Files {
    /// Segments of this folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Files {
        Files { folder, open: RefCell::default() }
    }

    /// Where a segment is.
    #[must_use]
    pub fn path(&self, segment: SegmentId) -> PathBuf {
        self.folder.join(SegmentHeader::file_name(segment))
    }

    /// A segment, open.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn get(&self, segment: SegmentId) -> io::Result<LogFile> {
        if let Some(file) = self.open.borrow().get(&segment) {
            return Ok(file.clone());
        }
        let path = self.path(segment);
        let mut opened = files::open_direct(&path, Access::Read);
        if let Err(error) = &opened
            && matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
        {
            // What is open to be read can be opened again.
            self.open.borrow_mut().clear();
            opened = files::open_direct(&path, Access::Read);
        }
        let (file, _) = opened.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        let file = LogFile::new(file);
        let mut open = self.open.borrow_mut();
        if open.len() >= thresholds().open_segments {
            // Which one goes matters little: opening costs microseconds.
            let any = open.keys().next().copied();
            any.map(|any| open.remove(&any));
        }
        open.insert(segment, file.clone());
        Ok(file)
    }
}
