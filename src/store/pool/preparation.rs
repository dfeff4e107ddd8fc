//! One file on its way to become a segment.

use std::io;

use super::NoSegment;
use crate::limits::BLOCK;
use crate::reactor::files::File;
use crate::store::format::{ReadyHeader, SegmentId};
use crate::store::segments::Segments;

/// Bytes of zeros written at a time: enough for full speed, and few enough that a request waits no
/// more than a millisecond.
const STEP: usize = 1 << 20;

/// A file on its way to become a segment.
pub(super) struct Preparation {
    pub segment: SegmentId,
    segments: Segments,
    file: File,
    pub size: u32,
    /// Bytes from the start that have been written.
    pub done: u32,
    pub direct: bool,
    /// It will be held back for changes.
    pub held_back: bool,
}

impl Preparation {
    fn allocate(&mut self) -> io::Result<()> {
        if self.file.allocate(u64::from(self.size))? {
            self.done = self.size;
        }
        Ok(())
    }

    /// Creates the file, and allocates room on the disk for it.
    pub(super) fn begin(
        segment: SegmentId,
        size: u32,
        segments: Segments,
    ) -> Result<Preparation, NoSegment> {
        let failed = |error| NoSegment::new(error, size, &segments);
        let (file, direct) = segments.create(segment).map_err(failed)?;
        let mut begun =
            Preparation { segment, segments, file, size, done: 0, direct, held_back: false };
        match begun.allocate() {
            Ok(()) => Ok(begun),
            Err(error) => Err(begun.fail(error)),
        }
    }

    /// Whether every block has been written.
    pub(super) fn is_written(&self) -> bool {
        self.done == self.size
    }

    /// Writes the next zeros. If that fails, the room of the file is free again.
    pub(super) fn step(mut self, zeros: &Zeros) -> Result<Preparation, NoSegment> {
        let length = STEP.min((self.size - self.done) as usize);
        match self.file.write_all_at(zeros.get(length), u64::from(self.done)) {
            Ok(()) => {
                self.done += length as u32;
                Ok(self)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Makes it a segment that is ready, durably. If that fails, the room of the file is free
    /// again.
    pub(super) fn finish(self) -> Result<File, NoSegment> {
        let header = Zeros::with(ReadyHeader { reused: false });
        if let Err(error) = self.file.write_all_at(header.get(BLOCK), 0) {
            return Err(self.fail(error));
        }
        match self.segments.publish(self.segment, &self.file, self.size) {
            Ok(()) => Ok(self.file),
            Err(error) => Err(NoSegment::new(error, self.size, &self.segments)),
        }
    }

    fn fail(self, error: io::Error) -> NoSegment {
        let failed = NoSegment::new(error, self.size, &self.segments);
        self.discard();
        failed
    }

    /// Gives the file up. If it cannot be removed now, the next start removes it.
    pub(super) fn discard(self) {
        self.segments.discard(self.segment);
    }
}

/// Zeros, aligned as O_DIRECT needs them.
pub(super) struct Zeros {
    octets: Vec<u8>,
    start: usize,
}

impl Zeros {
    pub(super) fn new() -> Zeros {
        Zeros::of(STEP)
    }

    fn of(length: usize) -> Zeros {
        let octets = vec![0; length + BLOCK];
        let start = octets.as_ptr().align_offset(BLOCK);
        Zeros { octets, start }
    }

    /// The first block of a segment that is ready.
    pub(super) fn with(header: ReadyHeader) -> Zeros {
        let mut block = Zeros::of(BLOCK);
        header.encode(&mut block.octets[block.start..]);
        block
    }

    pub(super) fn get(&self, length: usize) -> &[u8] {
        &self.octets[self.start..self.start + length]
    }
}
