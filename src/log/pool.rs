//! Segments made ready ahead of need, by a thread of their own.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::oneshot;

use crate::types::SegmentId;

/// How a [`SegmentPool`] works.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The folder of the segments.
    pub dir: PathBuf,
    /// Octets of a segment, a multiple of [`BLOCK`](crate::limits::BLOCK).
    pub size: u32,
    /// Octets of a segment that someone waits for while the server starts.
    pub first: u32,
    /// How many segments to keep ready.
    pub ahead: usize,
    /// The first number that no segment ever had.
    pub first_id: SegmentId,
    /// Prepared by an earlier run and not used; with their lengths.
    pub ready: Vec<(SegmentId, u64)>,
    /// Octets ingested so far, by all reactors: while it ascends, preparing steps back.
    pub ingested: Arc<AtomicU64>,
}

/// A segment to write to. All zeros.
#[derive(Debug)]
pub struct Prepared {
    /// Its number.
    pub segment: SegmentId,
    /// The file, open for reading and writing.
    pub file: File,
    /// Its length in octets.
    pub size: u32,
    /// Whether every block has been written once. If not, each fdatasync pays the journal of the
    /// file system.
    pub written: bool,
    /// Whether the file is open with O_DIRECT.
    pub direct: bool,
}

/// Handle of the thread; it ends with the last one.
#[derive(Clone, Debug)]
pub struct SegmentPool {}

impl SegmentPool {
    /// Starts the thread. The folder must exist.
    ///
    /// # Errors
    /// When the folder cannot be opened or the thread not be started.
    pub fn start(_config: PoolConfig) -> io::Result<SegmentPool> {
        todo!()
    }

    /// A segment: one that is ready, or else one that is merely allocated. It comes at once.
    #[must_use]
    pub fn request(&self) -> oneshot::Receiver<io::Result<Prepared>> {
        todo!()
    }

    /// For the first segment of a reactor: one that is ready, or else one of
    /// [`PoolConfig::first`] octets written through while the caller waits.
    #[must_use]
    pub fn request_small(&self) -> oneshot::Receiver<io::Result<Prepared>> {
        todo!()
    }

    /// Deletes a segment in which nothing lives any more.
    pub fn delete(&self, _segment: SegmentId) {
        todo!()
    }

    /// How many segments were handed out merely allocated.
    #[must_use]
    pub fn unprepared(&self) -> u64 {
        todo!()
    }
}
