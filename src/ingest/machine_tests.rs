//! APPEND as it appears on the wire, cut into slices of all kinds.

use super::machine::{Machine, Step};
use super::refusal::Refusal;
use imap::protocol::response::Code;
use imap::types::Flags;

/// The server's side of a command: what it sent and what it accepted.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    mailbox: String,
    /// Messages with their flags and dates.
    messages: Vec<(Vec<u8>, Flags, Option<String>)>,
    invitations: usize,
    /// `None` if the command was completed.
    refusal: Option<Refusal>,
    /// Octets after the command.
    rest: Vec<u8>,
}

/// A mailbox that does not exist, and a size over the limit.
const BOGUS: &str = "bogusname";
const TOO_BIG: u64 = 35_403;

/// Plays the server for a command that arrives in slices of these lengths, repeated.
fn hear(wire: &[u8], slices: &[usize], utf8: bool) -> Heard {
    let mut machine = Machine::new(utf8);
    let (mut heard, mut current) = (Heard::default(), None);
    let (mut at, mut slice) = (0, slices.iter().cycle());
    loop {
        let end = (at + slice.next().unwrap()).min(wire.len());
        loop {
            let (taken, step) = machine.step(&wire[at..end]);
            let asked = step == Step::More;
            match step {
                Step::Octets(octets) => {
                    assert_eq!(octets, taken);
                    let (message, ..): &mut (Vec<u8>, _, _) = current.as_mut().unwrap();
                    message.extend_from_slice(&wire[at..at + octets]);
                }
                Step::More => assert_eq!(at + taken, end, "more is asked for when all is taken"),
                Step::Continue => heard.invitations += 1,
                Step::Mailbox(name) if name.as_str() == BOGUS => {
                    machine.refuse(Refusal::no(Some(Code::TryCreate), "no such mailbox"));
                }
                Step::Mailbox(name) => heard.mailbox = name.as_str().to_owned(),
                Step::Message(options) if options.literal.size == TOO_BIG => {
                    machine.refuse(Refusal::no(Some(Code::OverQuota), "too much"));
                }
                Step::Message(options) => {
                    let date = options.date.map(|date| date.to_string());
                    current = Some((Vec::new(), options.flags, date));
                    heard.invitations += usize::from(machine.accept());
                }
                Step::MessageEnd => heard.messages.push(current.take().unwrap()),
                Step::Complete => {
                    heard.rest = wire[at + taken..].to_vec();
                    return heard;
                }
                Step::Refused(refusal) => {
                    heard.refusal = Some(refusal);
                    heard.messages.clear();
                    heard.rest = wire[at + taken..].to_vec();
                    return heard;
                }
            }
            at += taken;
            if at == end && asked {
                break;
            }
        }
        assert!(end < wire.len(), "the command did not end");
    }
}

/// Parses the command in one piece, octet by octet, and in odd pieces.
fn hear_all_ways(wire: &[u8]) -> Heard {
    hear_enabled(wire, false)
}

/// As `hear_all_ways`, with or without UTF8=ACCEPT.
fn hear_enabled(wire: &[u8], utf8: bool) -> Heard {
    let whole = hear(wire, &[wire.len()], utf8);
    for slices in [&[1][..], &[2, 3], &[7], &[1, 40, 3]] {
        assert_eq!(hear(wire, slices, utf8), whole, "in slices of {slices:?}");
    }
    whole
}

const FIRST: &str = "Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\n\
    From: Fred Foobar <foobar@Blurdybloop.example.COM>\r\n\
    Subject: afternoon meeting\r\n\
    To: mooch@owatagu.example.net\r\n\
    Message-Id: <B27397-0100000@Blurdybloop.example.COM>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\
    \r\n\
    Hello Joe, do you think we can meet at 3:30 tomorrow?\r\n";

const SECOND: &str = "Date: Mon, 7 Feb 1994 22:43:04 -0800 (PST)\r\n\
    From: Joe Mooch <mooch@OWaTaGu.example.net>\r\n\
    Subject: Re: afternoon meeting\r\n\
    To: foobar@blurdybloop.example.com\r\n\
    Message-Id: <a0434793874930@OWaTaGu.example.net>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\
    \r\n\
    3:30 is fine with me.\r\n";

