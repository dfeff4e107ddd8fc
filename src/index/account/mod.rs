//! One account: its mailboxes, and what they hold together.

mod mend;
mod names;
mod saving;
mod subscriptions;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub use self::names::RenameError;
use self::subscriptions::Subscriptions;
use super::checkpoint::Saved;
use super::error::ApplyError;
use super::mailbox::{Arriving, Mailbox};
use crate::store::{Commit, MailboxId, MessageRecord, Record};
use imap::types::{SpecialUse, UidValidity};

/// The highest UIDVALIDITY that is a time, in seconds since 1970: the year 2072. Above it they are
/// counted, one for each mailbox.
pub(super) const TIME_COUNTS: u32 = u32::MAX / 4 * 3;

/// Neither this UIDVALIDITY nor the one above it is given out.
const LAST_UID_VALIDITY: UidValidity = UidValidity(u32::MAX - 1);

/// An account, as the one reactor holds it to which it belongs.
#[derive(Debug)]
pub struct Account {
    name: Box<str>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    by_name: BTreeMap<Box<str>, MailboxId>,
    subscriptions: Subscriptions,
    octets: u64,
    last_uid_validity: UidValidity,
    saved: Saved,
    /// Mailboxes that may have what the catalog has not, or are in use: a checkpoint looks at no
    /// others, of which there may be a hundred thousand.
    unsaved: BTreeSet<MailboxId>,
    /// Mailboxes that are gone and still in the catalog.
    deleted: Vec<(MailboxId, Saved)>,
    dirty_octets: usize,
    /// What the tables of keywords of all mailboxes take in memory.
    keyword_octets: Arc<AtomicUsize>,
}

/// What a mailbox weighs with the account.
#[derive(Clone, Copy, Default)]
struct Weight {
    octets: u64,
    dirty: usize,
}

impl Account {
    /// An account that has nothing yet, not even INBOX.
    #[must_use]
    pub fn new(name: &str) -> Account {
        Account {
            name: name.into(),
            mailboxes: BTreeMap::new(),
            by_name: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            octets: 0,
            last_uid_validity: UidValidity(0),
            saved: Saved::Clean,
            unsaved: BTreeSet::new(),
            deleted: Vec::new(),
            dirty_octets: 0,
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

    /// A mailbox, to reserve, pin and load.
    pub fn mailbox_mut(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        let mailbox = self.mailboxes.get_mut(&id);
        if mailbox.is_some() {
            self.unsaved.insert(id);
        }
        mailbox
    }

    /// The UIDVALIDITY of a mailbox to be made, given out once: `now` in seconds since 1970, or
    /// more if the last was not below that. So a mailbox that is deleted and made again in the same
    /// second has another, and so has one made after the clock was set back. Time counts up to
    /// the year 2072 only: a clock that is wrong by a century leaves a billion values. `None`
    /// when those are used up as well: `NO [LIMIT]`.
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

    /// A mailbox has this UIDVALIDITY; the next one gets a higher one. The two highest do not
    /// count: earlier versions gave them out when the clock stood beyond 2106.
    fn gave_uid_validity(&mut self, given: UidValidity) {
        if given < LAST_UID_VALIDITY {
            self.last_uid_validity = self.last_uid_validity.max(given);
        }
    }

    // ---- Changes, in the order of the log -----------------------------------------------------

    /// A batch is durable. Its messages come in order, as many as `commit` says.
    ///
    /// # Errors
    /// When the batch does not fit what is there; the account is of no use then.
    pub fn append<M: Borrow<MessageRecord>>(
        &mut self,
        commit: &Commit,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), ApplyError> {
        let mut arriving = self.expect(commit)?;
        self.take_in(&mut arriving, messages)?;
        self.show(arriving)
    }

    /// The same piece by piece: the batch is durable, and nothing of it is visible yet. No other
    /// change is applied and no checkpoint begun until [`Account::show`].
    ///
    /// # Errors
    /// As [`Account::append`]; likewise below.
    pub fn expect(&mut self, commit: &Commit) -> Result<Arriving, ApplyError> {
        self.with(commit.mailbox, |mailbox| mailbox.expect(commit))
    }

    /// The next messages of the batch. Gives how many there were.
    pub fn take_in<M: Borrow<MessageRecord>>(
        &mut self,
        arriving: &mut Arriving,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<usize, ApplyError> {
        let mailbox = arriving.commit().mailbox;
        self.with(mailbox, |mailbox| mailbox.take_in(arriving, messages))
    }

    /// All messages of the batch have been taken in: now they are there.
    pub fn show(&mut self, arriving: Arriving) -> Result<(), ApplyError> {
        self.change(arriving.commit().mailbox, |mailbox| mailbox.show(arriving))
    }

    /// Any other change is durable. Messages of a mailbox that was deleted while the change was on
    /// its way are passed over, like all that do not exist.
    ///
    /// # Errors
    /// When it does not fit what is there; the account is of no use then.
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
            Record::Messages { .. }
            | Record::References { .. }
            | Record::Fragments { .. }
            | Record::Commit(_)
            | Record::Cancel { .. } => Err(ApplyError::NotAChange),
        }
    }

    /// A change has been written, and will be applied when it is durable. What is composed from now
    /// on comes after it: see [`Mailbox::as_written`].
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
        self.saved = Saved::Dirty;
    }

    /// What it takes in memory, about.
    #[must_use]
    pub fn octets_in_memory(&self) -> usize {
        let mailboxes = self.mailboxes.values().map(Mailbox::octets_in_memory).sum::<usize>();
        300 + mailboxes + self.subscriptions.octets()
    }
}

impl Weight {
    fn of(mailbox: &Mailbox) -> Weight {
        Weight { octets: mailbox.counts().octets, dirty: mailbox.dirty_octets() }
    }
}

/// INBOX in capitals, however it is spelt (RFC 3501 section 5.1); others as they are.
fn canonical(name: &str) -> &str {
    if name.eq_ignore_ascii_case("INBOX") { "INBOX" } else { name }
}
