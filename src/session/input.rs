//! Splits the octets that a client sends into commands.

use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use crate::limits::{DISCARDED_BEFORE_LOGIN, RECEIVE};
use crate::net::{Output, Transport};
use crate::reactor::{receive_within, timeout};
use imap::protocol::{
    Discard, Framer, Limits, Line, ParseError, Scan, Tag, first_words, is_append, line, parse,
};

/// How long a receive keeps its buffer: the client is likely to send something soon.
const PATIENCE: Duration = Duration::from_millis(500);

/// The reply to a line over its limit.
const TOO_LONG: &str = "the line is too long";

/// The input buffer of a session. It uses no memory while it is empty.
pub(super) struct Input {
    conn: Rc<Transport>,
    /// Time without input after which the session is idle.
    idle_time: Duration,
    buffer: Vec<u8>,
    framer: Framer,
    /// Set while the rest of a refused command is discarded.
    discard: Option<Discard>,
    /// Octets that may still be discarded; `None` after login, when there is no limit.
    discardable: Option<u64>,
}

/// The next input of a client.
pub(super) enum Next {
    /// A complete command with its literals.
    Command(Vec<u8>),
    /// An APPEND; its first line is at the start of the buffer.
    Append,
    /// More octets to discard than are allowed before login.
    Flood,
    /// A command over a limit. Its octets are discarded.
    Refused { tag: Option<Tag>, text: String },
    /// A SETMETADATA with values over the literal limit, which has a reply of its own. Its octets
    /// are discarded.
    LargeValue { tag: Tag, text: String },
    /// No input for the idle time.
    Idle,
    /// The client has disconnected.
    End,
}

impl Input {
    pub(super) fn new(conn: Rc<Transport>, idle_time: Duration) -> Input {
        let framer = Framer::new(Limits::BEFORE_LOGIN);
        let discardable = Some(DISCARDED_BEFORE_LOGIN);
        Input { conn, idle_time, buffer: Vec::new(), framer, discard: None, discardable }
    }

    /// Raises the limits to those after login.
    pub(super) fn logged_in(&mut self) {
        self.framer.set_limits(Limits::AFTER_LOGIN);
        self.discardable = None;
    }

    /// Restores the limits before login.
    pub(super) fn logged_out(&mut self) {
        self.framer.set_limits(Limits::BEFORE_LOGIN);
        self.discardable = Some(DISCARDED_BEFORE_LOGIN);
    }

    /// Counts discarded octets; `false` when there are too many.
    pub(super) fn may_discard(&mut self, octets: usize) -> bool {
        match &mut self.discardable {
            None => true,
            Some(left) => {
                let enough = *left >= octets as u64;
                *left = left.saturating_sub(octets as u64);
                enough
            }
        }
    }

    /// Whether the buffer has a complete line.
    pub(super) fn has_line(&self) -> bool {
        memchr::memchr(b'\n', &self.buffer).is_some()
    }

    /// Makes these octets the next input. The buffer must be empty.
    pub(super) fn put_back(&mut self, octets: Vec<u8>) {
        assert!(self.buffer.is_empty(), "octets go back to where they came from");
        self.buffer = octets;
        self.framer.reset();
    }

