//! The player of transcripts: dialogues written as text, in the way RFCs print them.
//!
//! ```text
//! # A comment.
//! S: * OK {{*}}
//! C: a1 SELECT INBOX
//! U: * {{n}} EXISTS
//! U: * FLAGS ({{*}})
//! S: {{...}}
//! S: a1 OK [READ-WRITE] {{*}}
//! C- a2 NO
//! C: OP
//! S: a2 OK {{*}}
//! C2: b1 LOGIN alice secret
//! ```
//!
//! - `C:` sends the rest of the line and CRLF, `C-` without CRLF. A literal is sent like other
//!   lines; its length counts their CRLFs.
//! - `S:` is the next line of the server. `{{*}}` in it stands for any octets, `{{n}}` for digits;
//!   `pattern.rs` has the other wildcards. `{{...}}` alone stands for any number of untagged lines,
//!   `{{end}}` alone for the end of the connection.
//! - Consecutive `U:` lines come in any order. `O:` lines among them are optional, until the next
//!   required line.
//! - `{{=name}}` in a line of the client is what a wildcard has stored.
//! - A number after the letter names the connection. Without one it is the first.
//!
//! [`run`] sends each line in a TCP segment of its own. [`run_sliced`] gathers all that the client
//! says before it listens again, and sends that in other slices.
//!
//! After the last line the client stops sending, and the server must send nothing more.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Client;
use super::pattern::{Names, filled, matches};

/// Plays the client's part of `script`. Panics with the dialogue so far when the server deviates
/// from its part.
pub fn run(address: SocketAddr, script: &str) {
    play(Player::new(address, None), script);
}

/// The same in slices of these lengths, repeated.
pub fn run_sliced(address: SocketAddr, script: &str, lengths: &[usize]) {
    play(Player::new(address, Some(lengths)), script);
}

fn play<'a>(mut player: Player<'a>, script: &'a str) {
    let lines = script.lines().zip(1..);
    let mut steps = lines.filter_map(|(line, at)| parse(at, line)).peekable();
    while let Some((at, connection, step)) = steps.next() {
        match step {
            Step::Say(text, end) => player.say(connection, text, end),
            Step::Hear("{{...}}") => {
                let Some((at, _, Step::Hear(pattern))) = steps.next() else {
                    panic!("line {at}: skip to what?")
                };
                player.skip_to(at, connection, pattern);
            }
            Step::Hear("{{end}}") => player.expect_end(at, connection),
            Step::Hear(pattern) => {
                player.expect_all(at, connection, vec![pattern]);
                player.pending.remove(&connection);
            }
            Step::HearMaybe(pattern) => player.may_hear(connection, pattern),
            Step::HearAny(pattern) => {
                let mut patterns = vec![pattern];
                loop {
                    match steps.peek() {
                        Some(&(_, next, Step::HearAny(pattern))) if next == connection => {
                            patterns.push(pattern);
                        }
                        Some(&(_, next, Step::HearMaybe(pattern))) if next == connection => {
                            player.may_hear(connection, pattern);
                        }
                        _ => break,
                    }
                    steps.next();
                }
                player.expect_all(at, connection, patterns);
            }
        }
    }
    player.end();
}

