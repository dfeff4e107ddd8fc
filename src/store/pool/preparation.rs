//! One file on its way to become a segment.

use std::io;

use super::{OUT_OF_FILES, PoolConfig, is_out_of_files};
use crate::limits::BLOCK;
use crate::reactor::files::File;
use crate::store::format::SegmentId;
use crate::store::segments::Segments;

/// Zeros written at a time: long enough for full speed, short enough that a request waits for a
/// millisecond only.
const STEP: usize = 1 << 20;

/// A file on its way to become a segment.
pub(super) struct Preparation {
    pub segment: SegmentId,
    segments: Segments,
    file: File,
    pub size: u32,
    /// Octets from the start that have been written.
    pub done: u32,
    pub direct: bool,
    /// It will be held back for records.
    pub held_back: bool,
}

impl Preparation {
    fn allocate(&mut self) -> io::Result<()> {
        if self.file.allocate(u64::from(self.size))? {
            self.done = self.size;
        }
        Ok(())
    }

    /// Begins the file of a segment, and takes room on the disk for it.
    pub fn begin(segment: SegmentId, size: u32, config: &PoolConfig) -> io::Result<Preparation> {
        let segments = config.segments.clone();
        let (file, direct) =
            segments.create(segment).map_err(|error| explain(error, size, config))?;
        let mut begun =
            Preparation { segment, segments, file, size, done: 0, direct, held_back: false };
        match begun.allocate() {
            Ok(()) => Ok(begun),
            Err(error) => {
                begun.discard();
                Err(explain(error, size, config))
            }
        }
    }

    /// Writes some zeros; true when none are missing any more.
    pub fn step(&mut self, zeros: &Zeros) -> io::Result<bool> {
        let length = STEP.min((self.size - self.done) as usize);
        self.file.write_all_at(zeros.get(length), u64::from(self.done))?;
        self.done += length as u32;
        Ok(self.done == self.size)
    }

    /// Makes it a segment, durably. When that fails, its room is free again.
    pub fn finish(self) -> io::Result<File> {
        self.segments.publish(self.segment, &self.file, self.size)?;
        Ok(self.file)
    }

    /// What cannot be removed now is removed at the next start.
    pub fn discard(self) {
        self.segments.discard(self.segment);
    }
}

/// Zeros, aligned as O_DIRECT needs them.
pub(super) struct Zeros {
    octets: Vec<u8>,
    start: usize,
}

impl Zeros {
    pub fn new() -> Zeros {
        let octets = vec![0; STEP + BLOCK];
        let start = octets.as_ptr().align_offset(BLOCK);
        Zeros { octets, start }
    }

    fn get(&self, length: usize) -> &[u8] {
        &self.octets[self.start..self.start + length]
    }
}

/// The error with what was wanted, for the operator.
pub(super) fn explain(error: io::Error, size: u32, config: &PoolConfig) -> io::Error {
    let mut text = format!(
        "no segment of {} MiB in {}: {error}",
        size >> 20,
        config.segments.folder().display()
    );
    if error.kind() == io::ErrorKind::FileTooLarge {
        text.push_str("; it is over the limit on the size of files (RLIMIT_FSIZE)");
    }
    let kind = if is_out_of_files(&error) { OUT_OF_FILES } else { error.kind() };
    io::Error::new(kind, text)
}

pub(super) fn no_room() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}
