//! Snapshots: round trips, damage, and what a crash leaves.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::format::BLOCK;
use super::*;
use crate::index::checkpoint::{Checkpoint, Coverage};
use crate::index::file::CatalogFile;
use crate::index::{Account, replay};
use crate::store::{
    BatchId, Commit, EmailId, Epoch, Fragment, KeywordList, LogId, Lsn, MailboxId, MessageRecord,
    MetadataEntry, Record, SegmentId,
};
use imap::types::{Flags, InternalDate, Keyword, ModSeq, SpecialUse, Uid, UidValidity};

const INBOX: MailboxId = MailboxId(7);

fn position(epoch: u32, log: u16, lsn: u64) -> LogPosition {
    LogPosition {
        epoch: Epoch(epoch),
        log: LogId(log),
        segment: SegmentId(u64::from(epoch) << 40 | 9),
        offset: 8192,
        lsn: Lsn(lsn),
        applied: Lsn(lsn + 3),
    }
}

fn message(size: u32) -> MessageRecord {
    let keywords: KeywordList = vec![Keyword::new(b"$Junk").unwrap()].into();
    MessageRecord {
        size: u64::from(size),
        date: InternalDate::from_unix(i64::from(size) * 1_000),
        flags: Flags::default(),
        keywords: if size.is_multiple_of(7) { keywords } else { KeywordList::default() },
        email: EmailId::default(),
        checksum: u128::from(size) << 64,
        fragments: vec![Fragment {
            segment: SegmentId(3 + u64::from(size % 2)),
            offset: 4096,
            length: size,
        }],
    }
}

/// An account with mailboxes, messages, subscriptions and metadata.
fn fill(file: &CatalogFile, name: &str, first: u64, messages: u32) {
    let mut account = Account::new(name);
    for (id, mailbox) in [(first, "INBOX"), (first + 1, "Größe/x")] {
        let record = Record::CreateMailbox {
            account: name.into(),
            mailbox: MailboxId(id),
            name: mailbox.into(),
            uid_validity: UidValidity(1_000),
            uses: SpecialUse::default(),
        };
        account.apply(&record).unwrap();
    }
    let messages: Vec<_> = (1..=messages).map(message).collect();
    let commit = Commit {
        batch: BatchId(1),
        account: name.into(),
        mailbox: MailboxId(first),
        first_uid: Uid(1),
        first_email: EmailId(1),
        modseq: ModSeq(9),
        save_date: 1_700_000_000,
        messages: messages.len() as u32,
        octets: messages.iter().map(|message| message.size).sum(),
    };
    account.append(&commit, &messages).unwrap();
    let subscribe =
        Record::Subscribe { account: name.into(), name: "Größe/x".into(), subscribed: true };
    account.apply(&subscribe).unwrap();
    let entry = MetadataEntry { name: "/private/comment".into(), value: Some((*b"x").into()) };
    let metadata = Record::SetMetadata {
        account: name.into(),
        mailbox: MailboxId(first),
        uses: None,
        entries: vec![entry],
    };
    account.apply(&metadata).unwrap();
    let mut checkpoint = Checkpoint::default();
    account.begin_saving(&mut checkpoint);
    file.write(&checkpoint).unwrap();
}

/// A data folder with a catalog.
struct Data(TempDir);

impl Data {
    fn new() -> Data {
        Data(tempfile::tempdir().unwrap())
    }

    fn filled(messages: u32) -> Data {
        let data = Data::new();
        let file = data.open();
        fill(&file, "anna", INBOX.0, messages);
        fill(&file, "bert", 20, 3);
        let positions = vec![position(4, 0, 10), position(5, 0, 1), position(5, 1, 77)];
        let coverage = Coverage::Positions(positions);
        file.write(&Checkpoint { coverage, ..Checkpoint::default() }).unwrap();
        data
    }

    fn catalog(&self) -> PathBuf {
        self.0.path().join("catalog.redb")
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join(SNAPSHOTS)
    }

    fn open(&self) -> CatalogFile {
        CatalogFile::open(&self.catalog()).unwrap()
    }

    fn snapshot(&self) -> Snapshot {
        self.open().write_snapshot(&self.folder(), &|_| true).unwrap().unwrap()
    }

    fn restore(&self) -> Result<bool, SnapshotError> {
        restore(self.0.path(), &self.catalog())
    }
}

fn copy_to(from: &Path, to: &Data) {
    fs::create_dir_all(to.folder()).unwrap();
    fs::copy(from, path_of(&to.folder(), 1)).unwrap();
}

