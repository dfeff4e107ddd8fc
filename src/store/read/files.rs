//! Segments that are open for reading.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

use tokio::sync::{Notify, OnceCell};

use super::error::ReadError;
use crate::reactor::fault::{Fault, made};
use crate::reactor::{Jobs, LogFile, thresholds};
use crate::store::format::SegmentId;
use crate::store::segments::Segments;

/// The segments that one reactor has open for reading. A handle: clones share them.
///
/// At most [`OPEN_SEGMENTS`](crate::limits::OPEN_SEGMENTS) stay open. A thread beside the reactors
/// opens them, because open(2) waits for a slow disk, and with it would every session of the
/// reactor. Sessions that want the same segment at the same time share one opening.
#[derive(Clone)]
pub struct Files {
    inner: Rc<Inner>,
}

struct Inner {
    segments: Segments,
    jobs: Jobs,
    open: RefCell<BTreeMap<SegmentId, Opening>>,
    /// Readers at work, by number.
    readers: RefCell<BTreeSet<u64>>,
    /// Number of the next reader.
    next_reader: Cell<u64>,
    /// Notified when a reader has ended.
    ended: Notify,
}

/// A reader at work: see [`Files::leave`].
pub(super) struct AtWork {
    files: Files,
    number: u64,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.files.inner.readers.borrow_mut().remove(&self.number);
        self.files.inner.ended.notify_waiters();
    }
}

/// A segment that is open, or that the first session to want it is opening.
type Opening = Rc<OnceCell<LogFile>>;

impl Files {
    /// The segments of this folder, opened by these threads.
    #[must_use]
    pub fn new(segments: Segments, jobs: Jobs) -> Files {
        let inner = Inner {
            segments,
            jobs,
            open: RefCell::default(),
            readers: RefCell::default(),
            next_reader: Cell::new(0),
            ended: Notify::new(),
        };
        Files { inner: Rc::new(inner) }
    }

    /// The folder.
    #[must_use]
    pub fn segments(&self) -> &Segments {
        &self.inner.segments
    }

    /// Registers a reader for as long as it holds places of messages.
    pub(super) fn work(&self) -> AtWork {
        let number = self.inner.next_reader.get();
        self.inner.next_reader.set(number + 1);
        self.inner.readers.borrow_mut().insert(number);
        AtWork { files: self.clone(), number }
    }

    /// Closes a segment that no message lies in any more, once every reader of now has ended: they
    /// may hold places in it, and will open it to read them. Later readers find no message there.
    pub async fn leave(&self, segment: SegmentId) {
        let next = self.inner.next_reader.get();
        loop {
            let ended = self.inner.ended.notified();
            let oldest = self.inner.readers.borrow().first().copied();
            if oldest.is_none_or(|oldest| oldest >= next) || made(Fault::ReaderNotAwaited) {
                break;
            }
            ended.await;
        }
        self.inner.open.borrow_mut().remove(&segment);
    }

    /// A segment, open for reading.
    pub(super) async fn get(&self, segment: SegmentId) -> Result<LogFile, ReadError> {
        let opening = self.opening(segment);
        match opening.get_or_try_init(|| self.open(segment)).await {
            Ok(file) => Ok(file.clone()),
            Err(error) => {
                let mut open = self.inner.open.borrow_mut();
                if open.get(&segment).is_some_and(|other| Rc::ptr_eq(other, &opening)) {
                    open.remove(&segment);
                }
                Err(ReadError::Open { path: self.inner.segments.path(segment), error })
            }
        }
    }

    fn opening(&self, segment: SegmentId) -> Opening {
        let mut open = self.inner.open.borrow_mut();
        if let Some(opening) = open.get(&segment) {
            return opening.clone();
        }
        if open.len() >= thresholds().open_segments {
            // Which one is closed matters little: opening it again costs microseconds.
            open.pop_first();
        }
        open.entry(segment).or_default().clone()
    }

    async fn open(&self, segment: SegmentId) -> io::Result<LogFile> {
        let opened = self.open_beside(segment).await;
        match &opened {
            Err(error) if is_out_of_descriptors(error) => {
                // Segments that are open for reading can be closed, and opened again later.
                self.inner.open.borrow_mut().retain(|_, opening| opening.get().is_none());
                self.open_beside(segment).await
            }
            _ => opened,
        }
    }

    async fn open_beside(&self, segment: SegmentId) -> io::Result<LogFile> {
        let segments = self.inner.segments.clone();
        let opened = self.inner.jobs.run(move || segments.open_to_read(segment)).await;
        opened.map_err(io::Error::other)?.map(LogFile::new)
    }
}

/// Whether the process, or the system, has no file descriptor left.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::reactor::simulation::{Machine, Temper};
    use crate::reactor::{Options, run};

    const ONE: SegmentId = SegmentId(1);

    /// Runs a future on a simulated machine whose folder has a segment.
    fn on_a_machine<F: Future<Output = ()>>(
        temper: Temper,
        what: impl FnOnce(Segments, Files) -> F + 'static,
    ) {
        let machine = Machine::put_up(1, temper, None, None);
        let result = run(Options { core: None }, async {
            machine.switch_on();
            let segments = Segments::open(Path::new("segments")).expect("a folder");
            let jobs = Jobs::start("opener", 1, Jobs::ANY).expect("a thread");
            what(segments.clone(), Files::new(segments, jobs)).await;
            machine.halt();
        });
        result.expect("a run");
        assert_eq!(machine.panicked(), None);
        Machine::take_down();
    }

    fn make(segments: &Segments, segment: SegmentId) {
        let (file, _) = segments.create(segment).expect("a file");
        file.set_length(8192).expect("room");
        segments.publish(segment, &file, 8192).expect("a segment");
    }

    #[test]
    fn those_who_want_the_same_segment_share_one_opening() {
        on_a_machine(Temper { thread: 5, ..Temper::default() }, async |segments, files| {
            make(&segments, ONE);
            let asked = files.opening(ONE);
            let (first, second) = tokio::join!(files.get(ONE), files.get(ONE));
            assert!(first.is_ok() && second.is_ok());
            // Both got what was put into the same cell, and it is kept.
            assert!(asked.get().is_some() && Rc::ptr_eq(&asked, &files.opening(ONE)));
        });
    }

    #[test]
    fn what_cannot_be_opened_is_named_and_asked_for_again() {
        on_a_machine(Temper::default(), async |segments, files| {
            let error = files.get(ONE).await.err().expect("no such segment");
            assert!(error.to_string().contains("00000000000000000001.seg"), "{error}");
            assert!(std::error::Error::source(&error).is_some());
            make(&segments, ONE);
            assert!(files.get(ONE).await.is_ok(), "the failure was remembered");
        });
    }
}
