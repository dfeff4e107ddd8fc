//! What the catalog counts in each segment.

use super::*;
use crate::index::CatalogError;
use crate::index::live::{counts::Live, residents::LiveIn};

const OTHER: MailboxId = MailboxId(8);

fn live(fragments: u64, octets: u64) -> Live {
    Live { fragments, octets }
}

fn lies_in(segment: u64, size: u32) -> MessageRecord {
    let fragments = vec![Fragment { segment: SegmentId(segment), offset: 4096, length: size }];
    MessageRecord { fragments, ..message(size) }
}

/// An account with two mailboxes that have mail in segments 3 and 4, saved.
fn two_mailboxes(file: &CatalogFile) -> Account {
    let mut account = Account::new("a");
    account.apply(&create("a", INBOX, "INBOX")).unwrap();
    account.apply(&create("a", OTHER, "other")).unwrap();
    append(&mut account, INBOX, &[lies_in(3, 10), lies_in(3, 20), lies_in(4, 40)]);
    append(&mut account, OTHER, &[lies_in(3, 100)]);
    save(&mut account, file);
    account
}

#[test]
fn mailboxes_are_counted_by_themselves_and_together() {
    let folder = Folder::new();
    let file = folder.open();
    two_mailboxes(&file);
    assert_eq!(file.live().unwrap(), [(SegmentId(3), live(3, 130)), (SegmentId(4), live(1, 40))]);
    let of = |mailbox, live| LiveIn { account: "a".into(), mailbox, live };
    let all = [of(INBOX, live(2, 30)), of(OTHER, live(1, 100))];
    let start = ("", MailboxId(0));
    assert_eq!(file.live_in(SegmentId(3), start, 9).unwrap(), all);
    assert_eq!(file.live_in(SegmentId(3), start, 1).unwrap(), all[..1]);
    assert_eq!(file.live_in(SegmentId(3), ("a", INBOX), 9).unwrap(), all[1..]);
    assert_eq!(file.live_in(SegmentId(5), start, 9).unwrap(), []);
}

#[test]
fn nothing_is_left_of_a_deleted_mailbox() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = two_mailboxes(&file);
    account.apply(&delete("a", INBOX)).unwrap();
    save(&mut account, &file);
    assert_eq!(file.live().unwrap(), [(SegmentId(3), live(1, 100))]);
    assert_eq!(file.live_in(SegmentId(4), ("", MailboxId(0)), 9).unwrap(), []);
}

#[test]
fn a_mailbox_deleted_while_its_mail_is_saved_leaves_nothing() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = two_mailboxes(&file);
    append(&mut account, INBOX, &[lies_in(5, 7)]);
    let mut checkpoint = Checkpoint::default();
    account.begin_saving(&mut checkpoint);
    account.apply(&delete("a", INBOX)).unwrap();
    file.write(&checkpoint).unwrap();
    account.end_saving(true);
    assert_eq!(file.live().unwrap().len(), 3);
    save(&mut account, &file);
    assert_eq!(file.live().unwrap(), [(SegmentId(3), live(1, 100))]);
}

#[test]
fn a_failed_checkpoint_forgets_no_change() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = two_mailboxes(&file);
    append(&mut account, INBOX, &[lies_in(4, 2)]);
    account.begin_saving(&mut Checkpoint::default());
    append(&mut account, INBOX, &[lies_in(4, 1)]);
    account.end_saving(false);
    save(&mut account, &file);
    assert_eq!(file.live().unwrap()[1], (SegmentId(4), live(3, 43)));
}

/// The disk reports an error for a checkpoint that it has nevertheless, or has not.
#[test]
fn no_change_is_counted_twice() {
    for in_catalog in [0b00, 0b01, 0b10, 0b11] {
        let folder = Folder::new();
        let file = folder.open();
        let mut account = two_mailboxes(&file);
        let mut count = |applied, size, written, known| {
            append(&mut account, INBOX, &[lies_in(4, size)]);
            let mut checkpoint = Checkpoint::new(vec![position(1, 0, applied)]);
            account.begin_saving(&mut checkpoint);
            if written {
                file.write(&checkpoint).unwrap();
            }
            account.end_saving(known);
        };
        count(5, 1, in_catalog & 1 > 0, false);
        count(6, 2, in_catalog & 2 > 0, false);
        count(7, 4, true, true);
        assert_eq!(file.live().unwrap()[1], (SegmentId(4), live(4, 47)), "{in_catalog:b}");
    }
}

#[test]
fn mail_that_was_never_counted_cannot_go() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = two_mailboxes(&file);
    pin_and_load(&mut account, OTHER, &file);
    account.apply(&expunge(OTHER, ModSeq(9), vec![range(1, 9)])).unwrap();
    let mut checkpoint = Checkpoint::default();
    account.begin_saving(&mut checkpoint);
    file.write(&checkpoint).unwrap();
    // The same once more.
    assert!(matches!(file.write(&checkpoint), Err(CatalogError::Damaged { .. })));
}
