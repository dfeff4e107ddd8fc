//! Changes reported to sessions and to returning clients; limits of keywords.

use super::*;
use crate::index::{Changes, Mailbox, What};
use crate::limits::{JOURNAL, KEYWORD_SETS, VANISHED};

/// An INBOX with this many messages, pinned by one session.
fn inbox(messages: u32) -> Account {
    let mut account = Account::new("a");
    account.apply(&create("a", INBOX, "INBOX")).unwrap();
    append(&mut account, INBOX, &(1..=messages).map(message).collect::<Vec<_>>());
    account.mailbox_mut(INBOX).unwrap().pin();
    account
}

fn known(mailbox: &Mailbox, since: u64) -> Option<Vec<(u64, bool, Vec<UidRange>)>> {
    match mailbox.changes_since(ModSeq(since)) {
        Changes::Lost => None,
        Changes::Known(recent) => Some(
            recent
                .map(|r| (r.modseq.0, matches!(r.what, What::Flags(_)), r.what.ranges().to_vec()))
                .collect(),
        ),
    }
}

#[test]
fn sessions_hear_of_what_really_changed() {
    let mut account = inbox(10);
    let seen = |modseq, uids| add_flags(INBOX, ModSeq(modseq), uids, Flags::SEEN);
    account.apply(&seen(3, vec![range(2, 3), range(7, 90)])).unwrap();
    account.apply(&seen(4, vec![range(3, 5)])).unwrap();
    account.apply(&seen(5, vec![range(2, 2)])).unwrap();
    account.apply(&expunge(INBOX, ModSeq(6), vec![range(4, 4), range(5, 6)])).unwrap();
    account.apply(&expunge(INBOX, ModSeq(7), vec![range(1, 5), range(11, 20)])).unwrap();
    append(&mut account, INBOX, &[message(1)]);
    let mailbox = account.mailbox(INBOX).unwrap();
    let flags = [(3, true, vec![range(2, 3), range(7, 10)]), (4, true, vec![range(4, 5)])];
    let gone = [(6, false, vec![range(4, 6)]), (7, false, vec![range(1, 3)])];
    assert_eq!(known(mailbox, 2), Some([&flags[..], &gone[..]].concat()));
    assert_eq!(known(mailbox, 4), Some(gone.to_vec()));
    assert_eq!(known(mailbox, 7), Some(vec![]));
    assert_eq!(known(mailbox, 1), None, "before it was pinned");
    assert_eq!(mailbox.counts().highest_modseq, ModSeq(8));
    assert_eq!(mailbox.vanished_since(ModSeq(5)).unwrap(), [range(1, 6)]);
    assert_eq!(mailbox.vanished_since(ModSeq(6)).unwrap(), [range(1, 3)]);
}

#[test]
fn the_journal_lives_as_long_as_somebody_reads_it() {
    let mut account = inbox(4);
    let mailbox = account.mailbox_mut(INBOX).unwrap();
    mailbox.pin();
    mailbox.unpin();
    account.apply(&add_flags(INBOX, ModSeq(3), vec![range(1, 1)], Flags::SEEN)).unwrap();
    assert_eq!(known(account.mailbox(INBOX).unwrap(), 2).unwrap().len(), 1);
    let mailbox = account.mailbox_mut(INBOX).unwrap();
    mailbox.unpin();
    mailbox.pin();
    assert_eq!(known(mailbox, 2), None);
    assert_eq!(known(mailbox, 3), Some(vec![]));
}

#[test]
fn a_session_that_is_too_far_behind_is_told_so() {
    let mut account = inbox(2);
    for modseq in 3..3 + JOURNAL as u64 / 5 + 1 {
        let (change, flags) = (FlagChange::Replace, Flags(modseq as u8 & 1));
        let record = Record::SetFlags {
            account: "a".into(),
            mailbox: INBOX,
            modseq: ModSeq(modseq),
            uids: vec![range(1, 1)],
            change,
            flags,
            keywords: vec![],
        };
        account.apply(&record).unwrap();
    }
    let mailbox = account.mailbox(INBOX).unwrap();
    assert!(known(mailbox, 2).is_none());
    assert!(known(mailbox, 3).is_some());
}

