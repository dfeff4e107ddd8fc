//! Reading a whole store at the speed of the disk, to check it: nothing is changed.
//!
//! Recovery reads small pieces in order: a header, records, the octets of a message. Here threads
//! read large pieces ahead of it, past the page cache, so that each piece of a file is read once:
//!
//! ```text
//! recovery     ▼ reads 64 KiB here, then the octets of older messages of the batch
//! pieces   [12][13][14][15][16][17][18] ...       of 1 MiB, from the segment or the next one
//!           └─ kept ─┘  └── read ahead ──┘        those used longest ago are dropped
//! ```
//!
//! A message whose batch is committed after more than [`KEPT`] pieces is read a second time.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::medium::{Medium, StoredSegments};
use crate::limits::BLOCK;
use crate::reactor::files::File;
use crate::store::format::{HeaderError, SegmentHeader, SegmentId};
use crate::store::segments::Segments;

/// Bytes of a piece. Disks reach their full speed with pieces of this size.
const PIECE: u64 = 1 << 20;

/// Pieces that are read ahead.
const AHEAD: usize = 16;

/// Pieces in memory, 192 MiB: batches of a hundred messages of 64 KiB on 24 connections.
const KEPT: usize = 192;

/// Threads that read.
const READERS: usize = 4;

/// The segments of a data folder, to read all of them once.
pub struct ReadAhead {
    stored: StoredSegments,
    /// Where each segment ends.
    lengths: BTreeMap<SegmentId, u64>,
    /// The segment in which each log continued.
    after: BTreeMap<SegmentId, SegmentId>,
    active: Vec<SegmentHeader>,
    shared: Arc<Shared>,
    readers: Vec<JoinHandle<()>>,
}

struct Shared {
    segments: Segments,
    state: Mutex<State>,
    /// There is something to read, or nothing more.
    wanted: Condvar,
    /// A piece was read.
    read: Condvar,
    /// Told the length of each piece that was read.
    progress: Box<dyn Fn(u64) + Send + Sync>,
}

#[derive(Default)]
struct State {
    pieces: BTreeMap<Key, Piece>,
    queue: VecDeque<Key>,
    /// The last piece of each segment that was asked for in order.
    furthest: BTreeMap<SegmentId, u64>,
    clock: u64,
    unreadable: Vec<(SegmentId, u64)>,
    ended: bool,
}

/// A segment, and the number of a piece in it.
type Key = (SegmentId, u64);

enum Piece {
    Wanted,
    Read { octets: Arc<Octets>, used: u64 },
    Failed(io::Error),
}

/// Octets at an address that O_DIRECT accepts.
struct Octets {
    buffer: Vec<u8>,
    start: usize,
    length: usize,
}

impl ReadAhead {
    /// The segments of a folder. While a server is `running`, those that it writes to are left
    /// out. `progress` is told of bytes that were read.
    ///
    /// # Errors
    /// When the folder or the header of a segment cannot be read, or no thread can be started.
    pub fn open(
        folder: &Path,
        running: bool,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> io::Result<ReadAhead> {
        let segments = Segments::at(folder);
        let stored = StoredSegments::new(segments.clone());
        let mut lengths = BTreeMap::new();
        for (segment, length) in stored.segments()? {
            lengths.insert(segment, stored.end(segment, length)?);
        }
        let (mut headers, mut unused) = (BTreeMap::new(), Vec::new());
        let mut block = [0; BLOCK];
        for &segment in lengths.keys() {
            let read = stored.read_at(segment, 0, &mut block)?;
            match SegmentHeader::decode(&block[..read]) {
                Ok(header) => drop(headers.insert(segment, header)),
                Err(HeaderError::Ready(_)) => unused.push(segment),
                Err(_) => {}
            }
        }
        let previous = |header: &SegmentHeader| Some((header.previous?.0, header.segment));
        let after: BTreeMap<_, _> = headers.values().filter_map(previous).collect();
        let newest = headers.values().map(|header| header.epoch).max();
        let is_active = |header: &&SegmentHeader| {
            running && Some(header.epoch) == newest && !after.contains_key(&header.segment)
        };
        let active: Vec<_> = headers.values().filter(is_active).copied().collect();
        if running {
            lengths.retain(|segment, _| !unused.contains(segment));
            lengths.retain(|segment, _| active.iter().all(|header| header.segment != *segment));
        }
        let shared = Arc::new(Shared {
            segments,
            state: Mutex::default(),
            wanted: Condvar::new(),
            read: Condvar::new(),
            progress: Box::new(progress),
        });
        let mut opened = ReadAhead {
            stored,
            lengths,
            after,
            active,
            shared,
            readers: Vec::with_capacity(READERS),
        };
        for _ in 0..READERS {
            let shared = opened.shared.clone();
            let lengths = opened.lengths.clone();
            let name = thread::Builder::new().name("reader".into());
            opened.readers.push(name.spawn(move || shared.work(&lengths))?);
        }
        Ok(opened)
    }

    /// Number of segments, and their bytes.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        (self.lengths.len(), self.lengths.values().sum())
    }

