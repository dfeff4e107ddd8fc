//! Renames, subscriptions, special uses and metadata, against a plain list of names and through the
//! catalog.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::index::RenameError;
use crate::limits::{MAILBOX_LEVELS, METADATA_OCTETS_OF_ACCOUNT, METADATA_VALUE, SUBSCRIPTIONS};
use crate::store::MetadataEntry;

fn account(names: &[&str]) -> Account {
    let mut account = Account::new("a");
    for (number, name) in names.iter().enumerate() {
        account.apply(&create("a", MailboxId(number as u64 + 1), name)).unwrap();
    }
    account
}

fn rename(from: &str, to: &str) -> Record {
    Record::RenameMailbox { account: "a".into(), from: from.into(), to: to.into() }
}

fn subscribe(name: &str, subscribed: bool) -> Record {
    Record::Subscribe { account: "a".into(), name: name.into(), subscribed }
}

fn names(account: &Account) -> Vec<(&str, u64)> {
    account.names().map(|(name, id)| (name, id.0)).collect()
}

#[test]
fn a_mailbox_takes_those_below_along() {
    let mut account = account(&["INBOX", "a", "a/b/c", "a-b", "ab"]);
    let validity = account.mailbox(MailboxId(3)).unwrap().uid_validity();
    account.can_rename("a", "x/y").unwrap();
    account.apply(&rename("a", "x/y")).unwrap();
    let expected = [("INBOX", 1), ("a-b", 4), ("ab", 5), ("x/y", 2), ("x/y/b/c", 3)];
    assert_eq!(names(&account), expected);
    let moved = account.mailbox(MailboxId(3)).unwrap();
    assert_eq!((moved.name(), moved.uid_validity()), ("x/y/b/c", validity));
    // A level that is not a mailbox.
    account.can_rename("x", "z").unwrap();
    account.apply(&rename("x", "z")).unwrap();
    assert_eq!(account.find("z/y/b/c"), Some(MailboxId(3)));
}

#[test]
fn names_that_cannot_be_are_refused_before() {
    let account = account(&["INBOX", "INBOX/x", "a", "a/b", "c", "d/b", "e/f"]);
    let deep = "l/".repeat(MAILBOX_LEVELS - 1) + "l";
    for (from, to, error) in [
        ("inbox", "x", RenameError::Inbox),
        ("nowhere", "x", RenameError::NoMailbox),
        ("nowhere", "a", RenameError::NoMailbox),
        ("a", "c", RenameError::Exists),
        ("a", "a", RenameError::Exists),
        ("c", "Inbox", RenameError::Exists),
        // The name itself is free, one below it is taken.
        ("a", "d", RenameError::Exists),
        ("a", "a/x", RenameError::Below),
        ("a", &*deep, RenameError::TooLong),
        ("c", &*"n".repeat(1_001), RenameError::TooLong),
    ] {
        assert_eq!(account.can_rename(from, to), Err(error), "{from} {to}");
    }
    for (from, to) in [("c", &*deep), ("a", "e"), ("a/b", "b"), ("INBOX/x", "y"), ("a", "aa")] {
        assert_eq!(account.can_rename(from, to), Ok(()), "{from} {to}");
    }
}

#[test]
fn subscriptions_stay_whatever_becomes_of_mailboxes() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = account(&["INBOX", "a"]);
    for name in ["inbox", "a", "not there"] {
        account.apply(&subscribe(name, true)).unwrap();
    }
    account.apply(&rename("a", "b")).unwrap();
    account.apply(&subscribe("nothing", false)).unwrap();
    save(&mut account, &file);
    assert!(account.is_idle());
    account.apply(&subscribe("not there", false)).unwrap();
    assert!(!account.is_idle() && account.dirty_octets() > 0);
    save(&mut account, &file);
    let read = file.account("a").unwrap().unwrap();
    assert_eq!(read.subscriptions().collect::<Vec<_>>(), ["INBOX", "a"]);
    assert!(read.is_subscribed("iNBOX") && !read.is_subscribed("b"));
}

#[test]
fn an_account_that_has_only_subscriptions_is_kept() {
    let folder = Folder::new();
    let mut account = Account::new("a");
    account.apply(&subscribe("x", true)).unwrap();
    save(&mut account, &folder.open());
    assert!(folder.open().account("a").unwrap().unwrap().is_subscribed("x"));
}

