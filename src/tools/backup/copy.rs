//! Copying a file in large pieces, several at a time, past the page cache where that is possible.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::limits::BLOCK;
use crate::reactor::Access;
use crate::reactor::files::{self, File};

/// Bytes of a piece. Disks reach their full speed with pieces of this size.
const PIECE: u64 = 1 << 20;

/// Pieces in flight.
const THREADS: u64 = 4;

/// How a copy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// All of it is there, and durable.
    Whole,
    /// The source was removed, renamed or shortened. A part of it may be there.
    Vanished,
}

/// A vector at an address that O_DIRECT accepts.
struct Aligned {
    buffer: Vec<u8>,
    start: usize,
}

impl Aligned {
    fn new() -> Aligned {
        let buffer = vec![0; PIECE as usize + BLOCK];
        let start = buffer.as_ptr().align_offset(BLOCK).min(BLOCK);
        Aligned { buffer, start }
    }

    fn octets(&mut self, length: usize) -> &mut [u8] {
        &mut self.buffer[self.start..self.start + length]
    }
}

/// Copies bytes `from` to `to` of a file into the same place of another, which is created if it
/// does not exist. It is durable on return; its name is not.
///
/// A segment that is no longer needed may be renamed and used for other mail. So each piece is
/// written only if, after it was read, the name of the source still leads to the same file.
pub(super) fn copy(source: &Path, target: &Path, from: u64, to: u64) -> Result<Copied, io::Error> {
    let blocks = [from, to].iter().all(|at| at.is_multiple_of(BLOCK as u64));
    let open = |path: &Path, access| match blocks {
        // O_DIRECT reads and writes whole blocks.
        true => files::open_direct(path, access).map(|(file, _)| file),
        false => files::open(path, access),
    };
    let input = match open(source, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Copied::Vanished),
        input => input?,
    };
    let output = open(target, Access::Create)?;
    let (next, gone) = (AtomicU64::new(from), AtomicBool::new(false));
    let failed = Mutex::new(None);
    let work = || {
        let mut piece = Aligned::new();
        loop {
            let at = next.fetch_add(PIECE, Ordering::Relaxed);
            if at >= to || gone.load(Ordering::Relaxed) {
                return Ok(());
            }
            let octets = piece.octets((to - at).min(PIECE) as usize);
            if input.read_at(octets, at)? < octets.len() || !leads_to(source, &input)? {
                gone.store(true, Ordering::Relaxed);
                return Ok(());
            }
            output.write_all_at(octets, at)?;
        }
    };
    let count = (to.saturating_sub(from)).div_ceil(PIECE).min(THREADS);
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                if let Err(error) = work() {
                    gone.store(true, Ordering::Relaxed);
                    failed.lock().expect("no thread panics with it").get_or_insert(error);
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().expect("no thread panics with it") {
        return Err(error);
    }
    if gone.into_inner() {
        return Ok(Copied::Vanished);
    }
    output.sync_all()?;
    Ok(Copied::Whole)
}

/// Whether a path leads to this file.
fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    match files::identity(path) {
        Ok(found) => Ok(found == file.identity()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
