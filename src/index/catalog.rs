//! The catalog as reactors use it: what blocks runs on two threads of its own, one that writes and
//! one that reads, so that nobody who selects a mailbox waits for a checkpoint.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use tokio::sync::oneshot;

use super::account::Account;
use super::checkpoint::Checkpoint;
use super::chunks::Piece;
use super::error::CatalogError;
use super::file::CatalogFile;
use crate::types::{MailboxId, Uid};

/// A handle on the catalog. The last one that is dropped waits for what was asked and closes it.
#[derive(Clone)]
pub struct Catalog {
    threads: Arc<Threads>,
}

type Job = Box<dyn FnOnce(&CatalogFile) + Send>;

struct Threads {
    write: Queue,
    read: Queue,
}

struct Queue {
    /// `None` only while the queue is being closed.
    jobs: Option<Sender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Catalog {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(file: CatalogFile) -> io::Result<Catalog> {
        let file = Arc::new(file);
        let write = Queue::start("catalog-write", file.clone())?;
        let read = Queue::start("catalog-read", file)?;
        Ok(Catalog { threads: Arc::new(Threads { write, read }) })
    }

    /// An account with its mailboxes, their messages not in memory. `None` when it never had any.
    ///
    /// # Errors
    /// Those of the file; likewise below.
    pub async fn account(&self, name: &str) -> Result<Option<Account>, CatalogError> {
        let name: Box<str> = name.into();
        self.threads.read.ask(move |file| file.account(&name)).await
    }

    /// Chunks of a mailbox from a UID on, some at a time: see [`super::Mailbox::to_load`].
    #[allow(clippy::missing_errors_doc)]
    pub async fn chunks(&self, mailbox: MailboxId, from: Uid) -> Result<Piece, CatalogError> {
        self.threads.read.ask(move |file| file.chunks(mailbox, from)).await
    }

    /// Writes a checkpoint, whole or not at all; durable when this is over. Checkpoints are written
    /// in the order in which they were given.
    #[allow(clippy::missing_errors_doc)]
    pub async fn write(&self, checkpoint: Checkpoint) -> Result<(), CatalogError> {
        self.threads.write.ask(move |file| file.write(&checkpoint)).await
    }
}

impl Queue {
    fn start(name: &str, file: Arc<CatalogFile>) -> io::Result<Queue> {
        let (sender, receiver) = channel();
        let thread = Builder::new().name(name.into()).spawn(move || serve(&file, &receiver))?;
        Ok(Queue { jobs: Some(sender), thread: Mutex::new(Some(thread)) })
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CatalogFile) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |file| {
            // Nobody waits any more when the session has ended.
            let _ = tell.send(work(file));
        });
        if let Some(jobs) = &self.jobs {
            // A thread that is gone has dropped `tell`, which is found out below.
            let _ = jobs.send(job);
        }
        told.await.unwrap_or(Err(CatalogError::Closed))
    }
}

fn serve(file: &CatalogFile, jobs: &Receiver<Job>) {
    for job in jobs {
        job(file);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.jobs.take();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}
