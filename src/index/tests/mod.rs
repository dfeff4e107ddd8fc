//! Tests of the index as a whole, on a real catalog in a temporary folder.

mod emails;
mod file;
mod live;
mod mend;
mod misfit;
mod model;
mod names;
mod recent;
mod replay;
mod restored;
mod sparse;
mod stranded;
mod unsaved;
mod validity;
mod written;

use std::path::PathBuf;

use tempfile::TempDir;

use super::{Account, CatalogFile, Checkpoint};
use crate::store::{
    BatchId, Commit, EmailId, Epoch, Fragment, KeywordList, LogId, LogPosition, Lsn, MailboxId,
    MessageRecord, Record, SegmentId,
};
use imap::types::{
    FlagChange, Flags, InternalDate, Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity,
};

const INBOX: MailboxId = MailboxId(7);

struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("catalog.redb")
    }

    fn open(&self) -> CatalogFile {
        CatalogFile::open(&self.path()).unwrap()
    }
}

fn create(account: &str, mailbox: MailboxId, name: &str) -> Record {
    let uid_validity = UidValidity(1_000);
    let (account, name) = (account.into(), name.into());
    Record::CreateMailbox { account, mailbox, name, uid_validity, uses: SpecialUse::default() }
}

fn delete(account: &str, mailbox: MailboxId) -> Record {
    Record::DeleteMailbox { account: account.into(), mailbox }
}

fn expunge(mailbox: MailboxId, modseq: ModSeq, uids: Vec<UidRange>) -> Record {
    Record::Expunge { account: "a".into(), mailbox, modseq, uids }
}

fn add_flags(mailbox: MailboxId, modseq: ModSeq, uids: Vec<UidRange>, flags: Flags) -> Record {
    let (change, keywords) = (FlagChange::Add, vec![]);
    Record::SetFlags { account: "a".into(), mailbox, modseq, uids, change, flags, keywords }
}

/// A commit whose EMAILIDs begin at a thousand times its mod-sequence.
fn batch(mailbox: MailboxId, first_uid: u32, modseq: u64, messages: &[MessageRecord]) -> Commit {
    Commit {
        batch: BatchId(1),
        account: "a".into(),
        mailbox,
        first_uid: Uid(first_uid),
        first_email: EmailId(modseq * 1_000),
        modseq: ModSeq(modseq),
        save_date: 1_700_000_000,
        messages: messages.len() as u32,
        octets: messages.iter().map(|message| message.size).sum(),
    }
}

/// A message, identified by its size.
fn message(size: u32) -> MessageRecord {
    MessageRecord {
        size: u64::from(size),
        date: InternalDate::from_unix(i64::from(size) * 1_000),
        flags: Flags::default(),
        keywords: KeywordList::default(),
        email: EmailId::default(),
        checksum: u128::from(size) << 64,
        fragments: vec![Fragment { segment: SegmentId(3), offset: 4096, length: size }],
    }
}

fn range(first: u32, last: u32) -> UidRange {
    UidRange { first: Uid(first), last: Uid(last) }
}

fn keyword(name: &str) -> Keyword {
    Keyword::new(name.as_bytes()).unwrap()
}

/// Appends messages as a session would.
fn append(account: &mut Account, mailbox: MailboxId, messages: &[MessageRecord]) {
    let count = messages.len() as u32;
    let reserved = account.mailbox_mut(mailbox).unwrap().reserve(count).unwrap();
    let mut commit = batch(mailbox, reserved.first_uid.0, reserved.modseq.0, messages);
    commit.first_email = account.reserve_emails(count).unwrap();
    account.append(&commit, messages).unwrap();
}

fn position(epoch: u32, log: u16, lsn: u64) -> LogPosition {
    LogPosition {
        epoch: Epoch(epoch),
        log: LogId(log),
        segment: SegmentId(9),
        offset: 8192,
        lsn: Lsn(lsn),
        applied: Lsn(lsn + 3),
    }
}

fn save(account: &mut Account, file: &CatalogFile) {
    let mut checkpoint = Checkpoint::default();
    account.begin_saving(&mut checkpoint);
    file.write(&checkpoint).unwrap();
    account.end_saving(true);
}

fn pin_and_load(account: &mut Account, mailbox: MailboxId, file: &CatalogFile) {
    let mailbox = account.mailbox_mut(mailbox).unwrap();
    mailbox.pin();
    while let Some(from) = mailbox.to_load() {
        mailbox.load(file.chunks(mailbox.id(), from).unwrap()).unwrap();
    }
}

fn uids(account: &Account, mailbox: MailboxId) -> Vec<u32> {
    account.mailbox(mailbox).unwrap().view().uids().map(|uid| uid.0).collect()
}

/// An account whose INBOX has messages of 1, 2, 3 … bytes, saved and not in memory.
fn stored(file: &CatalogFile, messages: u32) -> Account {
    let mut account = Account::new("a");
    account.apply(&create("a", INBOX, "INBOX")).unwrap();
    let messages: Vec<_> = (1..=messages).map(message).collect();
    append(&mut account, INBOX, &messages);
    save(&mut account, file);
    account
}
