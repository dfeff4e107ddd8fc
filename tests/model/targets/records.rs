//! Headers, footers and records of the log: damage is an error, and what was written is read.
//!
//! Input: an octet that chooses the kind of the rest. Checksums are made right where the code
//! behind them is to be reached.

use imap::types::{
    FlagChange, Flags, InternalDate, Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity,
};
use mailrace::store::{
    BatchId, Commit, EmailId, Epoch, Fragment, FrameHeader, HEADER, LogId, Lsn, MailboxId,
    MessageRecord, MetadataEntry, Place, Record, Relocated, SegmentHeader, SegmentId, VERSION,
    decode_records, frame,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::input::Input;

const BLOCK: usize = 4096;
/// Octets in front of every record.
const HEAD: usize = 16;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(6) {
        0 => raw(input.rest()),
        1 => frame_header(input.rest()),
        2 => segment_header(input.rest()),
        3 => region(&mut input),
        _ => values(&mut input),
    }
}

/// Arbitrary octets.
fn raw(octets: &[u8]) {
    if let Ok(header) = FrameHeader::decode(octets) {
        there_and_back(&header);
    }
    if let Ok(header) = SegmentHeader::decode(octets) {
        segment_there_and_back(&header);
    }
    for count in 0..3 {
        if let Ok(records) = decode_records(octets, count) {
            assert_eq!(records.len(), count as usize);
        }
    }
}

/// Octets with the opening of a header and the right checksum at its end.
fn signed(magic: &[u8], octets: &[u8], length: usize) -> Vec<u8> {
    let mut header = [magic, &VERSION.to_le_bytes()].concat();
    header.extend_from_slice(octets);
    header.resize(length - 8, 0);
    header.extend_from_slice(&xxh3_64(&header).to_le_bytes());
    header
}

fn frame_header(octets: &[u8]) {
    let signed = signed(b"mrfr", octets, HEADER);
    let Ok(header) = FrameHeader::decode(&signed) else { return };
    there_and_back(&header);
    let length = header.length as usize;
    assert!(length.is_multiple_of(BLOCK) && header.watermark < header.lsn);
    assert!(HEADER + (header.payload + header.records) as usize <= length);
}

fn there_and_back(header: &FrameHeader) {
    let mut octets = [0xEE; HEADER];
    header.encode(&mut octets);
    assert_eq!(FrameHeader::decode(&octets), Ok(*header));
}

fn segment_header(octets: &[u8]) {
    let mut block = signed(b"mailrace", octets, 96);
    block.resize(BLOCK, 0);
    if let Ok(header) = SegmentHeader::decode(&block) {
        segment_there_and_back(&header);
        assert!(header.watermark < header.first_lsn && header.log.0 < header.logs);
    }
}

fn segment_there_and_back(header: &SegmentHeader) {
    let mut block = [0xEE; BLOCK];
    header.encode(&mut block);
    assert_eq!(SegmentHeader::decode(&block), Ok(*header));
}

/// Records of arbitrary bodies behind right checksums.
fn region(input: &mut Input<'_>) {
    let (mut region, mut count, mut old) = (Vec::new(), 0, false);
    while !input.is_empty() && count < 16 {
        let (kind, version) = (u16::from(input.u8() % 18), u16::from(input.u8() % 3));
        let body = input.short(200);
        old |= kind == 5 && version == 0;
        let seed = body.len() as u64 | u64::from(kind) << 32 | u64::from(version) << 48;
        region.extend_from_slice(&(body.len() as u32).to_le_bytes());
        region.extend_from_slice(&kind.to_le_bytes());
        region.extend_from_slice(&version.to_le_bytes());
        region.extend_from_slice(&xxh3_64_with_seed(body, seed).to_le_bytes());
        region.extend_from_slice(body);
        region.resize(region.len().next_multiple_of(8), 0);
        count += 1;
    }
    let Ok(records) = decode_records(&region, count) else { return };
    assert_eq!(records.len(), count as usize);
    assert!(decode_records(&region, count + 1).is_err());
    let written = written(&records);
    if old {
        // A version that is no longer written.
        assert_eq!(decode_records(&written, count), Ok(records));
    } else {
        assert!(written == region, "{records:?} has two encodings");
    }
}

