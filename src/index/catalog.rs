//! The catalog as reactors use it: what blocks runs on two threads of its own, one that writes and
//! one that reads, so that nobody who selects a mailbox waits for a checkpoint.

use std::io;
use std::sync::Arc;

use super::account::Account;
use super::checkpoint::Checkpoint;
use super::chunks::Piece;
use super::error::CatalogError;
use super::file::CatalogFile;
use crate::reactor::Jobs;
use crate::store::MailboxId;
use imap::types::Uid;

/// A handle on the catalog. The last one that is dropped waits for what was asked and closes it.
#[derive(Clone)]
pub struct Catalog {
    write: Jobs,
    read: Jobs,
    /// Closed when its threads have ended.
    file: Arc<CatalogFile>,
}

impl Catalog {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(file: CatalogFile) -> io::Result<Catalog> {
        let write = Jobs::start("catalog-write", 1, Jobs::ANY)?;
        let read = Jobs::start("catalog-read", 1, Jobs::ANY)?;
        Ok(Catalog { file: Arc::new(file), write, read })
    }

    /// An account with its mailboxes, their messages not in memory. `None` when it never had any.
    ///
    /// # Errors
    /// Those of the file; likewise below.
    pub async fn account(&self, name: &str) -> Result<Option<Account>, CatalogError> {
        let name: Box<str> = name.into();
        self.ask(&self.read, move |file| file.account(&name)).await
    }

    /// Chunks of a mailbox from a UID on, some at a time: see [`super::Mailbox::to_load`].
    #[allow(clippy::missing_errors_doc)]
    pub async fn chunks(&self, mailbox: MailboxId, from: Uid) -> Result<Piece, CatalogError> {
        self.ask(&self.read, move |file| file.chunks(mailbox, from)).await
    }

    /// Writes a checkpoint, whole or not at all; durable when this is over. Checkpoints are written
    /// in the order in which they were given.
    #[allow(clippy::missing_errors_doc)]
    pub async fn write(&self, checkpoint: Checkpoint) -> Result<(), CatalogError> {
        self.ask(&self.write, move |file| file.write(&checkpoint)).await
    }

    /// Frees accounts beside the reactor: one may have a hundred thousand mailboxes.
    pub async fn free(&self, accounts: Vec<Account>) {
        let freed = self.ask(&self.read, move |_| {
            drop(accounts);
            Ok(())
        });
        let _ = freed.await;
    }

    async fn ask<T: Send + 'static>(
        &self,
        jobs: &Jobs,
        work: impl FnOnce(&CatalogFile) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let file = self.file.clone();
        jobs.run(move || work(&file)).await.unwrap_or(Err(CatalogError::Closed))
    }
}