/// RFC 3502 section 6.3.11, first command. The lengths in the RFC are those of its messages with
/// CRLF line ends.
#[test]
fn the_dialogue_of_rfc_3502_two_messages() {
    let wire = format!(
        "A003 APPEND saved-messages (\\Seen) {{{}}}\r\n{FIRST} (\\Seen) \
         \" 7-Feb-1994 22:43:04 -0800\" {{{}}}\r\n{SECOND}\r\n",
        FIRST.len(),
        SECOND.len()
    );
    assert_eq!((FIRST.len(), SECOND.len()), (329, 295));
    let heard = hear_all_ways(wire.as_bytes());
    assert_eq!(heard.mailbox, "saved-messages");
    assert_eq!((heard.invitations, &heard.refusal), (2, &None));
    let date = Some(" 7-Feb-1994 22:43:04 -0800".to_owned());
    assert_eq!(heard.messages[0], (FIRST.into(), Flags::SEEN, None));
    assert_eq!(heard.messages[1], (SECOND.into(), Flags::SEEN, date));
    assert_eq!(heard.messages.len(), 2);
}

/// RFC 3502 section 6.3.11, second command: no continuation request for a missing mailbox.
#[test]
fn the_dialogue_of_rfc_3502_no_mailbox() {
    let heard = hear_all_ways(b"A004 APPEND bogusname (\\Flagged) {1023}\r\nA005 NOOP\r\n");
    assert_eq!(heard.refusal.unwrap().code, Some(Code::TryCreate));
    assert_eq!((heard.invitations, heard.rest), (0, b"A005 NOOP\r\n".to_vec()));
}

/// RFC 3502 section 6.3.11, third command: over quota at the second message.
#[test]
fn the_dialogue_of_rfc_3502_quota() {
    let message = "Date: Mon, 7 Feb 2000 22:43:04 -0800 (PST)\r\n\
         From: Fred Foobar <fred@example.com>\r\nSubject: hmm...\r\n";
    let wire =
        format!("A005 APPEND test (\\Flagged) {{{}}}\r\n{message} {{35403}}\r\n", message.len());
    let heard = hear_all_ways(wire.as_bytes());
    assert_eq!(heard.refusal.unwrap().code, Some(Code::OverQuota));
    assert_eq!((heard.invitations, heard.messages.len()), (1, 0));
}

#[test]
fn a_refused_command_is_thrown_away_to_its_end() {
    let wire = b"a APPEND bogusname {13+}\r\nb NOOP\r\n{9}\r\n (\\Seen {nonsense {4+}\r\nabcd\
        {0+}\r\n {3+}\r\nx\r\n\r\nc NOOP\r\n";
    let heard = hear_all_ways(wire);
    assert_eq!(heard.refusal.unwrap().code, Some(Code::TryCreate));
    assert_eq!(heard.rest, b"c NOOP\r\n");
}

#[test]
fn a_synchronising_literal_of_a_refused_command_ends_it() {
    let heard = hear_all_ways(b"a APPEND bogusname {3+}\r\nabc {5}\r\nb NOOP\r\n");
    assert_eq!(heard.rest, b"b NOOP\r\n");
    assert_eq!(heard.invitations, 0);
}

#[test]
fn an_empty_message_cancels() {
    for (zero, rest) in [
        ("{0}\r\n", "b NOOP\r\n"),
        ("{0+}\r\n\r\n", "b NOOP\r\n"),
        ("~{0}\r\n", "b NOOP\r\n"),
        ("{0+}\r\n {3+}\r\nabc\r\n", "b NOOP\r\n"),
    ] {
        let wire = format!("a APPEND INBOX {{3+}}\r\nabc {zero}{rest}");
        let heard = hear_all_ways(wire.as_bytes());
        let refusal = heard.refusal.unwrap_or_else(|| panic!("{zero:?} was taken"));
        assert_eq!((refusal.code, refusal.condition), (None, Refusal::no(None, "").condition));
        assert_eq!(heard.rest, rest.as_bytes(), "{zero:?}");
    }
}

#[test]
fn the_mailbox_may_be_a_literal() {
    let heard = hear_all_ways(b"a append {5}\r\ninbox (\\Draft) {3+}\r\nabc\r\n");
    assert_eq!((heard.mailbox.as_str(), heard.invitations), ("INBOX", 1));
    assert_eq!(heard.messages, [(b"abc".to_vec(), Flags::DRAFT, None)]);
}

