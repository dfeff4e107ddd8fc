//! The folder of segments: names, opening, syncing of its entries; and the folder as recovery
//! sees it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::OFlags;

use super::recovery::Medium;
use super::segment::SegmentHeader;
use crate::types::SegmentId;

/// Files that recovery keeps open: it reads few at a time, a large store has thousands.
const OPEN_FILES: usize = 16;

/// A folder of segment files.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    open: RefCell<BTreeMap<SegmentId, Rc<File>>>,
}

impl Directory {
    /// Opens the folder, creates it when it is not there, and removes what the pool was preparing
    /// when the server ended.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn open(path: &Path) -> io::Result<Directory> {
        fs::create_dir_all(path)?;
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "preparing") {
                fs::remove_file(entry.path())?;
            }
        }
        sync_dir(path)?;
        Ok(Directory { path: path.to_path_buf(), open: RefCell::default() })
    }

    fn file(&self, segment: SegmentId) -> io::Result<Rc<File>> {
        let mut open = self.open.borrow_mut();
        if let Some(file) = open.get(&segment) {
            return Ok(Rc::clone(file));
        }
        if open.len() == OPEN_FILES {
            open.clear();
        }
        let file = Rc::new(File::open(segment_path(&self.path, segment))?);
        open.insert(segment, Rc::clone(&file));
        Ok(file)
    }
}

impl Medium for Directory {
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Some(segment) = segment_of(&entry.path()) {
                segments.push((segment, entry.metadata()?.len()));
            }
        }
        Ok(segments)
    }

    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let file = self.file(segment)?;
        let mut read = 0;
        while read < out.len() {
            match file.read_at(&mut out[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(segment_path(&self.path, segment))?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn remove(&mut self, segment: SegmentId) -> io::Result<()> {
        self.open.borrow_mut().remove(&segment);
        fs::remove_file(segment_path(&self.path, segment))?;
        sync_dir(&self.path)
    }
}

/// The file of a segment.
pub(super) fn segment_path(dir: &Path, segment: SegmentId) -> PathBuf {
    dir.join(SegmentHeader::file_name(segment))
}

/// The segment of a file; `None` when the name is not one that mailrace gives.
fn segment_of(path: &Path) -> Option<SegmentId> {
    let number = path.file_name()?.to_str()?.strip_suffix(".seg")?;
    let segment = SegmentId(number.parse().ok()?);
    (segment.0 > 0 && path.ends_with(SegmentHeader::file_name(segment))).then_some(segment)
}

/// Makes names in the folder durable: files created, renamed or removed.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Opens for reading and writing, with O_DIRECT where the file system has it; the second value
/// says whether it has.
pub(super) fn open_direct(path: &Path, create: bool) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create);
    let direct = options.clone().custom_flags(OFlags::DIRECT.bits().cast_signed()).open(path);
    match direct {
        Ok(file) => Ok((file, true)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Ok((options.open(path)?, false))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_are_listed_and_half_prepared_ones_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["00000000000000000007.seg", "7.seg", "notes.txt", "x.preparing"] {
            fs::write(dir.path().join(name), [1; 10]).unwrap();
        }
        let mut directory = Directory::open(dir.path()).unwrap();
        assert_eq!(directory.segments().unwrap(), [(SegmentId(7), 10)]);
        assert!(!dir.path().join("x.preparing").exists());

        let mut octets = [0; 8];
        assert_eq!(directory.read_at(SegmentId(7), 6, &mut octets).unwrap(), 4);
        directory.truncate(SegmentId(7), 5).unwrap();
        assert_eq!(directory.segments().unwrap(), [(SegmentId(7), 5)]);
        directory.remove(SegmentId(7)).unwrap();
        assert_eq!(directory.segments().unwrap(), []);
    }
}
