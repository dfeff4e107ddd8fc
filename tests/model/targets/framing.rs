//! Where commands end, in any slicing, compared with a reading of all octets at once.
//!
//! Input: an octet that sets limits, a seed of slices, then what a client sends.

use imap::protocol::{Discard, Framer, Limits, Literal, Scan};

use super::input::{Input, slices};

/// What a server receives from a client.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    /// A whole command.
    Command(Vec<u8>),
    /// A literal above the limit, and what stood before it.
    Refused(Vec<u8>),
    /// A line that was too long.
    TooLong,
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (limit, seed) = (input.u8(), input.u8());
    let limits = match limit {
        0 => Limits::BEFORE_LOGIN,
        255 => Limits::AFTER_LOGIN,
        limit => Limits { line: usize::from(limit), literals: usize::from(limit) / 2 },
    };
    let octets = input.rest();
    let expected = naive(octets, limits);
    assert_eq!(serve(octets, limits, 0), expected, "whole");
    assert_eq!(serve(octets, limits, seed), expected, "in slices");
}

/// As in a session: octets gather in a buffer, from which whole commands are taken.
fn serve(octets: &[u8], limits: Limits, seed: u8) -> (Vec<Event>, usize) {
    let (mut events, mut buffer, mut discard) = (Vec::new(), Vec::new(), None);
    let mut framer = Framer::new(limits);
    for slice in slices(octets, seed) {
        buffer.extend_from_slice(slice);
        while step(&mut framer, &mut buffer, &mut discard, &mut events) {}
        let most = limits.line + 2 + limits.literals + slice.len();
        assert!(buffer.len() <= most, "{} octets are held", buffer.len());
    }
    // The rest of a discarded line is no longer in the buffer.
    (events, if discard.is_some() { usize::MAX } else { buffer.len() })
}

fn step(
    framer: &mut Framer,
    buffer: &mut Vec<u8>,
    discard: &mut Option<Discard>,
    events: &mut Vec<Event>,
) -> bool {
    if let Some(rest) = discard {
        let Some(end) = rest.feed(buffer) else {
            buffer.clear();
            return false;
        };
        buffer.drain(..end);
        *discard = None;
        return true;
    }
    match framer.scan(buffer) {
        Scan::NeedMore => return false,
        Scan::Command { length } => events.push(Event::Command(buffer.drain(..length).collect())),
        Scan::Literal { fits: true, .. } => {}
        Scan::Literal { literal, at, fits: false } => {
            events.push(Event::Refused(buffer.drain(..at).collect()));
            *discard = Discard::after(literal);
        }
        Scan::LineTooLong { at } => {
            buffer.drain(..at);
            events.push(Event::TooLong);
            *discard = Some(Discard::line());
        }
    }
    true
}

/// The same from RFC 3501 section 4.3 and RFC 7888, with all octets at once.
fn naive(octets: &[u8], limits: Limits) -> (Vec<Event>, usize) {
    let (mut events, mut start) = (Vec::new(), 0);
    'commands: loop {
        let (mut at, mut literals) = (start, 0_usize);
        loop {
            let Some(line) = line_at(octets, at) else {
                // One more than the limit, while a CR may begin a line end.
                if octets.len().saturating_sub(start + literals) <= limits.line + 1 {
                    let left = octets.len().saturating_sub(start);
                    return (events, left);
                }
                events.push(Event::TooLong);
                return (events, usize::MAX);
            };
            if line.text - start - literals > limits.line {
                events.push(Event::TooLong);
                match skip(octets, at) {
                    Some(next) => start = next,
                    None => return (events, usize::MAX),
                }
                continue 'commands;
            }
            let Some((size, synchronising)) = announced(&octets[at..line.text]) else {
                events.push(Event::Command(octets[start..line.end].to_vec()));
                start = line.end;
                continue 'commands;
            };
            let known = Literal::at_end(&octets[at..line.text]).map(|(literal, _)| literal);
            assert_eq!(known.map(|l| (l.size, l.synchronising)), Some((size, synchronising)));
            if size > (limits.literals - literals) as u64 {
                events.push(Event::Refused(octets[start..line.end].to_vec()));
                let rest = match synchronising {
                    true => Some(line.end),
                    false => after(octets, line.end, size).and_then(|at| skip(octets, at)),
                };
                match rest {
                    Some(next) => start = next,
                    None => return (events, usize::MAX),
                }
                continue 'commands;
            }
            literals += size as usize;
            at = line.end + size as usize;
        }
    }
}

struct Line {
    /// The end of its text.
    text: usize,
    /// The end of the line.
    end: usize,
}

fn line_at(octets: &[u8], at: usize) -> Option<Line> {
    let end = at + octets.get(at..)?.iter().position(|&octet| octet == b'\n')? + 1;
    let cr = end >= at + 2 && octets[end - 2] == b'\r';
    Some(Line { text: end - 1 - usize::from(cr), end })
}

fn after(octets: &[u8], at: usize, size: u64) -> Option<usize> {
    let at = usize::try_from(size).ok()?.checked_add(at)?;
    (at <= octets.len()).then_some(at)
}

/// The end of a refused command of which a line begins at `at`.
fn skip(octets: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = line_at(octets, at)?;
        match announced(&octets[at..line.text]) {
            Some((size, false)) => at = after(octets, line.end, size)?,
            _ => return Some(line.end),
        }
    }
}

/// Size, and whether the client waits, of the literal that a line ends with.
pub fn announced(line: &[u8]) -> Option<(u64, bool)> {
    let inside = line.strip_suffix(b"}")?;
    let open = inside.iter().rposition(|&octet| octet == b'{')?;
    let number = &inside[open + 1..];
    let digits = number.strip_suffix(b"+").unwrap_or(number);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(digits).expect("digits");
    Some((text.parse().unwrap_or(u64::MAX), digits.len() == number.len()))
}
