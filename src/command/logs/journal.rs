//! Writes a log: any thread adds lines to a bounded queue, and a thread of its own writes them.
//!
//! Adding a line never waits for the reader of the log and never fails. If the queue is full, lines
//! are lost and counted, and a line that says so follows the ones that got through. Lines that
//! cannot be written stay in the queue; the thread retries every second.
//!
//! tracing-appender's `non_blocking` bounds lines instead of bytes, cannot reopen files, and drops
//! the content of a failed write.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::limits::{LOG_FAREWELL, LOG_PATIENCE, LOG_RETRY};
use crate::stats::LineCounts;

/// Bytes written to a file at a time.
const FILE_PIECE: usize = 64 << 10;

/// Bytes written to a pipe at a time, so that they never mix with the output of others (PIPE_BUF).
const PIPE_PIECE: usize = 4 << 10;

/// An empty queue keeps at most this many bytes of memory.
const KEPT: usize = 1 << 20;

/// Where lines go.
pub(super) enum Place {
    /// Standard error of the process.
    Stderr,
    /// A file that is appended to.
    File(PathBuf),
}

/// Trouble of a log that the operator must know about.
pub(super) enum Trouble<'a> {
    /// This many lines were lost; later ones got through.
    Lost(u64),
    /// The queue is full: lines are lost from now on.
    Full,
    /// The log cannot be written.
    Failed(&'a io::Error),
    /// The file cannot be reopened; the previous one stays in use.
    NotReopened(&'a io::Error),
    /// The log can be written again.
    Mended,
}

/// Reports trouble. Returns a line for the log itself, if one belongs there.
pub(super) type Tell = Box<dyn Fn(&Trouble) -> Option<Vec<u8>> + Send + Sync>;

/// A log with its thread. Clones are the same log.
#[derive(Clone)]
pub(super) struct Journal(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// Signals that the thread has something to do.
    work: Condvar,
    /// Signals that the thread has made progress.
    done: Condvar,
    limit: usize,
    counts: &'static LineCounts,
    tell: Tell,
}

#[derive(Default)]
struct Queue {
    text: Vec<u8>,
    /// Bytes that the thread has taken and not yet written.
    in_hand: usize,
    /// Lost lines that have not been reported yet.
    lost: u64,
    reopen: bool,
    failing: bool,
}

impl Queue {
    /// Whether there is nothing to write, or writing fails.
    fn is_over(&self) -> bool {
        self.failing || (self.text.is_empty() && self.in_hand == 0)
    }
}

impl Journal {
    /// Opens the log and starts its thread. If standard error cannot be opened, the thread retries.
    ///
    /// # Errors
    /// If the file cannot be opened, or the thread cannot be started.
    pub(super) fn start(
        place: Place,
        limit: usize,
        counts: &'static LineCounts,
        tell: Tell,
    ) -> io::Result<Journal> {
        let file = match &place {
            Place::Stderr => stderr().ok(),
            Place::File(path) => Some(open(path)?),
        };
        let (queue, work, done) = Default::default();
        let shared = Arc::new(Shared { queue, work, done, limit, counts, tell });
        let writer = Writer { shared: shared.clone(), place, file };
        thread::Builder::new().name(format!("{}-writer", counts.name)).spawn(|| writer.run())?;
        Ok(Journal(shared))
    }

    /// Adds a line including its line end, or loses it. Never blocks.
    pub(super) fn push(&self, line: &[u8]) {
        let mut queue = self.0.queue();
        if queue.text.len() + queue.in_hand + line.len() <= self.0.limit {
            queue.text.extend_from_slice(line);
            drop(queue);
            return self.0.work.notify_one();
        }
        queue.lost += 1;
        let first = queue.lost == 1;
        drop(queue);
        self.0.counts.lose();
        if first {
            (self.0.tell)(&Trouble::Full);
        }
    }

    /// Makes the thread reopen the file by its name before it writes more.
    pub(super) fn reopen(&self) {
        self.0.queue().reopen = true;
        self.0.work.notify_one();
    }

    /// Waits until all lines are written, for a limited time and only while there is progress.
    pub(super) fn flush(&self) {
        let begun = Instant::now();
        let mut queue = self.0.queue();
        while begun.elapsed() < LOG_FAREWELL {
            let before = queue.in_hand;
            let stands = |queue: &mut Queue| queue.in_hand == before && !queue.is_over();
            let waited = self.0.done.wait_timeout_while(queue, LOG_PATIENCE, stands);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            if queue.in_hand == before || queue.is_over() {
                return;
            }
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    shared: Arc<Shared>,
    place: Place,
    file: Option<File>,
}

impl Writer {
    fn run(mut self) {
        let mut text = Vec::new();
        loop {
            let lost = self.take(&mut text);
            self.write(&text);
            if lost > 0
                && let Some(line) = (self.shared.tell)(&Trouble::Lost(lost))
            {
                self.write(&line);
            }
            text.clear();
            text.shrink_to(KEPT);
        }
    }

    /// Waits for lines and takes them all. Returns how many were lost after them.
    fn take(&mut self, text: &mut Vec<u8>) -> u64 {
        let shared = self.shared.clone();
        let mut queue = shared.queue();
        loop {
            if queue.reopen {
                drop(queue);
                if let Err(Some(line)) = self.reopen() {
                    self.write(&line);
                }
                queue = shared.queue();
                continue;
            }
            if !queue.text.is_empty() || queue.lost > 0 {
                std::mem::swap(&mut queue.text, text);
                queue.in_hand = text.len();
                return std::mem::take(&mut queue.lost);
            }
            queue = shared.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes all of the text, however long that takes.
    fn write(&mut self, text: &[u8]) {
        let mut at = 0;
        while at < text.len() {
            match self.write_some(&text[at..]) {
                Ok(octets) => at += octets,
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INTR) => continue,
                Err(error) => {
                    self.failing(Some(&error));
                    if self.rest() {
                        // Repeats the started line in the new file.
                        at = memchr::memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1);
                    }
                    continue;
                }
            }
            self.failing(None);
            self.shared.queue().in_hand = text.len() - at;
            self.shared.done.notify_all();
        }
        self.shared.queue().in_hand = 0;
        self.shared.done.notify_all();
    }

    fn write_some(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.file.is_none() {
            self.file = Some(match &self.place {
                Place::Stderr => stderr()?,
                Place::File(path) => open(path)?,
            });
        }
        let Some(file) = &mut self.file else { return Ok(0) };
        let most = match self.place {
            Place::Stderr => PIPE_PIECE,
            Place::File(_) => FILE_PIECE,
        };
        // Whole lines, unless one is longer than a piece.
        let piece = match text.get(..most).map(|piece| memchr::memrchr(b'\n', piece)) {
            None => text,
            Some(Some(end)) => &text[..=end],
            Some(None) => &text[..most],
        };
        match file.write(piece) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            // Another process that shares the descriptor has made it non-blocking.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::AGAIN) => {
                poll(&mut [PollFd::new(file, PollFlags::OUT)], None)?;
                Ok(0)
            }
            result => result,
        }
    }

    /// Notes whether a write failed, and reports each change.
    fn failing(&self, error: Option<&io::Error>) {
        let mut queue = self.shared.queue();
        let before = std::mem::replace(&mut queue.failing, error.is_some());
        drop(queue);
        if before != error.is_some() {
            self.shared.counts.set_failing(error.is_some());
            self.shared.done.notify_all();
            (self.shared.tell)(&error.map_or(Trouble::Mended, Trouble::Failed));
        }
    }

    /// Waits before the next attempt. Returns whether a new file was opened meanwhile.
    fn rest(&mut self) -> bool {
        let shared = self.shared.clone();
        let wait = shared.work.wait_timeout_while(shared.queue(), LOG_RETRY, |q| !q.reopen);
        let reopen = wait.unwrap_or_else(PoisonError::into_inner).0.reopen;
        reopen && matches!(self.reopen(), Ok(true))
    }

    /// Reopens the file by its name; `false` if the log is no file. On failure the previous file
    /// stays in use, and the error is a line that says so.
    fn reopen(&mut self) -> Result<bool, Option<Vec<u8>>> {
        self.shared.queue().reopen = false;
        let Place::File(path) = &self.place else { return Ok(false) };
        match open(path) {
            Ok(file) => {
                self.file = Some(file);
                Ok(true)
            }
            Err(error) => Err((self.shared.tell)(&Trouble::NotReopened(&error))),
        }
    }
}

/// A descriptor of our own: the standard library would keep its own locked while a write blocks,
/// and other writers would wait too.
fn stderr() -> io::Result<File> {
    Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?))
}

/// Opens a file for appending, with mode 0640 if it is created. A named pipe without a reader is an
/// error instead of a wait.
fn open(path: &Path) -> io::Result<File> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(nonblocking).open(path)
}