#[test]
fn bad_flags_and_dates_refuse_all_and_stay_in_step() {
    for options in [
        "(\\Nonsense)",
        "(\\Seen",
        "\"31-Apr-2001 00:00:00 +0000\"",
        "\"yesterday\"",
        "(\\Seen) (\\Seen)",
        "x",
    ] {
        let wire = format!("a APPEND INBOX {{3+}}\r\nabc {options} {{4+}}\r\nwxyz\r\nb NOOP\r\n");
        let heard = hear_all_ways(wire.as_bytes());
        assert!(heard.refusal.is_some(), "{options} was taken");
        assert_eq!(heard.rest, b"b NOOP\r\n", "{options}");
    }
}

#[test]
fn careless_clients_are_understood() {
    let wire =
        b"a aPPend   \"INBOX\"  (\\seen  \\RECENT $Fwd)   {3+}\nabc   (\\Draft)\"7-Feb-1994 \
        22:43:04 -0800\"  ~{2+}\r\n\0\x80  \r\nrest";
    let heard = hear_all_ways(wire);
    assert_eq!(heard.refusal, None);
    assert_eq!(heard.messages[0], (b"abc".to_vec(), Flags::SEEN, None));
    let date = Some(" 7-Feb-1994 22:43:04 -0800".to_owned());
    assert_eq!(heard.messages[1], (b"\0\x80".to_vec(), Flags::DRAFT, date));
    assert_eq!(heard.rest, b"rest");
}

/// RFC 3501 section 4.3: the announcement must be directly before the line end.
#[test]
fn a_carriage_return_too_many_announces_nothing() {
    for line in ["a APPEND INBOX {3+}\r\r\n", "a APPEND INBOX {3+}\r\nabc {3+}\r\r\n"] {
        let heard = hear_all_ways(format!("{line}b NOOP\r\n").as_bytes());
        assert!(heard.refusal.is_some(), "{line}");
        assert_eq!(heard.rest, b"b NOOP\r\n", "{line}");
    }
}

#[test]
fn a_line_without_an_end_takes_no_memory_and_is_refused() {
    let mut wire = b"a APPEND INBOX {3+}\r\nabc ".to_vec();
    wire.extend(std::iter::repeat_n(b'x', 3 * crate::limits::LINE));
    wire.extend_from_slice(b" {4+}\r\nwxyz\r\nb NOOP\r\n");
    let heard = hear(&wire, &[4096], false);
    assert!(heard.refusal.is_some());
    assert_eq!(heard.rest, b"b NOOP\r\n");
}

/// RFC 6855 section 4: the parenthesis after the octets belongs to the command.
#[test]
fn messages_may_come_as_utf8() {
    let wire = b"a APPEND inb&x (\\Seen) UTF8 (~{3+}\r\nabc) {2+}\r\nde \"7-Feb-1994 22:43:04 \
        -0800\" utf8( ~{3}\r\nfgh ) \r\nrest";
    let heard = hear_enabled(wire, true);
    assert_eq!((heard.mailbox.as_str(), heard.invitations, &heard.refusal), ("inb&x", 1, &None));
    let octets: Vec<_> = heard.messages.iter().map(|(octets, ..)| octets.as_slice()).collect();
    assert_eq!(octets, [&b"abc"[..], b"de", b"fgh"]);
    assert_eq!((heard.messages[0].1, heard.rest), (Flags::SEEN, b"rest".to_vec()));
}

#[test]
fn utf8_that_was_not_enabled_or_not_closed_is_refused_in_step() {
    let wire = b"a APPEND INBOX UTF8 (~{3+}\r\nabc)\r\nb NOOP\r\n";
    assert_eq!(hear_enabled(wire, true).refusal, None);
    let heard = hear_enabled(wire, false);
    assert_eq!(heard.refusal.unwrap().code, Some(Code::Cannot));
    assert_eq!(heard.rest, b"b NOOP\r\n");
    for after in ["", " {3+}\r\nabc)", " ( {3+}\r\nabc", "x)"] {
        let wire = format!("a APPEND INBOX UTF8 (~{{3+}}\r\nabc{after}\r\nb NOOP\r\n");
        let heard = hear_enabled(wire.as_bytes(), true);
        assert!(heard.refusal.is_some_and(|refusal| refusal.code.is_none()), "{after}");
        assert_eq!(heard.rest, b"b NOOP\r\n", "{after}");
    }
    let heard = hear_enabled(b"a APPEND INBOX UTF8 (~{3}\r\nb NOOP\r\n", false);
    assert_eq!((heard.invitations, heard.rest), (0, b"b NOOP\r\n".to_vec()));
}
