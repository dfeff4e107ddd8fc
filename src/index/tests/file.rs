//! The catalog's file: round trips, damage, full disks.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{Builder, Database, StorageBackend, TableDefinition};

use super::*;
use crate::index::checkpoint::Coverage;
use crate::index::{CATALOG_FORMAT, Catalog, CatalogError, Chunk};

#[test]
fn what_is_saved_comes_back() {
    let folder = Folder::new();
    let mut account = stored(&folder.open(), 1_300);
    account.mailbox_mut(INBOX).unwrap().take_recent();
    account.apply(&create("a", MailboxId(8), "Größe/x")).unwrap();
    let mut odd = message(5);
    odd.keywords = vec![keyword("$Junk"), keyword("b")].into();
    append(&mut account, MailboxId(8), &[odd]);
    save(&mut account, &folder.open());

    let file = folder.open();
    let mut read = file.account("a").unwrap().unwrap();
    assert_eq!(read.octets(), account.octets());
    assert_eq!(read.names().collect::<Vec<_>>(), account.names().collect::<Vec<_>>());
    for id in [INBOX, MailboxId(8)] {
        let (old, new) = (account.mailbox(id).unwrap(), read.mailbox(id).unwrap());
        assert_eq!(old.counts(), new.counts());
        assert_eq!(old.uid_validity(), new.uid_validity());
    }
    assert!(read.is_idle());
    pin_and_load(&mut read, INBOX, &file);
    assert_eq!(uids(&read, INBOX), (1..=1_300).collect::<Vec<_>>());
    pin_and_load(&mut read, MailboxId(8), &file);
    let mailbox = read.mailbox(MailboxId(8)).unwrap();
    let entry = mailbox.get(Uid(1)).unwrap();
    let names: Vec<_> = mailbox.keywords().of(entry.keywords()).map(Keyword::as_str).collect();
    assert_eq!(names, ["$Junk", "b"]);
    assert_eq!(file.account("b").unwrap().map(|account| account.octets()), None);
    assert_eq!(file.names("", 10).unwrap(), ["a".into()]);
    assert!(file.names("a", 10).unwrap().is_empty());
}

#[test]
fn a_deleted_mailbox_leaves_nothing_and_frees_its_name_at_once() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = stored(&file, 600);
    account.apply(&delete("a", INBOX)).unwrap();
    assert_eq!((account.find("inbox"), account.octets()), (None, 0));
    account.apply(&create("a", MailboxId(8), "INBOX")).unwrap();
    assert_eq!(account.find("InBox"), Some(MailboxId(8)));
    assert!(!account.is_idle());
    save(&mut account, &file);
    assert!(account.is_idle());
    assert!(file.chunks(INBOX, Uid(1)).unwrap().chunks.is_empty());
    let read = file.account("a").unwrap().unwrap();
    assert_eq!(read.names().collect::<Vec<_>>(), [("INBOX", MailboxId(8))]);
}

#[test]
fn messages_that_come_one_by_one_share_chunks() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = stored(&file, 1);
    for size in 2..=600 {
        append(&mut account, INBOX, &[message(size)]);
        assert!(account.octets_in_memory() < 2_000, "only the new message is in memory");
        save(&mut account, &file);
    }
    let chunks = file.chunks(INBOX, Uid(1)).unwrap().chunks;
    let lengths: Vec<_> = chunks.iter().map(|(first, chunk)| (first.0, chunk.len())).collect();
    assert_eq!(lengths, [(1, 512), (513, 88)]);
}

#[test]
fn a_chunk_that_grows_beyond_the_one_it_joined_leaves_it() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = stored(&file, 300);
    append(&mut account, INBOX, &[message(1)]);
    pin_and_load(&mut account, INBOX, &file);
    save(&mut account, &file);
    assert_eq!(file.chunks(INBOX, Uid(1)).unwrap().chunks.len(), 1);
    let more: Vec<_> = (1..=400).map(message).collect();
    append(&mut account, INBOX, &more);
    save(&mut account, &file);
    let lengths = |chunks: Vec<(Uid, Chunk)>| -> Vec<_> {
        chunks.iter().map(|(first, chunk)| (first.0, chunk.len())).collect()
    };
    assert_eq!(lengths(file.chunks(INBOX, Uid(1)).unwrap().chunks), [(1, 300), (301, 401)]);
    account.apply(&expunge(INBOX, ModSeq(50), vec![range(301, 701)])).unwrap();
    save(&mut account, &file);
    assert_eq!(lengths(file.chunks(INBOX, Uid(1)).unwrap().chunks), [(1, 300)]);
}

