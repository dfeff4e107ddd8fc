//! Writing accounts to the catalog, and reading them.

use std::mem;

use super::Account;
use super::subscriptions::Subscriptions;
use crate::index::checkpoint::Checkpoint;
use crate::index::codec::{Fields, Row};
use crate::index::error::Rot;
use crate::index::mailbox::Mailbox;
use crate::index::rows::Saved;
use crate::reactor::fault::{Fault, made};
use crate::store::EmailId;
use imap::types::UidValidity;

impl Account {
    /// Approximate bytes that the next checkpoint has to write.
    #[must_use]
    pub fn dirty_octets(&self) -> usize {
        self.dirty_octets
    }

    /// Whether the account can be dropped from memory without loss. Reserved UIDs prevent that, and
    /// with them reserved EMAILIDs; a reserved UIDVALIDITY does not.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let saved = [self.saved, self.subscriptions.saved] == [Saved::Clean; 2];
        let saved = saved && self.deleted.is_empty();
        let saved = saved && self.dead.0.is_empty() && self.dead.1.is_empty();
        saved && self.unsaved().all(Mailbox::is_idle)
    }

    /// The mailboxes that the next checkpoint visits.
    pub(in crate::index) fn unsaved(&self) -> impl Iterator<Item = &Mailbox> {
        self.unsaved.iter().filter_map(|id| self.mailboxes.get(id))
    }

    /// Adds everything that changed since the last checkpoint. The next one may begin after
    /// [`Account::end_saving`].
    ///
    /// # Panics
    /// When a checkpoint of this account is in flight.
    pub fn begin_saving(&mut self, checkpoint: &mut Checkpoint) {
        if self.saved.begin() {
            checkpoint.accounts.push((self.name.clone(), self.encode()));
        }
        if self.subscriptions.saved.begin() {
            checkpoint.subscriptions.push((self.name.clone(), self.subscriptions.encode()));
        }
        for (id, saved) in &mut self.deleted {
            if saved.begin() {
                checkpoint.deleted.push((self.name.clone(), *id));
            }
        }
        for id in &self.unsaved {
            if let Some(mailbox) = self.mailboxes.get_mut(id) {
                mailbox.begin_saving(&self.name, checkpoint);
            }
        }
        self.dead.1 = mem::take(&mut self.dead.0);
        checkpoint.dead.extend(&self.dead.1);
        self.dirty_octets = 0;
    }

    /// Ends a checkpoint. If it was not written, its rows are dirty again. Messages that the
    /// catalog has and no session pins are dropped from memory.
    pub fn end_saving(&mut self, written: bool) {
        self.saved.end(written);
        self.subscriptions.saved.end(written);
        self.deleted.retain_mut(|(_, saved)| {
            saved.end(written);
            *saved != Saved::Clean
        });
        let dead = mem::take(&mut self.dead.1);
        if !written {
            self.dead.0.extend(dead);
        }
        let mailboxes = &mut self.mailboxes;
        self.unsaved.retain(|id| {
            let Some(mailbox) = mailboxes.get_mut(id) else { return false };
            mailbox.end_saving(written);
            !mailbox.is_idle()
        });
        let mailboxes = self.unsaved().map(Mailbox::dirty_octets).sum::<usize>();
        self.dirty_octets = mailboxes + self.subscriptions.dirty_octets();
    }

    /// `octets u64, last UIDVALIDITY u32, next EMAILID u64`
    fn encode(&self) -> Vec<u8> {
        let mut row = Row::default();
        row.u64(self.octets);
        row.u32(self.last_uid_validity.0);
        let forgotten = made(Fault::EmailIdsForgotten);
        row.u64(if forgotten { 1 } else { self.next_email.0 });
        row.seal()
    }

    /// Builds an account from its row, the row of its subscriptions if any, and its mailboxes.
    pub(in crate::index) fn decode(
        name: &str,
        row: &[u8],
        subscriptions: Option<&[u8]>,
        mailboxes: Vec<Mailbox>,
    ) -> Result<Account, Rot> {
        let mut fields = Fields::open(row)?;
        let octets = fields.u64()?;
        let last_uid_validity = UidValidity(fields.u32()?);
        let next_email = EmailId(fields.u64()?);
        fields.end()?;
        if !next_email.is_given() {
            return Err(Rot("an account has no next EMAILID"));
        }
        if mailboxes.iter().map(|mailbox| mailbox.counts().octets).sum::<u64>() != octets {
            return Err(Rot("the size of an account is not that of its mailboxes"));
        }
        let mut account = Account { octets, ..Account::new(name) };
        account.gave_uid_validity(last_uid_validity);
        account.gave_emails(next_email);
        if let Some(row) = subscriptions {
            account.subscriptions = Subscriptions::decode(row)?;
        }
        for mut mailbox in mailboxes {
            mailbox.belongs_to(&account.keyword_octets);
            if account.by_name.insert(mailbox.name().into(), mailbox.id()).is_some() {
                return Err(Rot("an account has two mailboxes with one name"));
            }
            account.metadata_octets += mailbox.metadata().octets();
            account.mailboxes.insert(mailbox.id(), mailbox);
        }
        Ok(account)
    }
}
