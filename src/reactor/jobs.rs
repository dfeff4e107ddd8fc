//! What would block a reactor is done elsewhere, one job after the other.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::{Thread, hesitate, start_thread};

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
    queue: Option<UnboundedSender<Job>>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
    threads: Mutex<Vec<Thread<()>>>,
}

impl Jobs {
    /// Starts threads of this name. Of jobs that have not begun, `limit` may wait.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str, threads: usize, limit: usize) -> io::Result<Jobs> {
        let (queue, receiver) = unbounded_channel();
        let receiver = Arc::new(AsyncMutex::new(receiver));
        let inner =
            Inner { queue: Some(queue), waiting: Arc::default(), limit, threads: Mutex::default() };
        for number in 0..threads {
            let receiver = receiver.clone();
            let thread = start_thread(format!("{name}-{number}"), move || work(receiver))?;
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
        let waiting = self.inner.waiting.clone();
        if waiting.fetch_add(1, Ordering::Relaxed) >= self.inner.limit {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(JobError::Full);
        }
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move || {
            waiting.fetch_sub(1, Ordering::Relaxed);
            // Nobody waits any more when the session has ended.
            if !tell.is_closed() {
                let _ = tell.send(work());
            }
        });
        if let Some(queue) = &self.inner.queue {
            // Threads that are gone have dropped `tell`, which is found out below.
            let _ = queue.send(job);
        }
        told.await.map_err(|_| JobError::Gone)
    }
}

async fn work(queue: Arc<AsyncMutex<UnboundedReceiver<Job>>>) {
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
