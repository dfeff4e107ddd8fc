//! The way of a change into the log, when it is about messages or mailboxes that are there.
//!
//! Whatever a record says must be true at the moment it is written. Between a command and that
//! moment the session waits: for a lease, for room in the log. Others do not stand still meanwhile,
//! and what a session found out before it waited is hearsay. So a record is made by a closure that
//! runs when nothing is left to wait for; it cannot await, and gets the account as it is written at
//! that moment ([`Mailbox::as_written`](crate::index::Mailbox::as_written)):
//!
//! ```text
//! lease ─▶ room in the log ─▶ compose ─▶ frame is written, account is told ─▶ durable ─▶ applied
//!   waits        waits        └───────── one step, nothing waits ─────────┘    waits
//! ```

use std::rc::Rc;

use super::owner::Owner;
use crate::index::{Account, ApplyError};
use crate::reactor::fault::{Fault, made};
use crate::reactor::{Arena, LeaseClass, thresholds};
use crate::store::{
    BatchId, Fragments, Frame, HEADER, Hold, Log, LogError, MailboxId, MessageRecord, Purpose,
    Record, sealed_len,
};
use imap::types::UidRange;

/// What clients are told of an account whose index is at fault. The log says more.
pub const FAULTY: &str = "this account is not available until the server is restarted; nothing \
     that was acknowledged is lost";

/// Octets for records in the largest frame.
pub const ROOM: usize = room_in(LeaseClass::Large);

/// Octets for records in a frame that fills a lease and holds nothing else.
const fn room_in(class: LeaseClass) -> usize {
    class.size() - HEADER - 8
}

/// The way into the log of one account's changes. A record is composed in the step that writes it.
#[derive(Clone, Copy)]
pub struct Ledger<'a> {
    /// Where records go.
    pub log: &'a Log,
    /// Memory for frames.
    pub arena: &'a Arena,
    /// Whose account is changed.
    pub owner: &'a Rc<Owner>,
}

/// What one step writes: the records of one frame.
#[derive(Default)]
pub struct Composed {
    /// In order. Mod-sequences and UIDs in them were reserved when they were composed.
    pub records: Vec<Record>,
    /// The batch they belong to, if they are one, and its frames so far.
    pub stream: (BatchId, u32),
    /// Of the first message in `records`: fragments that frames before this one name.
    pub ahead: Fragments,
    /// Keeps those frames within reach of recovery; dropped when this step is durable.
    pub hold: Option<Hold>,
}

impl From<Record> for Composed {
    fn from(record: Record) -> Composed {
        Composed { records: vec![record], ..Composed::default() }
    }
}

impl Ledger<'_> {
    /// Waits for a lease of this class and for room in the log, then has `compose` make a step of
    /// at most so many octets of records as it is told, and writes it; nothing is awaited between.
    /// What it changes is applied once it is durable; for that the mailboxes in it stay in memory,
    /// whatever becomes of the session. `None` when there is nothing to write.
    ///
    /// # Errors
    /// When the log takes nothing, and those of `compose`: then nothing was written.
    ///
    /// # Panics
    /// When the records are longer than was said.
    pub async fn step<T, E: From<LogError>>(
        &self,
        class: LeaseClass,
        purpose: Purpose,
        compose: impl FnOnce(&mut Account, usize) -> Result<Option<(Composed, T)>, E>,
    ) -> Result<Option<T>, E> {
        let _shared = self.owner.changing.read().await;
        let lease = self.arena.lease(class).await;
        self.log.ready_for(class.size(), purpose).await?;
        // From here to the write nothing is awaited.
        let room = room_in(class).min(thresholds().records_room);
        let composed = self.owner.risk(|account| {
            let composed = compose(account, room);
            if let Ok(Some((composed, _))) = &composed {
                composed.records.iter().for_each(|record| account.wrote(record));
            }
            Ok(composed)
        });
        let composed = composed.ok_or_else(|| LogError::Poisoned(FAULTY.into()))??;
        let Some((Composed { records, stream: (stream, position), ahead, hold }, told)) = composed
        else {
            return Ok(None);
        };
        let records_len = records.iter().map(Record::encoded_len).sum();
        assert!(sealed_len(0, records_len) <= class.size(), "a step fits into its frame");
        let named = records.iter().filter_map(changed_messages);
        let pinned: Vec<_> = named.filter_map(|mailbox| self.owner.pin(mailbox)).collect();
        let frame = Frame { lease, stream, position, payload: 0, records_len };
        self.owner.logged(sealed_len(0, records_len));
        let (_, records) = self.log.write(frame, |_| records, ());
        let owner = self.owner.clone();
        if made(Fault::ChangedBeforeDurable) {
            owner.risk(|account| apply(account, records, ahead));
            owner.changed.notify_waiters();
            return Ok(Some(told));
        }
        let (log, messages) = (self.log.clone(), records.iter().map(messages_in).sum());
        self.log.when_durable_in_turns(async move {
            owner.risk(|account| apply(account, records, ahead));
            drop((pinned, hold));
            owner.changed.notify_waiters();
            log.worked(messages).await;
        });
        Ok(Some(told))
    }

    /// Waits until the mailbox has room for one more change that is written and not applied.
    ///
    /// # Errors
    /// When the log takes nothing.
    pub async fn not_too_far_ahead(&self, mailbox: MailboxId) -> Result<(), LogError> {
        let unapplied =
            || self.owner.account.borrow().mailbox(mailbox).map_or(0, |m| m.unapplied());
        while unapplied() >= thresholds().unapplied {
            self.log.durable().await?;
        }
        Ok(())
    }

    /// One record that adds something, and that nothing else can make untrue meanwhile, because its
    /// kind is written by one session at a time ([`Owner::structure`]). Returns when it is durable
    /// and applied.
    ///
    /// # Errors
    /// When the log takes nothing.
    pub async fn write(&self, record: Record) -> Result<(), LogError> {
        let class = LeaseClass::holding(sealed_len(0, record.encoded_len()));
        self.step(class, Purpose::Adds, |_, _| Ok::<_, LogError>(Some((record.into(), ()))))
            .await?;
        self.log.durable().await
    }
}

/// The mailbox whose messages must be in memory for this record to be applied.
fn changed_messages(record: &Record) -> Option<MailboxId> {
    match record {
        Record::SetFlags { mailbox, .. } | Record::Expunge { mailbox, .. } => Some(*mailbox),
        _ => None,
    }
}

/// How many messages a record is about.
fn messages_in(record: &Record) -> usize {
    match record {
        Record::SetFlags { uids, .. } | Record::Expunge { uids, .. } => {
            UidRange::count(uids) as usize
        }
        Record::Commit(commit) => commit.messages as usize,
        _ => 0,
    }
}

fn apply(
    account: &mut Account,
    records: Vec<Record>,
    mut ahead: Fragments,
) -> Result<(), ApplyError> {
    let mut references: Vec<MessageRecord> = Vec::new();
    for record in records {
        match record {
            Record::References { messages, .. } => {
                references = messages;
                if let Some(first) = references.first_mut().filter(|_| !made(Fault::AheadForgotten))
                {
                    ahead.append(&mut first.fragments);
                    first.fragments = std::mem::take(&mut ahead);
                }
            }
            Record::Commit(commit) => {
                account.append(&commit, std::mem::take(&mut references))?;
            }
            change => account.apply(&change)?,
        }
    }
    Ok(())
}
