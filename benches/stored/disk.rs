//! What the disk can do: reading the files of the log in order.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use rustix::fs::OFlags;

/// Octets of a read, as `mailrace verify` has them.
const PIECE: usize = 1 << 20;

/// Octets of a block, which O_DIRECT wants memory and length to be multiples of.
const BLOCK: usize = 4096;

/// The segments in which there are frames, and their lengths, the newest first.
pub fn with_frames(data: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(data.join("segments")).expect("a folder of segments");
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        let file = File::open(&path).expect("a segment");
        let mut magic = [0; 8];
        let read = file.read_at(&mut magic, BLOCK as u64).expect("the disk reads");
        if read == magic.len() && magic != [0; 8] {
            files.push((path, file.metadata().expect("a file").len()));
        }
    }
    files.sort_by(|a, b| b.cmp(a));
    files
}

/// Reads files in order, the last one first, with O_DIRECT where there is one, by as many threads.
/// Returns the seconds that takes.
pub fn read(files: &[(PathBuf, u64)], threads: usize) -> f64 {
    let octets: u64 = files.iter().map(|(_, length)| length).sum();
    let pieces = Mutex::new(Pieces { files: files.to_vec(), at: 0 });
    let begun = Instant::now();
    let read: u64 = thread::scope(|scope| {
        let reader = || {
            let mut buffer = vec![0; PIECE + BLOCK];
            let start = buffer.as_ptr().align_offset(BLOCK);
            let mut open: Option<(PathBuf, File)> = None;
            let mut done = 0;
            loop {
                let next = pieces.lock().expect("no panic").next();
                let Some((path, at)) = next else { return done };
                if open.as_ref().is_none_or(|(other, _)| *other != path) {
                    open = Some((path.clone(), direct(&path)));
                }
                let (_, file) = open.as_ref().expect("it was just opened");
                let read = file.read_at(&mut buffer[start..start + PIECE], at);
                done += read.expect("the disk reads") as u64;
            }
        };
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(reader)).collect();
        readers.into_iter().map(|reader| reader.join().expect("no panic")).sum()
    });
    assert_eq!(read, octets, "octets read");
    begun.elapsed().as_secs_f64()
}

/// Files with their lengths, and where to read next.
struct Pieces {
    files: Vec<(PathBuf, u64)>,
    at: u64,
}

impl Iterator for Pieces {
    type Item = (PathBuf, u64);

    fn next(&mut self) -> Option<(PathBuf, u64)> {
        while self.files.last().is_some_and(|&(_, length)| self.at >= length) {
            self.files.pop();
            self.at = 0;
        }
        let piece = (self.files.last()?.0.clone(), self.at);
        self.at += PIECE as u64;
        Some(piece)
    }
}

fn direct(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true);
    let flags = OFlags::DIRECT.bits().cast_signed();
    let direct = options.clone().custom_flags(flags).open(path);
    direct.or_else(|_| options.open(path)).expect("a segment")
}
