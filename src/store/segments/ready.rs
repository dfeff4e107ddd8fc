//! Segments that are ready: new numbers for them, and stripped segments that become ready.

use std::io;

use super::{ReadySegment, SegmentState, Segments, usable};
use crate::reactor::Access;
use crate::reactor::files;
use crate::store::format::SegmentId;

impl Segments {
    /// Gives a segment that is ready another number. [`sync_names`](Self::sync_names) makes that
    /// durable.
    ///
    /// # Errors
    /// Those of the system.
    pub(in crate::store) fn renumber(&self, from: SegmentId, to: SegmentId) -> io::Result<()> {
        files::rename(&self.path(from), &self.path(to))?;
        let mut known = self.known();
        if let Some(was) = known.remove(&from) {
            known.insert(to, was);
        }
        Ok(())
    }

    /// Makes the file of a stripped segment one that is ready, with this number and this first
    /// block, durably: what stands behind that has no meaning any more. `None`, and the file is
    /// gone, if it is shorter than `least` bytes, or has another name as well: a backup may be a
    /// hard link.
    ///
    /// A backup links the file, and then looks whether the name that it linked is still there. The
    /// name goes here first, and the other names are counted then. So in any order of these four
    /// steps, the backup does not count the link, or nothing is written here.
    ///
    /// # Errors
    /// Those of the disk. The record file of the segment stands for it all the same, and what is
    /// left of the file goes at the next start.
    ///
    /// # Panics
    /// When the segment is not stripped.
    pub(in crate::store) fn reuse(
        &self,
        stripped: SegmentId,
        number: SegmentId,
        least: u32,
        header: &[u8],
    ) -> io::Result<Option<ReadySegment>> {
        let state = self.state(stripped);
        assert_eq!(state, Some(SegmentState::Stripped), "segment {stripped} has its octets");
        let file = files::open(&self.path(stripped), Access::Write)?;
        files::rename(&self.path(stripped), &self.path_while_preparing(number))?;
        let length = file.length()?;
        if length < least.into() || !usable(length) || file.names()? > 1 {
            files::remove(&self.path_while_preparing(number))?;
            self.sync_names()?;
            return Ok(None);
        }
        let size = u32::try_from(length).map_err(io::Error::other)?;
        if let Err(error) = file.write_all_at(header, 0) {
            self.discard(number);
            return Err(error);
        }
        self.publish(number, &file, size)?;
        Ok(Some(ReadySegment { segment: number, length, reused: true }))
    }

    /// Makes the names of all segments durable.
    ///
    /// # Errors
    /// Those of the disk.
    pub(in crate::store) fn sync_names(&self) -> io::Result<()> {
        files::sync_folder(&self.inner.folder)
    }
}
