//! EMAILID (RFC 8474): a message keeps it for ever, a copy has that of its original, and no two
//! appended messages of an account share one.
//!
//! A client may copy a message before any client was told its EMAILID. So copies are compared once
//! more when everything is verified, and appended messages with each other only then. What an
//! APPEND or COPY in doubt has brought is not compared: which of them brought it is a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::Model;
use super::wire::{Checked, ensure};

/// UIDVALIDITY and UID.
type Place = (u32, u32);

/// What is known of the messages of an account without their EMAILIDs.
#[derive(Clone, Default)]
pub struct Origins {
    /// Messages of acknowledged APPENDs.
    appended: BTreeSet<Place>,
    /// Originals and copies of acknowledged COPYs and MOVEs since the last verification.
    copied: Vec<(Place, Place)>,
}

impl Origins {
    /// An APPEND was acknowledged.
    pub fn appended(&mut self, place: Place) {
        self.appended.insert(place);
    }

    /// A COPY or MOVE was acknowledged.
    pub fn copied(&mut self, from: Place, to: Place) {
        self.copied.push((from, to));
    }
}

impl Model {
    /// A client was told the EMAILID of a message.
    pub fn identified(
        &mut self,
        (account, validity, uid): (usize, u32, u32),
        email: &str,
    ) -> Checked {
        let Some(message) = self.message(account, validity, uid) else { return Ok(()) };
        let known = message.email.get_or_insert_with(|| email.into());
        ensure!(&**known == email, "UID {uid} has EMAILID {email}, and had {known}");
        Ok(())
    }

    /// Everything was verified: compares the EMAILIDs of copies and of appended messages.
    pub fn compare_identities(&mut self, account: usize) -> Checked {
        let copied = std::mem::take(&mut self.accounts[account].origins.copied);
        // Either one may be known by its other copies.
        for &(from, to) in copied.iter().chain(copied.iter().rev()) {
            let known = self.email(account, from).or_else(|| self.email(account, to));
            let Some(known) = known else { continue };
            for (validity, uid) in [from, to] {
                let told = self.identified((account, validity, uid), &known);
                told.map_err(|stop| stop.about(|| format!("copied from {from:?} to {to:?}")))?;
            }
        }
        let mut owners: BTreeMap<Rc<str>, Place> = BTreeMap::new();
        for &place in &self.accounts[account].origins.appended {
            let Some(email) = self.email(account, place) else { continue };
            let other = owners.insert(email.clone(), place);
            ensure!(other.is_none(), "EMAILID {email} was given to {other:?} and to {place:?}");
        }
        Ok(())
    }

    /// The EMAILID of a message, if a client was told.
    fn email(&self, account: usize, (validity, uid): Place) -> Option<Rc<str>> {
        let mailbox = self.accounts[account].boxes.get(&validity)?;
        mailbox.messages.get(&uid)?.email.clone()
    }
}
