//! The catalog as reactors use it. Blocking work runs on two threads, one for writes and one for
//! reads, so that a SELECT never waits for a checkpoint.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::account::Account;
use super::checkpoint::Checkpoint;
use super::chunks::Piece;
use super::error::CatalogError;
use super::file::CatalogFile;
use super::live::counts::Live;
use super::live::residents::{LiveIn, Residents};
use super::snapshot::{Snapshot, SnapshotError};
use crate::reactor::Jobs;
use crate::store::{MailboxId, SegmentId};
use imap::types::Uid;

/// A handle on the catalog. Dropping the last handle waits for pending work and closes the file.
#[derive(Clone)]
pub struct Catalog {
    write: Jobs,
    read: Jobs,
    /// Last field: the threads end before the file is closed.
    file: Arc<CatalogFile>,
}

impl Catalog {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start(file: CatalogFile) -> io::Result<Catalog> {
        let write = Jobs::start("catalog-write", 1, Jobs::ANY)?;
        let read = Jobs::start("catalog-read", 1, Jobs::ANY)?;
        Ok(Catalog { file: Arc::new(file), write, read })
    }

    /// An account and its mailboxes, without their messages. `None` when the account has no row.
    #[allow(clippy::missing_errors_doc)]
    pub async fn account(&self, name: &str) -> Result<Option<Account>, CatalogError> {
        let name: Box<str> = name.into();
        self.ask(&self.read, move |file| file.account(&name)).await
    }

    /// The next few chunks of a mailbox, starting at a UID: see [`super::Mailbox::to_load`].
    #[allow(clippy::missing_errors_doc)]
    pub async fn chunks(&self, mailbox: MailboxId, from: Uid) -> Result<Piece, CatalogError> {
        self.ask(&self.read, move |file| file.chunks(mailbox, from)).await
    }

    /// What lives in each segment, as of the last checkpoints: see [`Live`].
    #[allow(clippy::missing_errors_doc)]
    pub async fn live(&self) -> Result<Vec<(SegmentId, Live)>, CatalogError> {
        self.ask(&self.read, CatalogFile::live).await
    }

    /// The next mailboxes with mail in a segment, after the given one.
    #[allow(clippy::missing_errors_doc)]
    pub async fn live_in(
        &self,
        segment: SegmentId,
        (account, mailbox): (Box<str>, MailboxId),
        count: usize,
    ) -> Result<Vec<LiveIn>, CatalogError> {
        self.ask(&self.read, move |file| file.live_in(segment, (&account, mailbox), count)).await
    }

    /// Some of the messages of a mailbox that have octets in a segment.
    #[allow(clippy::missing_errors_doc)]
    pub async fn residents(
        &self,
        segment: SegmentId,
        mailbox: MailboxId,
        from: Uid,
    ) -> Result<Residents, CatalogError> {
        self.ask(&self.read, move |file| file.residents(segment, mailbox, from)).await
    }

    /// The segments that may have dead octets: see [`CatalogFile::deaths`].
    #[allow(clippy::missing_errors_doc)]
    pub async fn deaths(&self) -> Result<Vec<(SegmentId, u64)>, CatalogError> {
        self.ask(&self.read, CatalogFile::deaths).await
    }

    /// Forgets all of them but these.
    #[allow(clippy::missing_errors_doc)]
    pub async fn forget_deaths_but(
        &self,
        segments: BTreeSet<SegmentId>,
    ) -> Result<(), CatalogError> {
        self.ask(&self.write, move |file| file.forget_deaths_but(&segments)).await
    }

    /// Writes a checkpoint atomically; it is durable on return. Checkpoints are written in call
    /// order.
    #[allow(clippy::missing_errors_doc)]
    pub async fn write(&self, checkpoint: Checkpoint) -> Result<(), CatalogError> {
        self.ask(&self.write, move |file| file.write(&checkpoint)).await
    }

    /// Writes a snapshot into this folder, on one of these threads. See
    /// [`CatalogFile::write_snapshot`].
    #[allow(clippy::missing_errors_doc)]
    pub async fn write_snapshot(
        &self,
        jobs: &Jobs,
        folder: PathBuf,
        pause: impl Fn(usize) -> bool + Send + 'static,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        let file = self.file.clone();
        let written = jobs.run(move || file.write_snapshot(&folder, &pause)).await;
        written.unwrap_or(Err(CatalogError::Closed.into()))
    }

    /// Drops accounts off the reactor: one account may have a hundred thousand mailboxes.
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
