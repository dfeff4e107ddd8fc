//! Mending an account whose log has a hole.
//!
//! With `--quarantine`, replay goes on after lost frames, and a later change may refer to something
//! that only those frames knew. Each case has one rule:
//!
//! ```text
//! lost in the hole              later record                   rule
//! CREATE of mailbox 3-17        batch for mailbox 3-17         it becomes `Recovered 3-17`
//! RENAME of Work to Old         CREATE Work                    the former Work is renamed to
//!                                                              `Recovered E-N` first
//! DELETE of Work                CREATE Work                    as above: what was deleted is back
//! CREATE of mailbox 3-17        DELETE of mailbox 3-17         ignored (replay/mod.rs)
//! STORE, EXPUNGE, any batch     none needed                    every mailbox gets a new
//!                                                              UIDVALIDITY (`forget_clients`)
//! ```

use super::{Account, canonical};
use crate::index::error::ApplyError;
use crate::store::{EmailId, MailboxId, Record};
use imap::types::{SpecialUse, UidValidity};

/// EMAILIDs skipped for each UID that lost frames may have given in a mailbox. The number of UIDs
/// is capped, and the account may have many mailboxes; but EMAILIDs are not scarce as UIDs are.
const EMAILS: u64 = 1 << 16;

/// Bits of a mailbox identifier below its epoch.
const EPOCH: u32 = 40;

impl Account {
    /// Creates the mailbox of a batch or of metadata whose creation is lost, under a made-up name.
    /// Its UIDVALIDITY is new as well: see [`Account::forget_clients`]. `now` is in seconds since
    /// 1970, 0 if the record has no time.
    pub(in crate::index) fn make_recovered(
        &mut self,
        mailbox: MailboxId,
        now: i64,
    ) -> Result<(), ApplyError> {
        let now = u64::try_from(now).unwrap_or_default();
        let uid_validity = self.reserve_uid_validity(now).ok_or(ApplyError::NoUidValidity)?;
        let name = self.recovered_name(mailbox);
        self.create(mailbox, &name, uid_validity, SpecialUse::default())
    }

    /// Renames the mailboxes whose names this change needs; the change that freed those names is
    /// lost. Returns whether there were any.
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

    /// `Recovered 3-17` for mailbox 17 of epoch 3: every replay of the log gives the same name.
    fn recovered_name(&self, id: MailboxId) -> String {
        let number = id.0 & ((1 << EPOCH) - 1);
        let mut name = format!("Recovered {}-{number}", id.0 >> EPOCH);
        while self.by_name.contains_key(&*name) {
            name.push('+');
        }
        name
    }

    /// Gives every mailbox a new UIDVALIDITY, because lost frames may have changed any of them.
    /// A UIDVALIDITY that was given in the lost frames is at most `given` above the last known one,
    /// or at most the time at which it was given; the new ones are above both. The EMAILIDs that
    /// may have been given in the lost frames are skipped.
    pub(in crate::index) fn forget_clients(&mut self, now: u64, given: u32) {
        let last = self.last_uid_validity.0.saturating_add(given).min(super::TIME_COUNTS);
        self.last_uid_validity = self.last_uid_validity.max(UidValidity(last));
        self.gave_emails(EmailId(self.next_email.0.saturating_add(u64::from(given) * EMAILS)));
        let ids: Vec<_> = self.mailboxes.keys().copied().collect();
        for id in ids {
            // When UIDVALIDITY values run out, clients keep their caches, which may be wrong.
            let Some(validity) = self.reserve_uid_validity(now) else { break };
            let forgotten = self.change(id, |mailbox| {
                mailbox.forget_clients(validity, given);
                Ok(())
            });
            debug_assert!(forgotten.is_ok(), "it was just there");
        }
    }
}