enum Step<'a> {
    /// The text, and the end of its line.
    Say(&'a str, &'static str),
    Hear(&'a str),
    /// One of several that come in any order.
    HearAny(&'a str),
    /// The same, if it comes.
    HearMaybe(&'a str),
}

struct Player<'a> {
    address: SocketAddr,
    /// Lengths of slices, if the octets are gathered and sliced.
    lengths: Option<&'a [usize]>,
    said: Vec<(u32, Vec<u8>)>,
    clients: BTreeMap<u32, Client>,
    /// Optional lines that may come on a connection before the next required one.
    pending: BTreeMap<u32, Vec<&'a str>>,
    names: Names,
    heard: Vec<String>,
}

/// The number of the line, the connection, and what to do.
fn parse(at: usize, line: &str) -> Option<(usize, u32, Step<'_>)> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let divider = line.find([':', '-']).unwrap_or_else(|| panic!("line {at}: {line}"));
    let (who, text) = (&line[..divider], &line[divider + 1..]);
    let text = text.strip_prefix(' ').unwrap_or(text);
    let connection = if who.len() == 1 { 1 } else { who[1..].parse().expect("a number") };
    let step = match (&who[..1], &line[divider..=divider]) {
        ("C", ":") => Step::Say(text, "\r\n"),
        ("C", "-") => Step::Say(text, ""),
        ("S", ":") => Step::Hear(text),
        ("U", ":") => Step::HearAny(text),
        ("O", ":") => Step::HearMaybe(text),
        _ => panic!("line {at}: {line}"),
    };
    Some((at, connection, step))
}

impl<'a> Player<'a> {
    fn new(address: SocketAddr, lengths: Option<&'a [usize]>) -> Player<'a> {
        let (said, clients, heard) = (Vec::new(), BTreeMap::new(), Vec::new());
        let (pending, names) = (BTreeMap::new(), Names::new());
        Player { address, lengths, said, clients, pending, names, heard }
    }

    fn say(&mut self, connection: u32, text: &str, end: &str) {
        let mut text = filled(text, &self.names);
        self.heard.push(format!("C{connection}: {}", String::from_utf8_lossy(&text)));
        text.extend_from_slice(end.as_bytes());
        if self.lengths.is_none() {
            return self.client(connection).send(&text);
        }
        match self.said.last_mut() {
            Some((last, said)) if *last == connection => said.extend(text),
            _ => self.said.push((connection, text)),
        }
    }

    /// Sends what was gathered.
    fn flush(&mut self) {
        for (connection, said) in std::mem::take(&mut self.said) {
            let lengths = self.lengths.expect("only gathered to be sliced");
            self.client(connection).send_sliced(&said, lengths);
        }
    }

    fn client(&mut self, connection: u32) -> &mut Client {
        let address = self.address;
        self.clients.entry(connection).or_insert_with(|| Client::connect(address))
    }

    fn line(&mut self, at: usize, connection: u32, expected: &str) -> Vec<u8> {
        self.flush();
        let Some(line) = self.client(connection).line() else {
            self.check(at, false, expected);
            unreachable!("the check has failed");
        };
        self.heard.push(format!("S{connection}: {}", String::from_utf8_lossy(&line)));
        line
    }

    fn expect_end(&mut self, at: usize, connection: u32) {
        self.flush();
        let line = self.client(connection).line();
        let line = line.map(|line| String::from_utf8_lossy(&line).into_owned());
        self.heard.extend(line.iter().cloned());
        self.check(at, line.is_none(), "the end");
    }

    /// Reads lines up to one that matches. A tagged response that does not match is an error.
    fn skip_to(&mut self, at: usize, connection: u32, pattern: &str) {
        self.pending.remove(&connection);
        loop {
            let line = self.line(at, connection, pattern);
            if matches(pattern, &line, &mut self.names) {
                return;
            }
            self.check(at, !is_tagged(&line), pattern);
        }
    }

    fn expect_all(&mut self, at: usize, connection: u32, mut patterns: Vec<&str>) {
        while !patterns.is_empty() {
            let expected = patterns.join(" | ");
            let line = self.line(at, connection, &expected);
            let names = &mut self.names;
            match patterns.iter().position(|pattern| matches(pattern, &line, names)) {
                Some(found) => _ = patterns.remove(found),
                None => {
                    let good = self.may_come(connection, &line);
                    self.check(at, good, &expected);
                }
            }
        }
    }

    fn may_hear(&mut self, connection: u32, pattern: &'a str) {
        self.pending.entry(connection).or_default().push(pattern);
    }

    /// Whether a line is one of the optional ones, each of which may come once.
    fn may_come(&mut self, connection: u32, line: &[u8]) -> bool {
        let pending = self.pending.entry(connection).or_default();
        let found = pending.iter().position(|pattern| matches(pattern, line, &mut self.names));
        found.map(|found| pending.remove(found)).is_some()
    }

    fn check(&self, at: usize, good: bool, expected: &str) {
        let heard = self.heard.join("\n");
        assert!(good, "line {at} of the transcript: expected\n{expected}\nafter\n{heard}");
    }

    fn end(mut self) {
        self.flush();
        let connections: Vec<u32> = self.clients.keys().copied().collect();
        for connection in connections {
            self.client(connection).end();
            while let Some(line) = self.client(connection).line() {
                let text = String::from_utf8_lossy(&line);
                assert!(self.may_come(connection, &line), "more than the transcript has: {text}");
            }
        }
    }
}

/// Whether a line looks like a tagged response.
fn is_tagged(line: &[u8]) -> bool {
    let mut words = line.split(|&octet| octet == b' ');
    let tag = words.next().unwrap_or_default();
    let status = words.next().unwrap_or_default();
    !tag.is_empty() && tag != b"*" && matches!(status, b"OK" | b"NO" | b"BAD")
}
