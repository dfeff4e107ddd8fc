//! Cutting a segment that its log has left to where its last frame ends.

use std::io;

use super::{Known, SegmentId, SegmentState, Segments};
use crate::reactor::Access;
use crate::reactor::files;

impl Segments {
    /// Cuts a sealed segment to `end`, where its last frame ends, durably. One that has become
    /// something else stays as it is.
    ///
    /// # Errors
    /// Those of the disk.
    pub(in crate::store) fn shorten(&self, segment: SegmentId, end: u32) -> io::Result<()> {
        let was = self.known().get(&segment).copied();
        let longer = |known: &Known| known.length > u64::from(end);
        if !was.filter(longer).is_some_and(|known| known.state == SegmentState::Sealed) {
            return Ok(());
        }
        let file = files::open(&self.path(segment), Access::Write)?;
        file.set_length(end.into())?;
        // Nothing depends on that, but a start cuts only what it reads.
        file.sync_all()?;
        if let Some(known) = self.known().get_mut(&segment)
            && known.state == SegmentState::Sealed
        {
            known.length = end.into();
        }
        Ok(())
    }

    /// Notes where the last frame of a sealed segment ends.
    pub(in crate::store) fn note_end(&self, segment: SegmentId, end: u32) {
        if let Some(known) = self.known().get_mut(&segment)
            && known.state == SegmentState::Sealed
        {
            known.end = Some(end);
        }
    }

    /// The segments of the same epoch with higher numbers, in ascending order.
    pub(in crate::store) fn later_in_epoch(
        &self,
        segment: SegmentId,
    ) -> Vec<(SegmentId, SegmentState)> {
        let (known, last) = (self.known(), SegmentId::last_of(segment.epoch()));
        let later = known.range(segment.next()..=last);
        later.map(|(&segment, known)| (segment, known.state)).collect()
    }
}
