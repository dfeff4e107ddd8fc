//! One file on its way to become a segment.

use std::io;
use std::path::PathBuf;

use super::{OUT_OF_FILES, PoolConfig, is_out_of_files};
use crate::limits::BLOCK;
use crate::reactor::Access;
use crate::reactor::files::{self, File};
use crate::store::SegmentId;
use crate::store::directory::segment_path;

/// Zeros written at a time: long enough for full speed, short enough that a request waits for a
/// millisecond only.
const STEP: usize = 1 << 20;

/// A file on its way to become a segment.
pub(super) struct Preparation {
    pub segment: SegmentId,
    path: PathBuf,
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
        let path = config.dir.join(format!("{:020}.preparing", segment.0));
        let (file, direct) = files::open_direct(&path, Access::Create)
            .map_err(|error| explain(error, size, config))?;
        let mut begun =
            Preparation { segment, path, file, size, done: 0, direct, held_back: false };
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
    pub fn finish(self, config: &PoolConfig) -> io::Result<File> {
        let path = segment_path(&config.dir, self.segment);
        let made = self.file.sync_all().and_then(|()| files::rename(&self.path, &path));
        if let Err(error) = made {
            self.discard();
            return Err(error);
        }
        if let Err(error) = files::sync_folder(&config.dir) {
            let _ = files::remove(&path);
            return Err(error);
        }
        Ok(self.file)
    }

    /// What cannot be removed now is removed at the next start.
    pub fn discard(self) {
        let _ = files::remove(&self.path);
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
    let mut text = format!("no segment of {} MiB in {}: {error}", size >> 20, config.dir.display());
    if error.kind() == io::ErrorKind::FileTooLarge {
        text.push_str("; it is over the limit on the size of files (RLIMIT_FSIZE)");
    }
    let kind = if is_out_of_files(&error) { OUT_OF_FILES } else { error.kind() };
    io::Error::new(kind, text)
}

pub(super) fn no_room() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}
