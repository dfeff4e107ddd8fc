//! Records against the headers they were made from.

use proptest::prelude::*;

use super::*;
use crate::mime::tests::corpus;
use crate::mime::thread::{Message, Threader};
use crate::mime::{SentDate, Sorter, short_header};
use crate::protocol::ThreadAlgorithm::{OrderedSubject, References, Refs};
use crate::protocol::{SortCriterion, SortKey};

/// The columns of a message.
struct Columns {
    dates: Vec<u8>,
    /// `None`: too long a subject.
    keys: Option<Vec<u8>>,
    threads: Vec<u8>,
}

impl Columns {
    fn of(header: &[u8]) -> Columns {
        let mut short = Vec::new();
        short_header(header, &mut short);
        let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            encode(&mut out);
            out
        };
        let dates = encoded(&|out| Dates::of_header(&short).encode(out));
        let threads = encoded(&|out| Threads::of_header(header).encode(out));
        let keys = Keys::of_header(&short).map(|keys| encoded(&|out| keys.encode(out)));
        assert_eq!(Keys::of_header(&short), Keys::of_header(header));
        Columns { dates, keys, threads }
    }

    fn keys(&self) -> Option<Keys<'_>> {
        self.keys.as_ref().map(|keys| Keys::decode(keys).expect("a record"))
    }
}

const KEYS: [SortKey; 9] = [
    SortKey::Arrival,
    SortKey::Cc,
    SortKey::Date,
    SortKey::DisplayFrom,
    SortKey::DisplayTo,
    SortKey::From,
    SortKey::Size,
    SortKey::Subject,
    SortKey::To,
];

/// Adding records is the same as adding headers.
fn check(headers: &[Vec<u8>]) {
    let columns: Vec<Columns> = headers.iter().map(|header| Columns::of(header)).collect();
    let messages = || (1_u32..).zip(headers.iter().zip(&columns));
    for key in KEYS {
        let criteria = [SortCriterion { key, reverse: false }];
        let (mut by_header, mut by_facts) = (Sorter::new(&criteria), Sorter::new(&criteria));
        let needs_header = by_header.needs_header();
        assert_eq!(by_header.needs_dates() || by_header.needs_keys(), needs_header);
        for (number, (header, columns)) in messages() {
            let arrival = i64::from(number % 7);
            let mut dates = Dates::default();
            if by_facts.needs_dates() {
                dates = Dates::decode(&columns.dates).unwrap();
            }
            let mut keys = Some(Keys::default());
            if by_facts.needs_keys() {
                keys = columns.keys();
            }
            by_header.add(number, arrival, 3, header);
            match keys {
                Some(keys) => by_facts.add_facts(number, arrival, 3, dates, &keys),
                None => by_facts.add(number, arrival, 3, header),
            }
        }
        assert!(by_header.order() == by_facts.order(), "{key:?}");
        assert!(format!("{by_header:?}") == format!("{by_facts:?}"), "{key:?}");
    }
    for algorithm in [OrderedSubject, References, Refs] {
        let (mut by_header, mut by_facts) = (Threader::new(algorithm), Threader::new(algorithm));
        for (number, (header, columns)) in messages() {
            let arrival = i64::from(number % 7);
            let message = Message::of_header(number, header, arrival);
            let dates = Dates::decode(&columns.dates).unwrap();
            let threads = Threads::decode(&columns.threads).unwrap();
            let kept = match columns.keys() {
                Some(keys) => Message::of_facts(number, arrival, dates, &keys, threads),
                None => message.clone(),
            };
            assert_eq!(message, kept);
            by_header.add(&message);
            by_facts.add(&kept);
        }
        assert!(by_header.finish() == by_facts.finish(), "{algorithm:?}");
    }
}

#[test]
fn the_corpus_by_records() {
    check(&corpus());
}

