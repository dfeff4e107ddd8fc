//! The only way for a change into the log, and from there into the account.
//!
//! A record must be true at the moment it is written. Between a command and that moment the session
//! waits for memory and for room in the log, and other sessions run; anything the session found out
//! before it waited may be wrong by then. So a frame is composed by a closure that runs when there
//! is nothing left to wait for. The closure is synchronous, so nothing can happen between its reads
//! and the write. It gets the account in its written state
//! ([`Mailbox::as_written`](crate::index::Mailbox::as_written)) and puts its records into a
//! [`Page`]:
//!
//! ```text
//! lease ─▶ room in the log ─▶ compose ─▶ frame is written ─▶ durable ─▶ applied, told, notified
//!   waits        waits        └── one step, nothing waits ──┘   waits
//! ```
//!
//! APPEND, COPY, MOVE, STORE, EXPUNGE and changes of mailbox names all go this way. The changes of
//! a page are applied when its frame is durable, in the order of the log, and sessions are notified
//! then. Their mailboxes stay in memory until that moment, whatever happens to the session.

use std::rc::Rc;

use super::owner::{Owner, Pinned};
use super::page::{Page, Part, Room, Sheet, Space, Stream};
use crate::reactor::fault::{Fault, made};
use crate::reactor::{Arena, LeaseClass, thresholds};
use crate::store::{Frame, Log, LogError, MailboxId, Place, Purpose, Record, Slot, sealed_len};

/// The reply for an account that was abandoned after an error. The log has details.
pub(crate) const FAULTY: &str = "this account is not available until the server is restarted; \
     nothing that was acknowledged is lost";

/// Writes the changes of one account to the log.
#[derive(Clone, Copy)]
pub struct Ledger<'a> {
    log: &'a Log,
    arena: &'a Arena,
    owner: &'a Rc<Owner>,
}

/// A page after it was composed and written.
struct Written<T> {
    told: T,
    /// `None` if there was nothing to write.
    place: Option<Place>,
    /// Records of a batch whose commit comes later.
    ahead: Vec<Record>,
}

impl<'a> Ledger<'a> {
    /// For changes of this account, in this log, with frames in the memory of this arena.
    #[must_use]
    pub fn new(log: &'a Log, arena: &'a Arena, owner: &'a Rc<Owner>) -> Ledger<'a> {
        Ledger { log, arena, owner }
    }

    /// The account to change.
    #[must_use]
    pub fn owner(&self) -> &'a Rc<Owner> {
        self.owner
    }

    /// Starts a batch.
    #[must_use]
    pub fn begin(&self) -> Stream {
        Stream::new(self.log.begin())
    }

    /// Waits for memory and for room in the log, then lets `compose` fill a page, and writes it as
    /// one frame. The account is borrowed while `compose` runs: no [`Pinned`] may be dropped in it.
    /// A page without payload and records is not written. Either way its actions run when
    /// everything before it is durable.
    ///
    /// # Errors
    /// Those of the log, and those of `compose`; then nothing was written.
    ///
    /// # Panics
    /// When the page is longer than the room.
    pub async fn write<T, E: From<LogError>>(
        &self,
        room: Room<'_>,
        compose: impl FnOnce(&mut Page<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.put(room, compose).await.map(|written| written.told)
    }

    /// Like [`Ledger::write`], for a change of existing messages: it waits while a copy has locked
    /// them.
    ///
    /// # Errors
    /// As [`Ledger::write`].
    ///
    /// # Panics
    /// As [`Ledger::write`].
    pub async fn step<T, E: From<LogError>>(
        &self,
        class: LeaseClass,
        purpose: Purpose,
        compose: impl FnOnce(&mut Page<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let _shared = self.owner.changing.read().await;
        self.write(Room::filling(class).purpose(purpose), compose).await
    }

    /// Writes one record that adds something. The caller holds [`Owner::structure`], so no other
    /// session can make the record untrue. Returns when it is durable and applied.
    ///
    /// # Errors
    /// When the log does not accept the record.
    pub async fn add(&self, record: Record) -> Result<(), LogError> {
        let class = LeaseClass::holding(sealed_len(0, record.encoded_len()));
        let compose = |page: &mut Page<'_>| {
            page.change(record);
            Ok::<_, LogError>(())
        };
        self.step(class, Purpose::Adds, compose).await?;
        self.durable().await
    }

    /// Writes records of a batch whose commit comes later, and returns them. Without records it
    /// writes no frame.
    ///
    /// # Errors
    /// When the log does not accept the records.
    pub async fn write_ahead(
        &self,
        stream: &mut Stream,
        room: Room<'_>,
        records: Vec<Record>,
    ) -> Result<Vec<Record>, LogError> {
        if records.is_empty() {
            return Ok(records);
        }
        let position = stream.frames();
        let compose = |page: &mut Page<'_>| {
            page.belongs_to(stream.id, position);
            page.ahead(records);
            Ok::<_, LogError>(())
        };
        let written = self.put(room, compose).await?;
        if let Some(place) = &written.place {
            stream.wrote_records(|| self.log.hold(place));
        }
        Ok(written.ahead)
    }

