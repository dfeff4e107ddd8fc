//! A start with a catalog reads as much when there is much on the disk as when there is little.

use std::fs::{self, File};

use super::*;
use crate::index::checkpoint::Coverage;
use crate::index::replay::{OnDamage, replay};
use crate::limits::BLOCK;
use crate::store::{
    Epoch, LogId, LogPosition, Lsn, Segments, Sequencer, StoredSegments, frame, sealed_len,
};

/// A data folder with a log of one frame, in epoch 9, that the catalog has.
struct Store(TempDir);

impl Store {
    fn new() -> Store {
        let store = Store(tempfile::tempdir().unwrap());
        let segments = store.segments();
        let mut octets = vec![0; 32 * BLOCK];
        let mut sequencer = Sequencer::new(Epoch(9), LogId(0), 1, 99);
        let segment = SegmentId::first_of(Epoch(9));
        sequencer.open_segment(segment, octets.len() as u32, 5).encode(&mut octets);
        let record = create("a", INBOX, "INBOX");
        let length = sealed_len(0, record.encoded_len());
        let place = sequencer.reserve(length as u32).unwrap();
        frame::seal(&mut octets[BLOCK..BLOCK + length], &place, BatchId(1), 0, 0, &[record]);
        fs::write(segments.path(segment), octets).unwrap();
        store
    }

    fn segments(&self) -> Segments {
        Segments::open(&self.0.path().join("segments")).unwrap()
    }

    /// Puts as many segments of 1 GiB and record files of 1 MiB there, of earlier epochs. They
    /// take no room on the disk. A start that read one of them would refuse it.
    fn add_files(&self, count: u64) {
        let (segments, records) = (self.segments(), self.0.path().join("records"));
        fs::create_dir(&records).unwrap();
        for number in 0..count {
            let epoch = Epoch(1 + (number % 8) as u32);
            let segment = SegmentId(SegmentId::first_of(epoch).0 + number);
            let (path, length) = match number % 2 {
                0 => (segments.path(segment), 1 << 30),
                _ => (records.join(segment.record_file_name()), 1 << 20),
            };
            File::create(path).unwrap().set_len(length).unwrap();
        }
    }

    /// Makes the catalog: it has mailboxes with this many messages in each, and all of the log.
    fn fill(&self, mailboxes: u64, messages: u32) {
        let file = CatalogFile::open(&self.0.path().join("catalog.redb")).unwrap();
        let mut account = Account::new("a");
        for number in 0..mailboxes {
            let mailbox = MailboxId(INBOX.0 + number);
            account.apply(&create("a", mailbox, &format!("mailbox {number}"))).unwrap();
            let mail = (1..=messages).map(|size| {
                let mut mail = message(size);
                // Each mailbox has mail in many segments.
                let segment = SegmentId::first_of(Epoch(1 + size % 8)).0 + number;
                mail.fragments[0].segment = SegmentId(segment + u64::from(size / 64));
                mail
            });
            append(&mut account, mailbox, &mail.collect::<Vec<_>>());
            save(&mut account, &file);
        }
        let end = LogPosition {
            epoch: Epoch(9),
            log: LogId(0),
            segment: SegmentId::first_of(Epoch(9)),
            offset: 2 * BLOCK as u32,
            lsn: Lsn(2),
            applied: Lsn(1),
        };
        let coverage = Coverage::Replayed(vec![end]);
        file.write(&Checkpoint { coverage, ..Checkpoint::default() }).unwrap();
    }

    /// Starts, and returns how many reads that takes: to open the catalog, and beyond that.
    fn start(&self) -> (u64, u64) {
        let catalog = self.0.path().join("catalog.redb");
        let begun = reads();
        drop(CatalogFile::open(&catalog).unwrap());
        let opened = reads();
        let mut medium = StoredSegments::new(self.segments());
        let started = replay(&catalog, &mut medium, OnDamage::Stop).unwrap();
        let ended = reads();
        assert_eq!((started.changes, started.recovered.next_epoch), (0, Epoch(10)));
        assert_eq!(started.recovered.frames, 0, "the catalog has all of the log");
        (opened - begun, (ended - opened) - (opened - begun))
    }
}

/// Calls of this thread so far that read a file.
fn reads() -> u64 {
    let counts = fs::read_to_string("/proc/thread-self/io").unwrap();
    let count = counts.lines().find_map(|line| line.strip_prefix("syscr: "));
    count.unwrap().parse().unwrap()
}

#[test]
fn a_start_with_a_catalog_reads_as_much_however_much_is_stored() {
    let (few, many) = (Store::new(), Store::new());
    few.add_files(10);
    many.add_files(20_000);
    few.fill(2, 100);
    many.fill(40, 5_000);
    // Once, so that both catalogs were closed by a start.
    few.start();
    many.start();
    let (few, many) = (few.start(), many.start());
    assert!(many.1 <= few.1 + 8, "{} reads with much on the disk, {} with little", many.1, few.1);
    // With debug assertions, redb looks at every page when it opens a file.
    if !cfg!(debug_assertions) {
        assert!(
            many.0 <= few.0 + 8,
            "{} reads open a large catalog, {} a small one",
            many.0,
            few.0
        );
    }
}
