//! Where recovery reads segments from, and cuts them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::rc::Rc;

use xxhash_rust::xxh3::Xxh3Default;

use crate::reactor::files::File;
use crate::store::format::{Fragment, HeaderError, SegmentId};
use crate::store::records::RecordFile;
use crate::store::segments::Segments;

/// Files kept open at a time: recovery reads few at once, and a large store has thousands.
const OPEN_FILES: usize = 16;

/// Record files kept open at a time. Each may have a list of its frames in memory: 24 bytes for
/// each frame, a few hundred kilobytes for a segment of ordinary mail.
const OPEN_RECORD_FILES: usize = 4;

/// Where segments lie: a folder, or memory in tests.
pub trait Medium {
    /// All segments with the lengths of their files in bytes, in any order. No file is opened for
    /// that: there may be many.
    ///
    /// # Errors
    /// Those of the medium, as for the other methods.
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>>;

    /// Where a segment ends, if its file has this length: there. A stripped segment ends at the
    /// offset at which its last frame ended.
    #[allow(clippy::missing_errors_doc)]
    fn end(&self, _segment: SegmentId, length: u64) -> io::Result<u64> {
        Ok(length)
    }

    /// Reads into `out` from `offset` on. Returns less than `out` has room for only at the end of
    /// the file.
    #[allow(clippy::missing_errors_doc)]
    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize>;

    /// Makes what the disk shows of a segment durable: after a process was killed, a power loss
    /// could still take octets away, and the catalog may soon have what was read from them. A
    /// medium for reading alone does nothing.
    #[allow(clippy::missing_errors_doc)]
    fn settle(&self, _segment: SegmentId) -> io::Result<()> {
        Ok(())
    }

    /// Shortens a segment, or leaves its length as it is. If some of the zeros at the end of its
    /// last frame are missing, they are put back. All of it is durable on return.
    #[allow(clippy::missing_errors_doc)]
    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()>;

    /// Deletes a segment. Durable on return.
    #[allow(clippy::missing_errors_doc)]
    fn remove(&mut self, segment: SegmentId) -> io::Result<()>;

    /// Whether only the records of this segment are left. Where it had octets of messages, zeros
    /// are read. It is never shortened or deleted.
    fn is_stripped(&self, _segment: SegmentId) -> bool {
        false
    }

    /// Why the record file of a stripped segment cannot be believed, if it cannot. Then reads end
    /// before the first frame; and before the header, if that cannot be believed either.
    #[allow(clippy::missing_errors_doc)]
    fn flaw(&self, _segment: SegmentId) -> io::Result<Option<HeaderError>> {
        Ok(None)
    }

    /// Deletes the files of segments whose records have taken their place. Durable on return.
    /// Returns which they are.
    #[allow(clippy::missing_errors_doc)]
    fn remove_superseded(&mut self) -> io::Result<Vec<SegmentId>> {
        Ok(Vec::new())
    }
}

/// The segments of a data folder, for recovery.
pub struct StoredSegments {
    segments: Segments,
    open: RefCell<BTreeMap<SegmentId, Rc<File>>>,
    /// Segments with a record file that stands for them.
    stripped: RefCell<BTreeSet<SegmentId>>,
    /// Those of them whose own file is still there.
    superseded: RefCell<Vec<SegmentId>>,
    open_records: RefCell<BTreeMap<SegmentId, Opened>>,
}

/// A record file, or why its beginning cannot be believed.
type Opened = Result<Rc<RecordFile>, HeaderError>;

impl StoredSegments {
    /// The segments of this folder.
    #[must_use]
    pub fn new(segments: Segments) -> StoredSegments {
        StoredSegments {
            segments,
            open: RefCell::default(),
            stripped: RefCell::default(),
            superseded: RefCell::default(),
            open_records: RefCell::default(),
        }
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

    fn record_file(&self, segment: SegmentId) -> io::Result<Opened> {
        let mut open = self.open_records.borrow_mut();
        if let Some(opened) = open.get(&segment) {
            return Ok(opened.clone());
        }
        if open.len() == OPEN_RECORD_FILES {
            open.clear();
        }
        let opened = RecordFile::open(&self.segments, segment).map_err(|error| {
            let what = format!("its record file {}: {error}", segment.record_file_name());
            io::Error::new(error.kind(), what)
        });
        let opened = opened?.map(Rc::new);
        open.insert(segment, opened.clone());
        Ok(opened)
    }

    /// Whether the record file of a segment whose own file is there too is whole.
    fn supersedes(&self, segment: SegmentId) -> io::Result<bool> {
        match self.record_file(segment)? {
            Ok(file) => Ok(file.flaw()?.is_none()),
            Err(_) => Ok(false),
        }
    }
}

impl Medium for StoredSegments {
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        let mut all: BTreeMap<SegmentId, u64> = self.segments.list()?.into_iter().collect();
        let (mut stripped, mut superseded) = (BTreeSet::new(), Vec::new());
        for (segment, length) in self.segments.list_record_files()? {
            if all.contains_key(&segment) {
                if !self.supersedes(segment)? {
                    continue;
                }
                superseded.push(segment);
            }
            all.insert(segment, length);
            stripped.insert(segment);
            self.segments.stripped(segment, length);
        }
        self.stripped.replace(stripped);
        self.superseded.replace(superseded);
        Ok(all.into_iter().collect())
    }

    fn end(&self, segment: SegmentId, length: u64) -> io::Result<u64> {
        match self.is_stripped(segment) {
            true => Ok(self.record_file(segment)?.map_or(length, |file| file.end())),
            false => Ok(length),
        }
    }

    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        if self.is_stripped(segment) {
            return self.record_file(segment)?.map_or(Ok(0), |file| file.read_at(out, offset));
        }
        self.file(segment)?.read_at(out, offset)
    }

    fn settle(&self, segment: SegmentId) -> io::Result<()> {
        match self.is_stripped(segment) {
            true => Ok(()),
            false => self.file(segment)?.sync_all(),
        }
    }

    fn is_stripped(&self, segment: SegmentId) -> bool {
        self.stripped.borrow().contains(&segment)
    }

    fn flaw(&self, segment: SegmentId) -> io::Result<Option<HeaderError>> {
        if !self.is_stripped(segment) {
            return Ok(None);
        }
        match self.record_file(segment)? {
            Ok(file) => file.flaw(),
            Err(error) => Ok(Some(error)),
        }
    }

    fn remove_superseded(&mut self) -> io::Result<Vec<SegmentId>> {
        let superseded = self.superseded.take();
        if !superseded.is_empty() {
            self.open.borrow_mut().clear();
            self.segments.remove_superseded(&superseded)?;
        }
        Ok(superseded)
    }

    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()> {
        self.segments.truncate(segment, length)
    }

    fn remove(&mut self, segment: SegmentId) -> io::Result<()> {
        self.open.borrow_mut().remove(&segment);
        self.segments.remove(segment)
    }
}

/// Whether the octets of a message are those that were received. If they cannot be read, or were in
/// a segment that is stripped, they are not.
pub fn is_whole(
    medium: &dyn Medium,
    fragments: impl Iterator<Item = Fragment>,
    checksum: u128,
) -> bool {
    let (mut hash, mut octets) = (Xxh3Default::new(), vec![0; 256 << 10]);
    for Fragment { segment, offset, length } in fragments {
        if medium.is_stripped(segment) {
            return false;
        }
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
