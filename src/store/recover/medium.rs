//! Where recovery reads segments from, and cuts them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;

use xxhash_rust::xxh3::Xxh3Default;

use crate::reactor::files::File;
use crate::store::format::{Fragment, SegmentId};
use crate::store::segments::Segments;

/// Files kept open at a time: recovery reads few at once, and a large store has thousands.
const OPEN_FILES: usize = 16;

/// Where segments lie: a folder, or memory in tests.
pub trait Medium {
    /// All segments with their lengths in bytes, in any order.
    ///
    /// # Errors
    /// Those of the medium, as for the other methods.
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>>;

    /// Reads into `out` from `offset` on. Returns less than `out` has room for only at the end of
    /// the file.
    #[allow(clippy::missing_errors_doc)]
    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize>;

    /// Shortens a segment, or leaves its length as it is. If some of the zeros at the end of its
    /// last frame are missing, they are put back. All of it is durable on return, even what was
    /// written long before: after a process was killed, the disk may show octets that recovery
    /// relies on and that a power loss could still take away.
    #[allow(clippy::missing_errors_doc)]
    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()>;

    /// Deletes a segment. Durable on return.
    #[allow(clippy::missing_errors_doc)]
    fn remove(&mut self, segment: SegmentId) -> io::Result<()>;
}

/// The segments of a data folder, for recovery.
pub struct StoredSegments {
    segments: Segments,
    open: RefCell<BTreeMap<SegmentId, Rc<File>>>,
}

impl StoredSegments {
    /// The segments of this folder.
    #[must_use]
    pub fn new(segments: Segments) -> StoredSegments {
        StoredSegments { segments, open: RefCell::default() }
    }

    /// The segments in a folder that may be in use: nothing in it is created or removed.
    #[must_use]
    pub fn at(folder: &Path) -> StoredSegments {
        StoredSegments::new(Segments::at(folder))
    }

    fn file(&self, segment: SegmentId) -> io::Result<Rc<File>> {
        let mut open = self.open.borrow_mut();
        if let Some(file) = open.get(&segment) {
            return Ok(Rc::clone(file));
        }
        if open.len() == OPEN_FILES {
            open.clear();
        }
        let file = Rc::new(self.segments.open_as_stored(segment)?);
        open.insert(segment, Rc::clone(&file));
        Ok(file)
    }
}

impl Medium for StoredSegments {
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        self.segments.list()
    }

    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        self.file(segment)?.read_at(out, offset)
    }

    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()> {
        self.segments.truncate(segment, length)
    }

    fn remove(&mut self, segment: SegmentId) -> io::Result<()> {
        self.open.borrow_mut().remove(&segment);
        self.segments.remove(segment)
    }
}

/// Whether the octets of a message are those that were received. If they cannot be read, they are
/// not.
pub fn is_whole(
    medium: &dyn Medium,
    fragments: impl Iterator<Item = Fragment>,
    checksum: u128,
) -> bool {
    let (mut hash, mut octets) = (Xxh3Default::new(), vec![0; 256 << 10]);
    for Fragment { segment, offset, length } in fragments {
        let (mut at, end) = (u64::from(offset), u64::from(offset) + u64::from(length));
        while at < end {
            let part = (octets.len() as u64).min(end - at) as usize;
            match medium.read_at(segment, at, &mut octets[..part]) {
                Ok(read) if read > 0 => {
                    hash.update(&octets[..read]);
                    at += read as u64;
                }
                Ok(_) | Err(_) => return false,
            }
        }
    }
    hash.digest128() == checksum
}