#[test]
fn records_are_stable() {
    let header = b"Date: Sun, 31 Dec 2000 16:01:33 -0800\r\nSubject: Re: caf\xc3\xa9\r\n\
        From: Joe B. <joe@x>\r\nTo: a, b@y\r\nMessage-ID: <a@b>\r\nReferences: <c@d> <e@f>\r\n\r\n";
    let columns = Columns::of(header);
    assert_eq!(columns.dates.escape_ascii().to_string(), "\\x04\\xba\\xa3\\xfe\\xa4\\x07");
    assert_eq!(
        columns.keys.unwrap().escape_ascii().to_string(),
        "\\x05\\x03JOE\\x06JOE B.\\x01A\\x00\\x06CAFE\\xcc\\x81"
    );
    assert_eq!(columns.threads.len(), 1 + 3 * 16);
    assert_eq!(columns.threads[..4].escape_ascii().to_string(), "\\x01:x\\xe3");
    let none = Columns::of(b"\r\n");
    assert_eq!((none.dates, none.keys.unwrap().len(), none.threads), (vec![], 5, vec![]));
}

#[test]
fn a_subject_longer_than_sort_compares_is_not_kept() {
    let header = |length: usize| format!("Subject: {}\r\n\r\n", "é".repeat(length)).into_bytes();
    // Each becomes three octets: E and an accent.
    assert!(Keys::of_header(&header(333)).is_some());
    assert_eq!(Keys::of_header(&header(334)), None);
    let to = format!("To: {}@x\r\n\r\n", "a".repeat(2000)).into_bytes();
    check(&[header(333), header(334), header(335), to]);
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&str] = &[
        "\r\nDate: 1 Jan 1970 00:00:0",
        "0 +1234",
        "0 -9999",
        "1 +9999",
        "\r\nSubject: ",
        "Re: ",
        "a",
        "é",
        "(fwd)",
        "\r\nFrom: ",
        "\r\nTo: ",
        "\r\nCc: ",
        "b@x",
        " <c@y>",
        "\"d\" ",
        ", ",
        "g: ",
        ";",
        "\r\nMessage-ID: ",
        "\r\nReferences: ",
        "\r\nIn-Reply-To: ",
        "<e@f>",
        "<g@h>",
        "<i@j>",
        "\r\n ",
        "=?utf-8?q?=C3=A9?=",
        "\0",
        "(",
        "\r\nDate: 31 Dec 9999",
        "\r\nX: y",
    ];
    prop_oneof![
        12 => prop::sample::select(pieces).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    let start = Just(b"X: y".to_vec());
    (start, prop::collection::vec(piece(), 0..20)).prop_map(|(x, rest)| [x, rest.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn records_answer_as_headers(headers in prop::collection::vec(header(), 0..12)) {
        check(&headers);
    }

    #[test]
    fn any_date_comes_back(instant in any::<i32>(), zone in -99_i64 * 3600..99 * 3600) {
        let instant = i64::from(instant) * 100;
        let day = (instant + zone).div_euclid(86_400) as i32;
        let (dates, mut octets) = (Dates(Some(SentDate { day, instant })), Vec::new());
        dates.encode(&mut octets);
        prop_assert_eq!(Dates::decode(&octets), Some(dates));
    }

    /// Whatever is read is written the same: no two records mean the same.
    #[test]
    fn any_octets_are_a_record_or_not(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        for flags in 0..=u8::MAX {
            let octets = [&[flags][..], &octets].concat();
            let mut again = Vec::new();
            if let Some(dates) = Dates::decode(&octets) {
                dates.encode(&mut again);
                prop_assert_eq!(&again, &octets);
            }
            again.clear();
            if let Some(threads) = Threads::decode(&octets) {
                threads.encode(&mut again);
                prop_assert_eq!(&again, &octets);
            }
            let _ = Keys::decode(&octets).map(|keys| keys.encode(&mut again));
        }
    }

    #[test]
    fn records_cut_off_are_none(header in header(), cut in any::<prop::sample::Index>()) {
        let columns = Columns::of(&header);
        if let Some(keys) = columns.keys {
            prop_assert_eq!(Keys::decode(&keys[..cut.index(keys.len())]), None);
            let longer = [&keys[..], b"x"].concat();
            prop_assert_eq!(Keys::decode(&longer), None);
        }
        if columns.dates.len() > 1 {
            let short = 1 + cut.index(columns.dates.len() - 1);
            prop_assert_eq!(Dates::decode(&columns.dates[..short]), None);
        }
    }
}
