//! Deleting everything that an account has, once its user is removed.

use std::ops::Bound;
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;

use crate::home::{Home, Owner, PurgeRequest, Purged};
use crate::index::CatalogError;
use crate::reactor::{LeaseClass, timeout};
use crate::store::{LogError, Purpose, Record, sealed_len};

/// Time that sessions have to read their BYE.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why an account is not purged, or not whole.
#[derive(Debug, Error)]
enum PurgeError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Carries out a request.
pub(crate) async fn purge(home: Rc<Home>, request: PurgeRequest) {
    let PurgeRequest { account, reply } = request;
    let purged = home.purge(&account).await.map_err(|error| error.to_string());
    // Nobody waits for the answer when the server is stopping.
    let _ = reply.send(purged);
}

impl Home {
    /// Deletes the mailboxes and subscriptions of an account whose user is removed, INBOX too. They
    /// are the usual records, each durable before the next, so after a crash the rest can be
    /// deleted. The account keeps its counters: no identifier is given twice.
    async fn purge(&self, account: &str) -> Result<Purged, PurgeError> {
        let owner = self.owner_named(account).await?;
        let removal = owner.remove();
        self.sessions_end(&owner).await;
        let _one_at_a_time = owner.structure.lock().await;
        let mut purged = Purged::default();
        let all: Vec<_> = owner.account.borrow().names().map(|(_, mailbox)| mailbox).collect();
        for mailbox in all {
            let mut messages = 0;
            let deleted = self.delete_if(&owner, mailbox, |found| {
                messages = found.counts().messages.into();
                true
            });
            if deleted.await? {
                purged.mailboxes += 1;
                purged.messages += messages;
            }
        }
        loop {
            let name = owner.account.borrow().next_subscription(Bound::Unbounded).map(Box::from);
            let Some(name) = name else { break };
            let account = owner.name();
            let record = Record::Subscribe { account, name, subscribed: false };
            let class = LeaseClass::holding(sealed_len(0, record.encoded_len()));
            let ledger = self.ledger(&owner);
            let step = ledger.step(class, Purpose::Removes, |page| {
                page.change(record);
                Ok::<_, LogError>(())
            });
            step.await?;
            ledger.durable().await?;
        }
        drop(removal);
        Ok(purged)
    }

    async fn sessions_end(&self, owner: &Rc<Owner>) {
        let all_ended = async {
            loop {
                let ended = self.ended.notified();
                if !owner.is_attended() {
                    return;
                }
                ended.await;
            }
        };
        if timeout(PATIENCE, all_ended).await.is_none() {
            // These clients do not read their BYE.
            owner.shut_down();
        }
    }
}
