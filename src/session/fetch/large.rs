//! Large messages whose parts are asked for: they are looked at piece by piece, by threads beside
//! the reactors, few at a time, one for each user.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xxhash_rust::xxh3::Xxh3;

use super::octets::right;
use super::parts::Parts;
use super::reader::Reader;
use super::walk::Found;
use crate::limits::{LARGE_MESSAGE as LARGE, LARGE_MESSAGES, PARSERS};
use crate::reactor::Jobs;
use crate::session::dispatch::Session;
use crate::session::vigil::Vigil;
use imap::mime::{Outliner, TextSearch, TooLong};
use imap::protocol::FetchItem;

/// Pieces of a large message, after which other users may have theirs first.
const PIECES: usize = 16;

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

/// What looks at a message that comes in pieces.
pub(in crate::session) trait Looks: Send + 'static {
    /// Takes the next octets, the last or not. Whether it has seen enough.
    fn look(&mut self, piece: &[u8], last: bool) -> Result<bool, TooLong>;

    /// What it takes in memory, in bytes.
    fn memory(&self) -> usize;
}

impl Looks for Outliner {
    fn look(&mut self, piece: &[u8], last: bool) -> Result<bool, TooLong> {
        self.feed(piece, last).map(|()| false)
    }

    fn memory(&self) -> usize {
        Outliner::memory(self)
    }
}

impl Looks for TextSearch {
    fn look(&mut self, piece: &[u8], last: bool) -> Result<bool, TooLong> {
        self.feed(piece, last)
    }

    fn memory(&self) -> usize {
        TextSearch::memory(self)
    }
}

/// Headers are too long to be looked at.
pub(in crate::session) fn too_long(error: TooLong) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, error)
}

impl Session {
    /// Has threads beside the reactor look at the first `length` octets of a message, in pieces of
    /// so many. Between two of them the client may turn out to have gone, and other users may have
    /// their turn. When all of the message was looked at, its checksum was right.
    ///
    /// # Errors
    /// `FileTooLarge` when a header is too long; `BrokenPipe` when the client has gone.
    pub(in crate::session) async fn look_at<L: Looks>(
        &self,
        message: &Found,
        (length, piece): (u64, u64),
        (reader, vigil): (&mut Reader<'_>, &mut Vigil),
        mut looks: L,
    ) -> io::Result<(L, Turn)> {
        let (parser, user, size) = (&self.home.parser, self.user_name(), message.entry().size());
        // Who waits for a turn holds no lease.
        reader.rest();
        let mut turn = self.watch(vigil, parser.turn(user)).await?;
        let (mut at, mut pieces, mut octets, mut hasher) = (0, 0, Vec::new(), Xxh3::new());
        while at < length {
            reader.copy(message, at..length.min(at + piece), &mut octets).await?;
            at += octets.len() as u64;
            let last = at == length;
            let work = parser.run(user, move || {
                hasher.update(&octets);
                let enough = looks.look(&octets, last);
                (enough, looks, octets, hasher)
            });
            let enough;
            (enough, looks, octets, hasher) = self.watch(vigil, work).await?;
            if enough.map_err(too_long)? && !last {
                return Ok((looks, turn));
            }
            self.still_there(vigil)?;
            pieces += 1;
            if pieces >= PIECES && !last && parser.is_awaited() && looks.memory() as u64 <= LARGE {
                // What it holds is no more than any command may.
                reader.rest();
                drop(turn);
                turn = self.watch(vigil, parser.turn(user)).await?;
                pieces = 0;
            }
        }
        if length == size {
            right(message, hasher.digest128())?;
        }
        Ok((looks, turn))
    }

    /// Finds the parts of a message over [`LARGE`], or what its long header says; then only the
    /// first `length` octets are looked at.
    pub(super) async fn parse_large(
        &self,
        message: &Found,
        length: u64,
        items: &[FetchItem],
        reader: &mut Reader<'_>,
    ) -> io::Result<Parts> {
        let says = |item: &FetchItem| {
            matches!(item, FetchItem::Body | FetchItem::BodyStructure | FetchItem::Envelope)
        };
        let shows = |item: &FetchItem| matches!(item, FetchItem::Preview { .. });
        let (headers, preview) = (items.iter().any(says), items.iter().any(shows));
        let outliner = Outliner::new(self.enabled.rev2, headers, preview);
        let mut vigil = Vigil::new();
        let with = (reader, &mut vigil);
        let (outliner, turn) = self.look_at(message, (length, LARGE), with, outliner).await?;
        let (items, size) = (items.to_vec(), message.entry().size());
        let work = move || Parts::find(outliner.finish(), size, &items);
        let work = self.home.parser.run(self.user_name(), work);
        let mut parts = self.watch(&mut vigil, work).await?;
        if parts.items.iter().any(super::parts::Part::is_too_long) {
            return Err(too_long(TooLong));
        }
        parts.turn = Some(turn).filter(|_| parts.held > LARGE);
        Ok(parts)
    }
}
