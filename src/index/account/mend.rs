//! What an account makes of changes behind lost frames of its log.

use super::{Account, canonical};
use crate::index::error::ApplyError;
use crate::store::{Commit, MailboxId, Record};
use imap::types::{SpecialUse, UidValidity};

/// Numbers of a mailbox's identifier below those of its epoch.
const EPOCH: u32 = 40;

impl Account {
    /// Messages come into a mailbox whose creation is lost, and so is its name: it gets another.
    /// Its UIDVALIDITY is not the old one either, see [`Account::forget_clients`].
    pub(in crate::index) fn make_recovered(&mut self, commit: &Commit) -> Result<(), ApplyError> {
        let now = u64::try_from(commit.save_date).unwrap_or_default();
        let uid_validity = self.reserve_uid_validity(now).ok_or(ApplyError::NoUidValidity)?;
        let name = self.recovered_name(commit.mailbox);
        self.create(commit.mailbox, &name, uid_validity, SpecialUse::default())
    }

    /// Gives mailboxes other names whose names this change takes: how they went away before is
    /// lost. Whether there were any.
    pub(in crate::index) fn step_aside(&mut self, record: &Record) -> Result<bool, ApplyError> {
        let names: Vec<Box<str>> = match record {
            Record::CreateMailbox { name, .. } => vec![canonical(name).into()],
            Record::RenameMailbox { from, to, .. } => {
                let renamed = self.renamed(canonical(from), canonical(to));
                renamed.into_iter().map(|(_, name)| name).collect()
            }
            _ => return Ok(false),
        };
        let taken: Vec<_> = names.iter().filter_map(|name| self.find(name)).collect();
        for &id in &taken {
            let name: Box<str> = self.recovered_name(id).into();
            let mut before = None;
            self.change(id, |mailbox| {
                before = Some(Box::from(mailbox.name()));
                mailbox.rename(name.clone());
                Ok(())
            })?;
            before.map(|before: Box<str>| self.by_name.remove(&before));
            self.by_name.insert(name, id);
        }
        Ok(!taken.is_empty())
    }

    /// `Recovered 3-17`: the mailbox with number 17 of epoch 3. Always the same, whenever the log
    /// is read.
    fn recovered_name(&self, id: MailboxId) -> String {
        let number = id.0 & ((1 << EPOCH) - 1);
        let mut name = format!("Recovered {}-{number}", id.0 >> EPOCH);
        while self.by_name.contains_key(&*name) {
            name.push('+');
        }
        name
    }

    /// Makes clients forget what they know of all mailboxes, which may have changed in lost frames.
    /// A UIDVALIDITY that was given in them is at most `given` above the last known, or not above
    /// the time at which it was given.
    pub(in crate::index) fn forget_clients(&mut self, now: u64, given: u32) {
        let last = self.last_uid_validity.0.saturating_add(given).min(super::TIME_COUNTS);
        self.last_uid_validity = self.last_uid_validity.max(UidValidity(last));
        let ids: Vec<_> = self.mailboxes.keys().copied().collect();
        for id in ids {
            // With none left clients keep what they know, and resynchronise by themselves.
            let Some(validity) = self.reserve_uid_validity(now) else { break };
            let forgotten = self.change(id, |mailbox| {
                mailbox.forget_clients(validity, given);
                Ok(())
            });
            debug_assert!(forgotten.is_ok(), "it was just there");
        }
    }
}
