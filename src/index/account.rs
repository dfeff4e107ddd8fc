//! One account: its mailboxes, and what they hold together.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};

use super::checkpoint::{Checkpoint, Saved};
use super::codec::{Fields, Row};
use super::error::{ApplyError, Rot};
use super::mailbox::Mailbox;
use crate::log::{Commit, MessageRecord, Record};
use crate::types::{MailboxId, UidValidity};

/// An account, as the one reactor holds it to which it belongs.
#[derive(Debug)]
pub struct Account {
    name: Box<str>,
    mailboxes: HashMap<MailboxId, Mailbox>,
    by_name: BTreeMap<Box<str>, MailboxId>,
    octets: u64,
    last_uid_validity: UidValidity,
    saved: Saved,
    /// Mailboxes that are gone and still in the catalog.
    deleted: Vec<(MailboxId, Saved)>,
    dirty_octets: usize,
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
            mailboxes: HashMap::new(),
            by_name: BTreeMap::new(),
            octets: 0,
            last_uid_validity: UidValidity(0),
            saved: Saved::Clean,
            deleted: Vec::new(),
            dirty_octets: 0,
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

    /// The mailbox of this name, INBOX in any case of its letters.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<MailboxId> {
        self.by_name.get(canonical(name)).copied()
    }

    /// Names and identifiers of all mailboxes, ascending by name.
    pub fn names(&self) -> impl Iterator<Item = (&str, MailboxId)> {
        self.by_name.iter().map(|(name, &id)| (&**name, id))
    }

    /// Names and identifiers of the mailboxes below this one, ascending by name.
    pub fn below(&self, name: &str) -> impl Iterator<Item = (&str, MailboxId)> {
        let prefix = format!("{}/", canonical(name)).into_boxed_str();
        let from = self.by_name.range(prefix.clone()..);
        let inside = from.take_while(move |(name, _)| name.starts_with(&*prefix));
        inside.map(|(name, &id)| (&**name, id))
    }

    /// A mailbox.
    #[must_use]
    pub fn mailbox(&self, id: MailboxId) -> Option<&Mailbox> {
        self.mailboxes.get(&id)
    }

    /// A mailbox, to reserve, pin and load.
    pub fn mailbox_mut(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        self.mailboxes.get_mut(&id)
    }

    /// The UIDVALIDITY of a mailbox to be made, given out once: `now` in seconds since 1970, or
    /// more if the last was not below that. So a mailbox that is deleted and made again in the same
    /// second has another.
    #[must_use]
    pub fn reserve_uid_validity(&mut self, now: u64) -> UidValidity {
        let now = UidValidity(u32::try_from(now).unwrap_or(u32::MAX - 1));
        self.last_uid_validity = self.last_uid_validity.next().max(now);
        self.last_uid_validity
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
        self.change(commit.mailbox, |mailbox| mailbox.append(commit, messages))
    }

    /// Any other change is durable. Messages of a mailbox that was deleted while the change was on
    /// its way are passed over, like all that do not exist.
    ///
    /// # Errors
    /// When it does not fit what is there; the account is of no use then.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        match record {
            Record::CreateMailbox { mailbox, name, uid_validity, .. } => {
                self.create(*mailbox, name, *uid_validity)
            }
            Record::DeleteMailbox { mailbox, .. } => self.delete(*mailbox),
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
            | Record::Fragments { .. }
            | Record::Commit(_)
            | Record::Cancel { .. } => Err(ApplyError::NotAChange),
        }
    }

    fn create(
        &mut self,
        id: MailboxId,
        name: &str,
        uid_validity: UidValidity,
    ) -> Result<(), ApplyError> {
        let name: Box<str> = canonical(name).into();
        if self.by_name.contains_key(&name) || self.mailboxes.contains_key(&id) {
            return Err(ApplyError::MailboxExists(id));
        }
        let mailbox = Mailbox::new(id, name.clone(), uid_validity);
        self.by_name.insert(name, id);
        self.weigh(Weight::default(), Weight::of(&mailbox));
        self.mailboxes.insert(id, mailbox);
        self.last_uid_validity = self.last_uid_validity.max(uid_validity);
        Ok(())
    }

    fn delete(&mut self, id: MailboxId) -> Result<(), ApplyError> {
        let mailbox = self.mailboxes.remove(&id).ok_or(ApplyError::NoMailbox(id))?;
        self.by_name.remove(mailbox.name());
        self.weigh(Weight::of(&mailbox), Weight::default());
        self.deleted.push((id, Saved::Dirty));
        Ok(())
    }

    fn change(
        &mut self,
        id: MailboxId,
        change: impl FnOnce(&mut Mailbox) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        let mailbox = self.mailboxes.get_mut(&id).ok_or(ApplyError::NoMailbox(id))?;
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
        300 + self.mailboxes.values().map(Mailbox::octets_in_memory).sum::<usize>()
    }

    // ---- Checkpoints --------------------------------------------------------------------------

    /// Octets that the next checkpoint has to write, about.
    #[must_use]
    pub fn dirty_octets(&self) -> usize {
        self.dirty_octets
    }

    /// Whether nothing would be lost if the account were forgotten and read again. (Reservations of
    /// UIDs count; a reserved UIDVALIDITY does not.)
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let saved = self.saved == Saved::Clean && self.deleted.is_empty();
        saved && self.mailboxes.values().all(Mailbox::is_idle)
    }

    /// Adds all that changed since the last checkpoint. Until [`Account::end_saving`] no other
    /// checkpoint may begin.
    ///
    /// # Panics
    /// When one is on its way.
    pub fn begin_saving(&mut self, checkpoint: &mut Checkpoint) {
        if self.saved.begin() {
            checkpoint.accounts.push((self.name.clone(), self.encode()));
        }
        for (id, saved) in &mut self.deleted {
            if saved.begin() {
                checkpoint.deleted.push((self.name.clone(), *id));
            }
        }
        for mailbox in self.mailboxes.values_mut() {
            mailbox.begin_saving(&self.name, checkpoint);
        }
        self.dirty_octets = 0;
    }

    /// The checkpoint was written, or it was not: then all it held is to be written again. Messages
    /// that the catalog has and no session pins leave the memory.
    pub fn end_saving(&mut self, written: bool) {
        self.saved.end(written);
        self.deleted.retain_mut(|(_, saved)| {
            saved.end(written);
            *saved != Saved::Clean
        });
        self.mailboxes.values_mut().for_each(|mailbox| mailbox.end_saving(written));
        self.dirty_octets = self.mailboxes.values().map(Mailbox::dirty_octets).sum();
    }

    /// `octets u64, last UIDVALIDITY u32`
    fn encode(&self) -> Vec<u8> {
        let mut row = Row::default();
        row.u64(self.octets);
        row.u32(self.last_uid_validity.0);
        row.seal()
    }

    pub(super) fn decode(name: &str, row: &[u8], mailboxes: Vec<Mailbox>) -> Result<Account, Rot> {
        let mut fields = Fields::open(row)?;
        let octets = fields.u64()?;
        let last_uid_validity = UidValidity(fields.u32()?);
        fields.end()?;
        if mailboxes.iter().map(|mailbox| mailbox.counts().octets).sum::<u64>() != octets {
            return Err(Rot("an account and its mailboxes differ in octets"));
        }
        let mut account = Account { octets, last_uid_validity, ..Account::new(name) };
        for mailbox in mailboxes {
            if account.by_name.insert(mailbox.name().into(), mailbox.id()).is_some() {
                return Err(Rot("an account has two mailboxes of one name"));
            }
            account.mailboxes.insert(mailbox.id(), mailbox);
        }
        Ok(account)
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
