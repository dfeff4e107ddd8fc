//! Records through their encoding and back, and what rot makes of it.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::decode::decode_records;
use super::fields::RecordError;
use super::ids::{BatchId, EmailId, Fragment, MailboxId, SegmentId};
use super::keywords::KeywordList;
use super::record::{Commit, MessageRecord, MetadataEntry, Record, Relocated};
use imap::types::{
    FlagChange, Flags, InternalDate, Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity,
};

fn text() -> impl Strategy<Value = Box<str>> {
    "[a-zäß/日]{0,20}".prop_map(Into::into)
}

fn keywords() -> impl Strategy<Value = Vec<Keyword>> {
    vec("[a-zA-Z$]{1,12}".prop_map(|text| Keyword::new(text.as_bytes()).unwrap()), 0..4)
}

fn fragments() -> impl Strategy<Value = Vec<Fragment>> {
    let fragment = (1_u64.., 0_u32..1 << 31, 1_u32..1 << 31);
    let fragment = fragment.prop_map(|(segment, offset, length)| Fragment {
        segment: SegmentId(segment),
        offset,
        length,
    });
    vec(fragment, 0..4)
}

fn relocated() -> impl Strategy<Value = Vec<Relocated>> {
    let fragment = (1_u64..4, 0_u32..1 << 31, 1_u32..1 << 31);
    let fragment = fragment.prop_map(|(segment, offset, length)| Fragment {
        segment: SegmentId(segment),
        offset,
        length,
    });
    btree_map(1_u32.., vec(fragment, 1..4), 0..4).prop_map(|messages| {
        let of = |(uid, fragments)| Relocated { uid: Uid(uid), fragments };
        messages.into_iter().map(of).collect()
    })
}

fn uids() -> impl Strategy<Value = Vec<UidRange>> {
    let range = (1_u32..1 << 30, 0_u32..1 << 30);
    vec(range.prop_map(|(a, n)| UidRange { first: Uid(a), last: Uid(a + n) }), 0..5)
}

fn message() -> impl Strategy<Value = MessageRecord> {
    let date = (-60_000_000_000_i64..200_000_000_000).prop_map(InternalDate::from_unix);
    let flags = (0..32_u8).prop_map(Flags);
    (1_u64.., date, flags, keywords().prop_map(Into::into), any::<u128>(), fragments()).prop_map(
        |(size, date, flags, keywords, checksum, fragments)| MessageRecord {
            size,
            date,
            flags,
            keywords,
            email: EmailId::default(),
            checksum,
            fragments,
        },
    )
}

fn reference() -> impl Strategy<Value = MessageRecord> {
    (message(), 1_u64..)
        .prop_map(|(message, email)| MessageRecord { email: EmailId(email), ..message })
}

fn commit() -> impl Strategy<Value = Record> {
    let numbers = (any::<[u64; 4]>(), 0_u64..1 << 63, any::<i64>(), 1_u32..1 << 31, 1_u32..1 << 31);
    (numbers, text()).prop_map(|((ids, email, save_date, first_uid, messages), account)| {
        Record::Commit(Commit {
            batch: BatchId(ids[0]),
            account,
            mailbox: MailboxId(ids[1]),
            first_uid: Uid(first_uid),
            first_email: EmailId(email),
            modseq: ModSeq(ids[2]),
            save_date,
            messages,
            octets: ids[3],
        })
    })
}

fn set_flags() -> impl Strategy<Value = Record> {
    let change =
        prop_oneof![Just(FlagChange::Replace), Just(FlagChange::Add), Just(FlagChange::Remove)];
    (text(), any::<[u64; 2]>(), uids(), change, 0..32_u8, keywords()).prop_map(
        |(account, ids, uids, change, flags, keywords)| Record::SetFlags {
            account,
            mailbox: MailboxId(ids[0]),
            modseq: ModSeq(ids[1]),
            uids,
            change,
            flags: Flags(flags),
            keywords,
        },
    )
}

fn entries() -> impl Strategy<Value = Vec<MetadataEntry>> {
    let value = option::of(vec(any::<u8>(), 0..40).prop_map(Vec::into_boxed_slice));
    vec((text(), value).prop_map(|(name, value)| MetadataEntry { name, value }), 0..4)
}

