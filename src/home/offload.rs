//! The offload pool: threads for work that would block a reactor, such as parsing large messages,
//! sorting and threading.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{LARGE_MESSAGES, PARSERS};
use crate::reactor::{JobError, Jobs};

/// A reactor's handle to the pool, which all reactors share. Work of a user waits for that of
/// others.
pub struct Offload {
    jobs: Jobs,
    /// Limits the large messages of this reactor in memory.
    turns: Arc<Semaphore>,
    /// Limits each user to one large message at a time, so that a user who requests many takes
    /// turns with others. Entries without a turn, held or awaited, are dropped.
    users: Mutex<BTreeMap<Box<str>, Weak<Semaphore>>>,
    /// Sessions that wait for a turn.
    waiting: AtomicUsize,
}

/// The right to hold a large message in memory, until it is dropped.
pub struct Turn {
    _of_reactor: OwnedSemaphorePermit,
    _of_user: OwnedSemaphorePermit,
}

/// Counts a session that waits for a turn, until it is dropped.
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

impl Offload {
    /// Starts the threads. They end when the last handle is dropped.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start() -> io::Result<Offload> {
        Ok(Offload::with(Jobs::start("parser", PARSERS, Jobs::ANY)?))
    }

    fn with(jobs: Jobs) -> Offload {
        let turns = Arc::new(Semaphore::new(LARGE_MESSAGES));
        Offload { jobs, turns, users: Mutex::default(), waiting: AtomicUsize::new(0) }
    }

    /// A handle for another reactor.
    #[must_use]
    pub fn another(&self) -> Offload {
        Offload::with(self.jobs.clone())
    }

    /// Whether a session waits for a turn.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits for the right to hold a large message of this user in memory.
    pub async fn turn(&self, user: &str) -> Turn {
        let _waiting = Waiting::new(&self.waiting);
        let of_user = self.of_user(user).acquire_owned().await;
        let of_reactor = self.turns.clone().acquire_owned().await;
        let permit = |permit: Result<_, _>| permit.expect("nobody closes the semaphore");
        Turn { _of_reactor: permit(of_reactor), _of_user: permit(of_user) }
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

    /// Runs `work` on one of the threads, for this user.
    ///
    /// # Errors
    /// When the work panics.
    pub async fn run<T: Send + 'static>(
        &self,
        user: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        self.jobs.run_for(user, work).await
    }
}
