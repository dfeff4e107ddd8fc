//! The order and places of the frames of one reactor. No I/O.
//!
//! Frames get a place and an LSN before they are written, and writes complete in any order. A sync
//! covers all frames before the first one still being written. So *durable* is a single number:
//! everything up to that LSN is durable, and nothing is known about later frames.

use std::collections::VecDeque;

use crate::limits::{BLOCK, FRAME};
use crate::store::format::{Epoch, LogId, Lsn, Place, SegmentHeader, SegmentId};

/// The frames that a sync makes durable, and the files to sync.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the files have to be synced"]
pub struct SyncPlan {
    /// All frames up to this one.
    pub through: Lsn,
    /// The segments to fdatasync, older ones before newer ones.
    pub segments: Vec<SegmentId>,
}

/// Assigns places to frames: see the [module](self).
#[derive(Debug)]
pub struct Sequencer {
    epoch: Epoch,
    log: LogId,
    logs: u16,
    salt: u64,
    /// Segments with frames that are not durable. The last one is being written.
    segments: VecDeque<Open>,
    next: Lsn,
    /// All frames up to this one have been written.
    completed: Lsn,
    /// For each frame from `completed + 1` on, whether it was written.
    writes: VecDeque<bool>,
    durable: Lsn,
    syncing: bool,
    poisoned: bool,
}

#[derive(Debug)]
struct Open {
    segment: SegmentId,
    size: u32,
    /// Offset of the next frame.
    offset: u32,
    first_lsn: Lsn,
    header_written: bool,
    header_durable: bool,
}

impl Sequencer {
    /// A log of a new epoch without a segment: number `log` of `logs`. `salt` must be random and
    /// unknown to clients: see [`SegmentHeader::salt`].
    #[must_use]
    pub fn new(epoch: Epoch, log: LogId, logs: u16, salt: u64) -> Sequencer {
        assert!(log.0 < logs, "log {log} of {logs}");
        Sequencer {
            epoch,
            log,
            logs,
            salt,
            segments: VecDeque::new(),
            next: Lsn(1),
            completed: Lsn(0),
            writes: VecDeque::new(),
            durable: Lsn(0),
            syncing: false,
            poisoned: false,
        }
    }

    /// Continues in `segment`, a file of `size` bytes. The caller writes the header at offset 0 and
    /// then calls [`header_written`](Self::header_written); frames may be written at the same time.
    /// `created` is in seconds since 1970 UTC.
    ///
    /// # Panics
    /// When poisoned, or when `size` is not a multiple of [`BLOCK`] or has no room for a frame.
    pub fn open_segment(&mut self, segment: SegmentId, size: u32, created: u64) -> SegmentHeader {
        assert!(!self.poisoned, "log {} is poisoned", self.log);
        assert!((size as usize).is_multiple_of(BLOCK) && size as usize >= 2 * BLOCK, "{size}");
        let previous = self.segments.back().map(|open| (open.segment, open.offset));
        self.segments.push_back(Open {
            segment,
            size,
            offset: BLOCK as u32,
            first_lsn: self.next,
            header_written: false,
            header_durable: false,
        });
        SegmentHeader {
            segment,
            epoch: self.epoch,
            log: self.log,
            logs: self.logs,
            salt: self.salt,
            first_lsn: self.next,
            watermark: self.durable,
            previous,
            size,
            created,
            reused: false,
        }
    }

    /// Notes that the header of `segment` was written.
    ///
    /// # Panics
    /// When that segment is not open, or its header was written before.
    pub fn header_written(&mut self, segment: SegmentId) {
        let mut open = self.segments.iter_mut().filter(|open| open.segment == segment);
        let open = open.next().expect("only an open segment's header is written");
        assert!(!open.header_written, "the header of segment {segment} was written before");
        open.header_written = true;
    }

    /// Whether a frame of `length` bytes fits into the rest of the segment.
    #[must_use]
    pub fn fits(&self, length: u32) -> bool {
        self.segments.back().is_some_and(|open| open.size - open.offset >= length)
    }

