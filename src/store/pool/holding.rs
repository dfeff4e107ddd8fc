//! What the pool holds back from mail: segments for changes, and room for cleaning.
//!
//! On a full disk, cleaning writes what lives in a segment again before the segment's space comes
//! back. Mail must not take the room for that. It is one segment that is ready, the last one; when
//! it is needed, it is cut into pieces, because each reactor writes to a segment of its own. The
//! segment that was cleaned takes its place.

use super::preparing::{RESERVE_LEAST, Worker};
use super::{NoSegment, PoolConfig, Prepared};
use crate::limits::{BLOCK, SEGMENTS_OF_DISK};
use crate::reactor::files;
use crate::store::segments::ReadySegment;

/// Bytes that are held back for cleaning. Nothing where no segments are prepared, as by the server
/// that cleans a stopped folder: it would leave one behind.
pub(super) fn held(config: &PoolConfig) -> u64 {
    let (size, capacity) = (u64::from(config.size), files::capacity(config.segments.folder()));
    let is_small = capacity.is_ok_and(|capacity| capacity / SEGMENTS_OF_DISK >= size);
    match is_small && config.ahead > 0 {
        true => size,
        false => 0,
    }
}

impl Worker {
    /// How many segments to keep ready.
    pub(super) fn ahead(&self) -> usize {
        self.config.ahead.max(usize::from(self.held > 0))
    }

    pub(super) fn lacks_reserve(&self) -> bool {
        self.reserve.len() < self.config.reserves
    }

    /// Bytes of the disk that are free and not for segments that are still to be held back for
    /// changes.
    pub(super) fn free(&self) -> u64 {
        let missing = self.config.reserves.saturating_sub(self.reserve.len()) as u64;
        let begun = self.current.as_ref().is_some_and(|current| current.held_back);
        let missing = missing.saturating_sub(begun.into()) * u64::from(self.config.reserve);
        // If the room is unknown, creating the file will tell.
        files::room(self.config.segments.folder()).unwrap_or(u64::MAX).saturating_sub(missing)
    }

    /// Bytes in segments that are ready, or will be.
    fn prepared(&self) -> u64 {
        let current = self.current.as_ref().filter(|current| !current.held_back);
        let current = current.map_or(0, |current| current.size.into());
        self.ready.iter().map(|ready| ready.length).sum::<u64>() + current
    }

    /// Bytes of the disk that mail may take in new segments.
    pub(super) fn room_for_mail(&self) -> u64 {
        self.free().saturating_sub(self.held.saturating_sub(self.prepared()))
    }

    /// Bytes that cleaning may take.
    pub(super) fn room_for_cleaning(&self) -> u64 {
        self.free().saturating_add(self.prepared())
    }

    /// Whether less is held back than there should be.
    pub(super) fn lacks(&self) -> bool {
        self.lacks_reserve() || self.prepared() < self.held
    }

    /// Gives the preparation for later mail up.
    pub(super) fn discard_superfluous(&mut self) {
        let current = self.current.as_ref().filter(|current| !current.held_back);
        if current.is_some_and(|current| self.may_give(current.size.into())) {
            self.discard_current();
        }
    }

    /// Whether enough is held back without a segment of this length that is ready.
    pub(super) fn may_give(&self, length: u64) -> bool {
        let prepared = self.prepared() - length;
        prepared >= self.held || prepared.saturating_add(self.free()) >= self.held
    }

    /// The next segment that is ready and not held back.
    pub(super) fn pop_for_mail(&mut self) -> Option<ReadySegment> {
        let at = self.ready.iter().position(|ready| self.may_give(ready.length))?;
        self.ready.remove(at)
    }

    /// A segment for cleaning.
    pub(super) fn provide_piece(&mut self) -> Result<Prepared, NoSegment> {
        let piece = self.config.piece;
        if self.held == 0 {
            return Err(NoSegment::no_room(piece, &self.config.segments));
        }
        if self.free() >= u64::from(piece) {
            return self.make(piece, false);
        }
        while let Some(found) = self.ready.pop_back() {
            let opened = self.cut(found, piece.into()).and_then(|found| self.open(found));
            match opened {
                Ok(Some(prepared)) => return Ok(prepared),
                Ok(None) => {}
                Err(error) => {
                    self.ready.push_back(found);
                    return Err(error);
                }
            }
        }
        self.discard_current();
        // Some file systems count the room of a deleted file late, but give it to a new one.
        match self.lacks_reserve() && self.free() < u64::from(piece) {
            true => Err(NoSegment::no_room(piece, &self.config.segments)),
            false => self.make(piece, false),
        }
    }

    /// Cuts a segment that is ready to this length, if it is longer.
    fn cut(&self, found: ReadySegment, length: u64) -> Result<ReadySegment, NoSegment> {
        let length = found.length.min(length);
        if length < found.length {
            let cut = self.config.segments.truncate(found.segment, length);
            let failed = |error| NoSegment::new(error, length as u32, &self.config.segments);
            cut.map_err(failed)?;
        }
        Ok(ReadySegment { length, ..found })
    }

