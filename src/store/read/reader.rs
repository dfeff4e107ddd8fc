//! Messages read back from the disk. While a command works on the octets in one lease, the kernel
//! reads those that follow into a second one.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use tokio::task::JoinHandle;

use super::error::ReadError;
use super::files::{AtWork, Files};
use super::message::{Damaged, Stored};
use crate::limits::{BLOCK, LARGE_LEASE};
use crate::reactor::{Arena, Lease, LeaseClass, breathe, spawn};
use crate::store::format::{Fragment, SegmentId};

/// Octets between two wanted ones that are read along with them: up to here that takes less time
/// than asking the disk twice.
const GAP: u64 = 64 << 10;

/// Reads messages for one command. It keeps what it has read last: messages that were sent
/// together lie together.
pub struct Reader<'a, M> {
    files: &'a Files,
    _at_work: AtWork,
    arena: &'a Arena,
    damaged: &'a Damaged,
    /// Octets from the start of each message in the queue that will be wanted.
    reach: u64,
    queue: VecDeque<M>,
    window: Option<Window>,
    ahead: Option<Ahead>,
    progress: Progress,
}

/// Where in the current message the last piece was.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// The index of the fragment.
    index: usize,
    /// Octets of the message before that fragment.
    before: u64,
}

/// Blocks of a segment, read or to be read.
#[derive(Clone, Copy)]
struct Extent {
    segment: SegmentId,
    start: u64,
    length: usize,
}

struct Window {
    lease: Lease,
    extent: Extent,
}

/// What the kernel is reading. An operation in flight owns its lease: when this is dropped, the
/// operation still completes, and gives the lease back then.
struct Ahead {
    extent: Extent,
    /// `None` when the segment could not be opened: whoever needs it tries again, and is told.
    reading: JoinHandle<Option<Read>>,
}

/// How many octets were read, and the lease that they are in.
type Read = (io::Result<usize>, Lease);

impl Extent {
    fn end(&self) -> u64 {
        self.start + self.length as u64
    }

    fn holds(&self, segment: SegmentId, at: u64) -> bool {
        self.segment == segment && (self.start..self.end()).contains(&at)
    }

    /// The extent as far as it was read.
    fn read(mut self, result: io::Result<usize>) -> Result<Extent, ReadError> {
        let Extent { segment, start: offset, length } = self;
        self.length = result.map_err(|error| ReadError::Disk { segment, offset, error })?;
        assert!(
            self.length <= length,
            "the disk read more of segment {segment} than was asked for"
        );
        Ok(self)
    }
}

impl<'a, M: Stored> Reader<'a, M> {
    /// For messages of which the first `reach` octets will be wanted. Those that are `damaged` are
    /// not read. Make the reader before their places are looked up: from then on, no segment that
    /// they may lie in is used for other mail.
    pub fn new(files: &'a Files, arena: &'a Arena, damaged: &'a Damaged, reach: u64) -> Self {
        let (queue, window, ahead, progress) = (VecDeque::new(), None, None, Progress::default());
        let _at_work = files.work();
        Reader { files, _at_work, arena, damaged, reach, queue, window, ahead, progress }
    }

    /// Octets from the start of each message that are read ahead.
    #[must_use]
    pub fn reach(&self) -> u64 {
        self.reach
    }

    /// How many messages are in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Adds messages to the end of the queue.
    pub fn extend(&mut self, messages: impl Iterator<Item = M>) {
        self.queue.extend(messages);
    }

    /// Takes the next message from the queue. From now on it is the current one.
    pub fn take_next(&mut self) -> Option<M> {
        self.progress = Progress::default();
        self.queue.pop_front()
    }