    /// The segment and offset of the next frame that fits; `None` without a segment.
    #[must_use]
    pub fn end(&self) -> Option<(SegmentId, u32)> {
        self.segments.back().map(|open| (open.segment, open.offset))
    }

    /// Bytes left in the segment; 0 without a segment.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.segments.back().map_or(0, |open| open.size - open.offset)
    }

    /// Whether less than a quarter of the segment is left.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        self.segments.back().is_some_and(|open| open.size - open.offset < open.size / 4)
    }

    /// The segments of which something may still be written or synced, each with the offset at
    /// which its last frame ends.
    pub fn ends(&self) -> impl Iterator<Item = (SegmentId, u32)> + '_ {
        self.segments.iter().map(|open| (open.segment, open.offset))
    }

    /// Whether something in `segment` may still be written or synced.
    #[must_use]
    pub fn is_open(&self, segment: SegmentId) -> bool {
        self.segments.iter().any(|open| open.segment == segment)
    }

    /// Reserves the next place in the log for a frame of `length` bytes. `None` if it does not fit
    /// in the rest of the segment, or there is no segment: open the next one.
    ///
    /// # Panics
    /// When poisoned, or when `length` is not a multiple of [`BLOCK`] from one block to [`FRAME`].
    pub fn reserve(&mut self, length: u32) -> Option<Place> {
        assert!(!self.poisoned, "log {} is poisoned", self.log);
        let fits =
            (length as usize).is_multiple_of(BLOCK) && (BLOCK..=FRAME).contains(&(length as usize));
        assert!(fits, "a frame of {length} octets");
        let open = self.segments.back_mut()?;
        if open.size - open.offset < length {
            return None;
        }
        let place = Place {
            segment: open.segment,
            offset: open.offset,
            length,
            lsn: self.next,
            watermark: self.durable,
            epoch: self.epoch,
            log: self.log,
            salt: self.salt,
        };
        open.offset += length;
        self.next = self.next.next();
        self.writes.push_back(false);
        Some(place)
    }

    /// Notes that frame `lsn` was written. Frames may be written in any order.
    ///
    /// # Panics
    /// When it was not reserved, or was written before.
    pub fn written(&mut self, lsn: Lsn) {
        assert!(self.completed < lsn && lsn < self.next, "LSN {lsn} is not being written");
        let write = &mut self.writes[(lsn.0 - self.completed.0 - 1) as usize];
        assert!(!*write, "LSN {lsn} was written before");
        *write = true;
        while self.writes.front() == Some(&true) {
            self.writes.pop_front();
            self.completed = self.completed.next();
        }
    }

    /// Plans a sync of all completed writes. `None` if there are none since the last sync, or the
    /// log is poisoned.
    ///
    /// # Panics
    /// When a sync is in flight: only one may be.
    pub fn begin_sync(&mut self) -> Option<SyncPlan> {
        assert!(!self.syncing, "one sync at a time");
        let through = self.syncable();
        if self.poisoned || through == self.durable {
            return None;
        }
        let mut segments = Vec::new();
        for (at, open) in self.segments.iter().enumerate() {
            // The header counts too, even without a frame in this segment: it is a link of the
            // chain to the next segment.
            let end = self.segments.get(at + 1).map_or(self.next, |later| later.first_lsn);
            let unsynced = end > self.durable.next() || !open.header_durable;
            if open.first_lsn <= through && unsynced {
                segments.push(open.segment);
            }
        }
        self.syncing = true;
        Some(SyncPlan { through, segments })
    }

    /// Notes that all files of the plan were synced.
    ///
    /// # Panics
    /// When no sync is in flight.
    pub fn synced(&mut self, plan: &SyncPlan) {
        assert!(self.syncing && plan.through <= self.completed, "no such sync in flight");
        self.syncing = false;
        if self.poisoned {
            return;
        }
        self.durable = plan.through;
        for open in self.segments.iter_mut().filter(|open| plan.segments.contains(&open.segment)) {
            open.header_durable = true;
        }
        self.pass();
    }

    /// Notes that the header of `segment`, which was written, is durable without a frame behind it.
    /// So the log leaves earlier segments now, if everything in them is durable, and not only with
    /// the next frame.
    pub fn header_synced(&mut self, segment: SegmentId) {
        if self.poisoned {
            return;
        }
        for open in self.segments.iter_mut().filter(|open| open.segment == segment) {
            assert!(open.header_written, "the header of segment {segment} was not written");
            open.header_durable = true;
        }
        self.pass();
    }

    /// Lets go of segments in which everything is durable and that a later one continues.
    fn pass(&mut self) {
        while let (Some(open), Some(later)) = (self.segments.front(), self.segments.get(1))
            && open.header_durable
            && later.first_lsn <= self.durable.next()
        {
            self.segments.pop_front();
        }
    }

    /// The last durable LSN.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// The last reserved LSN; 0 before the first.
    #[must_use]
    pub fn last_reserved(&self) -> Lsn {
        Lsn(self.next.0 - 1)
    }

    /// Whether a sync started now would make something durable.
    #[must_use]
    pub fn wants_sync(&self) -> bool {
        !self.poisoned && self.syncable() > self.durable
    }

    /// Notes that a write or a sync failed: nothing becomes durable any more. The kernel may have
    /// dropped the octets, so a second sync would prove nothing.
    pub fn poison(&mut self) {
        self.poisoned = true;
    }

    /// The LSN up to which all writes are complete, including segment headers.
    #[must_use]
    pub fn syncable(&self) -> Lsn {
        let missing = self.segments.iter().find(|open| !open.header_written);
        missing.map_or(self.completed, |open| self.completed.min(Lsn(open.first_lsn.0 - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u32 = BLOCK as u32;

    fn sequencer() -> Sequencer {
        Sequencer::new(Epoch(2), LogId(0), 1, 9)
    }

    /// A sequencer with a segment of this many blocks, whose header is written.
    fn opened(blocks: u32) -> Sequencer {
        let mut sequencer = sequencer();
        sequencer.open_segment(SegmentId(1), (blocks + 1) * ONE, 0);
        sequencer.header_written(SegmentId(1));
        sequencer
    }

    fn sync(sequencer: &mut Sequencer) -> Vec<SegmentId> {
        let plan = sequencer.begin_sync().unwrap();
        sequencer.synced(&plan);
        plan.segments
    }

    #[test]
    fn durable_ends_before_the_first_write_in_flight() {
        let mut sequencer = opened(8);
        let lsns: Vec<Lsn> = (0..3).map(|_| sequencer.reserve(ONE).unwrap().lsn).collect();
        assert_eq!(lsns, [Lsn(1), Lsn(2), Lsn(3)]);
        sequencer.written(Lsn(3));
        sequencer.written(Lsn(1));
        assert_eq!(sequencer.begin_sync().unwrap().through, Lsn(1));
        // A sync does not cover writes that complete while it is in flight.
        sequencer.written(Lsn(2));
        let plan = SyncPlan { through: Lsn(1), segments: vec![SegmentId(1)] };
        sequencer.synced(&plan);
        assert_eq!(sequencer.durable(), Lsn(1));
        assert_eq!(sequencer.reserve(ONE).unwrap().watermark, Lsn(1));
        assert_eq!(sequencer.begin_sync().unwrap().through, Lsn(3));
    }

    #[test]
    fn nothing_to_sync_is_no_plan() {
        let mut sequencer = opened(8);
        assert_eq!(sequencer.begin_sync(), None);
        sequencer.reserve(ONE).unwrap();
        assert!(!sequencer.wants_sync());
        sequencer.written(Lsn(1));
        assert!(sequencer.wants_sync());
        assert_eq!(sync(&mut sequencer), [SegmentId(1)]);
        assert_eq!(sequencer.begin_sync(), None);
    }

    #[test]
    fn older_segments_are_synced_before_newer_ones() {
        let mut sequencer = opened(2);
        sequencer.reserve(ONE).unwrap();
        assert_eq!(sequencer.reserve(2 * ONE), None);
        let header = sequencer.open_segment(SegmentId(7), 9 * ONE, 5);
        assert_eq!(header.previous, Some((SegmentId(1), 2 * ONE)));
        assert_eq!((header.first_lsn, header.watermark), (Lsn(2), Lsn(0)));
        let place = sequencer.reserve(2 * ONE).unwrap();
        assert_eq!((place.segment, place.offset, place.lsn), (SegmentId(7), ONE, Lsn(2)));
        sequencer.written(Lsn(2));
        assert_eq!(sequencer.begin_sync(), None);
        sequencer.written(Lsn(1));
        // Frames in segment 7 do not count before its header is written.
        let plan = sequencer.begin_sync().unwrap();
        assert_eq!((plan.through, &plan.segments[..]), (Lsn(1), &[SegmentId(1)][..]));
        sequencer.synced(&plan);
        sequencer.header_written(SegmentId(7));
        assert_eq!(sync(&mut sequencer), [SegmentId(7)]);
        assert_eq!(sequencer.durable(), Lsn(2));
    }

    #[test]
    fn a_segment_without_frames_is_synced_too_since_the_chain_leads_through_it() {
        let mut sequencer = opened(1);
        sequencer.reserve(ONE).unwrap();
        sequencer.written(Lsn(1));
        sequencer.open_segment(SegmentId(2), 2 * ONE, 0);
        sequencer.header_written(SegmentId(2));
        assert_eq!(sync(&mut sequencer), [SegmentId(1)]);
        assert_eq!(sequencer.reserve(2 * ONE), None);
        let header = sequencer.open_segment(SegmentId(3), 8 * ONE, 0);
        assert_eq!(header.previous, Some((SegmentId(2), ONE)));
        sequencer.header_written(SegmentId(3));
        sequencer.reserve(2 * ONE).unwrap();
        sequencer.written(Lsn(2));
        assert_eq!(sync(&mut sequencer), [SegmentId(2), SegmentId(3)]);
    }

    #[test]
    fn a_segment_is_left_without_a_later_frame_once_the_next_header_is_durable() {
        let mut sequencer = opened(8);
        sequencer.reserve(ONE).unwrap();
        sequencer.written(Lsn(1));
        sequencer.open_segment(SegmentId(2), 2 * ONE, 0);
        sequencer.header_written(SegmentId(2));
        sequencer.header_synced(SegmentId(2));
        assert!(sequencer.is_open(SegmentId(1)), "its frame is not durable");
        assert_eq!(sync(&mut sequencer), [SegmentId(1)]);
        assert!(!sequencer.is_open(SegmentId(1)) && sequencer.is_open(SegmentId(2)));
    }

    #[test]
    fn a_poisoned_log_makes_nothing_durable() {
        let mut sequencer = opened(8);
        sequencer.reserve(ONE).unwrap();
        sequencer.reserve(ONE).unwrap();
        sequencer.written(Lsn(1));
        let plan = sequencer.begin_sync().unwrap();
        sequencer.poison();
        sequencer.synced(&plan);
        sequencer.written(Lsn(2));
        assert_eq!(sequencer.begin_sync(), None);
        assert_eq!(sequencer.durable(), Lsn(0));
    }

    #[test]
    #[should_panic(expected = "one sync at a time")]
    fn there_is_one_sync_at_a_time() {
        let mut sequencer = opened(8);
        sequencer.reserve(ONE).unwrap();
        sequencer.written(Lsn(1));
        let _first = sequencer.begin_sync();
        let _second = sequencer.begin_sync();
    }
}