    /// Headers of the segments that a running server writes to, which are left out.
    #[must_use]
    pub fn active(&self) -> &[SegmentHeader] {
        &self.active
    }

    /// Blocks that the disk could not read so far. They were taken for zeros.
    #[must_use]
    pub fn unreadable(&self) -> Vec<(SegmentId, u64)> {
        let mut all = self.shared.lock().unreadable.clone();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A piece, once it is read. `go_on` says whether those after it are likely to be read next.
    fn piece(&self, key: Key, go_on: bool) -> io::Result<Arc<Octets>> {
        let (segment, number) = key;
        let mut state = self.shared.lock();
        state.clock += 1;
        let clock = state.clock;
        let in_order = number == 0 || state.pieces.contains_key(&(segment, number - 1));
        let mut news = state.want(key, true);
        // What comes after an older piece was read before, and may not be needed again.
        let furthest = state.furthest.entry(segment).or_default();
        if go_on && in_order && *furthest <= number {
            *furthest = number;
            for next in self.pieces_after(key).take(AHEAD) {
                news |= state.want(next, false);
            }
        }
        if news {
            self.shared.wanted.notify_all();
        }
        loop {
            match state.pieces.get_mut(&key) {
                Some(Piece::Read { octets, used }) => {
                    *used = clock;
                    return Ok(Arc::clone(octets));
                }
                Some(Piece::Failed(error)) => {
                    return Err(io::Error::new(error.kind(), error.to_string()));
                }
                // It was dropped before this thread woke up.
                None => {
                    state.want(key, true);
                    self.shared.wanted.notify_all();
                }
                Some(Piece::Wanted) => {}
            }
            state = self.shared.read.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The pieces that are likely to be read after this one.
    fn pieces_after(&self, (segment, number): Key) -> impl Iterator<Item = Key> + '_ {
        let pieces = |segment: &SegmentId| match self.stored.is_stripped(*segment) {
            // Of a record file only small parts are read.
            true => 0,
            false => self.lengths.get(segment).map_or(0, pieces),
        };
        let next = self.after.get(&segment).copied();
        let here = (number + 1..pieces(&segment)).map(move |number| (segment, number));
        let there = next.map(|next| (0..pieces(&next)).map(move |number| (next, number)));
        here.chain(there.into_iter().flatten())
    }
}

/// How many pieces a file of this length has.
fn pieces(length: &u64) -> u64 {
    length.div_ceil(PIECE)
}

impl Medium for ReadAhead {
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        Ok(self.lengths.iter().map(|(&segment, &length)| (segment, length)).collect())
    }

    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let length = self.lengths.get(&segment).copied().ok_or(io::ErrorKind::NotFound)?;
        if self.stored.is_stripped(segment) {
            return self.stored.read_at(segment, offset, out);
        }
        let end = length.min(offset + out.len() as u64);
        let kept = |at: u64| self.shared.lock().pieces.contains_key(&(segment, at / PIECE));
        // A header, or a sample of what should be blank: what follows may not be read at all.
        if out.len() <= BLOCK && offset.is_multiple_of(BLOCK as u64) && !kept(offset) {
            return self.stored.read_at(segment, offset, out);
        }
        let mut at = offset;
        while at < end {
            let piece = self.piece((segment, at / PIECE), out.len() > BLOCK)?;
            let from = (at % PIECE) as usize;
            let octets = piece.octets().get(from..).unwrap_or_default();
            let count = octets.len().min((end - at) as usize);
            if count == 0 {
                break;
            }
            let done = (at - offset) as usize;
            out[done..done + count].copy_from_slice(&octets[..count]);
            at += count as u64;
        }
        Ok(at.saturating_sub(offset) as usize)
    }

