//! An account: its mailboxes, subscriptions, and totals over its mailboxes.

mod mend;
mod metadata;
mod names;
mod saving;
mod subscriptions;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub(crate) use self::names::RenameError;
use self::subscriptions::Subscriptions;
use super::error::ApplyError;
use super::mailbox::{Arriving, Mailbox};
use super::rows::Saved;
use crate::store::{Commit, EmailId, MailboxId, MessageRecord, Record, SegmentId};
use imap::types::{SpecialUse, UidValidity};

/// The highest UIDVALIDITY taken from the clock, in seconds since 1970: the year 2072. Above it,
/// values count up by one for each new mailbox.
pub(super) const TIME_COUNTS: u32 = u32::MAX / 4 * 3;

/// This UIDVALIDITY and the one above it are never given out.
const LAST_UID_VALIDITY: UidValidity = UidValidity(u32::MAX - 1);

/// An account, held by the reactor that it belongs to.
#[derive(Debug)]
pub struct Account {
    name: Box<str>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    by_name: BTreeMap<Box<str>, MailboxId>,
    subscriptions: Subscriptions,
    octets: u64,
    last_uid_validity: UidValidity,
    /// The lowest EMAILID above those of all messages that the account ever had.
    next_email: EmailId,
    /// The next EMAILID to reserve: at least that.
    unreserved_email: EmailId,
    saved: Saved,
    /// Mailboxes that are in use or may differ from the catalog. A checkpoint visits only these: an
    /// account may have a hundred thousand others.
    unsaved: BTreeSet<MailboxId>,
    /// Deleted mailboxes that the catalog still has.
    deleted: Vec<(MailboxId, Saved)>,
    /// Segments with octets of deleted mailboxes that the catalog does not count, and those of them
    /// that a checkpoint in flight has.
    dead: (BTreeSet<SegmentId>, BTreeSet<SegmentId>),
    dirty_octets: usize,
    /// Bytes in memory of the metadata of all mailboxes.
    metadata_octets: usize,
    /// Bytes in memory of the keyword tables of all mailboxes.
    keyword_octets: Arc<AtomicUsize>,
}

/// A mailbox's share of the account's totals.
#[derive(Clone, Copy, Default)]
struct Weight {
    octets: u64,
    dirty: usize,
    metadata: usize,
}

