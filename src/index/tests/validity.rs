//! UIDVALIDITY under clocks that are wrong.

use super::*;

const NOW: u64 = 1_796_000_000;

fn make(account: &mut Account, number: u64, now: u64) -> UidValidity {
    let uid_validity = account.reserve_uid_validity(now).expect("one is left");
    let name = format!("m{number}").into();
    let (mailbox, uses) = (MailboxId(number), SpecialUse::default());
    let account_name = "a".into();
    let record = Record::CreateMailbox { account: account_name, mailbox, name, uid_validity, uses };
    account.apply(&record).unwrap();
    uid_validity
}

fn reopened(mut account: Account, folder: &Folder) -> Account {
    let mut checkpoint = Checkpoint::default();
    account.begin_saving(&mut checkpoint);
    let file = folder.open();
    file.write(&checkpoint).unwrap();
    file.account("a").unwrap().unwrap()
}

#[test]
fn a_clock_beyond_2106_and_back_neither_ends_nor_repeats_them() {
    let (mut account, folder) = (Account::new("a"), Folder::new());
    let mut last = UidValidity(0);
    let clocks = [NOW, 0, 1 << 31, u64::from(u32::MAX), 1 << 33, u64::MAX, NOW, NOW + 1, 0];
    for (number, now) in clocks.into_iter().enumerate() {
        let given = make(&mut account, number as u64 + 1, now);
        assert!(given > last, "{given} after {last} at {now}");
        last = given;
        account = reopened(account, &folder);
    }
    assert!((0..1000).all(|_| account.reserve_uid_validity(u64::MAX).is_some()));
}

#[test]
fn what_earlier_versions_gave_beyond_2106_does_not_count() {
    let mut account = Account::new("a");
    assert_eq!(make(&mut account, 1, NOW), UidValidity(NOW as u32));
    for (number, given) in [(2, u32::MAX - 1), (3, u32::MAX)] {
        let record = Record::CreateMailbox {
            account: "a".into(),
            mailbox: MailboxId(number),
            name: format!("m{number}").into(),
            uid_validity: UidValidity(given),
            uses: SpecialUse::default(),
        };
        account.apply(&record).unwrap();
    }
    let mut account = reopened(account, &Folder::new());
    assert_eq!(make(&mut account, 4, NOW), UidValidity(NOW as u32 + 1));
    assert_eq!(make(&mut account, 5, NOW + 9), UidValidity(NOW as u32 + 9));
}

#[test]
fn when_none_is_left_that_is_said() {
    let mut account = Account::new("a");
    let record = Record::CreateMailbox {
        account: "a".into(),
        mailbox: MailboxId(1),
        name: "m".into(),
        uid_validity: UidValidity(u32::MAX - 3),
        uses: SpecialUse::default(),
    };
    account.apply(&record).unwrap();
    assert_eq!(account.reserve_uid_validity(NOW), Some(UidValidity(u32::MAX - 2)));
    assert_eq!(account.reserve_uid_validity(NOW), None);
}