fn written(records: &[Record]) -> Vec<u8> {
    let length = records.iter().map(Record::encoded_len).sum();
    let (mut octets, mut at) = (vec![0xEE; length], 0);
    for record in records {
        let end = at + record.encode(&mut octets[at..]);
        assert_eq!(end - at, record.encoded_len());
        assert!(end - at >= HEAD && end.is_multiple_of(8));
        at = end;
    }
    octets
}

/// Values that the server may write, in one frame.
fn values(input: &mut Input<'_>) {
    let (bit, payload) = (input.u32() as usize, input.u16() as usize);
    let mut records = Vec::new();
    while !input.is_empty() && records.len() < 16 {
        records.push(record(input));
    }
    let count = records.len() as u32;
    let mut region = written(&records);
    assert_eq!(decode_records(&region, count).as_ref(), Ok(&records));
    in_a_frame(&records, payload, region.len());
    records.iter().for_each(|record| fits(record, bit % 2000));
    if region.is_empty() {
        return;
    }
    let bit = bit % (8 * region.len());
    region[bit / 8] ^= 1 << (bit % 8);
    assert!(decode_records(&region, count).is_err(), "bit {bit} of {records:?} may rot");
    region[bit / 8] ^= 1 << (bit % 8);
    region.truncate(bit / 8);
    assert!(decode_records(&region, count).is_err(), "{records:?} may end at {}", bit / 8);
}

fn in_a_frame(records: &[Record], payload: usize, length: usize) {
    let place = Place {
        segment: SegmentId(3),
        offset: BLOCK as u32,
        length: frame::sealed_len(payload, length) as u32,
        lsn: Lsn(9),
        watermark: Lsn(8),
        epoch: Epoch(2),
        log: LogId(0),
        salt: 7,
    };
    let mut octets = vec![0xEE; place.length as usize];
    let sealed = frame::seal(&mut octets, &place, BatchId(1), 0, payload, records);
    assert_eq!(sealed, octets.len());
    let header = FrameHeader::decode(&octets).expect("it was just sealed");
    there_and_back(&header);
    let at = frame::records_at(payload);
    let region = &octets[at..at + header.records as usize];
    assert_eq!(decode_records(region, header.count).as_deref(), Ok(records));
    assert!(octets[HEADER..HEADER + payload].iter().all(|&octet| octet == 0xEE));
    assert!(octets[at + length..].iter().all(|&octet| octet == 0), "old octets leak");
}

/// Exactly as many messages fit as are said to fit.
fn fits(record: &Record, room: usize) {
    let Record::Messages { batch, messages } = record else { return };
    let fit = Record::messages_that_fit(messages, room);
    let of = |count: usize| {
        let messages = messages[..count].to_vec();
        Record::Messages { batch: *batch, messages }.encoded_len()
    };
    assert!(fit == 0 || of(fit) <= room);
    assert!(fit == messages.len() || of(fit + 1) > room);
}

/// Any record that may be written.
pub fn record(input: &mut Input<'_>) -> Record {
    let batch = BatchId(input.u64());
    let (mailbox, modseq) = (MailboxId(input.u16().into()), ModSeq(input.u16().into()));
    match input.below(13) {
        0 => Record::Messages { batch, messages: messages(input) },
        1 => Record::References { batch, messages: references(input) },
        2 => Record::Fragments { batch, fragments: fragments(input) },
        3 => commit(input, batch, mailbox, modseq),
        4 => Record::Cancel { batch },
        5 => Record::CreateMailbox {
            account: text(input),
            mailbox,
            name: text(input),
            uid_validity: UidValidity(input.u32()),
            uses: SpecialUse(input.u16()),
        },
        6 => Record::DeleteMailbox { account: text(input), mailbox },
        7 => set_flags(input, mailbox, modseq),
        8 => Record::Expunge { account: text(input), mailbox, modseq, uids: ranges(input) },
        9 => Record::RenameMailbox { account: text(input), from: text(input), to: text(input) },
        10 => Record::SetMetadata {
            account: text(input),
            mailbox,
            uses: (input.u8() & 1 == 1).then(|| SpecialUse(input.u16())),
            entries: entries(input),
        },
        11 => Record::Relocate { account: text(input), mailbox, messages: relocated(input) },
        _ => Record::Subscribe {
            account: text(input),
            name: text(input),
            subscribed: input.u8() & 1 == 1,
        },
    }
}