/// The lower chunk is written again after the upper one, which had joined it, was dropped.
#[test]
fn changing_a_chunk_does_not_lose_the_one_that_joined_it() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = stored(&file, 10);
    append(&mut account, INBOX, &[message(1)]);
    pin_and_load(&mut account, INBOX, &file);
    save(&mut account, &file);
    account.apply(&add_flags(INBOX, ModSeq(9), vec![range(2, 2)], Flags::SEEN)).unwrap();
    account.mailbox_mut(INBOX).unwrap().unpin();
    save(&mut account, &file);
    pin_and_load(&mut account, INBOX, &file);
    assert_eq!(uids(&account, INBOX), (1..=11).collect::<Vec<_>>());
}

/// The chunk between two others is emptied: the upper one then joins the lower one across it.
#[test]
fn changing_a_chunk_does_not_lose_the_one_that_joined_it_across_an_empty_one() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = stored(&file, 812);
    append(&mut account, INBOX, &[message(1)]);
    pin_and_load(&mut account, INBOX, &file);
    account.apply(&expunge(INBOX, ModSeq(8), vec![range(11, 812)])).unwrap();
    save(&mut account, &file);
    account.apply(&add_flags(INBOX, ModSeq(9), vec![range(2, 2)], Flags::SEEN)).unwrap();
    save(&mut account, &file);
    account.mailbox_mut(INBOX).unwrap().unpin();
    save(&mut account, &file);
    pin_and_load(&mut account, INBOX, &file);
    assert_eq!(uids(&account, INBOX), (1..=10).chain([813]).collect::<Vec<_>>());
}

#[test]
fn flags_of_messages_that_are_not_in_memory_are_refused() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = stored(&file, 10);
    let change = add_flags(INBOX, ModSeq(9), vec![range(2, 2)], Flags::SEEN);
    assert_eq!(account.apply(&change), Err(super::super::ApplyError::NotLoaded(INBOX)));
    pin_and_load(&mut account, INBOX, &file);
    account.apply(&change).unwrap();
    assert_eq!(account.mailbox(INBOX).unwrap().counts().unseen, 9);
}

#[test]
fn messages_of_a_deleted_mailbox_are_passed_over() {
    let mut account = Account::new("a");
    account.apply(&create("a", INBOX, "INBOX")).unwrap();
    account.apply(&delete("a", INBOX)).unwrap();
    account.apply(&add_flags(INBOX, ModSeq(2), vec![range(1, 1)], Flags::SEEN)).unwrap();
    account.apply(&expunge(INBOX, ModSeq(3), vec![range(1, 1)])).unwrap();
    let gone = Err(crate::index::ApplyError::NoMailbox(INBOX));
    assert_eq!(account.apply(&delete("a", INBOX)), gone);
    assert_eq!(account.append(&batch(INBOX, 1, 2, &[message(1)]), [message(1)]), gone);
}

/// Two sessions select the mailbox at once; a piece that one of them read is stale on arrival.
#[test]
fn a_piece_that_comes_late_brings_no_message_back() {
    let folder = Folder::new();
    let file = folder.open();
    let mut account = stored(&file, 10);
    account.mailbox_mut(INBOX).unwrap().pin();
    let late = file.chunks(INBOX, Uid(1)).unwrap();
    pin_and_load(&mut account, INBOX, &file);
    account.apply(&expunge(INBOX, ModSeq(9), vec![range(1, 10)])).unwrap();
    save(&mut account, &file);
    let mailbox = account.mailbox_mut(INBOX).unwrap();
    mailbox.unpin();
    mailbox.load(late).unwrap();
    mailbox.unpin();
    append(&mut account, INBOX, &[message(1)]);
    save(&mut account, &file);
    pin_and_load(&mut account, INBOX, &file);
    assert_eq!(uids(&account, INBOX), [11]);
}

