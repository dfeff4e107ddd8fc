//! Hostile input: any octets get an answer, and nothing panics.

use bytes::BytesMut;
use proptest::prelude::*;

use super::response::{self, Condition};
use super::{
    Command, Discard, Framer, HeaderScanner, Limits, Literal, MailboxName, Next, Pattern, Scan,
    SequenceSet, decode_sasl, is_append, line, parse, parse_append_head, parse_append_options,
};

/// Valid commands, to be corrupted.
const COMMANDS: &[&[u8]] = &[
    b"a1 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\r\n",
    b"a2 AUTHENTICATE PLAIN AHRlc3QAdGVzdA==\r\n",
    b"a3 ID (\"name\" \"mbsync\" \"version\" NIL)\r\n",
    b"a4 ENABLE CONDSTORE UTF8=ACCEPT\r\n",
    b"a5 LIST \"\" \"Entw&APw-rfe/%\"\r\n",
    b"a6 STATUS \"&Jjo-!\" (MESSAGES UIDNEXT SIZE HIGHESTMODSEQ)\r\n",
    b"a7 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211 (1,3 2:4)))\r\n",
    b"a8 UID FETCH 1:*,7,9:3 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (\"a\" b)]<0.10>) (A 5)\r\n",
    b"a9 STORE 2:4 (UNCHANGEDSINCE 7) +FLAGS.SILENT (\\Deleted $Junk)\r\n",
    b"b1 SEARCH CHARSET UTF-8 OR SUBJECT {4+}\r\nabcd UNSEEN\r\n",
    b"b2 CREATE \"a b/\" (USE (\\Drafts))\r\n",
    b"b3 APPEND saved-messages (\\Seen Work) \" 7-Feb-1994 22:43:04 -0800\" {310}\r\n",
    b"b5 UID SEARCH RETURN (MIN PARTIAL -1:-9) OR (NOT 1:*,$ LARGER 5) (SINCE \"1-Feb-1994\" \
        KEYWORD a) MODSEQ \"/flags/\\\\x\" all 7 NOT OR UNSEEN OLDER 3\r\n",
    b"b6 SORT RETURN (COUNT SAVE) (REVERSE DATE DISPLAYTO) UTF-8 HEADER a {2+}\r\nbc UID $\r\n",
    b"b7 THREAD REFS \"utf-8\" ((SAVEDON 01-jan-2020) EMAILID x)\r\n",
    b"b8 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a/% {1}\r\n*) RETURN (STATUS (SIZE) CHILDREN)\r\n",
    b"b9 UID FETCH 1:9 (PREVIEW (LAZY) EMAILID) (CHANGEDSINCE 5 VANISHED PARTIAL 2:3)\r\n",
    b"c1 APPEND x (\\Seen) UTF8 (~{310}\r\n",
    b"c3 GETMETADATA (MAXSIZE 1024 DEPTH infinity) \"a b\" (/private/specialuse \"/shared/x\")\r\n",
    b"c4 SETMETADATA S (/private/specialuse \"\\\\Sent\" /shared/x NIL /shared/y ~{2+}\r\n\0a)\r\n",
    b"c2 CANCELUPDATE \"a\" b\r\n",
    b"b4 UID MOVE 4294967295:* \"Trash\"\r\n",
];

fn command() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(COMMANDS).prop_map(<[u8]>::to_vec)
}

/// A valid command with a few octets replaced, inserted or removed.
fn spoilt() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![
        any::<u8>(),
        prop::sample::select(b" (){}[]<>\"\\*%&~+-.:,0159\r\n\0\x7f\xff".as_slice()),
    ];
    let edits = prop::collection::vec((0..3, any::<prop::sample::Index>(), octet), 1..6);
    (command(), edits).prop_map(|(mut command, edits)| {
        for (kind, at, octet) in edits {
            let at = at.index(command.len());
            match kind {
                0 => command[at] = octet,
                1 => command.insert(at, octet),
                _ if command.len() > 1 => drop(command.remove(at)),
                _ => {}
            }
        }
        command
    })
}

