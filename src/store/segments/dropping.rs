//! Removing record files, once a snapshot of the catalog has everything in them.

use std::io;
use std::path::{Path, PathBuf};

use super::{RECORDS, SegmentId, SegmentState, Segments};
use crate::reactor::Access;
use crate::reactor::files;

/// Name of a file in the folder of record files, which is there once any was dropped.
const DROPPED: &str = "dropped";

/// What stands in that file, for the operator.
const NOTE: &str = "The beginning of the log was dropped, because a snapshot of the catalog has \
                    everything in it.\nWithout catalog.redb, this data folder needs snapshot/.\n";

fn note_in(records: &Path) -> PathBuf {
    records.join(DROPPED)
}

/// Whether the log in this data folder may lack its beginning.
///
/// # Errors
/// Those of the disk.
pub(in crate::store) fn was_dropped(data: &Path) -> io::Result<bool> {
    files::exists(&note_in(&data.join(RECORDS)))
}

impl Segments {
    /// The stripped segments, with the lengths of their record files in bytes.
    #[must_use]
    pub fn record_files(&self) -> Vec<(SegmentId, u64)> {
        let known = self.known();
        let stripped = known.iter().filter(|(_, known)| known.state == SegmentState::Stripped);
        stripped.map(|(&segment, known)| (segment, known.length)).collect()
    }

    /// Whether the file of a segment is there.
    ///
    /// # Errors
    /// Those of the disk.
    pub(in crate::store) fn has_file(&self, segment: SegmentId) -> io::Result<bool> {
        files::exists(&self.path(segment))
    }

    /// Removes the record files of stripped segments whose own files are gone. A note that the log
    /// lacks its beginning is durable before. After an error some may be left.
    ///
    /// # Errors
    /// Those of the disk.
    pub(in crate::store) fn remove_record_files(&self, dropped: &[SegmentId]) -> io::Result<()> {
        let folder = self.records();
        let note = note_in(&folder);
        if !files::exists(&note)? {
            let file = files::open(&note, Access::Create)?;
            file.write_all_at(NOTE.as_bytes(), 0)?;
            file.sync_all()?;
            files::sync_folder(&folder)?;
        }
        // A segment's file whose name comes back must find its records.
        self.sync_names()?;
        for &segment in dropped {
            files::remove(&folder.join(segment.record_file_name()))?;
            self.forget(segment);
        }
        files::sync_folder(&folder)
    }
}
