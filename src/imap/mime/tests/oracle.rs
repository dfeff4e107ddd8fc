//! Compares our responses with Dovecot's, and measures ours. MAILRACE_ORACLE names a file with
//! lines of a key, a blank and a value. `M` begins a message and names it, `raw` is its octets;
//! other keys are FETCH items. Values are base64 after `=`, or `-` for NIL.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::protocol::{Command, FetchItem, parse};
use kit::value::value;

struct Case {
    name: String,
    raw: Vec<u8>,
    answers: Vec<(String, Option<Vec<u8>>)>,
}

fn cases(path: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let (key, text) = line.split_once(' ').unwrap();
        let octets = text.strip_prefix('=').map(|text| STANDARD.decode(text).unwrap());
        match (key, cases.last_mut()) {
            ("M", _) => {
                cases.push(Case { name: text.into(), raw: Vec::new(), answers: Vec::new() });
            }
            ("raw", Some(case)) => case.raw = with_crlf(&octets.unwrap()),
            (_, Some(case)) => case.answers.push((key.into(), octets)),
            _ => panic!("{line}"),
        }
    }
    cases
}

/// Prints to the person who runs this test.
fn say(text: std::fmt::Arguments) {
    writeln!(std::io::stderr(), "{text}").unwrap();
}

/// As Dovecot sends it: every line ends with CRLF.
fn with_crlf(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for (at, &octet) in raw.iter().enumerate() {
        if octet == b'\n' && (at == 0 || raw[at - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(octet);
    }
    out
}

/// Our response to a FETCH item; `None` if there is none.
fn ours(case: &Case, message: &Message, key: &str) -> Option<Vec<u8>> {
    let nul = |octets: &[u8]| octets.iter().map(|&o| if o == 0 { 0x80 } else { o }).collect();
    match key {
        "ENVELOPE" => Some(written(|out| envelope(&case.raw, out).unwrap())),
        "BODY" => Some(written(|out| message.body_structure(false, out).unwrap())),
        "BODYSTRUCTURE" => Some(written(|out| message.body_structure(true, out).unwrap())),
        _ => {
            let line = format!("a FETCH 1 {}", key.replace("BODY[", "BODY.PEEK["));
            let Command::Fetch(fetch) = parse(line.as_bytes(), false).ok()?.command else {
                return None;
            };
            match &fetch.items[0] {
                FetchItem::Section(asked) => {
                    let range = message.section(&asked.section.part, asked.section.text.as_ref());
                    Some(nul(slice(&case.raw, range.unwrap_or(0..0))))
                }
                FetchItem::Binary(asked) => {
                    message.binary(&asked.part).ok().map(std::borrow::Cow::into_owned)
                }
                _ => None,
            }
        }
    }
}

#[test]
#[ignore = "needs a file of Dovecot's answers"]
fn answers_are_those_of_dovecot() {
    let path = std::env::var("MAILRACE_ORACLE").expect("MAILRACE_ORACLE names a file");
    let show: usize = std::env::var("MAILRACE_SHOW").map_or(20, |n| n.parse().unwrap());
    let mut counts: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    let mut shown = 0;
    for case in cases(&path) {
        let message = Message::parse(&case.raw, false);
        let source = case.name.split('/').next().unwrap().to_string();
        let mut all = true;
        for (key, theirs) in &case.answers {
            let Some(ours) = ours(&case, &message, key) else { continue };
            let theirs = theirs.clone().unwrap_or_default();
            let text = key.ends_with(']');
            let readable = |octets: &[u8]| std::panic::catch_unwind(|| value(octets)).is_ok();
            if !text && !readable(&theirs) {
                say(format_args!("{} {key}: theirs is no IMAP", case.name));
                continue;
            }
            assert!(text || readable(&ours), "{} {key}: {}", case.name, ours.escape_ascii());
            let same = if text { ours == theirs } else { value(&ours) == value(&theirs) };
            let kind = key.split(['[', ']']).next().unwrap();
            let kind = match text {
                // Dovecot reads part 1 of a part as the part itself, and decodes inside multiparts.
                true if ours.is_empty() && !same => format!("{kind}[] of no part"),
                true if kind == "BINARY" && ours.windows(13).any(|w| w == b"Content-Trans") => {
                    "multipart".into()
                }
                true => format!("{kind}[]"),
                false => kind.into(),
            };
            let count = counts.entry((source.clone(), kind.clone())).or_default();
            *if same { &mut count.0 } else { &mut count.1 } += 1;
            // For the plainest messages Dovecot stores only that they are plain.
            let plain = b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" ";
            let same = same || theirs.starts_with(plain) && ours.eq_ignore_ascii_case(&theirs);
            let same = same || kind == "multipart" || kind.ends_with("no part");
            all &= same;
            if !same && shown < show {
                shown += 1;
                let cut = |octets: &[u8]| {
                    let at = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
                    let end = octets.len().min(at + 200);
                    octets[at.saturating_sub(60).min(end)..end].escape_ascii().to_string()
                };
                say(format_args!(
                    "{} {key}\n  ours   {}\n  theirs {}",
                    case.name,
                    cut(&ours),
                    cut(&theirs)
                ));
            }
        }
        let count = counts.entry((source, "message".into())).or_default();
        *if all { &mut count.0 } else { &mut count.1 } += 1;
    }
    say(format_args!("(source, item): (same, not the same)\n{counts:#?}"));
    for ((source, item), (same, not)) in &counts {
        assert!(item != "message" || *not <= same / 20, "{source}: {not} of {}", same + not);
    }
}

fn slice(octets: &[u8], range: std::ops::Range<u64>) -> &[u8] {
    &octets[range.start as usize..range.end as usize]
}

#[test]
#[ignore = "measures"]
fn messages_per_second() {
    let path = std::env::var("MAILRACE_ORACLE").expect("MAILRACE_ORACLE names a file");
    let cases = cases(&path);
    let mut out = BytesMut::new();
    for (what, run) in [
        (
            "parse",
            (|case, _| drop(black_box(Message::parse(&case.raw, false)))) as fn(&Case, &mut _),
        ),
        ("parse, BODYSTRUCTURE", |case, out| {
            Message::parse(&case.raw, false).body_structure(true, out).unwrap();
        }),
        ("ENVELOPE", |case, out| envelope(&case.raw, out).unwrap()),
    ] {
        let start = Instant::now();
        for _ in 0..5 {
            for case in cases.iter().filter(|case| case.name.starts_with("mbox")) {
                out.clear();
                run(case, &mut out);
            }
        }
        say(format_args!("{what}: {:?} per message", start.elapsed() / 5 / 2065));
    }
}
