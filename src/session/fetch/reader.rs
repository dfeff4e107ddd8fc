//! Messages back from the disk. While the octets in one lease are looked at, the kernel reads those
//! that come after them into a second one.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use tokio::task::JoinHandle;

use super::walk::Found;
use crate::home::Home;
use crate::index::Entry;
use crate::limits::{BLOCK, LARGE_LEASE};
use crate::reactor::{Lease, LeaseClass, breathe, spawn};
use crate::store::{Fragment, SegmentId};
use imap::protocol::HeaderScanner;

/// What is not wanted is read all the same when so little of it lies between what is: that takes
/// less time than to ask the disk twice.
const GAP: u64 = 64 << 10;

/// What is read of a message of which the header is wanted: nearly all are shorter.
pub(in crate::session) const HEAD: u64 = 8 << 10;

/// Reads messages for one command. What it has read once it keeps: messages that were sent
/// together lie together.
pub(in crate::session) struct Reader<'a> {
    home: &'a Home,
    /// Octets from the start of a message that will be wanted of each in the queue.
    reach: u64,
    /// Some messages are damaged: each is looked up.
    damaged: bool,
    queue: VecDeque<Found>,
    window: Option<Window>,
    ahead: Option<Ahead>,
    place: Place,
}

/// Where in the present message the last piece was.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The index of the fragment.
    index: usize,
    /// Octets of the message before it.
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

/// What the kernel is reading. An operation in flight owns its lease: when this is dropped, it
/// still comes to its end, and the lease goes back then.
struct Ahead {
    extent: Extent,
    reading: JoinHandle<(io::Result<usize>, Lease)>,
}

impl Extent {
    fn end(&self) -> u64 {
        self.start + self.length as u64
    }

    fn holds(&self, segment: SegmentId, at: u64) -> bool {
        self.segment == segment && (self.start..self.end()).contains(&at)
    }
}

