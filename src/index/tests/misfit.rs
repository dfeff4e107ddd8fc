//! State that changes hands: changes that do not continue their mailbox, and rows that do not fit
//! each other.

use std::sync::Arc;

use super::*;
use crate::index::chunk::Placed;
use crate::index::rows::ChunkRow;
use crate::index::{ApplyError, Chunk, KeywordSet};
use crate::store::Relocated;

/// An INBOX with two messages: UIDNEXT 3, HIGHESTMODSEQ 2.
fn account() -> Account {
    let mut account = Account::new("a");
    account.apply(&create("a", INBOX, "INBOX")).unwrap();
    append(&mut account, INBOX, &[message(1), message(2)]);
    account.mailbox_mut(INBOX).unwrap().pin();
    account
}

#[test]
fn a_batch_continues_the_uids_and_counts_of_its_mailbox() {
    let two = [message(3), message(4)];
    let late = |uid, modseq, messages| {
        let commit = batch(INBOX, uid, modseq, &two);
        account().append(&commit, messages)
    };
    assert_eq!(late(3, 3, &two[..]), Ok(()));
    let (mailbox, next) = (INBOX, Uid(3));
    let found = Uid(2);
    assert_eq!(late(2, 3, &two[..]), Err(ApplyError::UidOutOfOrder { mailbox, next, found }));
    let found = Uid(u32::MAX);
    let beyond = late(u32::MAX, 3, &two[..]);
    assert_eq!(beyond, Err(ApplyError::UidOutOfOrder { mailbox, next, found }));
    let wrong = |found| Err(ApplyError::WrongCount { announced: 2, found });
    assert_eq!(late(3, 3, &two[..1]), wrong(1));
    assert_eq!(late(3, 3, &[message(3), message(4), message(5)]), wrong(3));
}

#[test]
fn a_change_continues_the_mod_sequences_of_its_mailbox() {
    let (mailbox, highest, found) = (INBOX, ModSeq(2), ModSeq(2));
    let late = Err(ApplyError::ModSeqOutOfOrder { mailbox, highest, found });
    let one = || vec![range(1, 1)];
    assert_eq!(account().append(&batch(INBOX, 3, 2, &[message(3)]), [message(3)]), late);
    assert_eq!(account().apply(&add_flags(INBOX, found, one(), Flags::SEEN)), late);
    assert_eq!(account().apply(&expunge(INBOX, found, one())), late);
    assert_eq!(account().apply(&expunge(INBOX, ModSeq(3), one())), Ok(()));
}

#[test]
fn a_message_is_relocated_whole_and_keeps_its_mod_sequence() {
    let relocate = |account: &mut Account, length| {
        let fragments = vec![Fragment { segment: SegmentId(9), offset: 4224, length }];
        let messages = vec![Relocated { uid: Uid(2), fragments }];
        account.apply(&Record::Relocate { account: "a".into(), mailbox: INBOX, messages })
    };
    let mut account = account();
    let before = account.mailbox(INBOX).unwrap().counts();
    assert_eq!(relocate(&mut account, 2), Ok(()));
    let mailbox = account.mailbox(INBOX).unwrap();
    assert_eq!(mailbox.counts(), before);
    let entry = mailbox.get(Uid(2)).unwrap();
    assert_eq!((entry.modseq(), entry.fragment(0).unwrap().segment), (ModSeq(2), SegmentId(9)));
    let other = ApplyError::OtherSize { mailbox: INBOX, uid: Uid(2), size: 2 };
    assert_eq!(relocate(&mut account, 3), Err(other));
}

#[test]
#[should_panic = "no reserved mod-sequence"]
fn a_change_is_written_with_a_reserved_mod_sequence() {
    account().wrote(&expunge(INBOX, ModSeq(3), vec![range(1, 1)]));
}

#[test]
#[should_panic = "do not ascend"]
fn changes_are_written_in_the_order_of_their_mod_sequences() {
    let mut account = account();
    let mut reserved = || account.mailbox_mut(INBOX).unwrap().reserve(0).unwrap().modseq;
    let (first, second) = (reserved(), reserved());
    account.wrote(&expunge(INBOX, second, vec![range(1, 1)]));
    account.wrote(&expunge(INBOX, first, vec![range(2, 2)]));
}

#[test]
fn a_chunk_beyond_its_mailbox_is_rot() {
    for (uid, modseq) in [(3, 2), (2, 3)] {
        let folder = Folder::new();
        let mut account = stored(&folder.open(), 2);
        account.mailbox_mut(INBOX).unwrap().pin();
        let mut chunk = Chunk::default();
        for (uid, modseq) in [(1, 2), (uid, modseq)] {
            let (uid, modseq) = (Uid(uid), ModSeq(modseq));
            let email = EmailId(1);
            let placed = Placed { uid, email, keywords: KeywordSet(0), modseq, save_date: 0 };
            chunk.push(placed, &message(uid.0));
        }
        let (mailbox, first, chunk) = (INBOX, Uid(1), Arc::new(chunk));
        let chunks = vec![ChunkRow { mailbox, first, chunk, joins: false }];
        folder.open().write(&Checkpoint { chunks, ..Checkpoint::default() }).unwrap();
        let piece = folder.open().chunks(INBOX, Uid(1)).unwrap();
        let rot = account.mailbox_mut(INBOX).unwrap().load(piece).unwrap_err();
        assert!(rot.to_string().contains("beyond UIDNEXT"), "{rot}");
    }
}