fn record() -> impl Strategy<Value = Record> {
    let batch = any::<u64>().prop_map(BatchId);
    let mailbox = any::<u64>().prop_map(MailboxId);
    prop_oneof![
        (batch.clone(), vec(message(), 0..5))
            .prop_map(|(batch, messages)| Record::Messages { batch, messages }),
        (batch.clone(), vec(reference(), 0..5))
            .prop_map(|(batch, messages)| Record::References { batch, messages }),
        (batch.clone(), fragments())
            .prop_map(|(batch, fragments)| Record::Fragments { batch, fragments }),
        commit(),
        batch.prop_map(|batch| Record::Cancel { batch }),
        (text(), mailbox.clone(), text(), any::<u32>(), any::<u16>()).prop_map(
            |(account, mailbox, name, validity, uses)| Record::CreateMailbox {
                account,
                mailbox,
                name,
                uid_validity: UidValidity(validity),
                uses: SpecialUse(uses),
            }
        ),
        (text(), text(), text()).prop_map(|(account, from, to)| Record::RenameMailbox {
            account,
            from,
            to
        }),
        (text(), text(), any::<bool>()).prop_map(|(account, name, subscribed)| {
            Record::Subscribe { account, name, subscribed }
        }),
        (text(), mailbox.clone())
            .prop_map(|(account, mailbox)| Record::DeleteMailbox { account, mailbox }),
        (text(), mailbox.clone(), option::of(any::<u16>().prop_map(SpecialUse)), entries())
            .prop_map(|(account, mailbox, uses, entries)| Record::SetMetadata {
                account,
                mailbox,
                uses,
                entries
            }),
        set_flags(),
        (text(), mailbox.clone(), relocated()).prop_map(|(account, mailbox, messages)| {
            Record::Relocate { account, mailbox, messages }
        }),
        (text(), mailbox, any::<u64>().prop_map(ModSeq), uids()).prop_map(
            |(account, mailbox, modseq, uids)| Record::Expunge { account, mailbox, modseq, uids }
        ),
    ]
}

fn encode(records: &[Record]) -> Vec<u8> {
    let mut octets = vec![0xEE; records.iter().map(Record::encoded_len).sum()];
    let mut at = 0;
    for record in records {
        at += record.encode(&mut octets[at..]);
    }
    assert_eq!(at, octets.len());
    octets
}

proptest! {
    #[test]
    fn records_come_back_as_they_were_written(records in vec(record(), 0..6)) {
        let octets = encode(&records);
        prop_assert!(octets.len().is_multiple_of(8));
        prop_assert_eq!(decode_records(&octets, records.len() as u32), Ok(records));
    }

    #[test]
    fn rot_is_an_error(records in vec(record(), 1..4), at: prop::sample::Index, bit in 0..8_u32) {
        let mut octets = encode(&records);
        let at = at.index(octets.len());
        octets[at] ^= 1_u8 << bit;
        prop_assert!(decode_records(&octets, records.len() as u32).is_err());
    }

    #[test]
    fn no_octets_make_it_panic(record in record(), at: prop::sample::Index, octets: [u8; 4]) {
        // With the right checksum over wrong octets, so that the fields themselves are tried.
        let mut encoded = encode(&[record]);
        let length = u32::from_le_bytes(encoded[..4].try_into().unwrap()) as usize;
        let kind = u16::from_le_bytes(encoded[4..6].try_into().unwrap());
        let version = u16::from_le_bytes(encoded[6..8].try_into().unwrap());
        let at = 16 + at.index(length);
        for (octet, new) in encoded[at..16 + length].iter_mut().zip(octets) {
            *octet = new;
        }
        let sum = super::encode::checksum(length as u32, kind, version, &encoded[16..16 + length]);
        encoded[8..16].copy_from_slice(&sum.to_le_bytes());
        let _ = decode_records(&encoded, 1);
    }
}

#[test]
fn mailboxes_of_the_first_version_have_no_special_use() {
    let body = b"\x07\0\0\0\0\0\0\0\x63\0\0\0\x04\0anna\x04\0Sent";
    let encoded = |version: u16| {
        let mut octets = (body.len() as u32).to_le_bytes().to_vec();
        octets.extend(5_u16.to_le_bytes());
        octets.extend(version.to_le_bytes());
        octets.extend(super::encode::checksum(body.len() as u32, 5, version, body).to_le_bytes());
        octets.extend(body);
        octets.resize(octets.len().next_multiple_of(8), 0);
        octets
    };
    let created = Record::CreateMailbox {
        account: "anna".into(),
        mailbox: MailboxId(7),
        name: "Sent".into(),
        uid_validity: UidValidity(0x63),
        uses: SpecialUse::default(),
    };
    assert_eq!(decode_records(&encoded(0), 1), Ok(vec![created]));
    assert!(matches!(decode_records(&encoded(1), 1), Err(RecordError::Field(_))));
    let unknown = RecordError::Unknown { kind: 5, version: 2 };
    assert_eq!(decode_records(&encoded(2), 1), Err(unknown));
}