    /// Does nothing: what recovery would cut off stays.
    fn truncate(&mut self, _: SegmentId, _: u64) -> io::Result<()> {
        Ok(())
    }

    /// Does nothing.
    fn remove(&mut self, _: SegmentId) -> io::Result<()> {
        Ok(())
    }

    fn is_stripped(&self, segment: SegmentId) -> bool {
        self.stored.is_stripped(segment)
    }

    fn flaw(&self, segment: SegmentId) -> io::Result<Option<HeaderError>> {
        self.stored.flaw(segment)
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.wanted.notify_all();
        for reader in self.readers.drain(..) {
            // A reader that panicked has said so.
            let _ = reader.join();
        }
    }
}

impl State {
    /// Notes that a piece is wanted. Whether it is neither there nor wanted yet.
    fn want(&mut self, key: Key, now: bool) -> bool {
        if self.pieces.contains_key(&key) {
            return false;
        }
        self.pieces.insert(key, Piece::Wanted);
        match now {
            true => self.queue.push_front(key),
            false => self.queue.push_back(key),
        }
        true
    }

    /// Drops the pieces used longest ago, if there are too many.
    fn shrink(&mut self) {
        let used = |(key, piece): (&Key, &Piece)| match piece {
            Piece::Read { used, .. } => Some((*used, *key)),
            _ => None,
        };
        while self.pieces.len() > KEPT
            && let Some((_, oldest)) = self.pieces.iter().filter_map(used).min()
        {
            self.pieces.remove(&oldest);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is wanted, until there is nothing more.
    fn work(&self, lengths: &BTreeMap<SegmentId, u64>) {
        let mut open: Option<(SegmentId, File)> = None;
        let mut state = self.lock();
        while !state.ended {
            let Some(key) = state.queue.pop_front() else {
                state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.shrink();
            drop(state);
            let length = lengths.get(&key.0).copied().unwrap_or_default();
            let read = self.fetch(&mut open, key, length);
            if let Ok((octets, _)) = &read {
                (self.progress)(octets.length as u64);
            }
            state = self.lock();
            let used = state.clock;
            let piece = match read {
                Ok((octets, unreadable)) => {
                    state.unreadable.extend(unreadable.into_iter().map(|at| (key.0, at)));
                    Piece::Read { octets: Arc::new(octets), used }
                }
                Err(error) => Piece::Failed(error),
            };
            state.pieces.insert(key, piece);
            self.read.notify_all();
        }
    }

    /// Reads a piece. Also returns the offsets of blocks that the disk could not read, which are
    /// zeros.
    fn fetch(
        &self,
        open: &mut Option<(SegmentId, File)>,
        (segment, number): Key,
        length: u64,
    ) -> io::Result<(Octets, Vec<u64>)> {
        if open.as_ref().is_none_or(|(file, _)| *file != segment) {
            // O_DIRECT reads whole blocks.
            let file = match length.is_multiple_of(BLOCK as u64) {
                true => self.segments.open_to_read(segment)?,
                false => self.segments.open_as_stored(segment)?,
            };
            *open = Some((segment, file));
        }
        let Some((_, file)) = open else { return Err(io::ErrorKind::NotFound.into()) };
        let start = number * PIECE;
        let mut octets = Octets::new(length.saturating_sub(start).min(PIECE) as usize);
        let Err(error) = file.read_at(octets.all(), start).map(|read| octets.length = read) else {
            return Ok((octets, Vec::new()));
        };
        if error.raw_os_error() != Some(libc::EIO) {
            return Err(error);
        }
        let mut unreadable = Vec::new();
        for (at, block) in (start..).step_by(BLOCK).zip(octets.all().chunks_mut(BLOCK)) {
            if file.read_at(block, at).is_err() {
                block.fill(0);
                unreadable.push(at);
            }
        }
        Ok((octets, unreadable))
    }
}

impl Octets {
    fn new(length: usize) -> Octets {
        let buffer = vec![0; length + BLOCK];
        let start = buffer.as_ptr().align_offset(BLOCK).min(BLOCK);
        Octets { buffer, start, length }
    }

    fn octets(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.length]
    }

    fn all(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.start + self.length]
    }
}
