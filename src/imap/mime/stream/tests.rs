//! Any division into pieces gives the same results as the whole message.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::mime::{Message, Needle, envelope, header_length, preview};

fn outline(message: &[u8], length: usize, global: bool) -> Outline {
    let mut outliner = Outliner::new(global, true, true);
    let pieces: Vec<&[u8]> = message.chunks(length).collect();
    for (at, piece) in pieces.iter().enumerate() {
        outliner.feed(piece, at + 1 == pieces.len()).expect("it is short");
    }
    if message.is_empty() {
        outliner.feed(b"", true).expect("it is empty");
    }
    outliner.finish()
}

fn structure(message: &Message) -> BytesMut {
    let mut out = BytesMut::new();
    message.body_structure(true, &mut out).expect("it is short");
    out
}

fn check_outline(message: &[u8], length: usize) {
    let whole = Message::parse(message, true);
    let outline = outline(message, length, true);
    let shown = message.escape_ascii();
    assert_eq!(format!("{:?}", outline.message.parts), format!("{:?}", whole.parts), "{shown}");
    assert_eq!(structure(&outline.message), structure(&whole), "{shown}");
    assert_eq!(outline.header, header_length(message) as u64);
    assert_eq!(outline.preview, preview(message), "{shown}");
    let (mut ours, mut theirs) = (BytesMut::new(), BytesMut::new());
    envelope(&outline.fields, &mut ours).expect("it is short");
    envelope(message, &mut theirs).expect("it is short");
    assert_eq!(ours, theirs, "{shown}");
}

fn check_search(message: &[u8], needles: &[&str], length: usize) {
    let needles: Vec<_> =
        needles.iter().map(|n| Needle::new(n.as_bytes(), "UTF-8").unwrap()).collect();
    let keys = needles.iter().flat_map(|needle| [(needle.clone(), false), (needle.clone(), true)]);
    let mut search = TextSearch::new(keys);
    let pieces: Vec<&[u8]> = message.chunks(length).collect();
    for (at, piece) in pieces.iter().enumerate() {
        if search.feed(piece, at + 1 == pieces.len()).expect("it is short") {
            break;
        }
    }
    if message.is_empty() {
        search.feed(b"", true).expect("it is empty");
    }
    let found: Vec<bool> = search.found().collect();
    for (needle, found) in needles.iter().zip(found.chunks(2)) {
        let expected = [needle.in_body(message), needle.in_text(message)];
        assert_eq!(found, expected, "{needle:?} in {}", message.escape_ascii());
    }
}

/// Messages built from relevant pieces in any order.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"Subject: ",
        b"From: a@b",
        b"Content-Type: text/plain; charset=utf-8\r\n",
        b"Content-Type: text/html; charset=iso-2022-jp\n",
        b"Content-Type: text/plain; charset=utf-7\n",
        b"Content-Type: text/plain\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: multipart/digest; boundary=bc\r\n",
        b"Content-Type: multipart/mixed\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: message/global\n",
        b"Content-Type: image/png;\r\n name*=utf-8''%C3%A9\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"\r\n",
        b"\n",
        b"\r\r\n",
        b"\r\n ",
        b"\r\n\r\n",
        b"\n\n",
        b"\n--b\n",
        b"\r\n--b\r\n",
        b"--b\r\n",
        b"\r\n--bc\r\n",
        b"\r\n--b--\r\n",
        b"\r\n--bc--\r\n",
        b"--",
        b"ab",
        b"a b",
        b" ",
        b"\xe9",
        b"\xc3\xa9",
        b"e\xcc\x81",
        b"=E9",
        b"=C3=A9",
        b"=\r\n",
        b"=?utf-8?q?a_=C3=A9?=",
        b"YWIgYWI=",
        b"YWIgYWIgYWIgYWIg\r\n",
        b"\x1b$B$\"\x1b(B",
        b"\x1b",
        b"+AOk-",
        b"\r",
        b"\0",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..24).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn cuts_do_not_change_the_outline(message in message(), length in 1_usize..40) {
        check_outline(&message, length);
    }

    #[test]
    fn cuts_do_not_change_the_search(
        message in message(),
        needles in prop::collection::vec("(a|B|b|é|É|e| |\r\n|あ|=|:|ab|m){0,3}", 1..4),
        length in 1_usize..40,
    ) {
        let needles: Vec<&str> = needles.iter().map(String::as_str).collect();
        check_search(&message, &needles, length);
    }
}

/// A long text with a word at every offset near the steps of decoding and searching.
#[test]
fn words_are_found_across_steps() {
    for charset in ["utf-8", "us-ascii", "iso-8859-1"] {
        for before in [16_370, 16_384, 65_530, 65_536, 131_070] {
            for more in 0..14 {
                let head = format!("Content-Type: text/plain; charset={charset}\r\n\r\n");
                let mut message = head.into_bytes();
                message.resize(message.len() + before + more, b'x');
                message.extend("Ünïcode Needle".bytes());
                let needles = ["needle", "ünïcode needle", "needles"];
                check_search(&message, &needles, 10_007);
            }
        }
    }
}

/// A part of any size takes little memory.
#[test]
fn memory_is_bounded() {
    let piece = [&b"0123456789abcdef".repeat(4)[..], b"\r\n"].concat().repeat(1000);
    let start = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx";
    let (mut outliner, mut size) = (Outliner::new(false, true, true), start.len());
    let mut search = TextSearch::new([(Needle::new(b"needle", "UTF-8").unwrap(), true)]);
    outliner.feed(start, false).unwrap();
    search.feed(start, false).unwrap();
    for _ in 0..1000 {
        outliner.feed(&piece, false).unwrap();
        assert!(!search.feed(&piece, false).unwrap());
        assert!(outliner.memory() < 4 * piece.len() && search.memory() < 8 * piece.len());
        size += piece.len();
    }
    let end = b"\r\n--b\r\n\r\nneedle";
    outliner.feed(end, true).unwrap();
    assert!(search.feed(end, true).unwrap() && search.found().all(|found| found));
    let outline = outliner.finish();
    let part = |number| outline.message.section(&[number], None);
    assert_eq!(part(1), Some(52..size as u64));
    assert_eq!(part(2), Some(size as u64 + 9..size as u64 + 15));
    // An endless field is refused.
    let mut outliner = Outliner::new(false, true, false);
    let endless = vec![b'x'; 1 << 20];
    assert_eq!((0..40).try_for_each(|_| outliner.feed(&endless, false)), Err(TooLong));
}