    /// Waits until everything written so far is durable and applied.
    ///
    /// # Errors
    /// When the log fails first.
    pub async fn durable(&self) -> Result<(), LogError> {
        self.log.durable().await
    }

    /// Waits while the mailbox has too many changes that are written but not applied.
    ///
    /// # Errors
    /// When the log has failed.
    pub async fn not_too_far_ahead(&self, mailbox: MailboxId) -> Result<(), LogError> {
        let unapplied =
            || self.owner.account.borrow().mailbox(mailbox).map_or(0, |m| m.unapplied());
        while unapplied() >= thresholds().unapplied {
            self.log.durable().await?;
        }
        Ok(())
    }

    async fn put<T, E: From<LogError>>(
        &self,
        room: Room<'_>,
        compose: impl FnOnce(&mut Page<'_>) -> Result<T, E>,
    ) -> Result<Written<T>, E> {
        let Room { space, records, purpose, in_flight, credit, charged } = room;
        let permit = match in_flight {
            Some(frames) => Some(frames.clone().acquire_owned().await.expect("never closed")),
            None => None,
        };
        let (lease, payload) = match space {
            Space::Filled(lease, payload) => (lease, payload),
            Space::Empty(class) => (self.arena.lease(class).await, 0),
        };
        let written = self.log.slot(sealed_len(payload, records), purpose, |slot| {
            let (told, sheet) = self.compose(&slot, records, compose)?;
            let pinned = self.pin_changed(&sheet);
            let place = (payload > 0 || sheet.len > 0).then(|| {
                let length = sealed_len(payload, sheet.len);
                let cost = credit.map_or(length, |credit| credit.frame(length, payload));
                if charged {
                    self.owner.logged(cost);
                }
                let (stream, position) = sheet.stream;
                let frame = Frame { lease, stream, position, payload, records_len: sheet.len };
                slot.write(frame, sheet.records(), permit)
            });
            let ahead = self.apply_when_durable(sheet, pinned);
            Ok(Written { told, place, ahead })
        });
        written.await?
    }

    /// Lets a page be composed, and counts its changes as written in the account.
    fn compose<T, E: From<LogError>>(
        &self,
        slot: &Slot<'_>,
        records: usize,
        compose: impl FnOnce(&mut Page<'_>) -> Result<T, E>,
    ) -> Result<(T, Sheet), E> {
        let composed = self.owner.risk(|account| {
            let mut page = Page::new(account, slot.begins_at(), records);
            let told = compose(&mut page);
            let Page { account, sheet, .. } = page;
            Ok(told.map(|told| {
                sheet.records().for_each(|record| account.wrote(record));
                (told, sheet)
            }))
        });
        composed.ok_or_else(|| LogError::Poisoned(FAULTY.into()))?
    }

    /// Keeps the messages that a page changes in memory.
    fn pin_changed(&self, sheet: &Sheet) -> Vec<Pinned> {
        sheet.records().filter_map(changed_mailbox).filter_map(|id| self.owner.pin(id)).collect()
    }

    /// Once the frame is durable: applies the changes, has replies sent, notifies sessions, and
    /// drops the rest, with yields. Returns the records of a batch whose commit comes later.
    fn apply_when_durable(&self, sheet: Sheet, pinned: Vec<Pinned>) -> Vec<Record> {
        let Sheet { ahead, mut parts, leftovers, .. } = sheet;
        if parts.is_empty() {
            return ahead;
        }
        let (owner, log) = (self.owner.clone(), self.log.clone());
        if made(Fault::ShownBeforeDurable) || made(Fault::ChangedBeforeDurable) {
            parts = apply_early(&owner, parts);
        }
        self.log.when_durable_in_turns(async move {
            let mut changed = 0;
            for part in parts {
                changed += part.apply(&owner, &log).await;
            }
            drop(pinned);
            owner.changed.notify_waiters();
            log.worked(changed).await;
            for () in leftovers.into_iter().flatten() {
                log.worked(1).await;
            }
        });
        ahead
    }
}

/// The mailbox whose messages must be in memory when this record is applied.
fn changed_mailbox(record: &Record) -> Option<MailboxId> {
    match record {
        Record::SetFlags { mailbox, .. }
        | Record::Expunge { mailbox, .. }
        | Record::Relocate { mailbox, .. } => Some(*mailbox),
        _ => None,
    }
}

/// Planted fault: applies changes before they are durable. Returns the other parts.
fn apply_early(owner: &Rc<Owner>, parts: Vec<Part>) -> Vec<Part> {
    let is_early = |part: &Part| match part {
        Part::Batch(_) => made(Fault::ShownBeforeDurable),
        Part::Change(_) => made(Fault::ChangedBeforeDurable),
        Part::Then(_) => false,
    };
    let (early, late): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_early);
    early.into_iter().for_each(|part| part.apply_at_once(owner));
    owner.changed.notify_waiters();
    late
}
