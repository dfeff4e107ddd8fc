//! What would block a reactor is done elsewhere, one job after the other.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, oneshot};

use super::{Thread, give_way, hesitate, start_thread};

type Job = Box<dyn FnOnce() + Send>;

/// A few threads and what waits for them. The last handle that is dropped waits until all is done.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobError {
    /// As many wait as may.
    Full,
    /// The threads are gone.
    Gone,
}

struct Inner {
    /// `None` only while they are being closed.
    queue: Option<Sender<Job>>,
    threads: Mutex<Vec<Thread<()>>>,
}

impl Jobs {
    /// As many jobs as memory has room for may wait: those who ask are few.
    pub const ANY: usize = Semaphore::MAX_PERMITS;

    /// Starts threads of this name. Of jobs that have not begun, `limit` may wait.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str, threads: usize, limit: usize) -> io::Result<Jobs> {
        Jobs::with(name, threads, limit, || ())
    }

    /// The same for work that has time: where there are too few cores for all, others go first.
    ///
    /// # Errors
    /// As with [`Jobs::start`].
    pub fn start_behind(name: &str, threads: usize, limit: usize) -> io::Result<Jobs> {
        Jobs::with(name, threads, limit, give_way)
    }

    fn with(name: &str, threads: usize, limit: usize, before: fn()) -> io::Result<Jobs> {
        let (queue, receiver) = channel(limit);
        let receiver = Arc::new(AsyncMutex::new(receiver));
        let inner = Inner { queue: Some(queue), threads: Mutex::default() };
        for number in 0..threads {
            let receiver = receiver.clone();
            let main = move || {
                before();
                work(receiver)
            };
            let thread = start_thread(format!("{name}-{number}"), main)?;
            inner.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(Jobs { inner: Arc::new(inner) })
    }

    /// Has a thread do some work, after all that waits already; unless nobody waits for the result
    /// any more when its turn comes.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Nobody waits any more when the session has ended.
            if !tell.is_closed() {
                let _ = tell.send(work());
            }
        });
        let queue = self.inner.queue.as_ref().ok_or(JobError::Gone)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => JobError::Full,
            TrySendError::Closed(_) => JobError::Gone,
        })?;
        told.await.map_err(|_| JobError::Gone)
    }
}

async fn work(queue: Arc<AsyncMutex<Receiver<Job>>>) {
    loop {
        let job = queue.lock().await.recv().await;
        let Some(job) = job else { return };
        hesitate().await;
        job();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.take();
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}