#[test]
fn a_catalog_comes_back_from_its_snapshot() {
    // Enough for several blocks.
    let data = Data::filled(6_000);
    let written = data.snapshot();
    assert_eq!(written.positions, [position(5, 0, 1), position(5, 1, 77)]);
    let path = path_of(&data.folder(), written.number);
    assert_eq!(fs::metadata(&path).unwrap().len(), written.length);
    assert!(written.length > 2 * BLOCK as u64, "{written:?}");

    let other = Data::new();
    copy_to(&path, &other);
    assert!(other.restore().unwrap());
    assert!(!other.restore().unwrap(), "a catalog is never replaced");
    let (old, new) = (data.open(), other.open());
    assert_eq!(new.positions().unwrap(), written.positions);
    assert_eq!(new.live().unwrap(), old.live().unwrap());
    assert_eq!(new.live().unwrap().len(), 2);
    for (segment, _) in old.live().unwrap() {
        let residents = |file: &CatalogFile| file.live_in(segment, ("", MailboxId(0)), 9).unwrap();
        assert_eq!(residents(&new), residents(&old));
    }
    drop((old, new));
    // Every row is the same: so are all octets of a snapshot of it.
    fs::remove_file(path_of(&other.folder(), 1)).unwrap();
    assert_eq!(other.snapshot().number, 1);
    assert_eq!(fs::read(path_of(&other.folder(), 1)).unwrap(), fs::read(path).unwrap());
}

/// `live_in` finds the rows of a mailbox that is deleted.
#[test]
fn mailboxes_of_a_restored_catalog_can_be_deleted() {
    let data = Data::filled(10);
    data.snapshot();
    fs::remove_file(data.catalog()).unwrap();
    assert!(data.restore().unwrap());
    let file = data.open();
    for (name, id) in [("anna", INBOX), ("bert", MailboxId(20))] {
        let mut account = file.account(name).unwrap().unwrap();
        account.apply(&Record::DeleteMailbox { account: name.into(), mailbox: id }).unwrap();
        let mut checkpoint = Checkpoint::default();
        account.begin_saving(&mut checkpoint);
        file.write(&checkpoint).unwrap();
    }
    assert_eq!(file.live().unwrap(), []);
}

#[test]
fn every_octet_counts() {
    let data = Data::filled(2);
    let written = data.snapshot();
    fs::remove_file(data.catalog()).unwrap();
    let path = path_of(&data.folder(), written.number);
    let octets = fs::read(&path).unwrap();
    let refused = |octets: &[u8], what: &str| {
        fs::write(&path, octets).unwrap();
        let error = check(data.0.path()).unwrap_err();
        assert!(matches!(error, SnapshotError::Damaged { .. }), "{what}: {error}");
    };
    let not_made = |what: &str| {
        let error = data.restore().unwrap_err();
        assert!(matches!(error, SnapshotError::Damaged { .. }), "{what}: {error}");
        assert!(!data.catalog().exists(), "{what}");
        assert!(!data.catalog().with_extension("creating").exists(), "{what}");
    };
    for at in 0..octets.len() {
        let mut wrong = octets.clone();
        wrong[at] ^= 0x10;
        refused(&wrong, &format!("octet {at} is wrong"));
    }
    not_made("its last octet is wrong");
    for length in 0..octets.len() {
        refused(&octets[..length], &format!("it ends after {length} octets"));
    }
    not_made("its last octet is missing");
    refused(&[&octets[..], b"x"].concat(), "something follows");
    not_made("something follows");
    fs::write(&path, &octets).unwrap();
    assert_eq!(check(data.0.path()).unwrap(), Some(written.number));
    assert!(data.restore().unwrap());
}

#[test]
fn a_snapshot_that_is_told_to_stop_leaves_nothing() {
    let data = Data::filled(6_000);
    let error = data.open().write_snapshot(&data.folder(), &|_| false).unwrap_err();
    assert!(matches!(error, SnapshotError::Io { .. }), "{error}");
    assert_eq!(fs::read_dir(data.folder()).unwrap().count(), 0);
}

#[test]
fn a_newer_snapshot_replaces_older_ones_once_it_is_whole() {
    let data = Data::filled(2);
    assert_eq!(data.snapshot().number, 1);
    fs::write(data.folder().join("00000000000000000002.writing"), "half").unwrap();
    assert_eq!(list(&data.folder()).unwrap(), [1], "an unfinished one is none");
    fs::remove_file(data.catalog()).unwrap();
    assert!(data.restore().unwrap());
    assert_eq!(data.snapshot().number, 2);
    assert_eq!(list(&data.folder()).unwrap(), [2]);
    assert_eq!(fs::read_dir(data.folder()).unwrap().count(), 1);
    // A crash came before the older one was removed.
    fs::copy(path_of(&data.folder(), 2), path_of(&data.folder(), 1)).unwrap();
    fs::remove_file(data.catalog()).unwrap();
    assert!(data.restore().unwrap());
}

