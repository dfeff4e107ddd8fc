//! Changes on their way through the log: a record is written, and applied when it is durable.

mod copy;
mod expunge;
mod store;

use std::rc::Rc;

use super::context::Home;
use super::dispatch::Session;
use crate::index::Mailbox;
use crate::ingest::Owner;
use crate::limits::UID_RANGES;
use crate::log::{Frame, LogError, Record, sealed_len};
use crate::protocol::Tag;
use crate::protocol::response::Code;
use crate::reactor::{Lease, LeaseClass};
use crate::types::{BatchId, MailboxId, ModSeq, UidRange};

/// Why messages are not changed.
pub(in crate::session) enum ChangeError {
    /// The log takes nothing.
    Log(LogError),
    /// The mailbox is gone, or somebody is deleting it, which may fail yet: to say that all is done
    /// would be to promise what the log does not hold.
    Gone,
}

impl From<LogError> for ChangeError {
    fn from(error: LogError) -> ChangeError {
        ChangeError::Log(error)
    }
}

impl Session {
    /// Tells why messages were not changed.
    pub(in crate::session) fn not_changed(&self, tag: &Tag, error: &ChangeError) {
        match error {
            ChangeError::Log(error) => self.not_written(tag, error),
            ChangeError::Gone => {
                self.no(tag, Some(Code::NonExistent), "the mailbox was deleted meanwhile");
            }
        }
    }
}

impl Home {
    /// Writes one record, applies it once it is durable, and returns then.
    ///
    /// # Errors
    /// When the log takes nothing.
    pub(super) async fn change(&self, owner: &Rc<Owner>, record: Record) -> Result<(), LogError> {
        let length = sealed_len(0, record.encoded_len());
        let lease = self.arena.lease(LeaseClass::holding(length)).await;
        self.log.ready(length).await?;
        self.write(owner, lease, record);
        self.log.durable().await
    }

    fn write(&self, owner: &Rc<Owner>, lease: Lease, record: Record) {
        let records_len = record.encoded_len();
        let frame = Frame { lease, stream: BatchId(0), position: 0, payload: 0, records_len };
        let (_, records) = self.log.write(frame, |_| vec![record], ());
        let applied = owner.clone();
        self.log.when_durable(move || {
            for record in records {
                let result = applied.account.borrow_mut().apply(&record);
                result.expect("changes are checked before they are written");
            }
            applied.changed.notify_waiters();
        });
    }

    /// Changes messages of a mailbox, in as many records as it takes for the UIDs to fit into
    /// frames. `choose` names the messages, of what is applied when the first record is written.
    /// Gives the mod-sequences of the records; returns when all are durable.
    ///
    /// # Errors
    /// See [`ChangeError`]. What was written before stays.
    pub(super) async fn change_messages(
        &self,
        owner: &Rc<Owner>,
        mailbox: MailboxId,
        choose: impl FnOnce(&mut Mailbox) -> Vec<UidRange>,
        record: impl Fn(Box<str>, ModSeq, Vec<UidRange>) -> Record,
    ) -> Result<Vec<ModSeq>, ChangeError> {
        let (mut choose, mut uids, mut modseqs) = (Some(choose), Vec::new().into_iter(), vec![]);
        loop {
            let lease = self.arena.lease(LeaseClass::Large).await;
            self.log.ready(LeaseClass::Large.size()).await?;
            if !owner.has(mailbox) {
                return Err(ChangeError::Gone);
            }
            // From here to the write nothing is awaited: mod-sequences ascend with the log.
            let mut account = owner.account.borrow_mut();
            let found = account.mailbox_mut(mailbox).expect("the owner has it");
            if let Some(choose) = choose.take() {
                uids = choose(found).into_iter();
            }
            let part: Vec<UidRange> = uids.by_ref().take(UID_RANGES).collect();
            if part.is_empty() {
                break;
            }
            let reserved = found.reserve(0).expect("a reservation of no UID never runs out");
            drop(account);
            modseqs.push(reserved.modseq);
            self.write(owner, lease, record(owner.name(), reserved.modseq, part));
        }
        if !modseqs.is_empty() {
            self.log.durable().await?;
        }
        Ok(modseqs)
    }

    /// Waits until all that was written of a mailbox is applied: what is seen of it then is what
    /// the next record in the log will find.
    ///
    /// # Errors
    /// When the log takes nothing.
    pub(super) async fn settled(&self, owner: &Owner, mailbox: MailboxId) -> Result<(), LogError> {
        let unsettled =
            || owner.account.borrow().mailbox(mailbox).is_some_and(|found| !found.is_settled());
        while unsettled() {
            self.log.durable().await?;
        }
        Ok(())
    }
}
