//! Large messages whose parts are asked for: few at a time are in memory, one for each user, and
//! they are looked at by threads beside the reactors.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xxhash_rust::xxh3::xxh3_128;

use super::octets::right;
use super::parts::Parts;
use super::reader::Reader;
use super::walk::Found;
use crate::limits::{LARGE_MESSAGE as LARGE, LARGE_MESSAGES, MIME_OCTETS, PARSERS};
use crate::protocol::FetchItem;
use crate::reactor::Jobs;
use crate::session::dispatch::Session;

/// Threads that look at large messages, sort and make threads, for all reactors, as one of them
/// sees it. Users take turns.
pub struct Parser {
    jobs: Jobs,
    /// Large messages of this reactor that may be in memory.
    turns: Arc<Semaphore>,
    /// One large message of each user at a time, so that whoever asks for many takes turns with
    /// others. Users who wait for nothing are forgotten.
    users: Mutex<BTreeMap<Box<str>, Weak<Semaphore>>>,
    waiting: AtomicUsize,
}

/// The right to hold a large message in memory.
pub(in crate::session) struct Turn {
    _of_reactor: OwnedSemaphorePermit,
    _of_user: OwnedSemaphorePermit,
}

/// Counts one who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Waiting<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Parser {
    /// Starts the threads; they end with the last of their handles.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> io::Result<Parser> {
        Ok(Parser::with(Jobs::start("parser", PARSERS, Jobs::ANY)?))
    }

    fn with(jobs: Jobs) -> Parser {
        let turns = Arc::new(Semaphore::new(LARGE_MESSAGES));
        Parser { jobs, turns, users: Mutex::default(), waiting: AtomicUsize::new(0) }
    }

    /// A handle for another reactor.
    #[must_use]
    pub fn another(&self) -> Parser {
        Parser::with(self.jobs.clone())
    }

    /// Whether a session waits for a turn.
    pub(in crate::session) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits for the right to hold a large message in memory for a user.
    pub(in crate::session) async fn turn(&self, user: &str) -> io::Result<Turn> {
        let _waiting = Waiting::new(&self.waiting);
        let of_user = self.of_user(user).acquire_owned().await.map_err(io::Error::other)?;
        let of_reactor = self.turns.clone().acquire_owned().await.map_err(io::Error::other)?;
        Ok(Turn { _of_reactor: of_reactor, _of_user: of_user })
    }

    fn of_user(&self, user: &str) -> Arc<Semaphore> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = users.get(user).and_then(Weak::upgrade) {
            return turn;
        }
        users.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Semaphore::new(1));
        users.insert(user.into(), Arc::downgrade(&turn));
        turn
    }

    /// Has a thread do some work for a user.
    ///
    /// # Errors
    /// When the work panics.
    pub(in crate::session) async fn run<T: Send + 'static>(
        &self,
        user: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let failed = |error| io::Error::other(format!("a thread beside the reactor: {error:?}"));
        self.jobs.run_for(user, work).await.map_err(failed)
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
        let turn = parser.turn(self.user_name()).await?;
        let (entry, size) = (message.entry(), message.entry().size());
        let mut octets = Vec::new();
        reader.gather(message, size.min(MIME_OCTETS), &mut octets).await?;
        let (items, expected) = (items.to_vec(), entry.checksum());
        let (mut parts, checksum) = parser
            .run(self.user_name(), move || {
                let whole = octets.len() as u64 == size;
                let checksum = if whole { xxh3_128(&octets) } else { expected };
                (Parts::find(&octets, size, &items), checksum)
            })
            .await?;
        right(message, checksum)?;
        parts.turn = Some(turn).filter(|_| parts.held > LARGE);
        Ok(parts)
    }
}
