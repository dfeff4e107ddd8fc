//! The mailboxes that a checkpoint visits.

use super::*;

#[test]
fn a_checkpoint_looks_at_no_mailbox_that_it_has() {
    let (mut account, folder) = (Account::new("a"), Folder::new());
    let file = folder.open();
    let save = |account: &mut Account| {
        let looked_at = account.unsaved().count();
        let mut checkpoint = Checkpoint::default();
        account.begin_saving(&mut checkpoint);
        file.write(&checkpoint).unwrap();
        account.end_saving(true);
        (looked_at, checkpoint.mailboxes.len())
    };
    for number in 1..=1000 {
        account.apply(&create("a", MailboxId(number), &format!("m{number}"))).unwrap();
    }
    assert_eq!(save(&mut account), (1000, 1000));
    assert!(account.is_idle());
    assert_eq!(save(&mut account), (0, 0));
    account.apply(&delete("a", MailboxId(7))).unwrap();
    let rename = Record::RenameMailbox { account: "a".into(), from: "m3".into(), to: "x".into() };
    account.apply(&rename).unwrap();
    assert!(!account.is_idle());
    assert_eq!(save(&mut account), (1, 1));

    // A pinned mailbox is visited until it is unpinned.
    account.mailbox_mut(MailboxId(5)).unwrap().pin();
    assert_eq!((save(&mut account), save(&mut account)), ((1, 0), (1, 0)));
    account.mailbox_mut(MailboxId(5)).unwrap().unpin();
    assert_eq!((save(&mut account), save(&mut account)), ((1, 0), (0, 0)));
    assert!(account.is_idle());

    // A mailbox is visited again after a failed write.
    account.apply(&delete("a", MailboxId(8))).unwrap();
    let rename = Record::RenameMailbox { account: "a".into(), from: "m9".into(), to: "y".into() };
    account.apply(&rename).unwrap();
    account.begin_saving(&mut Checkpoint::default());
    account.end_saving(false);
    assert!(!account.is_idle());
    assert_eq!(save(&mut account), (1, 1));
    assert!(account.is_idle());
    let stored = file.account("a").unwrap().unwrap();
    assert_eq!(stored.names().count(), 998);
    assert_eq!(stored.unsaved().count(), 0);
}