/// Runs every parser of client input.
fn read_by_all(octets: &[u8]) {
    let parsed = parse(octets, octets.len().is_multiple_of(2));
    if let Err(error) = &parsed {
        assert!(error.at <= octets.len());
    }
    if let Ok(Command::Fetch(fetch)) = parsed.map(|tagged| tagged.command) {
        assert!(!fetch.items.is_empty());
    }
    let _ =
        (is_append(octets), parse_append_head(octets, false), decode_sasl(octets), line(octets));
    if let Ok(Next::Message(options)) = parse_append_options(octets) {
        assert_eq!(Literal::at_end(octets).map(|(l, _)| l), Some(options.literal));
    }
    if let Ok(set) = SequenceSet::parse(octets) {
        assert!(set.resolve(7).iter().all(|(first, last)| 0 < first && first <= last));
    }
    for utf8 in [false, true] {
        if let Ok(name) = MailboxName::from_wire(octets, utf8) {
            let wire = if utf8 { name.as_str().to_owned() } else { name.to_wire() };
            assert_eq!(MailboxName::from_wire(wire.as_bytes(), utf8), Ok(name));
        }
        if let Ok(pattern) = Pattern::new(octets, octets, utf8) {
            let _ = pattern.matches(&MailboxName::inbox());
        }
    }
}

/// Where the command ends if every literal is accepted.
fn framed(framer: &mut Framer, octets: &[u8]) -> Scan {
    loop {
        match framer.scan(octets) {
            Scan::Literal { fits: true, .. } => {}
            other => return other,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_octets(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        read_by_all(&octets);
    }

    #[test]
    fn spoilt_commands(octets in spoilt()) {
        read_by_all(&octets);
        read_by_all(octets.split(|&o| o == b' ').nth(2).unwrap_or_default());
    }

    #[test]
    fn frames_do_not_depend_on_cuts(octets in spoilt(), cut in any::<prop::sample::Index>()) {
        let limits = Limits { line: 120, literals: 50 };
        let whole = framed(&mut Framer::new(limits), &octets);
        let mut framer = Framer::new(limits);
        let first = framed(&mut framer, &octets[..cut.index(octets.len())]);
        if first == Scan::NeedMore {
            prop_assert_eq!(framed(&mut framer, &octets), whole);
        } else {
            prop_assert_eq!(first, whole);
        }
    }

    #[test]
    fn discard_ends_where_the_framer_would(
        octets in spoilt(), cut in any::<prop::sample::Index>(),
    ) {
        let octets = [&octets[..], b"\r\n"].concat();
        let mut framer = Framer::new(Limits { line: usize::MAX - 1, literals: usize::MAX / 2 });
        let end = loop {
            match framer.scan(&octets) {
                Scan::Literal { literal, at, .. } if literal.synchronising => break Some(at),
                Scan::Literal { fits: true, .. } => {}
                Scan::Command { length } => break Some(length),
                _ => break None,
            }
        };
        let mut discard = Discard::line();
        let (first, second) = octets.split_at(cut.index(octets.len()));
        let discarded = match discard.feed(first) {
            Some(end) => Some(end),
            None => discard.feed(second).map(|end| end + first.len()),
        };
        prop_assert_eq!(discarded, end);
    }

    #[test]
    fn the_end_of_a_header_does_not_depend_on_cuts(
        message in "[\r\na]{0,12}", cut in any::<prop::sample::Index>(),
    ) {
        let message = message.as_bytes();
        let lines = message.split_inclusive(|&o| o == b'\n');
        let mut length = 0;
        for line in lines {
            length += line.len() as u64;
            if matches!(line, b"\n" | b"\r\n" | b"\r\r\n") {
                break;
            }
        }
        let mut scanner = HeaderScanner::new();
        let cut = if message.is_empty() { 0 } else { cut.index(message.len()) };
        scanner.feed(&message[..cut]);
        scanner.feed(&message[cut..]);
        prop_assert_eq!(scanner.finish(), length);
    }

    #[test]
    fn answers_are_one_line(text in "\\PC*|[\r\n\\[\\]]*") {
        let mut out = BytesMut::new();
        response::untagged(&mut out, Condition::No, None, &text);
        prop_assert_eq!(line(&out).map(|l| l.length), Some(out.len()));
        prop_assert!(out.len() < 250 && out.is_ascii());
    }

    #[test]
    fn strings_come_back(octets in prop::collection::vec(1..=255u8, 0..40)) {
        for write in [response::string, response::string_utf8, response::astring] {
            let mut out = BytesMut::from("a LOGIN x ");
            write(&mut out, &octets);
            out.extend_from_slice(b"\n");
            let command = parse(&out, false).map(|tagged| tagged.command);
            let came_back = matches!(command, Ok(Command::Login { password, .. })
                if password.0 == octets);
            prop_assert!(came_back);
        }
    }
}
