//! A data folder on the file system of this machine: segments and record files as the server has
//! them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use mailrace::store::{
    LogPosition, Medium, Recovered, RecoveryError, Replayed, SegmentId, Segments, StoredSegments,
    drop_records, recover, strip,
};
use tempfile::TempDir;

use crate::disk::Disk;

/// A data folder.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("segments")).expect("a folder");
        Folder(dir)
    }

    /// With the segments of this disk.
    pub fn of(disk: &Disk) -> Folder {
        let folder = Folder::new();
        disk.files.iter().for_each(|(&segment, octets)| folder.put_segment(segment, octets));
        folder
    }

    pub fn put_segment(&self, segment: SegmentId, octets: &[u8]) {
        fs::write(self.segment(segment), octets).expect("written");
    }

    pub fn lose_segment(&self, segment: SegmentId) {
        fs::remove_file(self.segment(segment)).expect("removed");
    }

    pub fn record_file(&self, segment: SegmentId) -> Vec<u8> {
        fs::read(self.records(segment)).expect("a record file")
    }

    pub fn put_record_file(&self, segment: SegmentId, octets: &[u8]) {
        fs::write(self.records(segment), octets).expect("written");
    }

    pub fn segment(&self, segment: SegmentId) -> PathBuf {
        self.0.path().join("segments").join(segment.file_name())
    }

    pub fn records(&self, segment: SegmentId) -> PathBuf {
        self.0.path().join("records").join(segment.record_file_name())
    }

    pub fn open(&self) -> Segments {
        let segments = Segments::open(&self.0.path().join("segments")).expect("a folder");
        segments.list().expect("a folder");
        segments
    }

    /// Writes the record file of a segment. The segment itself stays.
    pub fn strip(&self, segment: SegmentId) -> io::Result<u64> {
        strip(&self.open(), segment)
    }

    /// Strips what can be stripped, and drops the record files that a snapshot at these positions
    /// covers. Returns how many are left.
    pub fn drop_covered(&self, positions: &[LogPosition]) -> usize {
        let segments = self.open();
        let listed = segments.list().expect("a folder");
        let mut stripped = Vec::new();
        for (segment, _) in listed {
            if let Ok(length) = strip(&segments, segment) {
                fs::remove_file(self.segment(segment)).expect("removed");
                stripped.push((segment, length));
            }
        }
        let dropped = drop_records(&segments, &stripped, positions).expect("a folder");
        stripped.len() - dropped.files as usize
    }

    pub fn medium(&self) -> StoredSegments {
        StoredSegments::new(self.open())
    }

    pub fn recover(
        &self,
        from: &[LogPosition],
    ) -> Result<(Recovered, Vec<Replayed>), RecoveryError> {
        read(&mut self.medium(), from)
    }

    /// Recovery that must report damage. Returns the report as the operator sees it.
    pub fn damage(&self) -> String {
        let before = self.content();
        let error = self.recover(&[]).expect_err("damage");
        assert!(matches!(error, RecoveryError::Damaged(_)), "{error}");
        assert!(before == self.content(), "recovery changed a damaged log");
        error.to_string()
    }

    /// All files.
    pub fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        for folder in ["segments", "records"] {
            let Ok(names) = fs::read_dir(self.0.path().join(folder)) else { continue };
            for name in names {
                let path = name.expect("a name").path();
                let octets = fs::read(&path).expect("a file");
                all.insert(path, octets);
            }
        }
        all
    }
}

/// Recovers, and returns what was found as well.
pub fn read(
    medium: &mut dyn Medium,
    from: &[LogPosition],
) -> Result<(Recovered, Vec<Replayed>), RecoveryError> {
    let mut found = Vec::new();
    let recovered = recover(medium, from, &mut |replayed| {
        found.push(replayed);
        Ok(())
    })?;
    Ok((recovered, found))
}
