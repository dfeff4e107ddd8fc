//! The segment files of a data folder: their names, paths, lengths and states.
//!
//! Everything that needs a segment's file asks here. [`Segments`] is a handle that any thread may
//! hold; recovery, the pool, the logs and the readers share one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::BLOCK;
use crate::reactor::Access;
use crate::reactor::files::{self, File};
use crate::store::format::SegmentId;

/// The end of a segment's file name.
const SUFFIX: &str = ".seg";

/// The same while the file is being prepared. The next start removes such files.
const PREPARING: &str = ".preparing";

/// What a segment is used for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// Prepared and unused: all zeros.
    Ready,
    /// A log writes to it, or has not synced all of it yet.
    Active,
    /// Complete and durable. It is only read.
    Sealed,
}

/// How many segments are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentCounts {
    /// See [`SegmentState::Ready`].
    pub ready: u64,
    /// See [`SegmentState::Active`].
    pub active: u64,
    /// See [`SegmentState::Sealed`].
    pub sealed: u64,
}

/// The folder of segments. A handle: clones share what is known of the files.
#[derive(Clone, Debug)]
pub struct Segments {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    known: Mutex<BTreeMap<SegmentId, Known>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    state: SegmentState,
    length: u64,
}

impl SegmentId {
    /// Name of the segment's file.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{:020}{SUFFIX}", self.0)
    }
}

/// The segment of a file; `None` when mailrace gives no file such a name.
fn segment_of(name: &str) -> Option<SegmentId> {
    let segment = SegmentId(name.strip_suffix(SUFFIX)?.parse().ok()?);
    (segment.0 > 0 && name == segment.file_name()).then_some(segment)
}

/// Whether a file of this length can be a segment: whole blocks, a header and at least one frame,
/// and offsets that fit into 32 bits.
pub(super) fn usable(length: u64) -> bool {
    length.is_multiple_of(BLOCK as u64)
        && length >= 2 * BLOCK as u64
        && u32::try_from(length).is_ok()
}

