//! The subscriptions of an account: names, which need not be names of mailboxes (RFC 3501 sections
//! 6.3.6 and 6.3.9). Deleting or renaming a mailbox does not change them.
//!
//! They have a row of their own in the catalog, because they change rarely and the account's row
//! often:
//!
//! ```text
//! count u32, then each name as text
//! ```

use std::collections::BTreeSet;
use std::ops::Bound;

use super::{Account, canonical};
use crate::index::codec::{Fields, Row};
use crate::index::error::Rot;
use crate::index::rows::Saved;
use crate::reactor::thresholds;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Subscriptions {
    names: BTreeSet<Box<str>>,
    pub(super) saved: Saved,
}

impl Default for Subscriptions {
    fn default() -> Subscriptions {
        Subscriptions { names: BTreeSet::new(), saved: Saved::Clean }
    }
}

impl Account {
    /// The names that LSUB lists, ascending.
    pub fn subscriptions(&self) -> impl Iterator<Item = &str> {
        self.subscriptions.names.iter().map(|name| &**name)
    }

    /// The first subscription at or after a bound.
    #[must_use]
    pub fn next_subscription(&self, from: Bound<&str>) -> Option<&str> {
        let mut names = self.subscriptions.names.range::<str, _>((from, Bound::Unbounded));
        names.next().map(|name| &**name)
    }

    /// Whether a name is subscribed; INBOX is case-insensitive.
    #[must_use]
    pub fn is_subscribed(&self, name: &str) -> bool {
        self.subscriptions.names.contains(canonical(name))
    }

    /// Whether a name is subscribed already or there is room for one more. If not: `NO [LIMIT]`.
    #[must_use]
    pub fn can_subscribe(&self, name: &str) -> bool {
        self.subscriptions.names.len() < thresholds().subscriptions || self.is_subscribed(name)
    }

    pub(super) fn subscribe(&mut self, name: &str, subscribed: bool) {
        let before = self.subscriptions.dirty_octets();
        let names = &mut self.subscriptions.names;
        let changed = if subscribed { names.insert(name.into()) } else { names.remove(name) };
        if changed {
            self.subscriptions.saved = Saved::Dirty;
            let after = self.subscriptions.dirty_octets();
            self.dirty_octets = (self.dirty_octets + after).saturating_sub(before);
            // An account that has only subscriptions still needs a row of its own.
            self.saved = Saved::Dirty;
        }
    }
}

impl Subscriptions {
    /// Approximate bytes in memory.
    pub(super) fn octets(&self) -> usize {
        self.names.iter().map(|name| 40 + name.len()).sum()
    }

    /// Approximate bytes that the next checkpoint has to write.
    pub(super) fn dirty_octets(&self) -> usize {
        match self.saved {
            // An estimate: adding up the names after each change would be quadratic.
            Saved::Dirty => 20 * (self.names.len() + 1),
            Saved::Clean | Saved::Saving => 0,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Row::default();
        row.u32(u32::try_from(self.names.len()).expect("bounded by SUBSCRIPTIONS"));
        self.names.iter().for_each(|name| row.text(name));
        row.seal()
    }

    pub(super) fn decode(row: &[u8]) -> Result<Subscriptions, Rot> {
        let mut fields = Fields::open(row)?;
        let mut subscriptions = Subscriptions::default();
        for _ in 0..fields.u32()? {
            if !subscriptions.names.insert(fields.text()?.into()) {
                return Err(Rot("an account has a subscription twice"));
            }
        }
        fields.end()?;
        Ok(subscriptions)
    }
}
