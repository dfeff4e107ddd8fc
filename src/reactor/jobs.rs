//! Blocking work, done by threads beside the reactors.
//!
//! Each asker, such as a user, has a queue of jobs, and the queues take turns: after one job of an
//! asker, the next asker has its turn. Jobs are not preempted, so long work is submitted in pieces.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io, thread};

use tokio::sync::{Semaphore, oneshot};

use super::{Thread, give_way, hesitate, start_thread};

type Job = Box<dyn FnOnce() + Send>;

/// A few threads and their waiting jobs. Dropping the last handle waits until all jobs are done.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

/// Why a job has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobError {
    /// Too many jobs are waiting.
    Full,
    /// The job panicked, and the log says so. Its thread continues with the next job.
    Panicked,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JobError::Full => "too many jobs wait for the threads beside the reactors",
            JobError::Panicked => "a job beside the reactors panicked; this is a bug, report it",
        })
    }
}

impl std::error::Error for JobError {}

struct Inner {
    queues: Arc<Queues>,
    threads: Mutex<Vec<Thread<()>>>,
}

struct Queues {
    waiting: Mutex<Waiting>,
    /// One permit for each waiting job; at the end, one more for each thread.
    ready: Semaphore,
    /// The most jobs that may wait.
    limit: usize,
}

#[derive(Default)]
struct Waiting {
    queues: BTreeMap<Box<str>, VecDeque<Job>>,
    /// Askers with waiting jobs, the next one first.
    turns: VecDeque<Box<str>>,
    jobs: usize,
}

impl Waiting {
    fn push(&mut self, asker: &str, job: Job) {
        self.jobs += 1;
        if let Some(queue) = self.queues.get_mut(asker) {
            return queue.push_back(job);
        }
        self.queues.insert(asker.into(), VecDeque::from([job]));
        self.turns.push_back(asker.into());
    }

    fn pop(&mut self) -> Option<Job> {
        let asker = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&asker)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&asker);
        } else {
            self.turns.push_back(asker);
        }
        self.jobs -= 1;
        job
    }
}

impl Queues {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // No code of a job runs under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    /// No limit on waiting jobs. Use it where callers are already bounded.
    pub const ANY: usize = usize::MAX;

    /// Starts `threads` threads with this name. At most `limit` jobs may wait.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start(name: &str, threads: usize, limit: usize) -> io::Result<Jobs> {
        Jobs::with(name, threads, limit, || ())
    }

    /// As [`Jobs::start`], at a lower priority: if there are too few cores, other threads go first.
    ///
    /// # Errors
    /// As for [`Jobs::start`].
    pub fn start_behind(name: &str, threads: usize, limit: usize) -> io::Result<Jobs> {
        Jobs::with(name, threads, limit, give_way)
    }

    fn with(name: &str, threads: usize, limit: usize, before: fn()) -> io::Result<Jobs> {
        let (waiting, ready) = (Mutex::default(), Semaphore::new(0));
        let queues = Arc::new(Queues { waiting, ready, limit });
        let inner = Inner { queues: queues.clone(), threads: Mutex::default() };
        for number in 0..threads {
            let queues = queues.clone();
            let main = move || {
                before();
                work(queues)
            };
            let thread = start_thread(format!("{name}-{number}"), main)?;
            inner.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(Jobs { inner: Arc::new(inner) })
    }

    /// Runs work on a thread; see [`Jobs::run_for`]. All jobs submitted here share one queue.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        self.run_for("", work).await
    }

    /// Runs work on a thread for an asker, whose jobs start in the order of submission. If this
    /// future is dropped before the job starts, the job is skipped.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn run_for<T: Send + 'static>(
        &self,
        asker: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move || {
            // The session may have ended: then no task waits for the result.
            if !tell.is_closed() {
                let _ = tell.send(work());
            }
        });
        let queues = &self.inner.queues;
        {
            let mut waiting = queues.waiting();
            if waiting.jobs >= queues.limit {
                return Err(JobError::Full);
            }
            waiting.push(asker, job);
        }
        queues.ready.add_permits(1);
        told.await.map_err(|_| JobError::Panicked)
    }
}

async fn work(queues: Arc<Queues>) {
    while let Ok(permit) = queues.ready.acquire().await {
        permit.forget();
        let job = queues.waiting().pop();
        // All jobs are done, and no more will come.
        let Some(job) = job else { return };
        hesitate().await;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
            let (name, said) = (thread::current(), said(&*panic));
            let name = name.name().unwrap_or_default();
            tracing::error!("a job on thread {name} panicked: {said}. This is a bug: report it");
        }
    }
}

/// The text of a panic.
pub(super) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing")
}

impl Drop for Inner {
    fn drop(&mut self) {
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.queues.ready.add_permits(threads.len());
        for thread in threads.drain(..) {
            // A job that panicked is in the log already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn askers_take_turns() {
        let jobs = Jobs::start("test", 1, Jobs::ANY).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let done = Arc::new(Mutex::new(Vec::new()));
        let ask = |asker: &'static str, number: u32| {
            let (jobs, done) = (jobs.clone(), done.clone());
            async move {
                let job = move || done.lock().unwrap().push((asker, number));
                jobs.run_for(asker, job).await
            }
        };
        let first = jobs.run_for("a", move || wait.recv());
        let all = async {
            let go = async { go.send(()).unwrap() };
            let others = async {
                tokio::join!(ask("a", 1), ask("a", 2), ask("a", 3), ask("b", 4), ask("b", 5), go)
            };
            let (first, (a, b, c, d, e, ())) = tokio::join!(first, others);
            first.unwrap().unwrap();
            [a, b, c, d, e]
        };
        assert_eq!(block_on(all), [Ok(()); 5]);
        let order: Vec<_> = done.lock().unwrap().iter().map(|(_, number)| *number).collect();
        // The first job may or may not have started when the second was submitted.
        assert!(order == [1, 4, 2, 5, 3] || order == [4, 1, 5, 2, 3], "{order:?}");
    }

    #[test]
    fn a_panic_is_reported_and_the_thread_continues() {
        let jobs = Jobs::start("test", 1, Jobs::ANY).unwrap();
        block_on(async {
            let panicked = jobs.run(|| panic!("on purpose")).await;
            assert_eq!(panicked, Err::<(), _>(JobError::Panicked));
            assert_eq!(jobs.run(|| 7).await, Ok(7));
        });
    }

    #[test]
    fn no_more_wait_than_may_and_those_that_do_are_done() {
        let jobs = Jobs::start("test", 1, 1).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let (tell, begun) = mpsc::channel();
        let done = Arc::new(Mutex::new(false));
        let flag = done.clone();
        let busy = jobs.clone();
        let thread = thread::spawn(move || {
            block_on(busy.run(move || {
                tell.send(()).unwrap();
                wait.recv()
            }))
        });
        begun.recv().unwrap();
        let waits = jobs.clone();
        let all = async {
            let waiting = waits.run(move || *flag.lock().unwrap() = true);
            let (waited, refused, _) =
                tokio::join!(waiting, jobs.run(|| ()), async { go.send(()) });
            assert_eq!((waited, refused), (Ok(()), Err(JobError::Full)));
        };
        block_on(all);
        thread.join().unwrap().unwrap().unwrap();
        drop((jobs, waits));
        assert!(*done.lock().unwrap());
    }
}