#[test]
fn positions_are_kept_by_log_until_a_replay_ends() {
    let folder = Folder::new();
    let file = folder.open();
    file.write(&Checkpoint::new(vec![position(1, 0, 5), position(1, 1, 6)])).unwrap();
    file.write(&Checkpoint::new(vec![position(1, 1, 8), position(2, 0, 1)])).unwrap();
    let expected = [position(1, 0, 5), position(1, 1, 8), position(2, 0, 1)];
    assert_eq!(file.positions().unwrap(), expected);
    let so_far: BTreeMap<_, _> =
        [((Epoch(1), LogId(1)), Lsn(9)), ((Epoch(2), LogId(0)), Lsn(7))].into();
    let coverage = Coverage::Replaying(so_far.clone());
    file.write(&Checkpoint { coverage, ..Checkpoint::default() }).unwrap();
    assert_eq!((file.positions().unwrap().len(), file.replayed().unwrap()), (3, so_far));
    let coverage = Coverage::Replayed(vec![position(3, 0, 1)]);
    file.write(&Checkpoint { coverage, ..Checkpoint::default() }).unwrap();
    assert_eq!(file.positions().unwrap(), [position(3, 0, 1)]);
    assert_eq!(file.replayed().unwrap(), [].into());
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let folder = Folder::new();
    drop(stored(&folder.open(), 3));
    let database = Database::create(folder.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta: TableDefinition<&str, u64> = TableDefinition::new("meta");
    transaction.open_table(meta).unwrap().insert("format", CATALOG_FORMAT + 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = CatalogFile::open(&folder.path()).err().unwrap();
    let newer = |found, known| (found, known) == (CATALOG_FORMAT + 1, CATALOG_FORMAT);
    assert!(matches!(error, CatalogError::Newer { found, known, .. } if newer(found, known)));
    assert!(error.to_string().contains("newer mailrace"), "{error}");
}

/// A catalog of an older format is emptied; the log has everything.
#[test]
fn an_older_format_is_emptied() {
    let folder = Folder::new();
    drop(stored(&folder.open(), 3));
    let database = Database::create(folder.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta: TableDefinition<&str, u64> = TableDefinition::new("meta");
    transaction.open_table(meta).unwrap().insert("format", 1).unwrap();
    // An old table may have other types.
    let positions: TableDefinition<(u32, u16), (u64, u32, u64, u64)> =
        TableDefinition::new("positions");
    transaction.delete_table(positions).unwrap();
    let positions: TableDefinition<u64, &str> = TableDefinition::new("positions");
    transaction.open_table(positions).unwrap().insert(1, "one").unwrap();
    transaction.commit().unwrap();
    drop(database);
    for _ in 0..2 {
        let file = folder.open();
        assert_eq!((file.positions().unwrap(), file.replayed().unwrap()), (vec![], [].into()));
        assert!(file.account("a").unwrap().is_none());
        assert!(file.chunks(INBOX, Uid(1)).unwrap().chunks.is_empty());
    }
    drop(stored(&folder.open(), 4));
    assert_eq!(folder.open().account("a").unwrap().unwrap().octets(), 10);
}

#[test]
fn a_file_that_is_no_catalog_is_refused_with_advice() {
    let folder = Folder::new();
    drop(stored(&folder.open(), 3_000));
    let good = fs::read(folder.path()).unwrap();
    let mut torn = good.clone();
    torn[..64].fill(0xaa);
    for octets in [&b"no database"[..], &[7; 100_000], &good[..good.len() / 2], &torn] {
        fs::write(folder.path(), octets).unwrap();
        let error = CatalogFile::open(&folder.path()).err().unwrap();
        assert!(matches!(error, CatalogError::Damaged { .. }), "{error}");
        assert!(std::error::Error::source(&error).is_some(), "the error keeps its cause");
        assert!(error.to_string().contains("safe to delete"), "{error}");
    }
}

#[test]
fn a_crash_while_it_is_made_leaves_nothing_in_the_way() {
    let folder = Folder::new();
    let unfinished = folder.path().with_extension("creating");
    fs::write(&unfinished, [0; 9_000]).unwrap();
    drop(stored(&folder.open(), 3));
    assert!(!unfinished.exists());
    assert!(folder.open().account("a").unwrap().is_some());
}

/// With one bit flipped anywhere, reading returns an error or what was written, and never panics.
#[test]
fn rot_in_the_file_never_gives_another_message() {
    let folder = Folder::new();
    drop(stored(&folder.open(), 2_000));
    let good = fs::read(folder.path()).unwrap();
    let used: Vec<usize> = (4096..good.len()).step_by(997).filter(|&at| good[at] != 0).collect();
    let mut refused = 0;
    for at in used {
        let mut rotten = good.clone();
        rotten[at] ^= 0x10;
        fs::write(folder.path(), &rotten).unwrap();
        let read = || -> Result<Vec<u64>, CatalogError> {
            let file = CatalogFile::open(&folder.path())?;
            file.account("a")?;
            let chunks = file.chunks(INBOX, Uid(1))?.chunks;
            Ok(chunks.iter().flat_map(|(_, c)| c.iter().map(|entry| entry.size())).collect())
        };
        match read() {
            Ok(sizes) => assert_eq!(sizes, (1..=2_000).collect::<Vec<_>>()),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 10, "rot in rows shows: {refused}");
}

#[test]
fn two_may_not_have_it_open() {
    let folder = Folder::new();
    let _open = folder.open();
    let error = CatalogFile::open(&folder.path()).err().unwrap();
    assert!(matches!(error, CatalogError::InUse { .. }), "{error}");
}

// ---- Full disks ---------------------------------------------------------------------------------

#[derive(Debug)]
struct Full {
    file: FileBackend,
    full: Arc<AtomicBool>,
}

impl Full {
    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(28));
        }
        Ok(())
    }
}

impl StorageBackend for Full {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.file.write(offset, data)
    }
}

