//! The thread of the [pool](super::pool): fills files with zeros, step by step, and looks for
//! requests between the steps.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::directory::segment_path;
use super::pool::{PoolConfig, PoolCounts, Prepared, usable};
use crate::limits::BLOCK;
use crate::reactor::files::{self, File};
use crate::reactor::{Access, Instant, hesitate, timeout};
use crate::types::SegmentId;

/// Zeros written at a time: long enough for full speed, short enough that a request waits for a
/// millisecond only.
const STEP: usize = 1 << 20;

/// Pause before each step while mail comes in at [`BUSY`] or more: leaves the disk to it, and still
/// prepares some 60 MB/s. It has to end, since under load that never ends all segments would be
/// unprepared. With less mail the pause is shorter in proportion.
const PAUSE: Duration = Duration::from_millis(15);

/// Octets a second of mail that a disk is busy with.
const BUSY: f64 = 400e6;

pub(super) enum Request {
    Segment { small: bool, reply: oneshot::Sender<io::Result<Prepared>> },
    Settled(oneshot::Sender<()>),
    Delete(SegmentId),
}

pub(super) struct Worker {
    config: PoolConfig,
    next: SegmentId,
    ready: VecDeque<(SegmentId, u32)>,
    current: Option<Preparation>,
    zeros: Zeros,
    /// Preparing failed; the next request tries again.
    stalled: bool,
    ingested: u64,
    /// When `ingested` was read.
    looked: Instant,
    /// Who waits until all is prepared.
    settled: Vec<oneshot::Sender<()>>,
    counts: Arc<PoolCounts>,
}

impl Worker {
    pub(super) fn new(config: PoolConfig, counts: Arc<PoolCounts>) -> Worker {
        let usable = config.ready.iter().filter(|&&(_, length)| usable(length));
        let ready = usable.map(|&(segment, length)| (segment, length as u32)).collect();
        Worker {
            next: config.first_id,
            ready,
            current: None,
            zeros: Zeros::new(),
            stalled: false,
            ingested: 0,
            looked: Instant::now(),
            settled: Vec::new(),
            counts,
            config,
        }
    }

    /// Works until every handle of the pool is gone.
    pub(super) async fn run(mut self, mut queue: UnboundedReceiver<Request>) {
        loop {
            self.counts.ready.store(self.ready.len() as u64, Ordering::Relaxed);
            let request = if self.wants_work() {
                timeout(self.pause(), queue.recv()).await
            } else {
                // Whoever waited has perhaps gone.
                for waiting in self.settled.drain(..) {
                    let _ = waiting.send(());
                }
                Some(queue.recv().await)
            };
            hesitate().await;
            match request {
                Some(Some(Request::Segment { small, reply })) => {
                    // Whoever asked may be gone: then the file is ready for the next.
                    if let Err(Ok(unused)) = reply.send(self.provide(small)) {
                        self.ready.push_front((unused.segment, unused.size));
                    }
                }
                Some(Some(Request::Settled(waiting))) => self.settled.push(waiting),
                Some(Some(Request::Delete(segment))) => self.delete(segment),
                None => self.step(),
                Some(None) => break,
            }
        }
        if let Some(unfinished) = self.current {
            unfinished.discard();
        }
    }

    fn wants_work(&self) -> bool {
        !self.stalled && (self.current.is_some() || self.ready.len() < self.config.ahead)
    }

    fn pause(&mut self) -> Duration {
        let (now, ingested) = (Instant::now(), self.config.ingested.load(Ordering::Relaxed));
        let octets = ingested - std::mem::replace(&mut self.ingested, ingested);
        let elapsed = now - std::mem::replace(&mut self.looked, now);
        pause_for(octets, elapsed)
    }

    /// Prepares a little more.
    fn step(&mut self) {
        let done = match self.current.take() {
            None => self.begin(self.config.size).map(|begun| self.current = Some(begun)),
            Some(mut current) => match current.step(&self.zeros) {
                Ok(false) => {
                    self.current = Some(current);
                    Ok(())
                }
                Ok(true) => {
                    let entry = (current.segment, current.size);
                    current.finish(&self.config).map(|_| self.ready.push_back(entry))
                }
                Err(error) => {
                    current.discard();
                    Err(error)
                }
            },
        };
        if let Err(error) = done {
            self.stalled = true;
            tracing::warn!("no segment can be prepared ahead: {error}");
        }
    }

    fn provide(&mut self, small: bool) -> io::Result<Prepared> {
        self.stalled = false;
        while let Some((segment, size)) = self.ready.pop_front() {
            match files::open_direct(&segment_path(&self.config.dir, segment), Access::Write) {
                Ok((file, direct)) => {
                    return Ok(Prepared { segment, file, size, written: true, direct });
                }
                Err(error) => tracing::warn!("segment {segment} was ready, now: {error}"),
            }
        }
        let PoolConfig { size, first, .. } = self.config;
        if small {
            return self.make(first, true);
        }
        self.counts.unprepared.fetch_add(1, Ordering::Relaxed);
        match self.make(size, false) {
            // What is left of the disk may be enough for a small one.
            Err(error) if error.kind() == io::ErrorKind::StorageFull && first < size => {
                self.discard_current();
                self.make(first, false)
            }
            made => made,
        }
    }

    /// A segment at once.
    fn make(&mut self, size: u32, written: bool) -> io::Result<Prepared> {
        let mut begun = self.begin(size)?;
        while written && !begun.step(&self.zeros)? {}
        let (segment, written, direct) = (begun.segment, begun.done == size, begun.direct);
        Ok(Prepared { segment, file: begun.finish(&self.config)?, size, written, direct })
    }

