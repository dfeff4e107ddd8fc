//! Single cases of recovery that random histories seldom reach.

use imap::types::{Flags, InternalDate, ModSeq, Uid};
use kit::Random;
use mailrace::store::{
    BatchId, Commit, EmailId, Epoch, Fragment, KeywordList, LogId, LogPosition, Lsn, MailboxId,
    Medium, MessageRecord, ReadySegment, Record, RecoveryError, SegmentHeader, SegmentId, VERSION,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

use super::simple::{BLOCK, Log};

/// Three segments of two frames each, one sync at the end of all, so that the only watermark is
/// that of a seventh frame.
fn three_segments() -> Log {
    let mut log = Log::new();
    for segment in 1..=3 {
        log.segment(segment, 4);
        log.frame(b"a", &[]);
        log.frame(b"b", &[]);
    }
    log.sync();
    log.frame(b"proof", &[]);
    log
}

fn position(segment: u64, offset: u32, lsn: u64) -> LogPosition {
    LogPosition {
        epoch: Epoch(1),
        log: LogId(0),
        segment: SegmentId(segment),
        offset,
        lsn: Lsn(lsn),
        applied: Lsn(lsn - 1),
    }
}

/// "hello", at this offset in the first frame.
fn message(offset: u32) -> MessageRecord {
    MessageRecord {
        size: 5,
        date: InternalDate::from_unix(0),
        flags: Flags::default(),
        keywords: KeywordList::default(),
        email: EmailId::default(),
        checksum: xxh3_128(b"hello"),
        fragments: vec![Fragment { segment: SegmentId(1), offset: BLOCK + offset, length: 5 }],
    }
}

/// The message with an EMAILID of its own.
fn copied(message: MessageRecord) -> MessageRecord {
    MessageRecord { email: EmailId(7), ..message }
}

fn commit(batch: u64, messages: u32) -> Commit {
    Commit {
        batch: BatchId(batch),
        account: "anna".into(),
        mailbox: MailboxId(77),
        first_uid: Uid(1),
        first_email: EmailId(1),
        modseq: ModSeq(1),
        save_date: 0,
        messages,
        octets: u64::from(messages) * 5,
    }
}

#[test]
fn a_rotten_frame_is_proven_by_one_two_segments_later() {
    let mut log = three_segments();
    log.disk.rot(SegmentId(1), BLOCK as usize + 33, 0);
    let text = log.damage(&[]);
    assert!(text.contains("00000000000000000001.seg at octet 4096"), "{text}");
    assert!(text.contains("later frames say that it was durable"), "{text}");
}

#[test]
fn a_lost_segment_is_proven_by_a_later_one() {
    for lost in 1..=2 {
        let mut log = three_segments();
        log.disk.lose_file(SegmentId(lost));
        let text = log.damage(&[]);
        // When one in the middle is lost, only the end of the one before it is known.
        assert!(text.contains("00000000000000000001.seg"), "{text}");
    }
}

#[test]
fn a_header_that_never_was_durable_takes_its_frames_with_it() {
    let mut log = Log::new();
    log.segment(1, 4);
    log.frame(b"a", &[]);
    log.sync();
    log.segment(2, 4);
    log.frame(b"b", &[]);
    log.disk.erase_header(SegmentId(2));
    let recovered = log.recover(&[]).expect("nothing in segment 2 was acknowledged");
    assert_eq!((recovered.frames, recovered.cut.len()), (1, 1));
    assert_eq!(log.disk.files.len(), 1);
}

#[test]
fn a_log_without_its_first_segment_vanishes_when_nothing_was_acknowledged() {
    let mut log = Log::new();
    log.segment(1, 4);
    log.frame(b"a", &[]);
    log.segment(2, 4);
    log.frame(b"b", &[]);
    log.disk.lose_file(SegmentId(1));
    let recovered = log.recover(&[]).expect("nothing was acknowledged");
    assert_eq!((recovered.frames, recovered.ends.len()), (0, 0));
    assert!(log.disk.files.is_empty());
}

#[test]
fn an_older_epoch_cannot_be_torn() {
    let mut log = Log::new();
    log.segment(1, 4);
    log.frame(b"a", &[]);
    log.sync();
    let recovered = log.recover(&[]).expect("clean");
    let mut log = Log::after(log.disk, recovered.next_epoch);
    log.segment(2, 4);
    log.disk.rot(SegmentId(1), BLOCK as usize + 33, 0);
    let text = log.damage(&[]);
    assert!(text.contains("complete when a later epoch began"), "{text}");
}

#[test]
fn what_the_catalog_has_read_must_be_there() {
    let mut log = three_segments();
    let gone = position(9, BLOCK, 3);
    assert!(log.damage(&[gone]).contains("00000000000000000009.seg"));
    log.disk.rot(SegmentId(3), 3, 0);
    assert!(log.damage(&[position(3, BLOCK, 5)]).contains("00000000000000000003.seg"));
    log.disk.rot(SegmentId(3), 3, 0);
    let again = LogPosition { applied: Lsn(20), ..position(3, BLOCK, 5) };
    assert!(log.damage(&[again]).contains("the catalog has read it"));
}

#[test]
fn from_a_position_only_the_rest_is_read_and_sealed_segments_shrink() {
    let mut log = three_segments();
    let recovered = log.recover(&[position(2, 2 * BLOCK, 4)]).expect("a whole log");
    assert_eq!(recovered.frames, 4);
    assert_eq!(recovered.ends, [position(3, 4 * BLOCK, 8)]);
    let lengths = log.disk.files.values().map(|octets| octets.len() as u32 / BLOCK);
    assert_eq!(lengths.collect::<Vec<_>>(), [3, 3, 4]);
}

#[test]
fn what_recovery_builds_on_is_durable_afterwards() {
    // Killed, not powered off: everything was written, nothing synced.
    let mut log = Log::new();
    for segment in 1..=3 {
        log.segment(segment, 3);
        log.frame(b"a", &[]);
    }
    log.disk.kill(&mut Random::new(1));
    assert_eq!(log.recover(&[]).expect("a whole log").frames, 3);
    for seed in 0..10 {
        log.disk.lose_power(&mut Random::new(seed));
    }
    assert_eq!(log.recover(&[]).expect("a whole log").frames, 3);
}

#[test]
fn messages_that_rotted_are_counted() {
    let mut log = Log::new();
    log.segment(1, 8);
    let messages = vec![message(128), message(133), message(138)];
    let records = [Record::Messages { batch: BatchId(1), messages }, Record::Commit(commit(1, 3))];
    log.frame(b"hellohellohello", &records);
    log.sync();
    log.frame(b"", &[Record::Cancel { batch: BatchId(2) }]);
    log.disk.rot(SegmentId(1), BLOCK as usize + 134, 2);
    log.disk.rot(SegmentId(1), BLOCK as usize + 138, 2);
    let text = log.damage(&[]);
    assert!(text.contains("2 of 3 messages do not have their checksum"), "{text}");
    assert!(text.contains("Messages affected in mailbox 77: 2."), "{text}");
}

/// The frame of a commit may be torn. Octets that were durable before it was written may not.
#[test]
fn octets_that_were_durable_before_their_commit_cannot_be_torn() {
    for synced in [true, false] {
        let mut log = Log::new();
        log.segment(1, 8);
        log.frame(b"hello", &[]);
        if synced {
            log.sync();
        }
        let messages = vec![message(128)];
        let records =
            [Record::Messages { batch: BatchId(1), messages }, Record::Commit(commit(1, 1))];
        log.frame(b"", &records);
        log.disk.rot(SegmentId(1), BLOCK as usize + 130, 2);
        if synced {
            let text = log.damage(&[]);
            assert!(text.contains("its octets were durable before it was written"), "{text}");
        } else {
            assert_eq!(log.recover(&[]).expect("a torn tail").frames, 1);
        }
    }
}

/// The octets of a copy are those of the original: they were checked when they came.
#[test]
fn copies_are_not_read_again() {
    for by_reference in [false, true] {
        let mut log = Log::new();
        log.segment(1, 8);
        let message = message(128);
        let batch = |batch, message| match by_reference {
            true => Record::References { batch, messages: vec![copied(message)] },
            false => Record::Messages { batch, messages: vec![message] },
        };
        log.frame(b"hello", &[]);
        log.frame(b"", &[batch(BatchId(2), message), Record::Commit(commit(2, 1))]);
        log.sync();
        log.frame(b"", &[]);
        log.disk.rot(SegmentId(1), BLOCK as usize + 130, 2);
        match by_reference {
            true => assert_eq!(log.recover(&[]).expect("not read").frames, 3),
            false => assert!(log.damage(&[]).contains("1 of 1 messages")),
        }
    }
}

#[test]
fn references_have_to_add_up_like_all_messages() {
    let longer = MessageRecord { size: 6, ..message(128) };
    let cases = [(vec![longer], 1, "1 of 1 messages"), (vec![message(128); 2], 1, "has 2 with 10")];
    for (messages, announced, expected) in cases {
        let mut log = Log::new();
        log.segment(1, 8);
        log.frame(b"hello", &[]);
        let octets = messages.iter().map(|message| message.size).sum();
        let octets = if announced == 1 { octets } else { 5 };
        let commit = Commit { octets, ..commit(2, announced) };
        let messages = messages.into_iter().map(copied).collect();
        let references = Record::References { batch: BatchId(2), messages };
        log.frame(b"", &[references, Record::Commit(commit)]);
        log.sync();
        log.frame(b"", &[]);
        let text = log.damage(&[]);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_record_of_a_newer_kind_asks_for_an_upgrade() {
    let mut log = Log::new();
    log.segment(1, 8);
    log.frame(b"", &[Record::Cancel { batch: BatchId(2) }]);
    // Nothing proves that the frame was acknowledged: as rot it would be cut off.
    let at = BLOCK as usize + 128;
    let mut record = log.disk.files[&SegmentId(1)][at..at + 24].to_vec();
    record[4] = 99;
    let seed = 8 | 99 << 32;
    let checksum = xxh3_64_with_seed(&record[16..24], seed);
    record[8..16].copy_from_slice(&checksum.to_le_bytes());
    log.disk.overwrite(SegmentId(1), at, &record);
    let error = log.recover(&[]).expect_err("a newer kind");
    assert!(error.to_string().contains("kind 99, version 0). Upgrade."), "{error}");
}

#[test]
fn another_format_is_named() {
    for (at, other, what) in [
        (0, VERSION + 1, "newer mailrace"),
        (BLOCK as usize, VERSION + 1, "Upgrade"),
        (0, VERSION - 1, "older mailrace"),
        (BLOCK as usize, VERSION - 1, "copy the mail to a new data folder"),
    ] {
        let mut log = three_segments();
        let mut header = log.disk.files[&SegmentId(1)][at..].to_vec();
        let (version, sum) = if at == 0 { (8, 88) } else { (4, 120) };
        header[version..version + 2].copy_from_slice(&other.to_le_bytes());
        let checksum = xxh3_64(&header[..sum]);
        header[sum..sum + 8].copy_from_slice(&checksum.to_le_bytes());
        log.disk.overwrite(SegmentId(1), at, &header[..128]);
        let error = log.recover(&[]).expect_err("another version");
        let expected =
            matches!(error, RecoveryError::OtherVersion { version, .. } if version == other);
        assert!(expected && error.to_string().contains(what), "{error}");
    }
}

#[test]
fn prepared_segments_are_kept_and_useless_ones_removed() {
    let mut log = three_segments();
    log.disk.create(SegmentId(8), 16 * BLOCK);
    log.disk.create(SegmentId(9), BLOCK);
    log.disk.create(SegmentId(10), 0);
    let recovered = log.recover(&[]).expect("a whole log");
    let (segment, length) = (SegmentId(8), u64::from(16 * BLOCK));
    assert_eq!(recovered.ready, [ReadySegment { segment, length, reused: false }]);
    assert_eq!(log.disk.files.len(), 4);
}

#[test]
fn a_payload_that_was_cut_off_is_no_frame() {
    let mut log = Log::new();
    log.segment(1, 8);
    log.frame(b"one", &[]);
    let (segment, offset) = log.frame(&[b'x'; 3 * BLOCK as usize], &[]);
    log.disk.truncate(segment, u64::from(offset + BLOCK)).expect("memory");
    assert_eq!(log.recover(&[]).expect("a torn tail").frames, 1);
    assert_eq!(log.disk.files[&segment].len(), offset as usize);
}

/// As if the folders of two servers, or of one server at two times, were copied over each other.
#[test]
fn segments_that_are_no_chain_are_not_cut() {
    const END: u32 = 3 * BLOCK;
    let contradictions: [fn(&mut SegmentHeader); 4] = [
        |third| third.salt += 1,
        |third| third.previous = None,
        |third| (third.previous, third.first_lsn) = (None, Lsn(1)),
        |third| third.previous = Some((SegmentId(1), END)),
    ];
    for contradict in contradictions {
        let mut log = Log::new();
        (1..=3).for_each(|segment| {
            log.segment(segment, 4);
            log.frame(b"a", &[]);
            log.frame(b"b", &[]);
        });
        let block = &log.disk.files[&SegmentId(3)][..BLOCK as usize];
        let mut header = SegmentHeader::decode(block).expect("a header");
        contradict(&mut header);
        let mut block = vec![0; BLOCK as usize];
        header.watermark = Lsn(0);
        header.encode(&mut block);
        log.disk.overwrite(SegmentId(3), 0, &block);
        let told = log.damage(&[]);
        assert!(told.contains("3.seg at octet 0") && told.contains("contradicts"), "{told}");
    }
}

#[test]
fn a_segment_that_begins_behind_the_catalog_is_not_cut() {
    let mut log = Log::new();
    log.segment(1, 4);
    log.frame(b"a", &[]);
    log.frame(b"b", &[]);
    log.segment(2, 4);
    log.frame(b"c", &[]);
    assert!(log.damage(&[position(2, BLOCK, 1)]).contains("later frame"));
}
