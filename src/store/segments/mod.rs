//! The segment files of a data folder, and the record files beside them: names, paths, lengths and
//! states.
//!
//! Everything that needs a segment's file asks here. [`Segments`] is a handle that any thread may
//! hold; recovery, the pool, the logs and the readers share one.

mod dropping;
mod ready;
mod shortening;
#[cfg(test)]
mod tests;

pub(super) use dropping::was_dropped;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::BLOCK;
use crate::reactor::Access;
use crate::reactor::fault::{Fault, made};
use crate::reactor::files::{self, File};
use crate::store::format::SegmentId;

/// The end of a segment's file name.
const SUFFIX: &str = ".seg";

/// The same while the file is being prepared. The next start removes such files.
const PREPARING: &str = ".preparing";

/// The folder of record files, beside the one of segments.
pub const RECORDS: &str = "records";

/// The end of a record file's name.
const RECORDS_SUFFIX: &str = ".rec";

/// The same while the file is being written. The next start removes such files.
const WRITING: &str = ".writing";

/// What a segment is used for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// Prepared and unused: its first block says so.
    Ready,
    /// A log writes to it, or has not synced all of it yet.
    Active,
    /// Complete and durable. It is only read.
    Sealed,
    /// Only its records are left, in a record file.
    Stripped,
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
    /// See [`SegmentState::Stripped`].
    pub stripped: u64,
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
    /// Where its last frame ends, if that is not the end of the file.
    end: Option<u32>,
}

/// A segment that is prepared and not in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadySegment {
    /// Its number.
    pub segment: SegmentId,
    /// Length of the file in bytes.
    pub length: u64,
    /// Whether something other than zeros may stand behind its header.
    pub reused: bool,
}

impl SegmentId {
    /// Name of the segment's file.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{:020}{SUFFIX}", self.0)
    }

    /// Name of the file with its records, once the segment is stripped.
    #[must_use]
    pub fn record_file_name(self) -> String {
        format!("{:020}{RECORDS_SUFFIX}", self.0)
    }
}

/// The segment of a file; `None` when mailrace gives no file such a name.
fn segment_of(name: &str) -> Option<SegmentId> {
    let segment = SegmentId(name.strip_suffix(SUFFIX)?.parse().ok()?);
    (segment.0 > 0 && name == segment.file_name()).then_some(segment)
}

/// The segment of a record file.
fn stripped_segment_of(name: &str) -> Option<SegmentId> {
    let segment = SegmentId(name.strip_suffix(RECORDS_SUFFIX)?.parse().ok()?);
    (segment.0 > 0 && name == segment.record_file_name()).then_some(segment)
}

