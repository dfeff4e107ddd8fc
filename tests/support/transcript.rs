//! Dialogues written down as text, as RFCs print them.
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
//! - `C:` sends the rest of the line and CRLF, `C-` without CRLF. A literal is nothing special: its
//!   lines are sent, its length counts their CRLFs.
//! - `S:` is the next line of the server. `{{*}}` in it stands for any octets, `{{n}}` for digits.
//!   `{{...}}` alone stands for any number of lines, `{{end}}` alone for the server hanging up.
//! - `U:` lines that stand together come in any order.
//! - A number after the letter names the connection; without one it is the first.
//!
//! [`run`] sends each line in a segment of its own, [`run_sliced`] everything that the client says
//! before it listens again in slices of other sizes.
//!
//! After the last line the client stops sending, and the server must have nothing more to say.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Client;

/// Plays the client's part of `script`. Panics with the dialogue so far when the server departs
/// from its own.
pub fn run(address: SocketAddr, script: &str) {
    play(Player::new(address, None), script);
}

/// The same in slices of these lengths, over and over.
pub fn run_sliced(address: SocketAddr, script: &str, lengths: &[usize]) {
    play(Player::new(address, Some(lengths)), script);
}

fn play(mut player: Player<'_>, script: &str) {
    let mut lines = script.lines().enumerate().map(|(at, line)| (at + 1, line)).peekable();
    while let Some((at, line)) = lines.next() {
        let Some((connection, step)) = parse(at, line) else { continue };
        match step {
            Step::Say(text) => player.say(connection, &text),
            Step::Hear("{{...}}") => {
                let next = lines.next().and_then(|(at, line)| parse(at, line));
                let Some((_, Step::Hear(pattern))) = next else {
                    panic!("line {at}: skip to what?")
                };
                while !matches(pattern, &player.line(at, connection, pattern)) {}
            }
            Step::Hear("{{end}}") => player.expect_end(at, connection),
            Step::Hear(pattern) => {
                let line = player.line(at, connection, pattern);
                player.check(at, matches(pattern, &line), pattern);
            }
            Step::HearAny(pattern) => {
                let mut patterns = vec![pattern];
                while let Some((at, line)) = lines.peek()
                    && let Some((_, Step::HearAny(pattern))) = parse(*at, line)
                {
                    patterns.push(pattern);
                    lines.next();
                }
                player.expect_all(at, connection, patterns);
            }
        }
    }
    player.end();
}

enum Step<'a> {
    Say(Vec<u8>),
    Hear(&'a str),
    HearAny(&'a str),
}

struct Player<'a> {
    address: SocketAddr,
    /// Lengths of slices, if what is said is gathered and sliced.
    lengths: Option<&'a [usize]>,
    said: Vec<(u32, Vec<u8>)>,
    clients: BTreeMap<u32, Client>,
    heard: Vec<String>,
}

fn parse(at: usize, line: &str) -> Option<(u32, Step<'_>)> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let divider = line.find([':', '-']).unwrap_or_else(|| panic!("line {at}: {line}"));
    let (who, text) = (&line[..divider], &line[divider + 1..]);
    let text = text.strip_prefix(' ').unwrap_or(text);
    let connection = if who.len() == 1 { 1 } else { who[1..].parse().expect("a number") };
    let step = match (&who[..1], &line[divider..=divider]) {
        ("C", ":") => Step::Say(format!("{text}\r\n").into_bytes()),
        ("C", "-") => Step::Say(text.into()),
        ("S", ":") => Step::Hear(text),
        ("U", ":") => Step::HearAny(text),
        _ => panic!("line {at}: {line}"),
    };
    Some((connection, step))
}

impl<'a> Player<'a> {
    fn new(address: SocketAddr, lengths: Option<&'a [usize]>) -> Player<'a> {
        let (said, clients, heard) = (Vec::new(), BTreeMap::new(), Vec::new());
        Player { address, lengths, said, clients, heard }
    }

    fn say(&mut self, connection: u32, text: &[u8]) {
        if self.lengths.is_none() {
            return self.client(connection).send(text);
        }
        match self.said.last_mut() {
            Some((last, said)) if *last == connection => said.extend_from_slice(text),
            _ => self.said.push((connection, text.to_vec())),
        }
    }

    /// Now somebody listens: sends what was gathered.
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

    fn expect_all(&mut self, at: usize, connection: u32, mut patterns: Vec<&str>) {
        while !patterns.is_empty() {
            let expected = patterns.join(" | ");
            let line = self.line(at, connection, &expected);
            let found = patterns.iter().position(|pattern| matches(pattern, &line));
            self.check(at, found.is_some(), &expected);
            patterns.remove(found.expect("just checked"));
        }
    }

    fn check(&self, at: usize, good: bool, expected: &str) {
        let heard = self.heard.join("\n");
        assert!(good, "line {at} of the transcript: expected\n{expected}\nafter\n{heard}");
    }

    fn end(mut self) {
        self.flush();
        for client in self.clients.values_mut() {
            client.end();
            let more = client.line().map(|line| String::from_utf8_lossy(&line).into_owned());
            assert_eq!(more, None, "more than the transcript has");
        }
    }
}

/// Whether a line is as the pattern says.
fn matches(pattern: &str, line: &[u8]) -> bool {
    let Some(begin) = pattern.find("{{") else {
        return pattern.as_bytes() == line;
    };
    let (fixed, rest) = pattern.split_at(begin);
    let Some(line) = line.strip_prefix(fixed.as_bytes()) else {
        return false;
    };
    if let Some(rest) = rest.strip_prefix("{{*}}") {
        return (0..=line.len()).any(|skip| matches(rest, &line[skip..]));
    }
    let rest = rest.strip_prefix("{{n}}").unwrap_or_else(|| panic!("no such wildcard: {rest}"));
    let digits = line.iter().take_while(|octet| octet.is_ascii_digit()).count();
    digits > 0 && matches(rest, &line[digits..])
}

#[test]
fn patterns() {
    for (pattern, line, same) in [
        ("* OK", "* OK", true),
        ("* OK", "* OK ", false),
        ("* {{n}} EXISTS", "* 172 EXISTS", true),
        ("* {{n}} EXISTS", "* EXISTS", false),
        ("* {{n}} EXISTS", "* x EXISTS", false),
        ("a OK {{*}}", "a OK done", true),
        ("a OK {{*}}", "b OK done", false),
        ("{{*}} IDLE{{*}}", "* CAPABILITY IDLE", true),
        ("{{*}} IDLE{{*}}", "* CAPABILITY", false),
        ("[{{n}}] {{*}}.", "[12] x.y.", true),
    ] {
        assert_eq!(matches(pattern, line.as_bytes()), same, "{pattern} {line}");
    }
}
