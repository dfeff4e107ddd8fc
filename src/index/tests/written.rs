//! Messages as written are equal to the messages after everything is applied.

use proptest::prelude::*;

use super::*;

/// Sixty messages in a pinned INBOX, with three keyword sets.
fn account() -> Account {
    let mut account = Account::new("a");
    account.apply(&create("a", INBOX, "INBOX")).unwrap();
    account.mailbox_mut(INBOX).unwrap().pin();
    let messages: Vec<_> = (1..=60)
        .map(|n| MessageRecord {
            flags: Flags(n as u8 % 8),
            keywords: (0..n % 3).map(|n| keyword(&format!("k{n}"))).collect(),
            ..message(n)
        })
        .collect();
    append(&mut account, INBOX, &messages);
    account
}

#[derive(Clone, Debug)]
struct Change {
    uids: Vec<UidRange>,
    /// `None` for an expunge.
    flags: Option<(FlagChange, u8, Vec<u8>)>,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let uids = prop::collection::vec((1..70u32, 0..20u32), 1..4);
    let kind =
        prop_oneof![Just(FlagChange::Replace), Just(FlagChange::Add), Just(FlagChange::Remove)];
    let flags = (kind, 0..32u8, prop::collection::vec(0..5u8, 0..3));
    let change = (uids, prop::option::weighted(0.7, flags)).prop_map(|(uids, flags)| Change {
        uids: uids.into_iter().map(|(first, more)| range(first, first + more)).collect(),
        flags,
    });
    prop::collection::vec(change, 0..6)
}

/// Composes and writes the record of a change.
fn write(account: &mut Account, change: Change) -> Record {
    let mailbox = account.mailbox_mut(INBOX).unwrap();
    let modseq = mailbox.reserve(0).unwrap().modseq;
    let record = match change.flags {
        None => expunge(INBOX, modseq, change.uids),
        Some((kind, flags, keywords)) => {
            let keywords: Vec<_> = keywords.iter().map(|k| keyword(&format!("k{k}"))).collect();
            assert!(mailbox.admit_change(&change.uids, kind, &keywords));
            let (account, uids, flags) = ("a".into(), change.uids, Flags(flags));
            Record::SetFlags {
                account,
                mailbox: INBOX,
                modseq,
                uids,
                change: kind,
                flags,
                keywords,
            }
        }
    };
    account.wrote(&record);
    record
}

/// UID, flags, keywords and mod-sequence of each message.
type Shown = Vec<(u32, u8, Vec<String>, u64)>;

fn as_written(account: &Account) -> Shown {
    let mailbox = account.mailbox(INBOX).unwrap();
    let messages = mailbox.as_written(UidRange::ALL).filter_map(|(_, message)| message);
    messages
        .map(|message| {
            let keywords = mailbox.keywords().of(message.keywords);
            let keywords = keywords.map(|keyword| keyword.as_str().to_owned()).collect();
            (message.entry.uid().0, message.flags.0, keywords, message.modseq.0)
        })
        .collect()
}

fn applied(account: &Account) -> Shown {
    let mailbox = account.mailbox(INBOX).unwrap();
    let shown = mailbox.range(UidRange::ALL).map(|entry| {
        let keywords = mailbox.keywords().of(entry.keywords());
        let keywords = keywords.map(|keyword| keyword.as_str().to_owned()).collect();
        (entry.uid().0, entry.flags().0, keywords, entry.modseq().0)
    });
    shown.collect()
}

proptest! {
    #[test]
    fn what_is_written_is_what_will_be_applied(changes in changes(), first in 0..6usize) {
        let mut account = account();
        let records: Vec<_> = changes.into_iter().map(|c| write(&mut account, c)).collect();
        let expected = as_written(&account);
        // It holds at every moment in between.
        let first = first.min(records.len());
        records[..first].iter().for_each(|record| account.apply(record).unwrap());
        prop_assert_eq!(&as_written(&account), &expected);
        prop_assert_eq!(account.mailbox(INBOX).unwrap().unapplied(), records.len() - first);
        records[first..].iter().for_each(|record| account.apply(record).unwrap());
        prop_assert_eq!(&applied(&account), &expected);
        prop_assert_eq!(&as_written(&account), &expected);
    }
}
