//! The folder of segments: names, opening, syncing of its entries; and the folder as recovery
//! sees it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::format::segment::SegmentHeader;
use super::recover::Medium;
use crate::reactor::Access;
use crate::reactor::files::{self, File};
use crate::store::SegmentId;

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
        files::create_folder(path)?;
        // In any case: whoever made it may have been killed before its name was durable.
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        files::sync_folder(above.unwrap_or(Path::new(".")))?;
        for (name, _) in files::list(path)? {
            if name.ends_with(".preparing") {
                files::remove(&path.join(name))?;
            }
        }
        files::sync_folder(path)?;
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
        let file = Rc::new(files::open_as_stored(&segment_path(&self.path, segment))?);
        open.insert(segment, Rc::clone(&file));
        Ok(file)
    }
}

impl Medium for Directory {
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        let names = files::list(&self.path)?.into_iter();
        Ok(names.filter_map(|(name, length)| Some((segment_of(&name)?, length))).collect())
    }

    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        self.file(segment)?.read_at(out, offset)
    }

    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()> {
        let file = files::open(&segment_path(&self.path, segment), Access::Write)?;
        file.set_length(length)?;
        file.sync_all()
    }

    fn remove(&mut self, segment: SegmentId) -> io::Result<()> {
        self.open.borrow_mut().remove(&segment);
        files::remove(&segment_path(&self.path, segment))?;
        files::sync_folder(&self.path)
    }
}

/// The file of a segment.
pub(super) fn segment_path(dir: &Path, segment: SegmentId) -> PathBuf {
    dir.join(SegmentHeader::file_name(segment))
}

/// The segment of a file; `None` when the name is not one that mailrace gives.
fn segment_of(name: &str) -> Option<SegmentId> {
    let segment = SegmentId(name.strip_suffix(".seg")?.parse().ok()?);
    (segment.0 > 0 && name == SegmentHeader::file_name(segment)).then_some(segment)
}

#[cfg(test)]
mod tests {
    use std::fs;

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
