//! Large messages whose parts are asked for: one at a time is in memory, and it is looked at by a
//! thread that no other session waits for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xxhash_rust::xxh3::xxh3_128;

use super::octets::right;
use super::parts::Parts;
use super::reader::Reader;
use super::walk::Found;
use crate::limits::MIME_OCTETS;
use crate::protocol::FetchItem;
use crate::reactor::Jobs;
use crate::session::dispatch::Session;

/// Messages above this are large: parsing one takes a millisecond and more.
pub(super) const LARGE: u64 = 1 << 20;

/// The thread that parses large messages for all reactors, as one of them sees it.
pub struct Parser {
    jobs: Jobs,
    /// One large message of this reactor at a time.
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Parser {
    /// Starts the thread; it ends with the last of its handles.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> io::Result<Parser> {
        let jobs = Jobs::start("parser", 1, Jobs::ANY)?;
        Ok(Parser { jobs, turn: Arc::new(Semaphore::new(1)), waiting: AtomicUsize::new(0) })
    }

    /// A handle for another reactor.
    #[must_use]
    pub fn another(&self) -> Parser {
        let (turn, waiting) = (Arc::new(Semaphore::new(1)), AtomicUsize::new(0));
        Parser { jobs: self.jobs.clone(), turn, waiting }
    }

    /// Whether somebody waits for a turn.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// The right to hold a large message in memory.
    pub(in crate::session) async fn turn(&self) -> io::Result<OwnedSemaphorePermit> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let turn = self.turn.clone().acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        turn.map_err(io::Error::other)
    }

    /// Has the thread do some work.
    ///
    /// # Errors
    /// When the thread is gone.
    pub(in crate::session) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let gone = |_| io::Error::other("the thread that parses messages is gone");
        self.jobs.run(work).await.map_err(gone)
    }
}

impl Session {
    /// Finds the parts of a message over [`LARGE`].
    pub(super) async fn parse_large(
        &self,
        message: &Found,
        items: &[FetchItem],
        reader: &mut Reader<'_>,
    ) -> io::Result<Parts> {
        // Who waits for a turn holds no lease.
        reader.rest();
        let parser = &self.home.parser;
        let turn = parser.turn().await?;
        let (entry, size) = (message.entry(), message.entry().size());
        let mut octets = Vec::new();
        reader.gather(message, size.min(MIME_OCTETS), &mut octets).await?;
        let (items, expected) = (items.to_vec(), entry.checksum());
        let (mut parts, checksum) = parser
            .run(move || {
                let whole = octets.len() as u64 == size;
                let checksum = if whole { xxh3_128(&octets) } else { expected };
                (Parts::find(&octets, size, &items), checksum)
            })
            .await?;
        right(message, checksum)?;
        parts.turn = Some(turn).filter(|_| parts.held() as u64 > LARGE);
        Ok(parts)
    }
}
