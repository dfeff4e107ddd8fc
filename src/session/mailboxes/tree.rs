//! The tree of names that LIST and LSUB walk, step by step and without a copy. The client may be
//! slow and names may change between two steps; such a change may or may not be listed.

use std::collections::BTreeSet;
use std::collections::btree_set;
use std::ops::Bound;

use crate::index::{Account, Mailbox};
use crate::store::MailboxId;
use imap::protocol::{MailboxName, Pattern, SelectionOptions};
use imap::types::SpecialUse;

/// The character after the separator: the upper bound of the names below a level.
const AFTER_SEPARATOR: char = '0';

const _: () = assert!(AFTER_SEPARATOR as u32 == MailboxName::SEPARATOR as u32 + 1);

/// A name: a mailbox, a level above one, or only a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// The mailbox with this name.
    pub mailbox: Option<MailboxId>,
    /// The special use of the mailbox.
    pub special_use: SpecialUse,
    /// Whether there are mailboxes below.
    pub children: bool,
    pub subscribed: bool,
    /// Whether names below are subscribed.
    pub subscribed_below: bool,
}

impl Level {
    pub(super) fn of(account: &Account, name: &str) -> Level {
        let mailbox = account.find(name);
        let use_of = |id| account.mailbox(id).map(Mailbox::special_use);
        let below = below(name);
        let is_below = |found: &str| found.starts_with(&*below);
        let from = Bound::Excluded(&*below);
        Level {
            mailbox,
            special_use: mailbox.and_then(use_of).unwrap_or_default(),
            children: account.next_name(from).is_some_and(is_below),
            subscribed: account.is_subscribed(name),
            subscribed_below: account.next_subscription(from).is_some_and(is_below),
        }
    }

    /// Whether the selection options select it (RFC 5258 section 3.1).
    pub(super) fn is_selected(&self, options: SelectionOptions) -> bool {
        let there = options.subscribed || self.mailbox.is_some() || self.children;
        there
            && (!options.subscribed || self.subscribed)
            && (!options.special_use || !self.special_use.is_empty())
    }
}

/// The common prefix of the names below a level.
pub(super) fn below(name: &str) -> String {
    format!("{name}{}", MailboxName::SEPARATOR)
}

/// The names to walk, including the levels above them.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Mailboxes,
    Subscriptions,
}

/// The names that patterns can match.
pub(super) enum Names {
    /// Patterns without wildcards: one name each.
    Each(btree_set::IntoIter<MailboxName>),
    Walk(Walk),
}

impl Names {
    pub(super) fn new(of: Of, patterns: &[Pattern]) -> Names {
        if patterns.iter().all(Pattern::is_literal) {
            let name = |pattern: &Pattern| MailboxName::from_utf8(&pattern.beginning()).ok();
            return Names::Each(
                patterns.iter().filter_map(name).collect::<BTreeSet<_>>().into_iter(),
            );
        }
        let beginning = patterns.iter().map(|pattern| canonical(pattern.beginning()));
        let beginning = beginning.reduce(common).unwrap_or_default();
        let levels = patterns.iter().map(Pattern::levels).reduce(|a, b| Some(a?.max(b?)));
        Names::Walk(Walk::new(of, beginning, levels.flatten()))
    }

    /// The next few names; `None` at the end.
    pub(super) fn next(&mut self, account: &Account) -> Option<Vec<MailboxName>> {
        match self {
            Names::Each(names) => names.next().map(|name| vec![name]),
            Names::Walk(walk) => {
                let found = walk.next(account)?;
                Some(found.iter().filter_map(|name| MailboxName::from_utf8(name).ok()).collect())
            }
        }
    }
}

/// A prefix in the stored form, with INBOX in capitals. A prefix that may still become INBOX is
/// replaced by the empty one, which covers all names.
fn canonical(beginning: String) -> String {
    const INBOX: &str = "INBOX";
    let length = beginning.len().min(INBOX.len());
    let is_inbox = beginning.as_bytes()[..length].eq_ignore_ascii_case(&INBOX.as_bytes()[..length]);
    match beginning.as_bytes().get(INBOX.len()) {
        Some(b'/') if is_inbox => INBOX.to_owned() + &beginning[INBOX.len()..],
        None if is_inbox => String::new(),
        _ => beginning,
    }
}

fn common(mut one: String, other: String) -> String {
    let pairs = one.chars().zip(other.chars());
    let length = pairs.take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    one.truncate(length);
    one
}

/// Walks names in ascending order. The names below a level are adjacent, so a level without a
/// mailbox is found with the first name below it: the name before that is not below the level.
pub(super) struct Walk {
    of: Of,
    beginning: String,
    /// Names with more levels are skipped; all names below one of them are skipped in one step.
    levels: usize,
    from: Bound<String>,
    /// The last name that was found.
    last: String,
}