impl<'a> Reader<'a> {
    /// For messages of which the first `reach` octets will be read.
    pub fn new(home: &'a Home, reach: u64) -> Reader<'a> {
        let (window, ahead, place) = (None, None, Place::default());
        let damaged = home.has_damaged();
        Reader { home, reach, damaged, queue: VecDeque::new(), window, ahead, place }
    }

    /// How many messages wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Messages that will be read after those that wait.
    pub fn extend(&mut self, messages: impl Iterator<Item = Found>) {
        self.queue.extend(messages);
    }

    /// The next message.
    pub fn next(&mut self) -> Option<Found> {
        self.place = Place::default();
        self.queue.pop_front()
    }

    /// The octets of the message that was taken last, from `octets.start` on, as many as lie
    /// together in memory; at least one. All of `octets` will be asked for, piece by piece.
    pub async fn piece(&mut self, message: &Found, octets: Range<u64>) -> io::Result<&[u8]> {
        let entry = message.entry();
        if self.damaged
            && let Some(first) = entry.fragment(0).filter(|first| self.home.is_damaged(*first))
        {
            return Err(damaged(first));
        }
        let (fragment, skip) = self.locate(entry, octets.start)?;
        let from = u64::from(fragment.offset) + skip;
        let holds = |window: &Window| window.extent.holds(fragment.segment, from);
        if !self.window.as_ref().is_some_and(holds) {
            self.turn_to(entry, &octets, fragment.segment, from).await?;
        }
        let Some(Window { lease, extent }) = &self.window else { return Err(truncated(fragment)) };
        if !extent.holds(fragment.segment, from) {
            return Err(truncated(fragment));
        }
        let begin = (from - extent.start) as usize;
        let wanted = (u64::from(fragment.length) - skip).min(octets.end - octets.start) as usize;
        Ok(&lease.octets()[begin..extent.length.min(begin + wanted)])
    }

    /// The first octets of the message that was taken last, together: where they were read to if
    /// they lie in one piece there, else copied into `octets`.
    pub async fn start<'o>(
        &'o mut self,
        message: &Found,
        length: u64,
        octets: &'o mut Vec<u8>,
    ) -> io::Result<&'o [u8]> {
        if length == 0 {
            return Ok(&[]);
        }
        let together = self.piece(message, 0..length).await?.len() as u64 == length;
        if together {
            return self.piece(message, 0..length).await;
        }
        self.gather(message, length, octets).await?;
        Ok(octets)
    }

    /// Copies the first octets of the message that was taken last.
    pub async fn gather(
        &mut self,
        message: &Found,
        length: u64,
        octets: &mut Vec<u8>,
    ) -> io::Result<()> {
        self.copy(message, 0..length, octets).await
    }

    /// Copies octets of the message that was taken last.
    pub async fn copy(
        &mut self,
        message: &Found,
        range: Range<u64>,
        octets: &mut Vec<u8>,
    ) -> io::Result<()> {
        octets.clear();
        let length = range.end - range.start;
        octets.reserve_exact(usize::try_from(length).map_err(io::Error::other)?);
        let mut at = range.start;
        while at < range.end {
            octets.extend_from_slice(self.piece(message, at..range.end).await?);
            at = range.start + octets.len() as u64;
        }
        Ok(())
    }

    /// The length of the header of the message that was taken last, empty line included; `limit`
    /// when it does not end before.
    pub async fn header_length(&mut self, message: &Found, limit: u64) -> io::Result<u64> {
        let (mut scanner, mut at) = (HeaderScanner::new(), 0);
        while at < limit {
            // Many a header ends in what is read of each message in any case.
            let to = if at < self.reach { self.reach.min(limit) } else { limit };
            let piece = self.piece(message, at..to).await?;
            at += piece.len() as u64;
            if let Some(length) = scanner.feed(piece) {
                return Ok(length);
            }
        }
        Ok(at)
    }

    /// The fragment that holds octet `at` of the message, and how far into it. Messages may have
    /// many fragments, so the search goes on where the last one ended.
    fn locate(&mut self, entry: Entry<'_>, at: u64) -> io::Result<(Fragment, u64)> {
        if at < self.place.before {
            self.place = Place::default();
        }
        while let Some(fragment) = entry.fragment(self.place.index) {
            let skip = at - self.place.before;
            if skip < u64::from(fragment.length) {
                return Ok((fragment, skip));
            }
            self.place.before += u64::from(fragment.length);
            self.place.index += 1;
        }
        let text = "the index has fewer octets than the message";
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }

    /// Brings into the window what stands there in the segment, and has what follows read.
    async fn turn_to(
        &mut self,
        entry: Entry<'_>,
        octets: &Range<u64>,
        segment: SegmentId,
        from: u64,
    ) -> io::Result<()> {
        let ahead = self.ahead.take().filter(|ahead| ahead.extent.holds(segment, from));
        if let Some(Ahead { mut extent, reading }) = ahead {
            let (result, lease) = reading.await.map_err(io::Error::other)?;
            extent.length = result.map_err(|error| unreadable(&extent, &error))?;
            self.window = Some(Window { lease, extent });
        } else {
            let extent = self.plan(entry, octets, None).unwrap_or(Extent {
                segment,
                start: from / BLOCK as u64 * BLOCK as u64,
                length: BLOCK,
            });
            self.read(extent).await?;
        }
        let window = self.window.as_ref().map(|window| window.extent);
        if let Some(next) = self.plan(entry, octets, window)
            && let Some(lease) = self.home.arena.try_lease(LeaseClass::holding(next.length))
            // If it cannot be opened, that concerns another message.
            && let Ok(file) = self.home.files.get(next.segment)
        {
            let reading = spawn(async move {
                file.read_at(lease, 0..next.length, next.start).await //
            });
            self.ahead = Some(Ahead { extent: next, reading });
            // So that the disk has something to do while we look at what we have.
            breathe().await;
        }
        Ok(())
    }

    async fn read(&mut self, mut extent: Extent) -> io::Result<()> {
        let file = self.home.files.get(extent.segment)?;
        let lease = match self.window.take() {
            Some(window) if window.lease.len() >= extent.length => window.lease,
            // Nobody waits for a lease who holds one.
            held => {
                drop(held);
                self.home.arena.lease(LeaseClass::holding(extent.length)).await
            }
        };
        let (result, lease) = file.read_at(lease, 0..extent.length, extent.start).await;
        extent.length = result.map_err(|error| unreadable(&extent, &error))?;
        self.window = Some(Window { lease, extent });
        Ok(())
    }

    /// What to read: from the first octet on that will be wanted and is not in `window`, as much as
    /// fits in a lease.
    fn plan(
        &self,
        entry: Entry<'_>,
        octets: &Range<u64>,
        window: Option<Extent>,
    ) -> Option<Extent> {
        let mut found: Option<(SegmentId, u64, u64)> = None;
        let present = wants(entry, self.place, octets.clone());
        let others = self.queue.iter().flat_map(|message| {
            wants(message.entry(), Place::default(), 0..self.reach) //
        });
        for (segment, mut from, to) in present.chain(others) {
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

    /// Gives up the leases while the client does not read.
    pub fn rest(&mut self) {
        (self.window, self.ahead) = (None, None);
    }
}

/// Where octets of a message stand, in order: segment, first and end. The fragment at `place` holds
/// the first.
fn wants(
    entry: Entry<'_>,
    place: Place,
    octets: Range<u64>,
) -> impl Iterator<Item = (SegmentId, u64, u64)> {
    let Place { mut index, mut before } = place;
    std::iter::from_fn(move || {
        loop {
            let fragment = entry.fragment(index).filter(|_| before < octets.end)?;
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

fn unreadable(extent: &Extent, error: &io::Error) -> io::Error {
    let Extent { segment, start, .. } = extent;
    io::Error::new(error.kind(), format!("reading segment {segment} at offset {start}: {error}"))
}

fn damaged(first: Fragment) -> io::Error {
    let Fragment { segment, offset, .. } = first;
    let text = format!("the message at offset {offset} of segment {segment} is damaged");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn truncated(fragment: Fragment) -> io::Error {
    let text = format!("segment {} ends before offset {}", fragment.segment, fragment.offset);
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}