    /// Takes everything that was received and not used.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.framer.reset();
        std::mem::take(&mut self.buffer)
    }

    pub(super) fn into_octets(mut self) -> Vec<u8> {
        self.take()
    }

    /// Waits for the next input, usually a complete command.
    pub(super) async fn next(&mut self, output: &Rc<Output>) -> Next {
        loop {
            if let Some(next) = self.scan(output) {
                return next;
            }
            match self.receive().await {
                Some(true) => {}
                Some(false) => return Next::End,
                None => return Next::Idle,
            }
        }
    }

    /// A line that is not a command, such as the response to a challenge. `None` if the client has
    /// disconnected or the line is too long.
    pub(super) async fn line(&mut self, limit: usize) -> Option<Vec<u8>> {
        loop {
            if let Some(Line { text, length }) = line(&self.buffer) {
                let text = text.to_vec();
                self.drop_front(length);
                return Some(text);
            }
            if self.buffer.len() > limit || self.receive().await != Some(true) {
                return None;
            }
        }
    }

    fn scan(&mut self, output: &Rc<Output>) -> Option<Next> {
        if let Some(discard) = &mut self.discard {
            let end = discard.feed(&self.buffer);
            let octets = end.unwrap_or(self.buffer.len());
            self.drop_front(octets);
            if !self.may_discard(octets) {
                return Some(Next::Flood);
            }
            end?;
            self.discard = None;
        }
        loop {
            let on_first_line = self.framer.is_on_first_line();
            let scan = self.framer.scan(&self.buffer);
            // A loop, not recursion: a command may have ten thousand literals.
            if !self.is_welcome(scan, on_first_line, output) {
                return self.next_of(scan);
            }
        }
    }

    /// Whether the scan found a literal that the client may send. If so, the client was told, and
    /// the framer continues after the announcement.
    fn is_welcome(&self, scan: Scan, on_first_line: bool, output: &Rc<Output>) -> bool {
        let Scan::Literal { literal, at, fits: true } = scan else { return false };
        // The first line names the command. An unknown command is refused before the client sends
        // the literal in vain (RFC 3501 section 7.5).
        let line = &self.buffer[..at];
        if on_first_line && (is_append(line) || self.unknown(line).is_some()) {
            return false;
        }
        if literal.synchronising {
            output.push(|out| out.extend_from_slice(b"+ OK\r\n"));
        }
        true
    }

    fn next_of(&mut self, scan: Scan) -> Option<Next> {
        match scan {
            Scan::NeedMore => None,
            Scan::Command { length } => {
                let rest = self.buffer.split_off(length);
                Some(Next::Command(std::mem::replace(&mut self.buffer, rest)))
            }
            Scan::Literal { at, .. } if is_append(&self.buffer[..at]) => {
                self.framer.reset();
                Some(Next::Append)
            }
            Scan::Literal { literal, at, fits } => {
                let text = match self.unknown(&self.buffer[..at]) {
                    Some(text) if fits => text,
                    _ => format!("a literal of {} octets is too large here", literal.size),
                };
                self.framer.reset();
                let notes = |verb: &str| verb.eq_ignore_ascii_case("SETMETADATA");
                let sets = first_words(&self.buffer[..at]).is_some_and(|(_, verb)| notes(verb));
                Some(match self.refuse(at, Discard::after(literal), text) {
                    Next::Refused { tag: Some(tag), text } if sets => {
                        Next::LargeValue { tag, text }
                    }
                    refused => refused,
                })
            }
            Scan::LineTooLong { at: 0 } => {
                // The tag has arrived; the rest of the line is still to come.
                let begun = first_words(&self.buffer);
                self.discard = Some(Discard::line());
                Some(match begun {
                    Some((tag, verb)) if verb.eq_ignore_ascii_case("ID") => {
                        // The contents of an ID are not needed for its reply, and RFC 2971 section
                        // 3.3 allows more of them than the line limit before login.
                        let command = format!("{tag} ID NIL\r\n").into_bytes();
                        Next::Command(command)
                    }
                    begun => {
                        Next::Refused { tag: begun.map(|(tag, _)| tag), text: TOO_LONG.into() }
                    }
                })
            }
            Scan::LineTooLong { at } => {
                Some(self.refuse(at, Some(Discard::line()), TOO_LONG.to_owned()))
            }
        }
    }

    /// The error text for an unknown command, from its first line; `None` if the command is known.
    fn unknown(&self, line: &[u8]) -> Option<String> {
        parse(line, false).err().filter(ParseError::is_unknown_command).map(|e| e.to_string())
    }

    fn refuse(&mut self, at: usize, discard: Option<Discard>, text: String) -> Next {
        let tag = self.tag(at);
        self.drop_front(at);
        self.discard = discard;
        Next::Refused { tag, text }
    }

    /// The tag of the command at the start of the buffer, if it has one.
    fn tag(&self, at: usize) -> Option<Tag> {
        match parse(&self.buffer[..at], false) {
            Ok(tagged) => Some(tagged.tag),
            Err(error) => error.tag,
        }
    }

    /// Waits for more octets. `false` if none will come.
    pub(super) async fn more(&mut self) -> bool {
        self.receive().await == Some(true)
    }

    fn drop_front(&mut self, octets: usize) {
        self.buffer.drain(..octets);
    }

    /// Receives into the buffer. `Some(false)` when the client has disconnected, `None` after the
    /// idle time.
    async fn receive(&mut self) -> Option<bool> {
        // A busy client sends its next command soon, so a buffer is used at once, instead of two
        // wake-ups.
        let conn = self.conn.clone();
        if !self.buffer.is_empty() {
            // A partial command: some clients send the rest only after an acknowledgement.
            conn.quick_ack();
        }
        let buffer = std::mem::take(&mut self.buffer);
        let receiving = conn.recv_buf(buffer, RECEIVE);
        let ((result, buffer), _) =
            receive_within(PATIENCE, || conn.interrupt_handle(), receiving).await;
        self.buffer = buffer;
        match result {
            Ok(octets) => Some(octets > 0),
            Err(error) if error.kind() == ErrorKind::Interrupted => self.wait().await,
            Err(_) => Some(false),
        }
    }

    /// Waits for a slow or idle client without holding memory.
    async fn wait(&mut self) -> Option<bool> {
        self.buffer.shrink_to_fit();
        match timeout(self.idle_time, self.conn.readable()).await? {
            Ok(()) => Box::pin(self.receive()).await,
            Err(_) => Some(false),
        }
    }
}
