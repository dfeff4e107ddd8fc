//! The tree of names that LIST and LSUB look at.

use std::collections::BTreeMap;

use crate::index::{Account, Mailbox};
use crate::protocol::{MailboxName, Pattern, SelectionOptions};
use crate::types::{MailboxId, SpecialUse};

/// A name: of a mailbox, of a level above one, or one that is merely subscribed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// The mailbox of this name.
    pub mailbox: Option<MailboxId>,
    /// What it is for.
    pub special_use: SpecialUse,
    /// There are mailboxes below.
    pub children: bool,
    pub subscribed: bool,
    /// Names below are subscribed.
    pub subscribed_below: bool,
    /// Mailboxes below have a special use.
    pub special_use_below: bool,
    /// A name below is among those selected, and matches no pattern.
    pub hidden_below: bool,
}

impl Level {
    /// Whether the options select it (RFC 5258 section 3.1).
    pub fn is_selected(&self, options: SelectionOptions) -> bool {
        let there = options.subscribed || self.mailbox.is_some() || self.children;
        there
            && (!options.subscribed || self.subscribed)
            && (!options.special_use || !self.special_use.is_empty())
    }
}

/// All names with the levels above them, ascending.
pub(super) fn tree(account: &Account) -> BTreeMap<Box<str>, Level> {
    let mut levels = BTreeMap::<Box<str>, Level>::new();
    for (name, id) in account.names() {
        let special_use = account.mailbox(id).map(Mailbox::special_use).unwrap_or_default();
        let level = levels.entry(name.into()).or_default();
        (level.mailbox, level.special_use) = (Some(id), special_use);
        above(&mut levels, name, |level| {
            level.children = true;
            level.special_use_below |= !special_use.is_empty();
        });
    }
    for name in account.subscriptions() {
        levels.entry(name.into()).or_default().subscribed = true;
        above(&mut levels, name, |level| level.subscribed_below = true);
    }
    levels
}

/// Marks the levels above names that the options select and no pattern matches: without them a
/// client that asks for RECURSIVEMATCH would never hear of these names (RFC 5258 section 3.5).
pub(super) fn mark_hidden(
    levels: &mut BTreeMap<Box<str>, Level>,
    options: SelectionOptions,
    patterns: &[Pattern],
) {
    let matched = |name: &str| {
        MailboxName::from_utf8(name).is_ok_and(|name| any_matches(patterns, &name)) //
    };
    let selected = levels.iter().filter(|(_, level)| level.is_selected(options));
    let hidden: Vec<Box<str>> =
        selected.filter(|(name, _)| !matched(name)).map(|(name, _)| name.clone()).collect();
    for name in hidden {
        above(levels, &name, |level| level.hidden_below = true);
    }
}

fn above(levels: &mut BTreeMap<Box<str>, Level>, mut name: &str, mark: impl Fn(&mut Level)) {
    while let Some((above, _)) = name.rsplit_once(MailboxName::SEPARATOR) {
        mark(levels.entry(above.into()).or_default());
        name = above;
    }
}

/// Whether one of the patterns matches a name.
pub(super) fn any_matches(patterns: &[Pattern], name: &MailboxName) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}