impl Account {
    /// An empty account, without even an INBOX.
    #[must_use]
    pub fn new(name: &str) -> Account {
        Account {
            name: name.into(),
            mailboxes: BTreeMap::new(),
            by_name: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            octets: 0,
            last_uid_validity: UidValidity(0),
            next_email: EmailId(1),
            unreserved_email: EmailId(1),
            saved: Saved::Clean,
            unsaved: BTreeSet::new(),
            deleted: Vec::new(),
            dead: Default::default(),
            dirty_octets: 0,
            metadata_octets: 0,
            keyword_octets: Arc::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Octets of all messages.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// A mailbox.
    #[must_use]
    pub fn mailbox(&self, id: MailboxId) -> Option<&Mailbox> {
        self.mailboxes.get(&id)
    }

    /// A mailbox, to reserve UIDs, pin and load.
    pub fn mailbox_mut(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        let mailbox = self.mailboxes.get_mut(&id);
        if mailbox.is_some() {
            self.unsaved.insert(id);
        }
        mailbox
    }

    /// A UIDVALIDITY for a new mailbox, never given out before: `now` in seconds since 1970, or one
    /// above the last if that is higher. So a mailbox that is deleted and created again gets
    /// another value even within a second, or after the clock was set back. `now` is capped at the
    /// year 2072, so that a clock wrong by a century leaves a billion values. `None` when those are
    /// used up too: `NO [LIMIT]`.
    #[must_use]
    pub fn reserve_uid_validity(&mut self, now: u64) -> Option<UidValidity> {
        let now = u32::try_from(now).unwrap_or(u32::MAX).min(TIME_COUNTS);
        let next = UidValidity(self.last_uid_validity.0.checked_add(1)?.max(now));
        if next >= LAST_UID_VALIDITY {
            return None;
        }
        self.last_uid_validity = next;
        Some(next)
    }

    /// Records a UIDVALIDITY in use, so that the next one is higher. The two highest values are
    /// ignored: earlier versions gave them out when the clock was beyond 2106.
    fn gave_uid_validity(&mut self, given: UidValidity) {
        if given < LAST_UID_VALIDITY {
            self.last_uid_validity = self.last_uid_validity.max(given);
        }
    }

    /// Reserves EMAILIDs for this many messages, and returns the first; the others follow without a
    /// gap. Batches must be written and applied in the order of their reservations. `None` when the
    /// account has run out of them, which takes a log that was made to do it: `NO [LIMIT]`.
    #[must_use]
    pub fn reserve_emails(&mut self, messages: u32) -> Option<EmailId> {
        let first = self.unreserved_email;
        self.unreserved_email = first.plus(messages)?;
        Some(first)
    }

    /// The lowest EMAILID above those of all messages that the account ever had.
    pub(in crate::index) fn next_email(&self) -> EmailId {
        self.next_email
    }

    /// Records that all EMAILIDs below `next` may have been given, so that none is given again.
    fn gave_emails(&mut self, next: EmailId) {
        self.next_email = self.next_email.max(next);
        self.unreserved_email = self.unreserved_email.max(next);
    }

    // ---- Changes, in the order of the log -----------------------------------------------------

    /// Applies a durable batch: its commit, and its messages in order.
    ///
    /// # Errors
    /// When the batch does not fit the mailbox. The account must not be used any more.
    pub fn append<M: Borrow<MessageRecord>>(
        &mut self,
        commit: &Commit,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), ApplyError> {
        let mut arriving = self.expect(commit)?;
        self.take_in(&mut arriving, messages)?;
        self.show(arriving)
    }

    /// Begins applying a durable batch in steps. Until [`Account::show`] none of it is visible, no
    /// other change may be applied and no checkpoint may begin.
    ///
    /// # Errors
    /// As [`Account::append`].
    pub fn expect(&mut self, commit: &Commit) -> Result<Arriving, ApplyError> {
        let (next, found) = (self.next_email, commit.first_email);
        if found.is_given() && found < next {
            return Err(ApplyError::EmailIdOutOfOrder { next, found });
        }
        self.with(commit.mailbox, |mailbox| mailbox.expect(commit))
    }

    /// Takes the next messages of the batch and returns their number.
    pub fn take_in<M: Borrow<MessageRecord>>(
        &mut self,
        arriving: &mut Arriving,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<usize, ApplyError> {
        let mailbox = arriving.commit().mailbox;
        self.with(mailbox, |mailbox| mailbox.take_in(arriving, messages))
    }

    /// Makes the batch visible, once all its messages are taken in.
    pub fn show(&mut self, arriving: Arriving) -> Result<(), ApplyError> {
        self.gave_emails(arriving.next_email());
        self.change(arriving.commit().mailbox, |mailbox| mailbox.show(arriving))
    }

    /// Applies any other durable change. Changes of messages are ignored if the mailbox was deleted
    /// after they were written.
    ///
    /// # Errors
    /// When the change does not fit the account, which must not be used any more.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        match record {
            Record::CreateMailbox { mailbox, name, uid_validity, uses, .. } => {
                self.create(*mailbox, name, *uid_validity, *uses)
            }
            Record::DeleteMailbox { mailbox, .. } => self.delete(*mailbox),
            Record::RenameMailbox { from, to, .. } => self.rename(from, to),
            Record::Subscribe { name, subscribed, .. } => {
                self.subscribe(canonical(name), *subscribed);
                Ok(())
            }
            Record::SetMetadata { mailbox, uses, entries, .. } => {
                self.change(*mailbox, |mailbox| {
                    mailbox.set_metadata(*uses, entries);
                    Ok(())
                })
            }
            Record::Relocate { mailbox, messages, .. } if !self.mailboxes.contains_key(mailbox) => {
                let fragments = messages.iter().flat_map(|message| &message.fragments);
                self.dead.0.extend(fragments.map(|fragment| fragment.segment));
                Ok(())
            }
            Record::SetFlags { mailbox, .. } | Record::Expunge { mailbox, .. }
                if !self.mailboxes.contains_key(mailbox) =>
            {
                Ok(())
            }
            Record::SetFlags { mailbox, modseq, uids, change, flags, keywords, .. } => self
                .change(*mailbox, |mailbox| {
                    mailbox.set_flags(*modseq, uids, *change, *flags, keywords)
                }),
            Record::Expunge { mailbox, modseq, uids, .. } => {
                self.change(*mailbox, |mailbox| mailbox.expunge(*modseq, uids))
            }
            Record::Relocate { mailbox, messages, .. } => {
                self.change(*mailbox, |mailbox| mailbox.relocate(messages))
            }
            Record::Messages { .. }
            | Record::References { .. }
            | Record::Fragments { .. }
            | Record::Commit(_)
            | Record::Cancel { .. } => Err(ApplyError::NotAChange),
        }
    }

    /// Notes a change that has been written and will be applied once durable. Later records are
    /// composed on top of it: see [`Mailbox::as_written`]. A relocation changes nothing that they
    /// depend on: until it is applied, the octets are in both places.
    pub fn wrote(&mut self, record: &Record) {
        if let Record::SetFlags { mailbox, .. } | Record::Expunge { mailbox, .. } = record
            && let Some(mailbox) = self.mailboxes.get_mut(mailbox)
        {
            mailbox.wrote(record);
        }
    }

    fn create(
        &mut self,
        id: MailboxId,
        name: &str,
        uid_validity: UidValidity,
        uses: SpecialUse,
    ) -> Result<(), ApplyError> {
        let name: Box<str> = canonical(name).into();
        if self.by_name.contains_key(&name) || self.mailboxes.contains_key(&id) {
            return Err(ApplyError::MailboxExists(id));
        }
        let mut mailbox = Mailbox::new(id, name.clone(), uid_validity, uses);
        mailbox.belongs_to(&self.keyword_octets);
        self.by_name.insert(name, id);
        self.weigh(Weight::default(), Weight::of(&mailbox));
        self.mailboxes.insert(id, mailbox);
        self.unsaved.insert(id);
        self.gave_uid_validity(uid_validity);
        Ok(())
    }

    fn delete(&mut self, id: MailboxId) -> Result<(), ApplyError> {
        let mailbox = self.mailboxes.remove(&id).ok_or(ApplyError::NoMailbox(id))?;
        self.by_name.remove(mailbox.name());
        self.unsaved.remove(&id);
        self.weigh(Weight::of(&mailbox), Weight::default());
        self.dead.0.extend(mailbox.unsaved_segments());
        self.deleted.push((id, Saved::Dirty));
        Ok(())
    }

    fn with<T>(
        &mut self,
        id: MailboxId,
        work: impl FnOnce(&mut Mailbox) -> Result<T, ApplyError>,
    ) -> Result<T, ApplyError> {
        work(self.mailboxes.get_mut(&id).ok_or(ApplyError::NoMailbox(id))?)
    }

    fn change(
        &mut self,
        id: MailboxId,
        change: impl FnOnce(&mut Mailbox) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        let mailbox = self.mailboxes.get_mut(&id).ok_or(ApplyError::NoMailbox(id))?;
        self.unsaved.insert(id);
        let before = Weight::of(mailbox);
        change(mailbox)?;
        let after = Weight::of(mailbox);
        self.weigh(before, after);
        Ok(())
    }

    fn weigh(&mut self, before: Weight, after: Weight) {
        self.octets = self.octets - before.octets + after.octets;
        self.dirty_octets = (self.dirty_octets + after.dirty).saturating_sub(before.dirty);
        self.metadata_octets = self.metadata_octets - before.metadata + after.metadata;
        self.saved = Saved::Dirty;
    }

    /// Approximate bytes in memory.
    #[must_use]
    pub fn octets_in_memory(&self) -> usize {
        let mailboxes = self.mailboxes.values().map(Mailbox::octets_in_memory).sum::<usize>();
        300 + mailboxes + self.subscriptions.octets()
    }
}

impl Weight {
    fn of(mailbox: &Mailbox) -> Weight {
        Weight {
            octets: mailbox.counts().octets,
            dirty: mailbox.dirty_octets(),
            metadata: mailbox.metadata().octets(),
        }
    }
}

/// Upper-cases INBOX in any spelling (RFC 3501 section 5.1); other names are unchanged.
fn canonical(name: &str) -> &str {
    if name.eq_ignore_ascii_case("INBOX") { "INBOX" } else { name }
}
