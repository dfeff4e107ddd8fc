//! Cutting a segment that its log has left to where its last frame ends.

use std::io;

use super::{Known, SegmentId, SegmentState, Segments};
use crate::reactor::Access;
use crate::reactor::files;

impl Segments {
    /// Cuts a sealed segment to `end`, where its last frame ends. Not durable on return. One that
    /// has become something else stays as it is.
    ///
    /// # Errors
    /// Those of the disk.
    pub(in crate::store) fn shorten(&self, segment: SegmentId, end: u32) -> io::Result<()> {
        let was = self.known().get(&segment).copied();
        let longer = |known: &Known| known.length > u64::from(end);
        if !was.filter(longer).is_some_and(|known| known.state == SegmentState::Sealed) {
            return Ok(());
        }
        files::open(&self.path(segment), Access::Write)?.set_length(end.into())?;
        if let Some(known) = self.known().get_mut(&segment)
            && known.state == SegmentState::Sealed
        {
            known.length = end.into();
        }
        Ok(())
    }
}