    fn begin(&mut self, size: u32) -> io::Result<Preparation> {
        let segment = self.next;
        self.next = segment.next();
        let path = self.config.dir.join(format!("{:020}.preparing", segment.0));
        let (file, direct) = files::open_direct(&path, Access::Create)?;
        let mut begun = Preparation { segment, path, file, size, done: 0, direct };
        match begun.allocate() {
            Ok(()) => Ok(begun),
            Err(error) => {
                begun.discard();
                Err(explain(error, size, &self.config))
            }
        }
    }

    fn delete(&mut self, segment: SegmentId) {
        let removed = files::remove(&segment_path(&self.config.dir, segment))
            .and_then(|()| files::sync_folder(&self.config.dir));
        if let Err(error) = removed {
            tracing::warn!("segment {segment} cannot be deleted: {error}");
        }
    }

    fn discard_current(&mut self) {
        if let Some(current) = self.current.take() {
            current.discard();
        }
    }
}

/// A file on its way to become a segment.
struct Preparation {
    segment: SegmentId,
    path: PathBuf,
    file: File,
    size: u32,
    /// Octets from the start that have been written.
    done: u32,
    direct: bool,
}

impl Preparation {
    fn allocate(&mut self) -> io::Result<()> {
        if self.file.allocate(u64::from(self.size))? {
            self.done = self.size;
        }
        Ok(())
    }

    /// Writes some zeros; true when none are missing any more.
    fn step(&mut self, zeros: &Zeros) -> io::Result<bool> {
        let length = STEP.min((self.size - self.done) as usize);
        self.file.write_all_at(zeros.get(length), u64::from(self.done))?;
        self.done += length as u32;
        Ok(self.done == self.size)
    }

    /// Makes it a segment, durably.
    fn finish(self, config: &PoolConfig) -> io::Result<File> {
        self.file.sync_all()?;
        files::rename(&self.path, &segment_path(&config.dir, self.segment))?;
        files::sync_folder(&config.dir)?;
        Ok(self.file)
    }

    /// What cannot be removed now is removed at the next start.
    fn discard(self) {
        let _ = files::remove(&self.path);
    }
}

/// Zeros, aligned as O_DIRECT needs them.
struct Zeros {
    octets: Vec<u8>,
    start: usize,
}

impl Zeros {
    fn new() -> Zeros {
        let octets = vec![0; STEP + BLOCK];
        let start = octets.as_ptr().align_offset(BLOCK);
        Zeros { octets, start }
    }

    fn get(&self, length: usize) -> &[u8] {
        &self.octets[self.start..self.start + length]
    }
}

fn explain(error: io::Error, size: u32, config: &PoolConfig) -> io::Error {
    let text = format!("no segment of {} MiB in {}: {error}", size >> 20, config.dir.display());
    io::Error::new(error.kind(), text)
}

/// How long to leave the disk alone when so much mail came in so short a time.
fn pause_for(octets: u64, elapsed: Duration) -> Duration {
    let rate = octets as f64 / elapsed.as_secs_f64().max(1e-6);
    PAUSE.mul_f64((rate / BUSY).min(1.0))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn worker(dir: &tempfile::TempDir, ready: Vec<(SegmentId, u64)>) -> Worker {
        let config = PoolConfig {
            dir: dir.path().into(),
            size: 5 << 19,
            first: 1 << 20,
            ahead: 2,
            first_id: SegmentId(10),
            ready,
            ingested: Arc::default(),
        };
        Worker::new(config, Arc::default())
    }

    #[test]
    fn segments_are_filled_with_zeros_ahead() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = worker(&dir, Vec::new());
        while worker.wants_work() {
            worker.step();
        }
        assert_eq!(worker.ready, [(SegmentId(10), 5 << 19), (SegmentId(11), 5 << 19)]);
        let prepared = worker.provide(false).unwrap();
        assert!(prepared.written && prepared.segment == SegmentId(10));
        let octets = fs::read(segment_path(dir.path(), SegmentId(10))).unwrap();
        assert!(octets.len() == 5 << 19 && octets.iter().all(|&o| o == 0));
        assert_eq!(worker.counts.unprepared.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_empty_pool_hands_out_a_merely_allocated_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = worker(&dir, Vec::new());
        let prepared = worker.provide(false).unwrap();
        assert_eq!(prepared.file.length().unwrap(), 5 << 19);
        assert_eq!(worker.counts.unprepared.load(Ordering::Relaxed), 1);
        let small = worker.provide(true).unwrap();
        assert!(small.written && small.size == 1 << 20);
    }

    #[test]
    fn what_earlier_runs_left_is_used_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(segment_path(dir.path(), SegmentId(3)), vec![0; 3 * BLOCK]).unwrap();
        let left =
            vec![(SegmentId(2), 100), (SegmentId(3), 3 * BLOCK as u64), (SegmentId(4), 8192)];
        let mut worker = worker(&dir, left);
        let prepared = worker.provide(false).unwrap();
        assert_eq!((prepared.segment, prepared.size), (SegmentId(3), 3 * BLOCK as u32));
        // Segment 4 is gone: passed over.
        assert_eq!(worker.provide(true).unwrap().segment, SegmentId(10));
    }

    #[test]
    fn preparing_steps_back_only_while_mail_comes_in() {
        let second = Duration::from_secs(1);
        assert_eq!(pause_for(0, second), Duration::ZERO);
        assert_eq!(pause_for(BUSY as u64 / 2, second), PAUSE / 2);
        assert_eq!(pause_for(u64::MAX, Duration::ZERO), PAUSE);
    }
}