#[test]
fn what_a_crash_left_of_a_catalog_is_replaced() {
    let data = Data::filled(2);
    data.snapshot();
    fs::remove_file(data.catalog()).unwrap();
    fs::write(data.catalog().with_extension("creating"), "half a catalog").unwrap();
    assert!(data.restore().unwrap());
    assert_eq!(data.open().names("", 9).unwrap().len(), 2);
    assert!(!data.catalog().with_extension("creating").exists());
}

#[test]
fn no_snapshot_is_taken_amid_a_replay_or_before_the_first_checkpoint() {
    let data = Data::new();
    let file = data.open();
    let none =
        |file: &CatalogFile| file.write_snapshot(&data.folder(), &|_| true).unwrap().is_none();
    assert!(none(&file));
    let write = |coverage| {
        file.write(&Checkpoint { coverage, ..Checkpoint::default() }).unwrap();
    };
    write(Coverage::Positions(vec![position(5, 0, 1)]));
    write(Coverage::Replaying([((Epoch(5), LogId(0)), Lsn(2))].into()));
    assert!(none(&file));
    assert_eq!(fs::read_dir(data.folder()).unwrap().count(), 0);
    write(Coverage::Replayed(vec![position(5, 0, 3)]));
    assert!(!none(&file));
}

/// The start of the log is gone, and so is what replaced it.
#[test]
fn a_log_without_beginning_needs_a_snapshot() {
    let data = Data::new();
    assert!(!data.restore().unwrap());
    fs::create_dir(data.0.path().join("records")).unwrap();
    fs::write(data.0.path().join("records/dropped"), "").unwrap();
    assert!(matches!(data.restore(), Err(SnapshotError::Missing(_))));
    fs::create_dir(data.0.path().join("segments")).unwrap();
    let mut medium = crate::store::StoredSegments::at(&data.0.path().join("segments"));
    let mut start = |on_damage| replay(&data.catalog(), &mut medium, on_damage);
    let error = start(crate::index::OnDamage::Stop).err().unwrap();
    assert!(error.to_string().contains("neither a catalog nor a snapshot"), "{error}");
    let replay = start(crate::index::OnDamage::Quarantine).map_err(|e| e.to_string()).ok().unwrap();
    assert_eq!(replay.quarantine.findings.len(), 1);
}

/// Octet by octet, as the manual has it.
#[test]
fn what_is_written_is_what_was_agreed() {
    let data = Data::new();
    let file = data.open();
    let coverage = Coverage::Positions(vec![position(5, 1, 77)]);
    file.write(&Checkpoint { coverage, ..Checkpoint::default() }).unwrap();
    drop(file);
    data.snapshot();
    let sealed = |octets: &mut Vec<u8>, from: usize| {
        let checksum = xxhash_rust::xxh3::xxh3_64(&octets[from..]);
        octets.extend(checksum.to_le_bytes());
    };
    let mut agreed = b"mailsnap\x01\0\0\0".to_vec();
    agreed.extend((crate::index::CATALOG_FORMAT as u32).to_le_bytes());
    agreed.extend(1_u64.to_le_bytes());
    sealed(&mut agreed, 0);
    agreed.extend([43, 0, 0, 0, 1, 0, 0, 0]);
    sealed(&mut agreed, 32);
    agreed.push(1);
    agreed.extend([1, 0, 5, 0, 0, 0, 0, 0]);
    agreed.extend([9, 0, 0, 0, 0, 5, 0, 0]);
    agreed.extend([0, 0]);
    agreed.extend([20, 0, 0, 0]);
    agreed.extend([0, 32, 0, 0]);
    agreed.extend([77, 0, 0, 0, 0, 0, 0, 0]);
    agreed.extend([80, 0, 0, 0, 0, 0, 0, 0]);
    sealed(&mut agreed, 48);
    let end = agreed.len();
    agreed.extend([0; 8]);
    sealed(&mut agreed, end);
    agreed.extend(1_u64.to_le_bytes());
    agreed.extend(1_u64.to_le_bytes());
    sealed(&mut agreed, 0);
    assert_eq!(fs::read(path_of(&data.folder(), 1)).unwrap(), agreed);
}
