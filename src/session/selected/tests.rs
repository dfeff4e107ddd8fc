use super::Selected;
use crate::home::Owner;
use crate::index::{Account, Mailbox};
use crate::store::{BatchId, Commit, EmailId, KeywordList, MailboxId, MessageRecord, Record};
use imap::types::{Flags, InternalDate, SpecialUse, Uid, UidRange, UidValidity};

const INBOX: MailboxId = MailboxId(1);

fn append(mailbox: MailboxId, account: &mut Account) {
    let reserved = account.mailbox_mut(mailbox).and_then(|found| found.reserve(1)).unwrap();
    let first_email = account.reserve_emails(1).unwrap();
    let message = MessageRecord {
        size: 1,
        date: InternalDate::from_unix(0),
        flags: Flags::default(),
        keywords: KeywordList::default(),
        email: EmailId::default(),
        checksum: 0,
        fragments: Vec::new(),
    };
    let commit = Commit {
        batch: BatchId(1),
        account: "a".into(),
        mailbox,
        first_uid: reserved.first_uid,
        first_email,
        modseq: reserved.modseq,
        save_date: 0,
        messages: 1,
        octets: 1,
    };
    account.append(&commit, [message]).unwrap();
}

/// A session that appends to its own mailbox extends one range, message after message.
#[test]
fn recent_messages_in_a_row_are_one_range() {
    let mut account = Account::new("a");
    let create = Record::CreateMailbox {
        account: "a".into(),
        mailbox: INBOX,
        name: "INBOX".into(),
        uid_validity: UidValidity(1),
        uses: SpecialUse::default(),
    };
    account.apply(&create).unwrap();
    let owner = Owner::new(account, None);
    let pinned = owner.pin(INBOX).unwrap();
    let with = |change: &mut dyn FnMut(&mut Mailbox)| {
        change(owner.account.borrow_mut().mailbox_mut(INBOX).unwrap());
    };
    let (mut pinned, mut selected) = (Some(pinned), None);
    with(&mut |mailbox| selected = Some(Selected::new(mailbox, pinned.take().unwrap(), false)));
    let mut selected = selected.unwrap();
    for _ in 0..100 {
        append(INBOX, &mut owner.account.borrow_mut());
        with(&mut |mailbox| selected.take_recent(mailbox));
    }
    assert_eq!(selected.shown.recent, [UidRange { first: Uid(1), last: Uid(100) }]);
    assert!(selected.shown.is_recent(Uid(1)) && selected.shown.is_recent(Uid(100)));
}