#[test]
fn there_is_an_end_to_subscriptions() {
    let mut account = Account::new("a");
    for number in 0..SUBSCRIPTIONS {
        assert!(account.can_subscribe(&number.to_string()));
        account.apply(&subscribe(&number.to_string(), true)).unwrap();
    }
    assert!(!account.can_subscribe("one more") && account.can_subscribe("7"));
}

#[test]
fn a_special_use_comes_back() {
    let folder = Folder::new();
    let mut account = Account::new("a");
    let Record::CreateMailbox { account: owner, mailbox, name, uid_validity, .. } =
        create("a", INBOX, "Sent")
    else {
        unreachable!("that is what it makes");
    };
    let uses = SpecialUse(0x21);
    let record = Record::CreateMailbox { account: owner, mailbox, name, uid_validity, uses };
    account.apply(&record).unwrap();
    save(&mut account, &folder.open());
    let read = folder.open().account("a").unwrap().unwrap();
    assert_eq!(read.mailbox(INBOX).unwrap().special_use(), SpecialUse(0x21));
}

fn note(
    mailbox: MailboxId,
    uses: Option<u16>,
    entries: &[(&str, Option<&[u8]>)],
) -> (Vec<MetadataEntry>, Record) {
    let entry = |&(name, value): &(&str, Option<&[u8]>)| MetadataEntry {
        name: name.into(),
        value: value.map(Into::into),
    };
    let entries: Vec<_> = entries.iter().map(entry).collect();
    let (account, uses) = ("a".into(), uses.map(SpecialUse));
    (entries.clone(), Record::SetMetadata { account, mailbox, uses, entries })
}

#[test]
fn metadata_comes_back() {
    let folder = Folder::new();
    let mut account = Account::new("a");
    account.apply(&create("a", INBOX, "Sent")).unwrap();
    let entries: [(&str, Option<&[u8]>); 3] =
        [("/private/comment", Some(b"a\0b")), ("/shared/comment", Some(b"")), ("/x", None)];
    save(&mut account, &folder.open());
    account.apply(&note(INBOX, Some(0x20), &entries).1).unwrap();
    assert!(account.dirty_octets() > 0, "a checkpoint writes it");
    save(&mut account, &folder.open());
    let mut read = folder.open().account("a").unwrap().unwrap();
    let (name, other) = ("/private/comment", "/shared/comment");
    let sent = read.mailbox(INBOX).unwrap();
    assert_eq!(sent.special_use(), SpecialUse(0x20));
    assert_eq!(sent.metadata().iter().collect::<Vec<_>>(), [(name, &b"a\0b"[..]), (other, b"")]);
    // What is not named stays.
    read.apply(&note(INBOX, None, &[(name, None)]).1).unwrap();
    save(&mut read, &folder.open());
    let mut read = folder.open().account("a").unwrap().unwrap();
    let sent = read.mailbox(INBOX).unwrap();
    assert_eq!(sent.special_use(), SpecialUse(0x20));
    assert_eq!(sent.metadata().iter().collect::<Vec<_>>(), [(other, &b""[..])]);
    read.apply(&note(INBOX, Some(0), &[]).1).unwrap();
    assert!(read.mailbox(INBOX).unwrap().special_use().is_empty());
}

#[test]
fn there_is_an_end_to_the_metadata_of_an_account() {
    let folder = Folder::new();
    let mut account = Account::new("a");
    let value = vec![b'x'; METADATA_VALUE];
    let full: [(&str, Option<&[u8]>); 3] =
        [("/private/a", Some(&value)), ("/private/b", Some(&value)), ("/private/c", Some(&value))];
    // Names, and what an entry takes beside them, count too.
    let last = (1..).map(MailboxId).find(|&mailbox| {
        account.apply(&create("a", mailbox, &mailbox.0.to_string())).unwrap();
        let (entries, record) = note(mailbox, None, &full);
        let room = account.has_room_for_metadata(mailbox, &entries);
        if room {
            account.apply(&record).unwrap();
        }
        !room
    });
    let last = last.unwrap();
    let most = METADATA_OCTETS_OF_ACCOUNT / (3 * METADATA_VALUE);
    assert!((most - 3..=most).contains(&(last.0 as usize)), "{last:?} of {most}");
    let refused =
        |account: &Account| !account.has_room_for_metadata(last, &note(last, None, &full).0);
    // What makes less of it is taken, and what was counted is counted after a start.
    let shorter = note(MailboxId(2), None, &[("/private/a", Some(b"x"))]);
    assert!(account.has_room_for_metadata(MailboxId(2), &shorter.0));
    save(&mut account, &folder.open());
    let mut account = folder.open().account("a").unwrap().unwrap();
    assert!(refused(&account));
    account.apply(&note(MailboxId(3), None, &[("/private/a", None)]).1).unwrap();
    account.apply(&delete("a", MailboxId(4))).unwrap();
    assert!(!refused(&account));
}