    /// Octets of the current message from `octets.start` on: as many as lie together in memory, at
    /// least one. The caller will ask for all of `octets`, piece by piece.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn piece(&mut self, message: &M, octets: Range<u64>) -> Result<&[u8], ReadError> {
        if self.damaged.has(message) {
            return Err(ReadError::damaged(message, "is damaged"));
        }
        let (fragment, skip) = self.locate(message, octets.start)?;
        let from = u64::from(fragment.offset) + skip;
        let holds = |window: &Window| window.extent.holds(fragment.segment, from);
        if !self.window.as_ref().is_some_and(holds) {
            self.turn_to(message, &octets, fragment.segment, from).await?;
        }
        let Some(Window { lease, extent }) = self.window.as_ref().filter(|window| holds(window))
        else {
            return Err(ReadError::damaged(message, "is cut off: its segment ends before it"));
        };
        let begin = (from - extent.start) as usize;
        let wanted = (u64::from(fragment.length) - skip).min(octets.end - octets.start) as usize;
        Ok(&lease.octets()[begin..extent.length.min(begin + wanted)])
    }

    /// The first octets of the current message, together: where they were read to if they lie in
    /// one piece there, else copied into `octets`.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn start<'o>(
        &'o mut self,
        message: &M,
        length: u64,
        octets: &'o mut Vec<u8>,
    ) -> Result<&'o [u8], ReadError> {
        if length == 0 {
            return Ok(&[]);
        }
        let together = self.piece(message, 0..length).await?.len() as u64 == length;
        if together {
            return self.piece(message, 0..length).await;
        }
        self.copy(message, 0..length, octets).await?;
        Ok(octets)
    }

    /// Copies octets of the current message into `octets`, whose former content goes.
    ///
    /// # Errors
    /// See [`ReadError`].
    ///
    /// # Panics
    /// When they are more than memory can hold.
    pub async fn copy(
        &mut self,
        message: &M,
        range: Range<u64>,
        octets: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        octets.clear();
        let length = usize::try_from(range.end - range.start);
        octets.reserve_exact(length.expect("callers bound what they copy"));
        let mut at = range.start;
        while at < range.end {
            octets.extend_from_slice(self.piece(message, at..range.end).await?);
            at = range.start + octets.len() as u64;
        }
        Ok(())
    }

    /// The fragment that holds octet `at` of the message, and how far into it that is. A message
    /// may have many fragments, so the search continues where the last one ended.
    fn locate(&mut self, message: &M, at: u64) -> Result<(Fragment, u64), ReadError> {
        if at < self.progress.before {
            self.progress = Progress::default();
        }
        while let Some(fragment) = message.fragment(self.progress.index) {
            let skip = at - self.progress.before;
            if skip < u64::from(fragment.length) {
                return Ok((fragment, skip));
            }
            self.progress.before += u64::from(fragment.length);
            self.progress.index += 1;
        }
        Err(ReadError::damaged(message, "has fewer octets in the index than its size says"))
    }

    /// Brings octet `from` of the segment into the window, and starts reading what follows.
    async fn turn_to(
        &mut self,
        message: &M,
        octets: &Range<u64>,
        segment: SegmentId,
        from: u64,
    ) -> Result<(), ReadError> {
        let ahead = self.ahead.take().filter(|ahead| ahead.extent.holds(segment, from));
        let read = match ahead {
            Some(Ahead { extent, reading }) => {
                // A task that panicked, which is a bug, has read nothing.
                reading.await.unwrap_or_default().map(|read| (extent, read))
            }
            None => None,
        };
        if let Some((extent, (result, lease))) = read {
            self.window = Some(Window { lease, extent: extent.read(result)? });
        } else {
            let extent = self.plan(message, octets, None).unwrap_or(Extent {
                segment,
                start: from / BLOCK as u64 * BLOCK as u64,
                length: BLOCK,
            });
            self.read(extent).await?;
        }
        let window = self.window.as_ref().map(|window| window.extent);
        if let Some(next) = self.plan(message, octets, window)
            && let Some(lease) = self.arena.try_lease(LeaseClass::holding(next.length))
        {
            let files = self.files.clone();
            let reading = spawn(async move {
                let file = files.get(next.segment).await.ok()?;
                Some(file.read_at(lease, 0..next.length, next.start).await)
            });
            self.ahead = Some(Ahead { extent: next, reading });
            // So that the disk has something to do while this command works on what is there.
            breathe().await;
        }
        Ok(())
    }

    async fn read(&mut self, extent: Extent) -> Result<(), ReadError> {
        let file = self.files.get(extent.segment).await?;
        let lease = match self.window.take() {
            Some(window) if window.lease.len() >= extent.length => window.lease,
            // Whoever waits for a lease must not hold one.
            held => {
                drop(held);
                self.arena.lease(LeaseClass::holding(extent.length)).await
            }
        };
        let (result, lease) = file.read_at(lease, 0..extent.length, extent.start).await;
        self.window = Some(Window { lease, extent: extent.read(result)? });
        Ok(())
    }

    /// What to read: from the first octet that will be wanted and is not in `window`, as much as
    /// fits in a lease.
    fn plan(&self, message: &M, octets: &Range<u64>, window: Option<Extent>) -> Option<Extent> {
        let mut found: Option<(SegmentId, u64, u64)> = None;
        let current = wants(message, self.progress, octets.clone());
        let others = self.queue.iter().flat_map(|message| {
            wants(message, Progress::default(), 0..self.reach) //
        });
        for (segment, mut from, to) in current.chain(others) {
            if let Some(window) = window
                && window.holds(segment, from)
            {
                if to <= window.end() {
                    continue;
                }
                from = window.end();
            }
            match &mut found {
                None => found = Some((segment, from / BLOCK as u64 * BLOCK as u64, to)),
                Some((of, start, end)) => {
                    let joins = segment == *of && (*start..=*end + GAP).contains(&from);
                    if !joins || *end - *start >= LARGE_LEASE as u64 {
                        break;
                    }
                    *end = to.max(*end);
                }
            }
        }
        let (segment, start, end) = found?;
        let length = (end - start).min(LARGE_LEASE as u64) as usize;
        Some(Extent { segment, start, length: length.next_multiple_of(BLOCK) })
    }

    /// Gives up the leases, for the time that the client does not read.
    pub fn rest(&mut self) {
        (self.window, self.ahead) = (None, None);
    }
}

/// Where octets of a message stand, in order: segment, first and end. The fragment at `progress`
/// holds the first.
fn wants<M: Stored>(
    message: &M,
    progress: Progress,
    octets: Range<u64>,
) -> impl Iterator<Item = (SegmentId, u64, u64)> {
    let Progress { mut index, mut before } = progress;
    std::iter::from_fn(move || {
        loop {
            let fragment = message.fragment(index).filter(|_| before < octets.end)?;
            let length = u64::from(fragment.length);
            let skip = octets.start.saturating_sub(before);
            let take = length.min(octets.end - before);
            index += 1;
            before += length;
            if skip < take {
                let offset = u64::from(fragment.offset);
                return Some((fragment.segment, offset + skip, offset + take));
            }
        }
    })
}
