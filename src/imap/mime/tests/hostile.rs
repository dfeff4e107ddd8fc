//! Messages built to do harm: reading them must end soon, and responses must still be valid IMAP.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::limits::{MIME_DEPTH, MIME_PARTS};
use crate::protocol::SectionText;
use kit::value::{check_body, check_envelope, value};

/// Every response about the message is valid IMAP and refers to ranges within it.
pub fn check(octets: &[u8]) {
    let (message, size) = (Message::parse(octets, true), octets.len() as u64);
    let structure = |extended| {
        written(|out| message.body_structure(extended, out).expect("it is not too long"))
    };
    check_body(&value(&structure(false)), false);
    check_body(&value(&structure(true)), true);
    for part in &message.parts {
        assert!(part.header.start <= part.header.end && part.header.end <= part.body.start);
        assert!(part.body.start <= part.body.end && part.body.end <= size, "{part:?}");
    }
    for numbers in [&[][..], &[1], &[2], &[1, 1], &[1, 2, 1], &[u32::MAX], &[0]] {
        let _ = message.binary(numbers);
        for text in [None, Some(SectionText::Mime), Some(SectionText::Header)] {
            if let Some(range) = message.section(numbers, text.as_ref()) {
                assert!(range.start <= range.end && range.end <= size);
            }
        }
    }
    check_envelope(&value(&written(|out| envelope(octets, out).expect("it is not too long"))));
}

/// On a busy machine a test takes seconds; quadratic time would take hours.
fn soon(octets: &[u8]) -> Vec<u8> {
    let start = Instant::now();
    let message = Message::parse(octets, false);
    let structure = written(|out| {
        let _ = message.body_structure(true, out);
    });
    written(|out| {
        let _ = envelope(octets, out);
    });
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert!(message.parts.len() <= MIME_PARTS);
    structure
}

#[test]
fn nesting_has_an_end() {
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    let structure = soon(messages.as_bytes());
    let depth = String::from_utf8(structure).unwrap().matches("\"rfc822\"").count();
    assert_eq!(depth, MIME_DEPTH - 1);
    let multiparts: String = (0..50_000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}_\n\n--b{n}_\n"))
        .collect();
    let structure = String::from_utf8(soon(multiparts.as_bytes())).unwrap();
    assert_eq!(structure.matches("\"mixed\"").count(), MIME_DEPTH - 1);
    assert!(structure.contains("(\"application\" \"octet-stream\" (\"boundary\" \"b99_\")"));
}

#[test]
fn parts_have_an_end() {
    let start = "Content-Type: multipart/mixed; boundary=x\n\n";
    let parts = format!("{start}{}", "--x\n\na\n".repeat(1_000_000));
    let structure = String::from_utf8(soon(parts.as_bytes())).unwrap();
    assert_eq!(structure.matches("\"plain\"").count(), MIME_PARTS - 1);
    let unfound = "--x\nContent-Type: multipart/mixed; boundary=zz\n\na\n".repeat(200_000);
    soon(format!("{start}{unfound}").as_bytes());
    soon(format!("{start}{}", "--\n--y\n".repeat(1_000_000)).as_bytes());
}

#[test]
fn long_headers_are_read_once() {
    for unit in ["a@b,", "(", "\"", "a ", "<", "a:", "a:;,", "@,", ",", "\\", ".", "=?", "<@a,"] {
        for name in ["To", "Content-Type: a/b;", "Content-Language", "Content-Disposition"] {
            let header = format!("Mime-Version: 1.0\r\n{name}: {}\r\n\r\n", unit.repeat(300_000));
            soon(header.as_bytes());
        }
    }
    let many = |unit: &str| (0..100_000).map(|n| unit.replace('#', &n.to_string())).collect();
    let parameters: String = many("; a#*0=b; a*#*=c;");
    soon(format!("Content-Type: text/plain{parameters}\r\n\r\n").as_bytes());
    let fields: String = many("To: a#@b\nContent-Type: a\n b\nx");
    soon(fields.as_bytes());
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: &[&str] = &[
        "Content-Type: multipart/mixed; boundary=x\r\n",
        "Content-Type: multipart/digest; boundary=\"x y\"\n",
        "Content-Type: message/rfc822\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        "Content-Disposition: attachment; filename*0*=a%20; filename*1=b\r\n",
        "Mime-Version: 1.0\r\n",
        "From: \"a\" <b@c>, d: e (f);, <@g:h@i>\r\n",
        "Subject: =?utf-8?q?a?=\r\n b\r\n",
        "--x\r\n",
        "--x--\r\n",
        "--x y\n",
        "\r\n",
        "\n",
        "--",
        "x",
        "; a=",
        "(",
        "\"",
        "\0",
        "\\",
    ];
    prop_oneof![
        8 => prop::sample::select(known).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #[test]
    fn any_octets_are_a_message(pieces in prop::collection::vec(piece(), 0..40)) {
        check(&pieces.concat());
    }
}

/// Corrupts each message in the folder MAILRACE_CORPUS in many ways.
#[test]
#[ignore = "needs a corpus, takes minutes"]
fn mutations_are_messages() {
    let folder = std::env::var("MAILRACE_CORPUS").expect("MAILRACE_CORPUS names a folder");
    let mut random = kit::Random::seeded();
    let mut next = move |below: usize| random.below(below);
    let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read(entry.unwrap().path());
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| read(e).unwrap()).collect();
    for round in 0..100_000 {
        let file = &files[round % files.len()];
        let start = if round % 3 == 0 { next(file.len()) } else { 0 };
        let mut octets = file[start..file.len().min(start + 16_384)].to_vec();
        for _ in 0..=next(8) {
            let (at, to) = (next(octets.len()), next(octets.len()));
            match next(5) {
                0 => octets.insert(at, b"\0\r\n:;\"(<@-="[next(11)]),
                1 => drop(octets.drain(at.min(to)..at.max(to).min(at.min(to) + 40))),
                2 if !octets.is_empty() => octets[at] = next(256) as u8,
                3 => octets.truncate(at.max(1)),
                _ => {
                    let copied = octets[at.min(to)..octets.len().min(at.min(to) + 60)].to_vec();
                    octets.splice(to..to, copied);
                }
            }
        }
        check(&octets);
    }
}