#[test]
fn what_vanished_survives_a_restart_up_to_its_bound() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = inbox(VANISHED as u32 * 2 + 10);
    for n in 1..=VANISHED as u32 + 1 {
        let modseq = ModSeq(u64::from(n) + 2);
        account.apply(&expunge(INBOX, modseq, vec![range(2 * n, 2 * n)])).unwrap();
    }
    save(&mut account, &file);
    let account = file.account("a").unwrap().unwrap();
    let mailbox = account.mailbox(INBOX).unwrap();
    assert_eq!(mailbox.counts().highest_modseq, ModSeq(VANISHED as u64 + 3));
    assert_eq!(mailbox.vanished_since(ModSeq(2)), None);
    assert_eq!(mailbox.vanished_since(ModSeq(3)).unwrap().len(), VANISHED);
    assert_eq!(mailbox.vanished_since(ModSeq(4)).unwrap()[0], range(6, 6));
    assert_eq!(mailbox.vanished_since(ModSeq(9_999)).unwrap(), []);
}

#[test]
fn chunks_know_whether_they_are_worth_a_look() {
    let folder = Folder::new();
    let mut account = inbox(1_200);
    account.apply(&add_flags(INBOX, ModSeq(3), vec![range(600, 600)], Flags::SEEN)).unwrap();
    save(&mut account, &folder.open());
    let mut read = folder.open().account("a").unwrap().unwrap();
    pin_and_load(&mut read, INBOX, &folder.open());
    for account in [&account, &read] {
        let mailbox = account.mailbox(INBOX).unwrap();
        let chunks: Vec<_> = mailbox.chunks(range(1, u32::MAX)).collect();
        let modseqs: Vec<_> = chunks.iter().map(|chunk| chunk.max_modseq().0).collect();
        assert_eq!(modseqs, [2, 3, 2]);
        let uids: Vec<_> = chunks[1].range(range(1_000, 2_000)).map(|e| e.uid().0).collect();
        assert_eq!(uids, (1_000..=1_024).collect::<Vec<_>>());
    }
    read.apply(&expunge(INBOX, ModSeq(4), vec![range(600, 600)])).unwrap();
    let chunk = read.mailbox(INBOX).unwrap().chunks(range(601, 601)).next().unwrap();
    assert_eq!(chunk.max_modseq(), ModSeq(2));
}

/// Adding one keyword to all messages can double the number of sets.
#[test]
fn a_store_is_admitted_only_when_all_its_sets_fit() {
    let mut account = inbox(3);
    let mailbox = account.mailbox_mut(INBOX).unwrap();
    let (bits, all) = (KEYWORD_SETS.ilog2(), [range(1, 3)]);
    let set = |number: usize| -> Vec<Keyword> {
        let chosen = (0..bits).filter(|bit| number >> bit & 1 == 1);
        chosen.map(|bit| keyword(&format!("k{bit}"))).collect()
    };
    // Three sets below the limit.
    (1..KEYWORD_SETS - 2).for_each(|number| assert!(mailbox.admit(&set(number)).is_some()));
    let store = |account: &mut Account, uid, change, keywords: &[Keyword]| {
        let mailbox = account.mailbox_mut(INBOX).unwrap();
        assert!(mailbox.admit_change(&[range(uid, uid)], change, keywords));
        let modseq = mailbox.reserve(0).unwrap().modseq;
        let record = Record::SetFlags {
            account: "a".into(),
            mailbox: INBOX,
            modseq,
            uids: vec![range(uid, uid)],
            change,
            flags: Flags::default(),
            keywords: keywords.to_vec(),
        };
        account.apply(&record).unwrap();
    };
    store(&mut account, 2, FlagChange::Replace, &set(5));
    store(&mut account, 3, FlagChange::Add, &set(6));
    let fresh = [keyword("fresh")];
    let mailbox = account.mailbox_mut(INBOX).unwrap();
    assert!(mailbox.admit_change(&all, FlagChange::Add, &fresh), "three new sets for three");
    assert!(mailbox.admit_change(&all, FlagChange::Add, &fresh), "they are there already");
    assert!(mailbox.admit_change(&all, FlagChange::Remove, &set(7)), "the sets are known");
    assert!(!mailbox.admit_change(&[range(1, 1)], FlagChange::Add, &[keyword("other")]));
    assert!(!mailbox.admit_change(&all, FlagChange::Replace, &[keyword("other")]));
    store(&mut account, 1, FlagChange::Add, &fresh);
}