/// With the right checksum over fields that were never written so.
#[test]
fn emailids_are_numbers_that_were_given() {
    let encoded = |record: &Record, at: usize, number: u64| {
        let mut octets = encode(std::slice::from_ref(record));
        let length = u32::from_le_bytes(octets[..4].try_into().unwrap());
        let kind = u16::from_le_bytes(octets[4..6].try_into().unwrap());
        let version = u16::from_le_bytes(octets[6..8].try_into().unwrap());
        octets[16 + at..][..8].copy_from_slice(&number.to_le_bytes());
        let body = &octets[16..16 + length as usize];
        let sum = super::encode::checksum(length, kind, version, body);
        octets[8..16].copy_from_slice(&sum.to_le_bytes());
        decode_records(&octets, 1)
    };
    let message = MessageRecord {
        size: 1,
        date: InternalDate::from_unix(0),
        flags: Flags::default(),
        keywords: KeywordList::default(),
        email: EmailId(9),
        checksum: 1,
        fragments: Vec::new(),
    };
    let references = Record::References { batch: BatchId(1), messages: vec![message] };
    // After the head of the record and the other fields of the message.
    assert_eq!(encoded(&references, 16 + 40, 9), Ok(vec![references.clone()]));
    assert_eq!(encoded(&references, 16 + 40, 0), Err(RecordError::Field("EMAILID")));
    let commit = Record::Commit(Commit {
        batch: BatchId(1),
        account: "anna".into(),
        mailbox: MailboxId(2),
        first_uid: Uid(1),
        first_email: EmailId(5),
        modseq: ModSeq(2),
        save_date: 0,
        messages: 3,
        octets: 3,
    });
    assert_eq!(encoded(&commit, 40, 5), Ok(vec![commit.clone()]));
    assert!(encoded(&commit, 40, u64::MAX - 3).is_ok());
    assert_eq!(encoded(&commit, 40, u64::MAX - 2), Err(RecordError::Field("EMAILIDs")));
}

#[test]
fn the_frame_says_how_many_records_there_are() {
    let octets = encode(&[Record::Cancel { batch: BatchId(1) }]);
    assert_eq!(decode_records(&octets, 2), Err(RecordError::Count { expected: 2, got: 1 }));
    assert_eq!(decode_records(&octets[..20], 1), Err(RecordError::Short));
}

#[test]
fn a_count_larger_than_the_body_takes_no_memory() {
    let mut octets = encode(&[Record::Fragments { batch: BatchId(1), fragments: Vec::new() }]);
    octets[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
    let sum = super::encode::checksum(16, 2, 0, &octets[16..32]);
    octets[8..16].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(decode_records(&octets, 1), Err(RecordError::Field("count")));
}

#[test]
fn as_many_messages_as_fit_and_no_more() {
    let fragment = Fragment { segment: SegmentId(1), offset: 4096, length: 10 };
    let message = MessageRecord {
        size: 10,
        date: InternalDate::from_unix(0),
        flags: Flags::default(),
        keywords: KeywordList::default(),
        email: EmailId::default(),
        checksum: 1,
        fragments: vec![fragment],
    };
    let (messages, batch) = (vec![message; 10], BatchId(1));
    for octets in 0..1000 {
        let count = Record::messages_that_fit(&messages, octets);
        let length = |count: usize| {
            Record::Messages { batch, messages: messages[..count].to_vec() }.encoded_len()
        };
        assert!(count == 0 || length(count) <= octets);
        assert!(count == 10 || length(count + 1) > octets);
        let fragments = vec![fragment; Record::fragments_that_fit(octets)];
        let length = Record::Fragments { batch, fragments: fragments.clone() }.encoded_len();
        assert!(fragments.is_empty() || length <= octets && length + 16 > octets);
    }
}
