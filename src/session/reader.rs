//! Messages back from the disk: fragments through a lease, checked as they come.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use xxhash_rust::xxh3::Xxh3;

use super::context::Home;
use crate::limits::{BLOCK, LARGE_LEASE, OPEN_SEGMENTS};
use crate::log::SegmentHeader;
use crate::reactor::{Lease, LeaseClass, LogFile};
use crate::types::{Fragment, SegmentId};

/// Segments open for reading.
pub struct Files {
    folder: PathBuf,
    open: RefCell<HashMap<SegmentId, LogFile>>,
}

impl Files {
    /// Segments of this folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Files {
        Files { folder, open: RefCell::default() }
    }

    fn get(&self, segment: SegmentId) -> io::Result<LogFile> {
        if let Some(file) = self.open.borrow().get(&segment) {
            return Ok(file.clone());
        }
        let path = self.folder.join(SegmentHeader::file_name(segment));
        let direct = File::options().read(true).custom_flags(libc::O_DIRECT).open(&path);
        let file = LogFile::new(direct.or_else(|_| File::open(&path)).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?);
        let mut open = self.open.borrow_mut();
        if open.len() >= OPEN_SEGMENTS {
            // Which one goes matters little: opening costs microseconds.
            let any = open.keys().next().copied();
            any.map(|any| open.remove(&any));
        }
        open.insert(segment, file.clone());
        Ok(file)
    }
}

/// A message to be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    pub size: u64,
    pub checksum: u128,
    pub fragments: Vec<Fragment>,
}

/// Reads messages for one command. What it has read once it keeps: messages that were sent
/// together lie together.
pub(super) struct Reader<'a> {
    home: &'a Home,
    window: Option<Window>,
    /// Other messages will follow: read on behind what is needed.
    ahead: bool,
}

/// Blocks of a segment in a lease.
struct Window {
    lease: Lease,
    segment: SegmentId,
    start: u64,
    length: usize,
}

impl<'a> Reader<'a> {
    pub fn new(home: &'a Home, ahead: bool) -> Reader<'a> {
        Reader { home, window: None, ahead }
    }

    /// The octets of the message from `at` on, as many as lie together in the window; at least one.
    pub async fn piece(&mut self, message: &Stored, at: u64) -> io::Result<&[u8]> {
        let (fragment, skip) = locate(message, at)?;
        let from = u64::from(fragment.offset) + u64::from(skip);
        let wanted = (fragment.length - skip) as usize;
        if !self.window.as_ref().is_some_and(|window| window.holds(fragment.segment, from)) {
            self.load(fragment.segment, from, wanted).await?;
        }
        let window = self.window.as_ref().expect("it was just loaded");
        let begin = usize::try_from(from - window.start).expect("a window is small");
        let end = window.length.min(begin + wanted);
        if begin >= end {
            return Err(truncated(fragment));
        }
        Ok(&window.lease.octets()[begin..end])
    }

    async fn load(&mut self, segment: SegmentId, from: u64, wanted: usize) -> io::Result<()> {
        let file = self.home.files.get(segment)?;
        let start = from / BLOCK as u64 * BLOCK as u64;
        let lead = usize::try_from(from - start).expect("less than a block");
        let needed = (lead + wanted).next_multiple_of(BLOCK);
        let lease = match self.window.take() {
            Some(window) => window.lease,
            None if needed <= LeaseClass::Small.size() && !self.ahead => {
                self.home.arena.lease(LeaseClass::Small).await
            }
            None => self.home.arena.lease(LeaseClass::Large).await,
        };
        let length = if self.ahead { lease.len() } else { needed.min(lease.len()) };
        let (result, lease) = file.read_at(lease, 0..length, start).await;
        let length = result.map_err(|error| {
            let text = format!("reading segment {segment} at offset {start}: {error}");
            io::Error::new(error.kind(), text)
        })?;
        self.window = Some(Window { lease, segment, start, length });
        Ok(())
    }

    /// The whole message, which must not be large, into `into`; checked.
    pub async fn whole(&mut self, message: &Stored, into: &mut Vec<u8>) -> io::Result<()> {
        assert!(message.size <= LARGE_LEASE as u64, "large messages are read in pieces");
        into.clear();
        while (into.len() as u64) < message.size {
            let piece = self.piece(message, into.len() as u64).await?;
            into.extend_from_slice(piece);
        }
        check(message, xxhash_rust::xxh3::xxh3_128(into))
    }

    /// Gives up the lease while the client does not read.
    pub fn rest(&mut self) {
        self.window = None;
    }
}

impl Window {
    fn holds(&self, segment: SegmentId, at: u64) -> bool {
        self.segment == segment && at >= self.start && at < self.start + self.length as u64
    }
}

/// The fragment that holds octet `at` of the message, and how far into it.
fn locate(message: &Stored, at: u64) -> io::Result<(Fragment, u32)> {
    let mut before = 0;
    for &fragment in &message.fragments {
        let skip = at - before;
        if skip < u64::from(fragment.length) {
            return Ok((fragment, u32::try_from(skip).expect("less than a u32")));
        }
        before += u64::from(fragment.length);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the index has fewer octets than the message"))
}

fn truncated(fragment: Fragment) -> io::Error {
    let text = format!("segment {} ends before offset {}", fragment.segment, fragment.offset);
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

/// Compares what was read with what was received.
pub(super) fn check(message: &Stored, found: u128) -> io::Result<()> {
    if found == message.checksum {
        return Ok(());
    }
    let at = message.fragments.first().map(|f| (f.segment, f.offset));
    let text = format!("the message at {at:?} does not have the octets that were stored");
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

/// Checks a message that is read in pieces.
pub(super) struct Checker(Box<Xxh3>);

impl Checker {
    pub fn new() -> Checker {
        Checker(Box::new(Xxh3::new()))
    }

    pub fn feed(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub fn end(&self, message: &Stored) -> io::Result<()> {
        check(message, self.0.digest128())
    }
}