impl Segments {
    /// Opens the folder. Creates it if it does not exist, and removes files whose preparation was
    /// interrupted.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn open(folder: &Path) -> io::Result<Segments> {
        files::create_folder(folder)?;
        // Even if the folder was there: the process that created it may have been killed before
        // its name was durable.
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        files::sync_folder(above.unwrap_or(Path::new(".")))?;
        for (name, _) in files::list(folder)? {
            if name.ends_with(PREPARING) {
                files::remove(&folder.join(name))?;
            }
        }
        files::sync_folder(folder)?;
        Ok(Segments::at(folder))
    }

    /// The folder as it is, which must exist.
    pub(super) fn at(folder: &Path) -> Segments {
        let inner = Inner { folder: folder.to_owned(), known: Mutex::default() };
        Segments { inner: Arc::new(inner) }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// The file of a segment.
    #[must_use]
    pub fn path(&self, segment: SegmentId) -> PathBuf {
        self.inner.folder.join(segment.file_name())
    }

    fn path_while_preparing(&self, segment: SegmentId) -> PathBuf {
        self.inner.folder.join(format!("{:020}{PREPARING}", segment.0))
    }

    /// Reads the folder: all segments in it with their lengths in bytes, in any order. They count
    /// as sealed, unless they are known to be something else.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        let names = files::list(&self.inner.folder)?.into_iter();
        let listed: Vec<_> =
            names.filter_map(|(name, length)| Some((segment_of(&name)?, length))).collect();
        let mut known = self.known();
        let states = std::mem::take(&mut *known);
        known.extend(listed.iter().map(|&(segment, length)| {
            let state = states.get(&segment).map_or(SegmentState::Sealed, |known| known.state);
            (segment, Known { state, length })
        }));
        drop(known);
        Ok(listed)
    }

    /// Opens a segment for reading messages, with O_DIRECT where the file system has it.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn open_to_read(&self, segment: SegmentId) -> io::Result<File> {
        files::open_direct(&self.path(segment), Access::Read).map(|(file, _)| file)
    }

    /// Opens a segment to read what the disk has, past the page cache.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn open_as_stored(&self, segment: SegmentId) -> io::Result<File> {
        files::open_as_stored(&self.path(segment))
    }

    /// Opens a segment that is ready, to write to it. The second value says whether it is open
    /// with O_DIRECT.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn open_to_write(&self, segment: SegmentId) -> io::Result<(File, bool)> {
        files::open_direct(&self.path(segment), Access::Write)
    }

    /// Creates the file of a new segment under the name it has while it is prepared. The second
    /// value says whether it is open with O_DIRECT.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn create(&self, segment: SegmentId) -> io::Result<(File, bool)> {
        files::open_direct(&self.path_while_preparing(segment), Access::Create)
    }

    /// Removes a file that does not become a segment. If that fails, the next start removes it.
    pub(super) fn discard(&self, segment: SegmentId) {
        let _ = files::remove(&self.path_while_preparing(segment));
    }

    /// Makes a prepared file a segment that is ready. Its octets and its name are durable on
    /// return. After an error there is no such segment.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn publish(&self, segment: SegmentId, file: &File, length: u32) -> io::Result<()> {
        let path = self.path(segment);
        let renamed = file
            .sync_all()
            .and_then(|()| files::rename(&self.path_while_preparing(segment), &path));
        if let Err(error) = renamed {
            self.discard(segment);
            return Err(error);
        }
        if let Err(error) = files::sync_folder(&self.inner.folder) {
            let _ = files::remove(&path);
            return Err(error);
        }
        self.note_ready(segment, length.into());
        Ok(())
    }

    /// Notes that a segment is ready.
    pub(super) fn note_ready(&self, segment: SegmentId, length: u64) {
        let state = SegmentState::Ready;
        let was = self.known().insert(segment, Known { state, length });
        let was = was.map(|was| was.state);
        assert_ne!(
            was,
            Some(SegmentState::Active),
            "segment {segment} is written to, so it cannot be ready"
        );
    }

    /// Notes that there is no such segment any more, or none that can be used.
    pub(super) fn forget(&self, segment: SegmentId) {
        self.known().remove(&segment);
    }

    /// Notes that a log takes a segment into use.
    ///
    /// # Panics
    /// When the segment is not ready: its octets would be written over.
    pub(super) fn activate(&self, segment: SegmentId) {
        self.change(segment, SegmentState::Ready, SegmentState::Active);
    }

    /// Notes that a log has left a segment, and that all of it is durable.
    ///
    /// # Panics
    /// When no log wrote to it.
    pub(super) fn seal(&self, segment: SegmentId) {
        self.change(segment, SegmentState::Active, SegmentState::Sealed);
    }

    fn change(&self, segment: SegmentId, from: SegmentState, to: SegmentState) {
        let mut known = self.known();
        let was = known.get(&segment).map(|known| known.state);
        assert_eq!(was, Some(from), "segment {segment} becomes {to:?}, so it has to be {from:?}");
        known.entry(segment).and_modify(|known| known.state = to);
    }

    /// Gives a segment this length, and makes all of it durable.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn truncate(&self, segment: SegmentId, length: u64) -> io::Result<()> {
        let file = files::open(&self.path(segment), Access::Write)?;
        file.set_length(length)?;
        file.sync_all()?;
        self.known().entry(segment).and_modify(|known| known.length = length);
        Ok(())
    }

    /// Deletes a segment. Durable on return.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn remove(&self, segment: SegmentId) -> io::Result<()> {
        files::remove(&self.path(segment))?;
        self.forget(segment);
        files::sync_folder(&self.inner.folder)
    }

    /// The state of a segment; `None` when there is none of this number.
    #[must_use]
    pub fn state(&self, segment: SegmentId) -> Option<SegmentState> {
        self.known().get(&segment).map(|known| known.state)
    }

    /// Length of a segment's file in bytes; `None` when there is none of this number.
    #[must_use]
    pub fn length(&self, segment: SegmentId) -> Option<u64> {
        self.known().get(&segment).map(|known| known.length)
    }

    /// How many segments are in each state.
    #[must_use]
    pub fn counts(&self) -> SegmentCounts {
        let mut counts = SegmentCounts::default();
        for known in self.known().values() {
            match known.state {
                SegmentState::Ready => counts.ready += 1,
                SegmentState::Active => counts.active += 1,
                SegmentState::Sealed => counts.sealed += 1,
            }
        }
        counts
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<SegmentId, Known>> {
        // A panic of another thread leaves no entry half written.
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SEVEN: SegmentId = SegmentId(7);

    #[test]
    fn only_segments_are_listed_and_half_prepared_ones_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["00000000000000000007.seg", "7.seg", "notes.txt", "x.preparing"] {
            fs::write(dir.path().join(name), [1; 10]).unwrap();
        }
        let segments = Segments::open(dir.path()).unwrap();
        assert_eq!(segments.list().unwrap(), [(SEVEN, 10)]);
        assert!(!dir.path().join("x.preparing").exists());
        segments.truncate(SEVEN, 5).unwrap();
        assert_eq!(segments.length(SEVEN), Some(5));
        assert_eq!(segments.list().unwrap(), [(SEVEN, 5)]);
        segments.remove(SEVEN).unwrap();
        assert_eq!(segments.list().unwrap(), []);
        assert_eq!(segments.state(SEVEN), None);
    }

    #[test]
    fn a_segment_goes_from_ready_to_active_to_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let segments = Segments::open(dir.path()).unwrap();
        let (file, _) = segments.create(SEVEN).unwrap();
        assert_eq!(segments.list().unwrap(), []);
        file.set_length(8192).unwrap();
        segments.publish(SEVEN, &file, 8192).unwrap();
        let state = |segments: &Segments| segments.state(SEVEN).unwrap();
        assert_eq!(state(&segments), SegmentState::Ready);
        segments.activate(SEVEN);
        // Reading the folder again takes nothing back.
        assert_eq!(segments.list().unwrap(), [(SEVEN, 8192)]);
        assert_eq!(state(&segments), SegmentState::Active);
        segments.seal(SEVEN);
        assert_eq!(state(&segments), SegmentState::Sealed);
        assert_eq!(segments.counts(), SegmentCounts { sealed: 1, ..SegmentCounts::default() });
    }

    #[test]
    #[should_panic(expected = "has to be Ready")]
    fn a_sealed_segment_is_never_written_to_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(SEVEN.file_name()), [0; 8192]).unwrap();
        let segments = Segments::open(dir.path()).unwrap();
        segments.list().unwrap();
        segments.activate(SEVEN);
    }
}
