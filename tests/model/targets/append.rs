//! APPEND in slices: replies, stored messages and refusals do not depend on how octets arrive.
//!
//! Input: an octet of flags, a seed of slices, then the command and what follows it.

use imap::protocol::response::Code;
use mailrace::ingest::{Machine, Refusal, Step};

use super::framing::announced;
use super::input::{Input, slices};

/// A message above the limit.
const TOO_BIG: u64 = 3000;

/// The outcome of a command: what the server said, and what it stored.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    tag: Option<String>,
    mailbox: Option<String>,
    /// Messages with their options.
    messages: Vec<(Vec<u8>, String)>,
    invitations: usize,
    /// Length of the command, if it ended.
    end: Option<usize>,
    refusal: Option<Refusal>,
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, seed) = (input.u8(), input.u8());
    let wire = input.rest();
    if wire.is_empty() {
        return;
    }
    let whole = hear(wire, 0, flags);
    let sliced = hear(wire, seed, flags);
    assert_eq!(sliced, whole, "{}", wire.escape_ascii());
    match whole.end {
        Some(end) => ended(&whole, &wire[..end]),
        None => assert!(whole.refusal.is_none()),
    }
}

/// Plays the server for one command.
fn hear(wire: &[u8], seed: u8, flags: u8) -> Heard {
    let mut machine = Machine::new(flags & 1 == 1);
    let mut heard = Heard::default();
    let mut current: Option<(Vec<u8>, String)> = None;
    let mut before = 0;
    for slice in slices(wire, seed) {
        let mut at = 0;
        loop {
            let left = machine.literal_left();
            let (taken, step) = machine.step(&slice[at..]);
            assert!(at + taken <= slice.len());
            match step {
                Step::More => {
                    assert_eq!(at + taken, slice.len(), "more is asked for when all is taken");
                    break;
                }
                Step::Octets(octets) => {
                    assert!(octets == taken && octets > 0 && !machine.is_refused());
                    assert_eq!(machine.literal_left() + octets as u64, left);
                    let (message, _) = current.as_mut().expect("a message was announced");
                    message.extend_from_slice(&slice[at..at + octets]);
                }
                Step::Continue => heard.invitations += 1,
                Step::Mailbox(name) => {
                    assert!(heard.mailbox.is_none(), "one mailbox");
                    if name.as_str().starts_with("no") {
                        machine.refuse(Refusal::no(Some(Code::TryCreate), "no such mailbox"));
                    }
                    heard.mailbox = Some(name.as_str().to_owned());
                }
                Step::Message(options) if options.literal.size > TOO_BIG => {
                    machine.refuse(Refusal::no(Some(Code::OverQuota), "too much"));
                }
                Step::Message(options) => {
                    assert!(options.literal.size > 0, "a message of no octets cancels");
                    current = Some((Vec::new(), format!("{options:?}")));
                    heard.invitations += usize::from(machine.accept());
                    // As if the disk became full while octets arrive.
                    if flags & 2 == 2 && heard.messages.len() == 2 {
                        machine.refuse(Refusal::no(None, "the disk is full"));
                    }
                }
                Step::MessageEnd => heard.messages.push(current.take().expect("announced")),
                Step::Complete | Step::Refused(_) => {
                    heard.end = Some(before + at + taken);
                    heard.tag = machine.tag().map(|tag| tag.as_str().to_owned());
                    if let Step::Refused(refusal) = step {
                        heard.refusal = Some(refusal);
                    }
                    return heard;
                }
            }
            at += taken;
        }
        before += slice.len();
    }
    // What was received of an unfinished message depends on the octets only.
    heard.messages.extend(current);
    heard
}

/// Compares the end of a command and its messages with its lines and literals.
fn ended(heard: &Heard, command: &[u8]) {
    let (mut at, mut literals) = (0, Vec::new());
    let waits = loop {
        let length = command[at..].iter().position(|&octet| octet == b'\n').expect("a line") + 1;
        let line = &command[at..at + length - 1];
        at += length;
        match announced(line.strip_suffix(b"\r").unwrap_or(line)) {
            None => break false,
            Some((_, true)) if at == command.len() => break true,
            Some((size, _)) => {
                let size = usize::try_from(size).expect("it was received");
                literals.push(&command[at..at + size]);
                at += size;
            }
        }
    };
    assert_eq!(at, command.len(), "the command ended elsewhere");
    if heard.refusal.is_some() {
        return;
    }
    assert!(!waits && !heard.messages.is_empty());
    let names = literals.len() - heard.messages.len();
    assert!(names <= 1, "a literal is the mailbox or a message");
    for ((octets, _), literal) in heard.messages.iter().zip(&literals[names..]) {
        assert!(octets == literal, "a message has other octets than were sent");
    }
}