fn commit(input: &mut Input<'_>, batch: BatchId, mailbox: MailboxId, modseq: ModSeq) -> Record {
    let (first, account) = (input.u32().max(1), text(input));
    let save_date = input.u64().cast_signed();
    // The largest UID is valid.
    let messages = 1 + input.u32() % (u32::MAX - first).max(1);
    let octets = input.u64();
    Record::Commit(Commit {
        batch,
        account,
        mailbox,
        first_uid: Uid(first),
        first_email: EmailId(octets % (u64::MAX - u64::from(messages))),
        modseq,
        save_date,
        messages,
        octets,
    })
}

fn set_flags(input: &mut Input<'_>, mailbox: MailboxId, modseq: ModSeq) -> Record {
    let change = [FlagChange::Replace, FlagChange::Add, FlagChange::Remove][input.below(3)];
    let (account, uids) = (text(input), ranges(input));
    let (flags, keywords) = (Flags(input.u8() & 0x1F), keywords(input));
    Record::SetFlags { account, mailbox, modseq, uids, change, flags, keywords }
}

fn entries(input: &mut Input<'_>) -> Vec<MetadataEntry> {
    let entry = |input: &mut Input<'_>| MetadataEntry {
        name: text(input),
        value: (input.u8() & 1 == 1).then(|| input.short(40).into()),
    };
    (0..input.below(4)).map(|_| entry(input)).collect()
}

fn text(input: &mut Input<'_>) -> Box<str> {
    String::from_utf8_lossy(input.short(40)).into()
}

fn messages(input: &mut Input<'_>) -> Vec<MessageRecord> {
    let message = |input: &mut Input<'_>| MessageRecord {
        size: input.u64().max(1),
        date: InternalDate::from_unix(i64::from(input.u32())),
        flags: Flags(input.u8() & 0x1F),
        keywords: keywords(input).into(),
        email: EmailId::default(),
        checksum: u128::from(input.u64()),
        fragments: fragments(input),
    };
    (0..input.below(5)).map(|_| message(input)).collect()
}

/// Messages with any EMAILIDs.
fn references(input: &mut Input<'_>) -> Vec<MessageRecord> {
    let mut messages = messages(input);
    for message in &mut messages {
        message.email = EmailId((message.checksum as u64).max(1));
    }
    messages
}

fn relocated(input: &mut Input<'_>) -> Vec<Relocated> {
    let mut messages: Vec<Relocated> = Vec::new();
    for _ in 0..input.below(5) {
        let mut fragments = fragments(input);
        fragments.extend(fragments.first().copied());
        let above = messages.last().map_or(0, |last| last.uid.0);
        let uid = Uid(above.saturating_add(1).saturating_add(input.u32() >> 8));
        if !fragments.is_empty() && uid.0 > above {
            messages.push(Relocated { uid, fragments });
        }
    }
    messages
}

fn fragments(input: &mut Input<'_>) -> Vec<Fragment> {
    let fragment = |input: &mut Input<'_>| {
        let (offset, length) = (input.u32(), input.u32());
        let length = 1 + length % (u32::MAX - offset).max(1);
        let offset = offset.min(u32::MAX - length);
        Fragment { segment: SegmentId(input.u64()), offset, length }
    };
    (0..input.below(4)).map(|_| fragment(input)).collect()
}

fn ranges(input: &mut Input<'_>) -> Vec<UidRange> {
    let range = |input: &mut Input<'_>| {
        let (one, other) = (input.u32().max(1), input.u32().max(1));
        UidRange { first: Uid(one.min(other)), last: Uid(one.max(other)) }
    };
    (0..input.below(4)).map(|_| range(input)).collect()
}

fn keywords(input: &mut Input<'_>) -> Vec<Keyword> {
    let keyword = |input: &mut Input<'_>| Keyword::new(input.short(12)).ok();
    (0..input.below(4)).filter_map(|_| keyword(input)).collect()
}