#[derive(Clone, Debug)]
enum Step {
    Create(String),
    Delete(usize),
    Rename(String, String),
    Subscribe(String, bool),
    Save { written: bool },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || "(INBOX|[ab])(/[ab]){0,3}";
    let step = prop_oneof![
        4 => name().prop_map(Step::Create),
        1 => (0..20_usize).prop_map(Step::Delete),
        4 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => (name(), any::<bool>()).prop_map(|(name, on)| Step::Subscribe(name, on)),
        1 => any::<bool>().prop_map(|written| Step::Save { written }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

/// The names after a rename; `None` when it is refused.
fn renamed(list: &BTreeMap<String, u64>, from: &str, to: &str) -> Option<BTreeMap<String, u64>> {
    let below = format!("{from}/");
    let concerns = |name: &str| name == from || name.starts_with(&below);
    if from == "INBOX" || to.starts_with(&below) || list.contains_key(to) {
        return None;
    }
    let (moved, mut rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
        list.clone().into_iter().partition(|(name, _)| concerns(name));
    for (name, id) in &moved {
        let old = rest.insert(format!("{to}{}", &name[from.len()..]), *id);
        if old.is_some() || moved.contains_key(&format!("{to}{}", &name[from.len()..])) {
            return None;
        }
    }
    (!moved.is_empty()).then_some(rest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn names_are_a_map(steps in steps()) {
        let folder = Folder::new();
        let file = folder.open();
        let mut account = Account::new("a");
        let (mut list, mut subscribed) = (BTreeMap::new(), BTreeSet::new());
        let mut next = 1;
        for step in steps {
            match step {
                Step::Create(name) => if account.find(&name).is_none() {
                    account.apply(&create("a", MailboxId(next), &name)).unwrap();
                    list.insert(name, next);
                    next += 1;
                },
                Step::Delete(pick) => if let Some((name, &id)) = list.iter().nth(pick) {
                    account.apply(&delete("a", MailboxId(id))).unwrap();
                    let name = name.clone();
                    list.remove(&name);
                },
                Step::Rename(from, to) => match renamed(&list, &from, &to) {
                    None => prop_assert!(account.can_rename(&from, &to).is_err()),
                    Some(after) => {
                        prop_assert_eq!(account.can_rename(&from, &to), Ok(()));
                        account.apply(&rename(&from, &to)).unwrap();
                        list = after;
                    }
                },
                Step::Subscribe(name, on) => {
                    account.apply(&subscribe(&name, on)).unwrap();
                    if on { subscribed.insert(name); } else { subscribed.remove(&name); }
                }
                Step::Save { written } => {
                    let mut checkpoint = Checkpoint::default();
                    account.begin_saving(&mut checkpoint);
                    if written {
                        file.write(&checkpoint).unwrap();
                    }
                    account.end_saving(written);
                }
                Step::Restart => {
                    save(&mut account, &file);
                    account = file.account("a").unwrap().unwrap_or_else(|| Account::new("a"));
                }
            }
            let found: Vec<_> = account.names().map(|(name, id)| (name.to_owned(), id.0)).collect();
            prop_assert_eq!(found, list.clone().into_iter().collect::<Vec<_>>());
            for (name, &id) in &list {
                prop_assert_eq!(account.mailbox(MailboxId(id)).unwrap().name(), &**name);
            }
            prop_assert!(account.subscriptions().eq(subscribed.iter().map(|name| &**name)));
        }
    }
}
