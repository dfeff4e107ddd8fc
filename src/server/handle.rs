//! What commands ask of a running server: how much space it takes, to clean, and to delete the mail
//! of a removed user.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::asked::{AskedToClean, Cleaned};
use super::shared::Shared;
use super::space::{self, Space};
use crate::home::{Arrival, PurgeRequest, Purged};
use crate::index::CatalogError;
use crate::store::LogId;

/// A way to ask a running server. It keeps nothing of the server alive.
#[derive(Clone)]
pub(crate) struct Handle {
    data: PathBuf,
    shared: Weak<Shared>,
}

/// Why the server does not do what it is asked for.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    /// It stops.
    #[error("the server is stopping")]
    Stopping,
    /// Others wait already.
    #[error("the server is already cleaning for others; ask again when that is done")]
    Busy,
    /// The log or the catalog failed.
    #[error("not everything is deleted: {0}")]
    Failed(String),
    /// The catalog cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl Handle {
    pub(super) fn new(data: PathBuf, shared: &Arc<Shared>) -> Handle {
        Handle { data, shared: Arc::downgrade(shared) }
    }

    /// What takes space in the data folder.
    ///
    /// # Errors
    /// When the server stops, or its catalog cannot be read.
    pub(crate) async fn space(&self) -> Result<Space, NoAnswer> {
        let shared = self.shared.upgrade().ok_or(NoAnswer::Stopping)?;
        let live = shared.catalog.live().await?;
        Ok(space::of_running(&self.data, live, &shared))
    }

    /// Deletes everything that the account of a removed user has. Durable on return.
    ///
    /// # Errors
    /// When the server stops, or its log or catalog fails; then some of it may be left.
    pub(crate) async fn purge(&self, account: String) -> Result<Purged, NoAnswer> {
        let (reply, told) = oneshot::channel();
        {
            let shared = self.shared.upgrade().ok_or(NoAnswer::Stopping)?;
            let reactors = shared.reactors.get().ok_or(NoAnswer::Stopping)?;
            let reactor = &reactors[usize::from(LogId::of_account(&account, shared.count).0)];
            let request = PurgeRequest { account: account.into(), reply };
            reactor.send(Arrival::Purge(request)).map_err(|_| NoAnswer::Stopping)?;
        }
        told.await.map_err(|_| NoAnswer::Stopping)?.map_err(NoAnswer::Failed)
    }

    /// Asks to clean, and returns where the progress is told.
    ///
    /// # Errors
    /// When the server stops, or others wait already.
    pub(crate) fn clean(
        &self,
        all: bool,
        purge: bool,
    ) -> Result<mpsc::UnboundedReceiver<Cleaned>, NoAnswer> {
        let shared = self.shared.upgrade().ok_or(NoAnswer::Stopping)?;
        let (tell, told) = mpsc::unbounded_channel();
        let sent = shared.asked.sender.try_send(AskedToClean { all, purge, tell });
        match sent {
            Ok(()) => Ok(told),
            Err(mpsc::error::TrySendError::Full(_)) => Err(NoAnswer::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(NoAnswer::Stopping),
        }
    }
}
