//! EMAILIDs are never given twice.

use super::*;
use crate::index::ApplyError;

const WORK: MailboxId = MailboxId(8);

/// An INBOX with three messages, and an empty mailbox.
fn account() -> Account {
    let mut account = Account::new("a");
    account.apply(&create("a", INBOX, "INBOX")).unwrap();
    account.apply(&create("a", WORK, "Work")).unwrap();
    append(&mut account, INBOX, &[message(1), message(2), message(3)]);
    account.mailbox_mut(INBOX).unwrap().pin();
    account
}

fn emails(account: &Account, mailbox: MailboxId) -> Vec<u64> {
    let all = account.mailbox(mailbox).unwrap().range(UidRange::ALL);
    all.map(|entry| entry.email_id().0).collect()
}

fn reopened(account: &mut Account, folder: &Folder) -> Account {
    let file = folder.open();
    save(account, &file);
    file.account("a").unwrap().unwrap()
}

#[test]
fn messages_are_numbered_over_all_mailboxes() {
    let mut account = account();
    append(&mut account, WORK, &[message(4)]);
    append(&mut account, INBOX, &[message(5)]);
    assert_eq!((emails(&account, INBOX), emails(&account, WORK)), (vec![1, 2, 3, 5], vec![4]));
}

#[test]
fn a_copy_keeps_its_number() {
    let mut account = account();
    let inbox = account.mailbox(INBOX).unwrap();
    let copy = |uid| inbox.get(Uid(uid)).unwrap().to_record(KeywordList::default());
    let copies = [copy(2), copy(1)];
    let mut commit = batch(WORK, 1, 2, &copies);
    commit.first_email = EmailId(0);
    account.append(&commit, &copies).unwrap();
    append(&mut account, WORK, &[message(4)]);
    assert_eq!(emails(&account, WORK), [2, 1, 4]);
}

/// Copies use up no numbers, so an upload that has reserved some fits behind any number of copies.
#[test]
fn many_copies_leave_reserved_numbers_alone() {
    let mut account = account();
    let first_email = account.reserve_emails(1).unwrap();
    let inbox = account.mailbox(INBOX).unwrap();
    let copy = |uid| inbox.get(Uid(uid)).unwrap().to_record(KeywordList::default());
    let copies: Vec<_> = [1, 2, 3].iter().cycle().take(9).map(|&uid| copy(uid)).collect();
    let commit = Commit { first_email: EmailId(0), ..batch(WORK, 1, 2, &copies) };
    account.append(&commit, &copies).unwrap();
    let commit = Commit { first_email, ..batch(INBOX, 4, 3, &[message(4)]) };
    account.append(&commit, [message(4)]).unwrap();
    assert_eq!(emails(&account, INBOX), [1, 2, 3, 4]);
}

#[test]
fn no_number_comes_back_with_everything_expunged() {
    let (mut account, folder) = (account(), Folder::new());
    account.apply(&expunge(INBOX, ModSeq(3), vec![range(1, 3)])).unwrap();
    let mut account = reopened(&mut account, &folder);
    append(&mut account, WORK, &[message(4)]);
    account.apply(&delete("a", WORK)).unwrap();
    account.apply(&delete("a", INBOX)).unwrap();
    let mut account = reopened(&mut account, &folder);
    assert_eq!(account.reserve_emails(1), Some(EmailId(5)));
}

/// A batch that was reserved when a checkpoint began is applied after the next start.
#[test]
fn a_checkpoint_has_the_numbers_of_applied_batches_alone() {
    let (mut account, folder) = (account(), Folder::new());
    let first_email = account.reserve_emails(1).unwrap();
    let mut account = reopened(&mut account, &folder);
    let commit = Commit { first_email, ..batch(WORK, 1, 2, &[message(4)]) };
    account.append(&commit, [message(4)]).unwrap();
    assert_eq!(emails(&account, WORK), [4]);
}

#[test]
fn a_batch_has_numbers_that_were_not_given_before() {
    let two = [message(4), message(5)];
    let append = |first_email| {
        let commit = Commit { first_email, ..batch(WORK, 1, 2, &two) };
        account().append(&commit, &two)
    };
    assert_eq!(append(EmailId(4)), Ok(()));
    assert_eq!(append(EmailId(9)), Ok(()));
    let (next, found) = (EmailId(4), EmailId(3));
    assert_eq!(append(found), Err(ApplyError::EmailIdOutOfOrder { next, found }));
    assert_eq!(append(EmailId(0)), Err(ApplyError::NoEmailId(WORK)));
}

#[test]
fn when_none_is_left_that_is_said() {
    let mut account = account();
    let commit = Commit { first_email: EmailId(u64::MAX - 3), ..batch(WORK, 1, 2, &[message(4)]) };
    account.append(&commit, [message(4)]).unwrap();
    assert_eq!(account.reserve_emails(3), None);
    assert_eq!(account.reserve_emails(2), Some(EmailId(u64::MAX - 2)));
    assert_eq!(account.reserve_emails(1), None);
}
