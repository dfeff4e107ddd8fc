//! The format on disk does not change by accident.
//!
//! `segment.hex` holds one segment, octet by octet, as [`mailrace::manual::format`] describes it.
//! `records.hex` holds its record file.
//! The image was made once and compared with that page. A new version of the format gets a new one.

use std::fmt::Write;

use imap::types::{
    FlagChange, Flags, InternalDate, Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity,
};
use mailrace::store::{
    BatchId, Change, Commit, EmailId, Epoch, Fragment, FrameHeader, KeywordList, LogId, MailboxId,
    Medium, MessageRecord, MetadataEntry, Record, RecordError, Relocated, SegmentHeader, SegmentId,
    Sequencer, decode_records, frame, recover,
};
use xxhash_rust::xxh3::xxh3_128;

use crate::disk::Disk;
use crate::folder::Folder;

const GOLDEN: &str = include_str!("segment.hex");
const RECORDS: &str = include_str!("records.hex");
const SEGMENT: SegmentId = SegmentId(3 << 40 | 7);
const SIZE: u32 = 4 * 4096;
const FIRST: &[u8] = b"Subject: one\r\n\r\nFirst.\r\n";
const SECOND: &[u8] = b"Subject: two\r\n\r\nSecond.\r\n";
const GAP: &[u8] = b" (\\Seen) {25+}\r\n";

#[test]
fn what_is_written_is_what_was_agreed() {
    let written = dump(&segment());
    for (number, (written, golden)) in written.lines().zip(GOLDEN.lines()).enumerate() {
        assert_eq!(written, golden, "line {} of segment.hex", number + 1);
    }
    assert_eq!(written.lines().count(), GOLDEN.lines().count());
}

#[test]
fn what_was_agreed_is_read() {
    let octets = parse(GOLDEN);
    let header = SegmentHeader::decode(&octets[..4096]).expect("the header");
    assert_eq!((header.segment, header.epoch, header.created), (SEGMENT, Epoch(3), 1_700_000_000));
    let first = FrameHeader::decode(&octets[4096..]).expect("a frame");
    assert_eq!((first.lsn.0, first.watermark.0, first.count), (1, 0, 2));
    assert_eq!(records(&octets, 4096), Ok(batch_records()));
    assert_eq!(records(&octets, 8192), Ok(other_records()));

    let mut disk = Disk::default();
    disk.create(SEGMENT, SIZE);
    let write = disk.write(SEGMENT, 0, octets);
    disk.complete(SEGMENT, write);
    let mut changes = Vec::new();
    let recovered = recover(&mut disk, &[], &mut |replayed| {
        changes.push(replayed.change);
        Ok(())
    });
    assert_eq!(recovered.expect("a whole segment").frames, 2);
    let [Change::Append { commit, messages }, Change::Other(_), ..] = &changes[..] else {
        panic!("{changes:?}");
    };
    let commit_email = commit.first_email;
    assert_eq!((commit.first_uid, messages.len()), (Uid(41), 2));
    let Some(Change::Append { commit, messages: copied }) = changes.last() else {
        panic!("{changes:?}");
    };
    let email = commit_email.plus(1).expect("a low number");
    let copy = MessageRecord { email, ..messages[1].clone() };
    assert_eq!((commit.first_uid, &copied[..]), (Uid(5), &[copy][..]));
}

#[test]
fn the_record_file_of_it_is_what_was_agreed() {
    let folder = Folder::new();
    let octets = segment();
    folder.put_segment(SEGMENT, &octets[..3 * 4096]);
    folder.strip(SEGMENT).expect("a whole segment");
    let written = dump(&folder.record_file(SEGMENT));
    for (number, (written, golden)) in written.lines().zip(RECORDS.lines()).enumerate() {
        assert_eq!(written, golden, "line {} of records.hex", number + 1);
    }
    assert_eq!(written.lines().count(), RECORDS.lines().count());

    let mut whole = Disk::default();
    whole.create(SEGMENT, SIZE);
    whole.overwrite(SEGMENT, 0, &octets);
    folder.lose_segment(SEGMENT);
    let changes = |medium: &mut dyn Medium| {
        let mut changes = Vec::new();
        let recovered = recover(medium, &[], &mut |replayed| {
            changes.push(replayed);
            Ok(())
        });
        (recovered.expect("whole").ends, changes)
    };
    let agreed = changes(&mut whole);
    assert_eq!(changes(&mut folder.medium()), agreed);
}

fn records(segment: &[u8], at: usize) -> Result<Vec<Record>, RecordError> {
    let header = FrameHeader::decode(&segment[at..]).expect("a frame");
    let start = at + frame::records_at(header.payload as usize);
    decode_records(&segment[start..start + header.records as usize], header.count)
}

/// A segment with two frames: a batch of two messages, and records of every other kind.
fn segment() -> Vec<u8> {
    let mut octets = vec![0; SIZE as usize];
    let mut sequencer = Sequencer::new(Epoch(3), LogId(1), 2, 0x1122_3344_5566_7788);
    let header = sequencer.open_segment(SEGMENT, SIZE, 1_700_000_000);
    SegmentHeader { reused: true, ..header }.encode(&mut octets);
    sequencer.header_written(SEGMENT);

    let payload = [FIRST, GAP, SECOND].concat();
    octets[4096 + frame::HEADER..][..payload.len()].copy_from_slice(&payload);
    let place = sequencer.reserve(4096).expect("there is room");
    frame::seal(&mut octets[4096..], &place, BatchId(5), 0, payload.len(), &batch_records());
    sequencer.written(place.lsn);
    let plan = sequencer.begin_sync().expect("a frame to sync");
    sequencer.synced(&plan);

    let place = sequencer.reserve(4096).expect("there is room");
    frame::seal(&mut octets[8192..], &place, BatchId(0), 0, 0, &other_records());
    octets
}

