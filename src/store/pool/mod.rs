//! Segments made ready ahead of need, by a thread of their own.
//!
//! A file that is merely allocated makes every fdatasync wait for the file system's journal, six
//! times longer on ext4 than a file whose blocks have all been written once. So segments are
//! filled with zeros before they are used. When ingestion outruns that, a merely allocated one
//! has to do.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

mod preparation;
mod preparing;
mod spare;

pub use spare::Spare;

use crate::limits::BLOCK;
use crate::reactor::files::File;
use crate::reactor::{Thread, start_thread};
use crate::store::format::SegmentId;
use crate::store::segments::{Segments, usable};
use preparing::{Kind, Request, Worker};

/// How a [`SegmentPool`] works.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The folder of the segments.
    pub segments: Segments,
    /// Octets of a segment, a multiple of [`BLOCK`].
    pub size: u32,
    /// Octets of a segment that someone waits for while the server starts; likewise.
    pub first: u32,
    /// Octets of the smallest segment for mail, made when the disk has no room for more; likewise.
    pub least: u32,
    /// Octets of a segment that is held back for records; likewise.
    pub reserve: u32,
    /// How many of these to hold.
    pub reserves: usize,
    /// Room that is held for the catalog.
    pub spare: Spare,
    /// How many segments to keep ready.
    pub ahead: usize,
    /// The first number that no segment ever had.
    pub first_id: SegmentId,
    /// Prepared by an earlier run and not used; with their lengths.
    pub ready: Vec<(SegmentId, u64)>,
    /// Octets ingested so far, by all reactors: while it ascends, preparing steps back.
    pub ingested: Arc<AtomicU64>,
}

