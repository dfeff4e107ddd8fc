//! Segments prepared ahead of need, by a thread of the pool's own.
//!
//! In a file that is only allocated, every fdatasync waits for the file system's journal: on ext4
//! six times as long as in a file whose blocks have all been written once. So segments are filled
//! with zeros before they are used. When ingestion is faster than that, an allocated one is used
//! as it is.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

mod error;
mod holding;
mod preparation;
mod preparing;
mod spare;

pub use error::NoSegment;
pub use holding::piece;
pub use spare::Spare;

use crate::limits::BLOCK;
use crate::reactor::files::File;
use crate::reactor::{Thread, start_thread};
use crate::store::format::SegmentId;
use crate::store::segments::{ReadySegment, Segments, usable};
use preparing::{Kind, Request, Worker};

/// How a [`SegmentPool`] works.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The folder of the segments.
    pub segments: Segments,
    /// Length of a segment in bytes. This and the other lengths are multiples of [`BLOCK`].
    pub size: u32,
    /// Length of a segment that a reactor waits for while the server starts.
    pub first: u32,
    /// Length of the smallest segment for mail, made when the disk has no room for a larger one.
    pub least: u32,
    /// Length of a segment that is held back for changes, for when the disk is full.
    pub reserve: u32,
    /// How many segments to hold back.
    pub reserves: usize,
    /// Length of a segment that cleaning writes to on a full disk. Their room is held back: that of
    /// one segment for mail, unless it is more than the disk can do without.
    pub piece: u32,
    /// Room on the disk that is held for the catalog.
    pub spare: Spare,
    /// How many segments to keep ready.
    pub ahead: usize,
    /// The first number of this epoch.
    pub first_id: SegmentId,
    /// Segments that an earlier epoch prepared and did not use. They get numbers of this one.
    pub ready: Vec<ReadySegment>,
    /// Whether files with octets of earlier mail are deleted, and not used again.
    pub purges: bool,
    /// Segments of earlier epochs without a frame, in the order in which to remove them. That is
    /// done once a header of this epoch is durable.
    pub stale: Vec<SegmentId>,
    /// Bytes that all reactors have written. While it grows fast, preparation slows down.
    pub ingested: Arc<AtomicU64>,
}

/// What a frame is for, and so the segment that is asked for to write it. On a full disk there is
/// room for those that are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// It adds mail, copies, mailboxes or names.
    Adds,
    /// It has living mail of a segment whose space comes back because of that.
    Cleans,
    /// It changes or moves what is there.
    Changes,
    /// It expunges mail or deletes a mailbox: the last to be refused.
    Removes,
}

/// A segment to write to.
#[derive(Debug)]
pub struct Prepared {
    /// Its number.
    pub segment: SegmentId,
    /// The file, open for reading and writing.
    pub file: File,
    /// Its length in bytes.
    pub size: u32,
    /// Whether every block has been written once. If not, each fdatasync waits for the journal of
    /// the file system.
    pub written: bool,
    /// Whether the file is open with O_DIRECT.
    pub direct: bool,
    /// Whether something other than zeros may stand behind its header.
    pub reused: bool,
}

/// A handle to the thread, which ends when the last handle is dropped.
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

/// Counters for the operator. They outlive the pool.
#[derive(Debug, Default)]
pub struct PoolCounts {
    /// Segments that are ready.
    pub ready: AtomicU64,
    /// Segments that were handed out allocated and not written.
    pub unprepared: AtomicU64,
    /// Segments that are held back for changes.
    pub reserve: AtomicU64,
    /// Bytes that cleaning may write.
    pub cleaning: AtomicU64,
    /// Bytes of the largest segment for mail: one that is ready, or one that the disk has room for.
    /// 0 when there is no room for mail.
    pub room: AtomicU64,
    /// Why files of the log are no longer where they should be.
    pub lost: OnceLock<String>,
}

impl PoolConfig {
    /// Gives the segments that are ready numbers of this epoch, durably, before one of them is
    /// used: a start may leave out files by the epoch in their names.
    fn renumber(&mut self) -> io::Result<()> {
        let PoolConfig { segments, first_id: next, purges, .. } = self;
        let mut moved = false;
        let mut renumber = |ready: &mut ReadySegment| -> io::Result<bool> {
            if ready.segment.epoch() == next.epoch() {
                return Ok(true);
            }
            match segments.renumber(ready.segment, *next) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                // Perhaps the disk is full. Then a segment that is ready is no loss.
                Err(error) => {
                    let path = segments.path(ready.segment);
                    segments.remove(ready.segment).map_err(|_| {
                        let text = format!("cannot rename {}: {error}", path.display());
                        io::Error::new(error.kind(), text)
                    })?;
                    return Ok(false);
                }
            }
            (ready.segment, *next, moved) = (*next, next.next(), true);
            Ok(true)
        };
        let mut kept = Vec::with_capacity(self.ready.len());
        for mut ready in std::mem::take(&mut self.ready) {
            if *purges && ready.reused {
                match segments.remove(ready.segment) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => continue,
                }
            }
            if renumber(&mut ready)? {
                kept.push(ready);
            }
        }
        self.ready = kept;
        match moved {
            true => self.segments.sync_names(),
            false => Ok(()),
        }
    }
}

