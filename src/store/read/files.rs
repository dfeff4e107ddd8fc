//! Segments, open for reading.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use crate::reactor::{LogFile, thresholds};
use crate::store::format::SegmentId;
use crate::store::segments::Segments;

/// Segments open for reading.
pub struct Files {
    segments: Segments,
    open: RefCell<BTreeMap<SegmentId, LogFile>>,
}

impl Files {
    /// Segments of this folder.
    #[must_use]
    pub fn new(segments: Segments) -> Files {
        Files { segments, open: RefCell::default() }
    }

    /// The folder.
    #[must_use]
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// A segment, open.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn get(&self, segment: SegmentId) -> io::Result<LogFile> {
        if let Some(file) = self.open.borrow().get(&segment) {
            return Ok(file.clone());
        }
        let mut opened = self.segments.open_to_read(segment);
        if let Err(error) = &opened
            && matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
        {
            // What is open to be read can be opened again.
            self.open.borrow_mut().clear();
            opened = self.segments.open_to_read(segment);
        }
        let file = opened.map_err(|error| {
            let path = self.segments.path(segment);
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