#[test]
fn a_checkpoint_that_found_the_disk_full_is_written_when_there_is_room() {
    let folder = Folder::new();
    let full = Arc::new(AtomicBool::new(false));
    let switch = full.clone();
    let open = move |path: &std::path::Path| {
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let file = FileBackend::new(file)?;
        Builder::new().create_with_backend(Full { file, full: switch.clone() })
    };
    let file = CatalogFile::open_by(&folder.path(), Box::new(open)).unwrap();
    let mut account = stored(&file, 100);
    append(&mut account, INBOX, &(1..=900).map(message).collect::<Vec<_>>());
    for _ in 0..3 {
        full.store(true, Ordering::SeqCst);
        let mut checkpoint = Checkpoint::new(vec![position(1, 0, 5)]);
        let dirty = account.dirty_octets();
        account.begin_saving(&mut checkpoint);
        append(&mut account, INBOX, &[message(1)]);
        let error = file.write(&checkpoint).unwrap_err();
        assert!(matches!(error, CatalogError::Io { .. }), "{error}");
        account.end_saving(false);
        assert!(account.dirty_octets() >= dirty);
        full.store(false, Ordering::SeqCst);
        assert!(file.positions().unwrap().is_empty());
    }
    save(&mut account, &file);
    pin_and_load(&mut account, INBOX, &file);
    assert_eq!(uids(&account, INBOX), (1..=1_003).collect::<Vec<_>>());
    assert_eq!(account.dirty_octets(), 0);
}

// ---- The threads -------------------------------------------------------------------------------

#[tokio::test(flavor = "current_thread")]
async fn the_handle_answers_and_closes_the_file_at_its_end() {
    let folder = Folder::new();
    let mut account = stored(&folder.open(), 2_000);
    let catalog = Catalog::start(folder.open()).unwrap();
    let other = catalog.clone();
    append(&mut account, INBOX, &[message(9)]);
    let mut checkpoint = Checkpoint::default();
    account.begin_saving(&mut checkpoint);
    other.write(checkpoint).await.unwrap();
    drop(other);
    let mut read = catalog.account("a").await.unwrap().unwrap();
    let mailbox = read.mailbox_mut(INBOX).unwrap();
    mailbox.pin();
    while let Some(from) = mailbox.to_load() {
        mailbox.load(catalog.chunks(INBOX, from).await.unwrap()).unwrap();
    }
    assert_eq!(mailbox.view().len(), 2_001);
    assert_eq!(catalog.account("nobody").await.unwrap().map(|a| a.octets()), None);
    drop(catalog);
    folder.open();
}