/// What a frame is for, and so the segment that is asked for to write it. On a full disk there is
/// room for those that are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// It adds mail, copies, mailboxes or names.
    Adds,
    /// It changes or moves what is there.
    Changes,
    /// It expunges mail or deletes a mailbox: the last to be refused.
    Removes,
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
#[derive(Clone)]
pub struct SegmentPool {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` only while the pool is being dropped.
    requests: Option<UnboundedSender<Request>>,
    thread: Mutex<Option<Thread<()>>>,
    counts: Arc<PoolCounts>,
    segments: Segments,
}

/// For the operator; outlives the pool.
#[derive(Debug, Default)]
pub struct PoolCounts {
    /// Segments that are ready to be used.
    pub ready: AtomicU64,
    /// Segments that were handed out merely allocated.
    pub unprepared: AtomicU64,
    /// Segments that are held back for records.
    pub reserve: AtomicU64,
    /// Octets that a segment for mail can have at most: one that is ready, or one that the disk has
    /// room for. 0 when there is no room for mail.
    pub room: AtomicU64,
    /// Why files of the log are not where they should be any more.
    pub lost: OnceLock<String>,
}

impl SegmentPool {
    /// Starts the thread. The folder must exist.
    ///
    /// # Errors
    /// When a size is no multiple of [`BLOCK`] or leaves no room for a frame, or the thread cannot
    /// be started.
    pub fn start(config: PoolConfig) -> io::Result<SegmentPool> {
        for size in [config.size, config.first, config.least, config.reserve] {
            if !usable(u64::from(size)) {
                let text = format!("a segment of {size} octets: it takes a multiple of {BLOCK}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
        let (requests, queue) = unbounded_channel();
        let counts = Arc::new(PoolCounts::default());
        let segments = config.segments.clone();
        let worker = Worker::new(config, Arc::clone(&counts));
        let thread = start_thread("segments".into(), move || worker.run(queue))?;
        let thread = Mutex::new(Some(thread));
        let inner = Inner { requests: Some(requests), thread, counts, segments };
        Ok(SegmentPool { inner: Arc::new(inner) })
    }

    /// The folder that the segments lie in.
    #[must_use]
    pub(super) fn segments(&self) -> &Segments {
        &self.inner.segments
    }

    /// A segment: one that is ready, or else one that is merely allocated, as large as the disk has
    /// room for. It comes at once.
    #[must_use]
    pub fn request(&self) -> oneshot::Receiver<io::Result<Prepared>> {
        self.ask(Kind::Usual)
    }

    /// A segment that was held back, for frames of this purpose. The last quarter of them is for
    /// those that remove something.
    #[must_use]
    pub fn request_reserve(&self, purpose: Purpose) -> oneshot::Receiver<io::Result<Prepared>> {
        self.ask(Kind::Reserve { last: purpose == Purpose::Removes })
    }

    /// For the first segment of a reactor: one that is ready, or else one of
    /// [`PoolConfig::first`] octets, written through while the caller waits.
    #[must_use]
    pub fn request_small(&self) -> oneshot::Receiver<io::Result<Prepared>> {
        self.ask(Kind::First)
    }

    /// Gives up the room that is held for the catalog.
    pub fn release_spare(&self) {
        self.send(Request::ReleaseSpare);
    }

    /// Deletes a segment in which nothing lives any more. What goes wrong is logged; the file is
    /// then there again after the next start.
    pub fn delete(&self, segment: SegmentId) {
        self.send(Request::Delete(segment));
    }

    /// How many segments were handed out merely allocated.
    #[must_use]
    pub fn unprepared(&self) -> u64 {
        self.inner.counts.unprepared.load(Ordering::Relaxed)
    }

    /// Its counters, to be looked at from any thread.
    #[must_use]
    pub fn counts(&self) -> Arc<PoolCounts> {
        self.inner.counts.clone()
    }

    /// Completes when as many segments are ready as shall be, or no more can be had.
    #[must_use]
    pub fn settled(&self) -> oneshot::Receiver<()> {
        let (settled, receiver) = oneshot::channel();
        self.send(Request::Settled(settled));
        receiver
    }

    fn ask(&self, kind: Kind) -> oneshot::Receiver<io::Result<Prepared>> {
        let (reply, receiver) = oneshot::channel();
        self.send(Request::Segment { kind, reply });
        receiver
    }

    fn send(&self, request: Request) {
        let requests = self.inner.requests.as_ref().expect("the sender goes last");
        // Without the thread the reply is dropped, which its receiver sees.
        let _ = requests.send(request);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // It panics only by a bug, which has said so itself.
            let _ = thread.join();
        }
    }
}

/// Whether somebody can make room, and all is well again.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    // The last one for a limit on the size of files.
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Kind of an error that has words for the operator instead of the system's number.
pub(super) const OUT_OF_FILES: io::ErrorKind = io::ErrorKind::ResourceBusy;

/// Whether there is no descriptor left, of this process or of the system.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Whether the system has not enough of something just now: room, descriptors, memory. What else
/// goes wrong with a new segment is a disk that fails.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    let passing = matches!(error.kind(), OUT_OF_FILES | io::ErrorKind::OutOfMemory);
    is_full(error) || is_out_of_files(error) || passing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &tempfile::TempDir) -> PoolConfig {
        PoolConfig {
            segments: Segments::open(dir.path()).unwrap(),
            size: 3 << 20,
            first: 1 << 20,
            least: 1 << 19,
            reserve: 1 << 19,
            reserves: 1,
            spare: Spare::new(dir.path(), 0),
            ahead: 1,
            first_id: SegmentId(5),
            ready: Vec::new(),
            ingested: Arc::default(),
        }
    }

    #[test]
    fn requests_are_answered_and_no_number_comes_twice() {
        let dir = tempfile::tempdir().unwrap();
        let pool = SegmentPool::start(config(&dir)).unwrap();
        let mut seen = Vec::new();
        let small = pool.request_small().blocking_recv().unwrap().unwrap();
        assert!(small.written);
        for _ in 0..5 {
            let prepared = pool.clone().request().blocking_recv().unwrap().unwrap();
            assert_eq!(prepared.file.length().unwrap(), u64::from(prepared.size));
            assert!(prepared.segment >= SegmentId(5) && !seen.contains(&prepared.segment));
            seen.push(prepared.segment);
        }
        pool.delete(seen[0]);
        drop(pool);
        assert!(!dir.path().join(seen[0].file_name()).exists());
        assert!(dir.path().join(seen[1].file_name()).exists());
    }

    #[test]
    fn a_shortage_is_told_from_a_disk_that_fails() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir);
        for (code, short) in [
            (libc::ENOSPC, true),
            (libc::EDQUOT, true),
            (libc::EMFILE, true),
            (libc::ENFILE, true),
            (libc::ENOMEM, true),
            (libc::EIO, false),
            (libc::EROFS, false),
            (libc::ENOENT, false),
        ] {
            let error = || io::Error::from_raw_os_error(code);
            assert_eq!(is_shortage(&error()), short, "{code}");
            let explained = super::preparation::explain(error(), 4 << 20, &config);
            assert_eq!(is_shortage(&explained), short, "{explained}");
        }
    }

    #[test]
    fn sizes_that_no_segment_can_have_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(SegmentPool::start(PoolConfig { size: 4096, ..config(&dir) }).is_err());
        assert!(SegmentPool::start(PoolConfig { first: 10_000, ..config(&dir) }).is_err());
    }
}