impl Walk {
    pub(super) fn new(of: Of, beginning: String, levels: Option<usize>) -> Walk {
        let from = Bound::Included(beginning.clone());
        Walk { of, beginning, levels: levels.unwrap_or(usize::MAX), from, last: String::new() }
    }

    /// The next name, preceded by the levels above it that were not returned before.
    pub(super) fn next(&mut self, account: &Account) -> Option<Vec<String>> {
        let from = self.from.as_ref().map(String::as_str);
        let (found, is_name): (_, &dyn Fn(&str) -> bool) = match self.of {
            Of::Mailboxes => (account.next_name(from), &|name| account.find(name).is_some()),
            Of::Subscriptions => {
                (account.next_subscription(from), &|name| account.is_subscribed(name))
            }
        };
        let found = found.filter(|name| name.starts_with(&self.beginning))?;
        let (mut names, mut cut) = (Vec::new(), None);
        for (level, (end, _)) in found.match_indices(MailboxName::SEPARATOR).enumerate() {
            if level + 1 > self.levels {
                break;
            }
            let above = &found[..end];
            if end >= self.beginning.len()
                && !self.last.starts_with(&found[..=end])
                && !is_name(above)
            {
                names.push(above.to_owned());
            }
            cut = (level + 1 == self.levels).then_some(above);
        }
        self.from = match cut {
            Some(above) => Bound::Included(format!("{above}{AFTER_SEPARATOR}")),
            None => {
                names.push(found.to_owned());
                Bound::Excluded(found.to_owned())
            }
        };
        self.last = found.to_owned();
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Record;
    use imap::types::UidValidity;

    fn account(mailboxes: &[&str], subscriptions: &[&str]) -> Account {
        let mut account = Account::new("a");
        for (number, name) in (1..).zip(mailboxes) {
            let record = Record::CreateMailbox {
                account: "a".into(),
                mailbox: MailboxId(number),
                name: (*name).into(),
                uid_validity: UidValidity(number as u32),
                uses: SpecialUse::default(),
            };
            account.apply(&record).unwrap();
        }
        for name in subscriptions {
            let (account_name, name) = ("a".into(), (*name).into());
            let record = Record::Subscribe { account: account_name, name, subscribed: true };
            account.apply(&record).unwrap();
        }
        account
    }

    fn names(account: &Account, of: Of, patterns: &[&str]) -> Vec<String> {
        let pattern = |text: &&str| Pattern::new(b"", text.as_bytes(), true).unwrap();
        let patterns: Vec<_> = patterns.iter().map(pattern).collect();
        let mut names = Names::new(of, &patterns);
        let all = std::iter::from_fn(|| names.next(account)).flatten();
        all.map(|name| name.as_str().to_owned()).collect()
    }

    #[test]
    fn every_level_is_told_once() {
        let account = account(&["a/b/c", "a/b!x/y", "a/b/d/e", "INBOX", "a/b", "z/y/x"], &["s/t"]);
        let all = ["INBOX", "a", "a/b", "a/b!x", "a/b!x/y", "a/b/c", "a/b/d", "a/b/d/e"];
        let all = [&all[..], &["z", "z/y", "z/y/x"]].concat();
        assert_eq!(names(&account, Of::Mailboxes, &["*"]), all);
        assert_eq!(names(&account, Of::Mailboxes, &["*", "a/%"]), all);
        assert_eq!(names(&account, Of::Mailboxes, &["%"]), ["INBOX", "a", "z"]);
        assert_eq!(names(&account, Of::Mailboxes, &["a/b/%"]), ["a/b/c", "a/b/d"]);
        assert_eq!(names(&account, Of::Mailboxes, &["a/b!*"]), ["a/b!x", "a/b!x/y"]);
        // A prefix that may be INBOX is searched among all names.
        assert_eq!(names(&account, Of::Mailboxes, &["inb%"]), ["INBOX", "a", "z"]);
        assert_eq!(names(&account, Of::Mailboxes, &["a/b", "inbox"]), ["INBOX", "a/b"]);
        assert_eq!(names(&account, Of::Subscriptions, &["*"]), ["s", "s/t"]);
    }

    #[test]
    fn inbox_has_one_beginning() {
        for (written, kept) in [
            ("inbox/x", "INBOX/x"),
            ("Inb", ""),
            ("INBOX", ""),
            ("inboxes", "inboxes"),
            ("inx", "inx"),
            ("", ""),
            ("éé", "éé"),
        ] {
            assert_eq!(canonical(written.into()), kept);
        }
    }
}