impl SegmentPool {
    /// Starts the thread. The folder must exist.
    ///
    /// # Errors
    /// When a length is not a multiple of [`BLOCK`] or has no room for a frame, or the thread
    /// cannot be started; those of the disk.
    pub fn start(mut config: PoolConfig) -> io::Result<SegmentPool> {
        let PoolConfig { size, first, least, reserve, piece, .. } = config;
        for size in [size, first, least, reserve, piece] {
            if !usable(u64::from(size)) {
                let text = format!("a segment of {size} octets: it takes a multiple of {BLOCK}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
        config.renumber()?;
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

    /// Asks for a segment: one that is ready, or else one that is only allocated, as large as the
    /// disk has room for. It comes at once.
    #[must_use]
    pub fn request(&self) -> oneshot::Receiver<Result<Prepared, NoSegment>> {
        self.ask(Kind::Usual)
    }

    /// Asks for a segment that was held back, for frames of this purpose. Those for cleaning and
    /// those for changes are different ones; of the latter, the last quarter is for frames that
    /// remove something.
    #[must_use]
    pub fn request_reserve(
        &self,
        purpose: Purpose,
    ) -> oneshot::Receiver<Result<Prepared, NoSegment>> {
        self.ask(match purpose {
            Purpose::Adds => Kind::Usual,
            Purpose::Cleans => Kind::Piece,
            Purpose::Changes | Purpose::Removes => {
                Kind::Reserve { last: purpose == Purpose::Removes }
            }
        })
    }

    /// Asks for the first segment of a reactor: one that is ready, or else one of
    /// [`PoolConfig::first`] bytes, filled with zeros while the caller waits.
    #[must_use]
    pub fn request_small(&self) -> oneshot::Receiver<Result<Prepared, NoSegment>> {
        self.ask(Kind::First)
    }

    /// Gives up the room that is held for the catalog, or else some of that for cleaning.
    pub fn release_spare(&self) {
        self.send(Request::ReleaseSpare);
    }

    /// Gives up some of the room that is held for cleaning, for a file that makes more room in the
    /// end. The receiver is told when that is done.
    #[must_use]
    pub fn make_room(&self) -> oneshot::Receiver<()> {
        let (done, receiver) = oneshot::channel();
        self.send(Request::MakeRoom(done));
        receiver
    }

    /// Deletes a segment in which nothing lives. A failure is logged; the segment is there again
    /// after the next start.
    pub fn delete(&self, segment: SegmentId) {
        self.send(Request::Delete(segment));
    }

    /// Tells that the header of a segment of this epoch is durable. From now on nothing depends on
    /// [`PoolConfig::stale`].
    pub fn has_begun(&self) {
        self.send(Request::HasBegun);
    }

    /// Cuts a segment that its log has left to where its last frame ends. Not durable: where it is
    /// lost, or fails, the next start does it. It would take longer to cut all segments then.
    pub(super) fn shorten(&self, segment: SegmentId, end: u32) {
        self.send(Request::Shorten(segment, end));
    }

    /// Takes back a segment in which nothing lives, and whose records are durable elsewhere. It is
    /// ready for other mail, or it is deleted when there are enough, or always with
    /// [`PoolConfig::purges`]. The receiver is told when that
    /// is done.
    #[must_use]
    pub fn take_back(&self, segment: SegmentId) -> oneshot::Receiver<()> {
        let (done, receiver) = oneshot::channel();
        self.send(Request::TakeBack(segment, done));
        receiver
    }

    /// How many segments were handed out allocated and not written.
    #[must_use]
    pub fn unprepared(&self) -> u64 {
        self.inner.counts.unprepared.load(Ordering::Relaxed)
    }

    /// Counters, which any thread may read.
    #[must_use]
    pub fn counts(&self) -> Arc<PoolCounts> {
        self.inner.counts.clone()
    }

    /// Completes when all segments that are to be ready are, or no more can be prepared.
    #[must_use]
    pub fn settled(&self) -> oneshot::Receiver<()> {
        let (settled, receiver) = oneshot::channel();
        self.send(Request::Settled(settled));
        receiver
    }

    fn ask(&self, kind: Kind) -> oneshot::Receiver<Result<Prepared, NoSegment>> {
        let (reply, receiver) = oneshot::channel();
        self.send(Request::Segment { kind, reply });
        receiver
    }

    fn send(&self, request: Request) {
        let requests = self.inner.requests.as_ref().expect("the sender goes last");
        // If the thread has ended, the reply is dropped, and its receiver sees that.
        let _ = requests.send(request);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic is a bug, and was reported by the thread itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::format::Epoch;

    fn config(dir: &tempfile::TempDir) -> PoolConfig {
        PoolConfig {
            segments: Segments::open(dir.path()).unwrap(),
            size: 3 << 20,
            first: 1 << 20,
            least: 1 << 19,
            reserve: 1 << 19,
            reserves: 1,
            piece: 1 << 19,
            spare: Spare::new(dir.path(), 0),
            ahead: 1,
            first_id: SegmentId(5),
            ready: Vec::new(),
            purges: false,
            stale: Vec::new(),
            ingested: Arc::default(),
        }
    }

    #[test]
    fn what_earlier_epochs_prepared_gets_numbers_of_this_one() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (SegmentId::first_of(Epoch(3)), SegmentId::first_of(Epoch(4)));
        let config = PoolConfig { first_id: new, ahead: 2, ..config(&dir) };
        let mut left: Vec<SegmentId> = (0..3).map(|n| SegmentId(old.0 + n)).collect();
        for segment in &left[..2] {
            std::fs::write(dir.path().join(segment.file_name()), vec![0; 3 << 20]).unwrap();
        }
        // The third is gone: passed over.
        let ready = left.iter().map(|&segment| ReadySegment {
            segment,
            length: 3 << 20,
            reused: segment == old,
        });
        let pool = SegmentPool::start(PoolConfig { ready: ready.collect(), ..config }).unwrap();
        for reused in [true, false] {
            let prepared = pool.request().blocking_recv().unwrap().unwrap();
            assert_eq!((prepared.segment.epoch(), prepared.reused), (Epoch(4), reused));
            left.retain(|segment| *segment != prepared.segment);
        }
        drop(pool);
        assert!(left.iter().all(|segment| !dir.path().join(segment.file_name()).exists()));
    }

    #[test]
    fn files_with_octets_of_earlier_mail_are_deleted_where_mail_is_purged() {
        let dir = tempfile::tempdir().unwrap();
        let left = [SegmentId(2), SegmentId(3)];
        let there = |segment: SegmentId| dir.path().join(segment.file_name()).exists();
        for segment in left {
            std::fs::write(dir.path().join(segment.file_name()), vec![0; 3 << 20]).unwrap();
        }
        let ready = left.map(|segment| ReadySegment {
            segment,
            length: 3 << 20,
            reused: segment == left[0],
        });
        let config = PoolConfig { purges: true, ahead: 2, ready: ready.into(), ..config(&dir) };
        let pool = SegmentPool::start(config).unwrap();
        assert_eq!(left.map(there), [false, true]);
        let prepared = pool.request().blocking_recv().unwrap().unwrap();
        assert!(!prepared.reused);
    }

    #[test]
    fn what_says_nothing_is_removed_once_the_epoch_has_begun() {
        let dir = tempfile::tempdir().unwrap();
        let stale = [SegmentId(2), SegmentId(1)];
        let there = || stale.map(|segment| dir.path().join(segment.file_name()).exists());
        for begins in [false, true] {
            for segment in stale {
                std::fs::write(dir.path().join(segment.file_name()), [0; BLOCK]).unwrap();
            }
            let config = PoolConfig { stale: stale.into(), ..config(&dir) };
            let pool = SegmentPool::start(config).unwrap();
            if begins {
                pool.has_begun();
            }
            drop(pool);
            assert_eq!(there(), [!begins; 2]);
        }
    }

    #[test]
    fn a_segment_that_its_log_has_left_ends_with_its_last_frame() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir);
        let segments = config.segments.clone();
        let pool = SegmentPool::start(config).unwrap();
        let made = [0; 2].map(|_| pool.request().blocking_recv().unwrap().unwrap().segment);
        made.iter().for_each(|&segment| segments.note_ready(segment, 3 << 20));
        made.iter().for_each(|&segment| segments.activate(segment));
        segments.seal(made[0], 8192);
        // The second one is still written to.
        made.iter().for_each(|&segment| pool.shorten(segment, 8192));
        drop(pool);
        let length = |segment: SegmentId| segments.path(segment).metadata().unwrap().len();
        assert_eq!(made.map(length), [8192, 3 << 20]);
        assert_eq!(
            (segments.length(made[0]), segments.end(made[0])),
            (Some(8192), Some((8192, true)))
        );
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
            let error =
                NoSegment::new(io::Error::from_raw_os_error(code), 4 << 20, &config.segments);
            assert_eq!(error.is_shortage(), short, "{error}");
            let source = std::error::Error::source(&error).unwrap();
            assert!(error.to_string().contains(&source.to_string()), "{error}");
        }
    }

    #[test]
    fn sizes_that_no_segment_can_have_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(SegmentPool::start(PoolConfig { size: 4096, ..config(&dir) }).is_err());
        assert!(SegmentPool::start(PoolConfig { first: 10_000, ..config(&dir) }).is_err());
    }
}