    /// Frees as much of the room for cleaning as a piece takes, if the disk has less.
    pub(super) fn make_room(&mut self) {
        let piece = u64::from(self.config.piece);
        let room = files::room(self.config.segments.folder());
        if self.held == 0 || room.is_ok_and(|room| room >= piece) {
            return;
        }
        let Some(found) = self.ready.pop_back() else { return };
        let left = found.length.saturating_sub(piece);
        if left < RESERVE_LEAST.into() {
            if let Err(error) = self.config.segments.remove(found.segment) {
                tracing::warn!("segment {} is ready and cannot be deleted: {error}", found.segment);
            }
            return;
        }
        match self.cut(found, left) {
            Ok(cut) => self.ready.push_back(cut),
            Err(error) => {
                tracing::warn!("segment {} cannot be cut: {error}", found.segment);
                self.ready.push_back(found);
            }
        }
    }

    /// Prepares all segments to hold back for changes, as far as there is room.
    pub(super) fn hold_back(&mut self) {
        if self.lacks_reserve() && self.current.as_ref().is_some_and(|one| !one.held_back) {
            self.discard_current();
        }
        while self.lacks_reserve() && self.stalled.is_none() {
            self.step();
        }
    }
}

/// Bytes of a segment for cleaning, where this many logs write: eight of each log have the room of
/// one segment, so that the ends that they do not fill are an eighth of it.
#[must_use]
pub fn piece(size: u32, logs: usize) -> u32 {
    let logs = u32::try_from(logs).unwrap_or(u32::MAX);
    let piece = size / logs.saturating_mul(8).max(1) / BLOCK as u32 * BLOCK as u32;
    piece.max(2 * RESERVE_LEAST).min(size)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use super::*;
    use crate::store::format::{Epoch, SegmentId};
    use crate::store::pool::preparing::Kind;
    use crate::store::pool::{PoolConfig, Spare};
    use crate::store::segments::Segments;

    const MIB: u64 = 1 << 20;

    fn worker(dir: &tempfile::TempDir) -> Worker {
        let config = PoolConfig {
            segments: Segments::open(dir.path()).unwrap(),
            size: 4 << 20,
            first: 4 << 20,
            least: 1 << 20,
            reserve: 1 << 20,
            reserves: 0,
            piece: 1 << 20,
            spare: Spare::new(dir.path(), 0),
            ahead: 2,
            first_id: SegmentId::first_of(Epoch(1)),
            ready: Vec::new(),
            stale: Vec::new(),
            purges: false,
            ingested: Arc::default(),
        };
        let mut worker = Worker::new(config, Arc::default());
        while worker.ready.len() < 2 {
            worker.step();
        }
        worker
    }

    fn lengths(of: &VecDeque<ReadySegment>) -> Vec<u64> {
        of.iter().map(|ready| ready.length / MIB).collect()
    }

    #[test]
    fn mail_does_not_get_what_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = worker(&dir);
        assert_eq!(worker.held, 4 * MIB);
        // More than the disk has.
        worker.held = 1 << 60;
        assert_eq!(worker.room_for_mail(), 0);
        for kind in [Kind::Usual, Kind::First] {
            assert!(worker.provide(kind).unwrap_err().is_full());
        }
        assert_eq!(lengths(&worker.ready), [4, 4]);
        assert_eq!(worker.provide(Kind::Piece).unwrap().size, 1 << 20);
        // Where the disk has room for another, the last one is not needed.
        worker.held = 4 * MIB;
        for left in [1, 0] {
            assert_eq!(worker.provide(Kind::Usual).unwrap().size, 4 << 20);
            assert_eq!(worker.ready.len(), left);
        }
    }

    #[test]
    fn a_segment_that_is_ready_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let worker = worker(&dir);
        let found = worker.ready[0];
        let cut = worker.cut(found, MIB).unwrap();
        assert_eq!(cut, ReadySegment { length: MIB, ..found });
        let opened = worker.open(cut).unwrap().unwrap();
        assert_eq!((opened.size, opened.file.length().unwrap()), (1 << 20, MIB));
        assert_eq!(worker.cut(cut, 2 * MIB).unwrap(), cut, "it does not grow");
    }

    #[test]
    fn room_is_made_only_on_a_full_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = worker(&dir);
        worker.make_room();
        assert_eq!(lengths(&worker.ready), [4, 4]);
        worker.held = 0;
        worker.config.piece = u32::MAX;
        worker.make_room();
        assert_eq!(lengths(&worker.ready), [4, 4], "nothing is held");
    }

    #[test]
    fn eight_pieces_of_each_log_are_a_segment() {
        assert_eq!(piece(1 << 30, 1), 128 << 20);
        assert_eq!(piece(1 << 30, 16), 8 << 20);
        assert_eq!(piece(1 << 30, 1024), 2 * RESERVE_LEAST);
        assert_eq!(piece(320 << 10, 2), 320 << 10);
        assert!(piece((1 << 30) - BLOCK as u32, 3).is_multiple_of(BLOCK as u32));
    }
}