fn batch_records() -> Vec<Record> {
    let start = 4096 + frame::HEADER as u32;
    let second = start + (FIRST.len() + GAP.len()) as u32;
    let date = |text: &str| InternalDate::parse(text.as_bytes()).expect("a date");
    let messages = vec![
        MessageRecord {
            size: FIRST.len() as u64,
            date: date(" 7-Feb-1994 22:43:04 -0800"),
            flags: Flags::default(),
            keywords: KeywordList::default(),
            email: EmailId::default(),
            checksum: xxh3_128(FIRST),
            fragments: vec![Fragment { segment: SEGMENT, offset: start, length: 24 }],
        },
        MessageRecord {
            size: SECOND.len() as u64,
            date: date("17-Jul-1996 02:44:25 +0200"),
            flags: Flags::SEEN,
            keywords: vec![keyword("$Forwarded"), keyword("work")].into(),
            email: EmailId::default(),
            checksum: xxh3_128(SECOND),
            fragments: vec![
                Fragment { segment: SEGMENT, offset: second, length: 20 },
                Fragment { segment: SEGMENT, offset: second + 20, length: 5 },
            ],
        },
    ];
    let commit = Commit {
        batch: BatchId(5),
        account: "anna".into(),
        mailbox: MailboxId(2),
        first_uid: Uid(41),
        first_email: EmailId(0x1_0000_0203),
        modseq: ModSeq(99),
        save_date: 1_700_000_001,
        messages: 2,
        octets: 49,
    };
    vec![Record::Messages { batch: BatchId(5), messages }, Record::Commit(commit)]
}

fn other_records() -> Vec<Record> {
    let (account, mailbox): (Box<str>, _) = ("anna".into(), MailboxId(3));
    let uids =
        vec![UidRange { first: Uid(1), last: Uid(3) }, UidRange { first: Uid(9), last: Uid(9) }];
    // A copy of the second message of the first frame.
    let [Record::Messages { mut messages, .. }, Record::Commit(commit)] =
        <[Record; 2]>::try_from(batch_records()).expect("two records")
    else {
        unreachable!("a batch is its messages and its commit");
    };
    messages.remove(0);
    messages[0].email = EmailId(0x1_0000_0204);
    let commit = Commit {
        batch: BatchId(7),
        mailbox,
        first_uid: Uid(5),
        first_email: EmailId(0),
        modseq: ModSeq(102),
        messages: 1,
        octets: 25,
        ..commit
    };
    let fragment = Fragment { segment: SegmentId(3 << 40 | 6), offset: 4224, length: 3000 };
    vec![
        Record::CreateMailbox {
            account: account.clone(),
            mailbox,
            name: "Entwürfe/2024".into(),
            uid_validity: UidValidity(1_700_000_002),
            uses: SpecialUse(0b10_0000),
        },
        Record::SetFlags {
            account: account.clone(),
            mailbox,
            modseq: ModSeq(100),
            uids: uids.clone(),
            change: FlagChange::Add,
            flags: Flags::DELETED,
            keywords: vec![keyword("$Junk")],
        },
        Record::Expunge { account: account.clone(), mailbox, modseq: ModSeq(101), uids },
        Record::DeleteMailbox { account: account.clone(), mailbox },
        Record::Fragments { batch: BatchId(6), fragments: vec![fragment] },
        Record::Cancel { batch: BatchId(6) },
        Record::RenameMailbox {
            account: account.clone(),
            from: "Entwürfe".into(),
            to: "Archiv/Entwürfe".into(),
        },
        Record::Subscribe { account: account.clone(), name: "INBOX".into(), subscribed: true },
        Record::Subscribe { account: account.clone(), name: "Müll".into(), subscribed: false },
        Record::SetMetadata {
            account: account.clone(),
            mailbox,
            uses: Some(SpecialUse(0b10_0000)),
            entries: vec![
                MetadataEntry { name: "/shared/comment".into(), value: Some((*b"Hi\0").into()) },
                MetadataEntry { name: "/private/comment".into(), value: None },
            ],
        },
        Record::SetMetadata { account: account.clone(), mailbox, uses: None, entries: Vec::new() },
        Record::Relocate {
            account,
            mailbox,
            messages: vec![
                Relocated { uid: Uid(4), fragments: vec![fragment] },
                Relocated {
                    uid: Uid(6),
                    fragments: vec![Fragment { segment: SegmentId(5), ..fragment }, fragment],
                },
            ],
        },
        Record::References { batch: BatchId(7), messages },
        Record::Commit(commit),
    ]
}

fn keyword(text: &str) -> Keyword {
    Keyword::new(text.as_bytes()).expect("an atom")
}

/// Sixteen octets a line, without lines of zeros, as `hexdump -C` prints them.
fn dump(octets: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in octets.chunks(16).enumerate() {
        if line.iter().all(|&o| o == 0) {
            continue;
        }
        write!(text, "{:08x} ", number * 16).expect("memory");
        line.iter().for_each(|octet| write!(text, " {octet:02x}").expect("memory"));
        let shown = |&o: &u8| if o.is_ascii_graphic() { char::from(o) } else { '.' };
        writeln!(text, "  {}", line.iter().map(shown).collect::<String>()).expect("memory");
    }
    text
}

fn parse(text: &str) -> Vec<u8> {
    let mut octets = vec![0; SIZE as usize];
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let at = fields.next().expect("an offset");
        let at = usize::from_str_radix(at, 16).expect("an offset");
        for (octet, field) in octets[at..at + 16].iter_mut().zip(fields) {
            *octet = u8::from_str_radix(field, 16).expect("an octet");
        }
    }
    octets
}