/// The files of a folder, which need not exist.
fn list_if_there(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    match files::list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
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
    /// interrupted. Waits for the writes that a killed server has left to the kernel: they must not
    /// land in what is read or written from now on.
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
        let segments = Segments::at(folder);
        segments.wait_for_writers()?;
        let records = segments.records();
        let all = list_if_there(&records)?;
        let mut unfinished = all.iter().filter(|(name, _)| name.ends_with(WRITING)).peekable();
        if unfinished.peek().is_some() {
            unfinished.try_for_each(|(name, _)| files::remove(&records.join(name)))?;
            files::sync_folder(&records)?;
        }
        Ok(segments)
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

    /// The folder of record files. The first one creates it.
    fn records(&self) -> PathBuf {
        self.inner.folder.with_file_name(RECORDS)
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
            let known = states.get(&segment);
            let state = known.map_or(SegmentState::Sealed, |known| known.state);
            (segment, Known { state, length, end: known.and_then(|known| known.end) })
        }));
        let stripped = |(_, known): &(SegmentId, Known)| known.state == SegmentState::Stripped;
        known.extend(states.into_iter().filter(stripped));
        drop(known);
        Ok(listed)
    }

    /// Reads the folder of record files: all segments with one, and its length in bytes, in any
    /// order. Their states do not change: see [`Segments::stripped`].
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(super) fn list_record_files(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        let names = list_if_there(&self.records())?.into_iter();
        Ok(names.filter_map(|(name, length)| Some((stripped_segment_of(&name)?, length))).collect())
    }

    /// Opens a record file to read what the disk has, past the page cache.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn open_record_file(&self, segment: SegmentId) -> io::Result<File> {
        files::open_as_stored(&self.records().join(segment.record_file_name()))
    }

    /// Creates a record file under the name that it has while it is written. Creates their folder
    /// if it does not exist.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn create_record_file(&self, segment: SegmentId) -> io::Result<File> {
        let folder = self.records();
        files::create_folder(&folder)?;
        // Even if it was there: see `open`.
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        files::sync_folder(above.unwrap_or(Path::new(".")))?;
        let file = files::open(&folder.join(writing_name(segment)), Access::Create)?;
        // An earlier attempt may have left more than this one writes.
        file.set_length(0)?;
        Ok(file)
    }

    /// Gives a record file its name. Its octets and its name are durable on return. After an error
    /// the file may be there or not.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn publish_record_file(&self, segment: SegmentId, file: &File) -> io::Result<()> {
        file.sync_all()?;
        let folder = self.records();
        let path = folder.join(segment.record_file_name());
        files::rename(&folder.join(writing_name(segment)), &path)?;
        files::sync_folder(&folder)
    }

    /// Removes a record file that does not get its name. If that fails, the next start removes it.
    pub(super) fn discard_record_file(&self, segment: SegmentId) {
        let _ = files::remove(&self.records().join(writing_name(segment)));
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
        let (file, direct) = files::open_direct(&self.path(segment), Access::Write)?;
        file.mark_written()?;
        Ok((file, direct))
    }

    /// Creates the file of a new segment under the name it has while it is prepared. The second
    /// value says whether it is open with O_DIRECT.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn create(&self, segment: SegmentId) -> io::Result<(File, bool)> {
        let (file, direct) =
            files::open_direct(&self.path_while_preparing(segment), Access::Create)?;
        file.mark_written()?;
        Ok((file, direct))
    }

    /// Waits for writes to files of the newest epoch: a server writes to those of its own epoch,
    /// and that is above all earlier ones.
    fn wait_for_writers(&self) -> io::Result<()> {
        if made(Fault::LateWritesForgotten) {
            return Ok(());
        }
        let listed = files::list(&self.inner.folder)?.into_iter();
        let all: Vec<SegmentId> = listed.filter_map(|(name, _)| segment_of(&name)).collect();
        let newest = all.iter().map(|segment| segment.epoch()).max();
        for &segment in all.iter().filter(|segment| Some(segment.epoch()) == newest) {
            let path = self.path(segment);
            files::wait_for_writers(&path, || {
                tracing::info!("{} is still being written by the disk: waiting", path.display());
            })?;
        }
        Ok(())
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
        let known = Known { state: SegmentState::Ready, length, end: None };
        let was = self.known().insert(segment, known);
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

    /// Notes that a log has left a segment after the frame that ends at `end`, and that all of it
    /// is durable.
    ///
    /// # Panics
    /// When no log wrote to it.
    pub(super) fn seal(&self, segment: SegmentId, end: u32) {
        self.change(segment, SegmentState::Active, SegmentState::Sealed);
        self.known().entry(segment).and_modify(|known| known.end = Some(end));
    }

    /// Notes that the record file of a segment, with this many bytes, has taken its place.
    ///
    /// # Panics
    /// When a log writes to the segment, or it is ready.
    pub(super) fn stripped(&self, segment: SegmentId, length: u64) {
        let known = Known { state: SegmentState::Stripped, length, end: None };
        let was = self.known().insert(segment, known).map(|was| was.state);
        let in_use = matches!(was, Some(SegmentState::Ready | SegmentState::Active));
        assert!(!in_use, "segment {segment} is {was:?}, so its records alone cannot stand for it");
    }

    /// Where the last frame of a sealed segment ends, and whether that is known: else it is the
    /// length of the file. `None` when there is no sealed one of this number.
    pub(super) fn end(&self, segment: SegmentId) -> Option<(u64, bool)> {
        let known = *self.known().get(&segment)?;
        let end = (known.end.map_or(known.length, u64::from), known.end.is_some());
        (known.state == SegmentState::Sealed).then_some(end)
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

    /// Deletes the files of segments whose record files have taken their place. Durable on return.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn remove_superseded(&self, segments: &[SegmentId]) -> io::Result<()> {
        // A power loss may have come between the renaming of a record file and the sync.
        files::sync_folder(&self.records())?;
        segments.iter().try_for_each(|&segment| files::remove(&self.path(segment)))?;
        files::sync_folder(&self.inner.folder)
    }

    /// The state of a segment; `None` when there is none of this number.
    #[must_use]
    pub fn state(&self, segment: SegmentId) -> Option<SegmentState> {
        self.known().get(&segment).map(|known| known.state)
    }

    /// Length in bytes of a segment's file, or of its record file if it is stripped; `None` when
    /// there is none of this number.
    #[must_use]
    pub fn length(&self, segment: SegmentId) -> Option<u64> {
        self.known().get(&segment).map(|known| known.length)
    }

    /// The segments that are complete and durable, and where their last frames end, in bytes.
    #[must_use]
    pub fn sealed(&self) -> Vec<(SegmentId, u64)> {
        let known = self.known();
        let sealed = known.iter().filter(|(_, known)| known.state == SegmentState::Sealed);
        let end = |known: &Known| known.end.map_or(known.length, u64::from);
        sealed.map(|(&segment, known)| (segment, end(known))).collect()
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
                SegmentState::Stripped => counts.stripped += 1,
            }
        }
        counts
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<SegmentId, Known>> {
        // A panic of another thread leaves no entry half written.
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn writing_name(segment: SegmentId) -> String {
    format!("{:020}{WRITING}", segment.0)
}
