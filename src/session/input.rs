//! What a client sends, cut into commands.

use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use crate::limits::{DISCARDED_BEFORE_LOGIN, RECEIVE};
use crate::net::{Output, Transport};
use crate::reactor::{receive_within, timeout};
use imap::protocol::{
    Discard, Framer, Limits, Line, ParseError, Scan, Tag, first_words, is_append, line, parse,
};

/// How long a client is expected to be about to send.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a client is told whose line is over its limit.
const TOO_LONG: &str = "the line is too long";

/// The command buffer of a session. Takes no memory while nothing is in it.
pub(super) struct Input {
    conn: Rc<Transport>,
    /// After so long without a word the client is idle.
    idle_time: Duration,
    buffer: Vec<u8>,
    framer: Framer,
    /// The rest of a command that was refused is being thrown away.
    discard: Option<Discard>,
    /// Octets that may still be thrown away; `None` after login, when all may.
    discardable: Option<u64>,
}

/// What came.
pub(super) enum Next {
    /// A whole command, literals included.
    Command(Vec<u8>),
    /// An APPEND whose first line is at the start of the buffer.
    Append,
    /// More than may be thrown away before login.
    Flood,
    /// A command over a limit; it was, or will be, thrown away.
    Refused { tag: Option<Tag>, text: String },
    /// The same of a SETMETADATA whose values are over the limit of literals, which has an answer
    /// of its own.
    LargeValue { tag: Tag, text: String },
    /// Nothing, for too long.
    Idle,
    /// The client has gone.
    End,
}

impl Input {
    pub fn new(conn: Rc<Transport>, idle_time: Duration) -> Input {
        let framer = Framer::new(Limits::BEFORE_LOGIN);
        let discardable = Some(DISCARDED_BEFORE_LOGIN);
        Input { conn, idle_time, buffer: Vec::new(), framer, discard: None, discardable }
    }

    /// After login more is allowed.
    pub fn logged_in(&mut self) {
        self.framer.set_limits(Limits::AFTER_LOGIN);
        self.discardable = None;
    }

    /// And after logging out again no more than before.
    pub fn logged_out(&mut self) {
        self.framer.set_limits(Limits::BEFORE_LOGIN);
        self.discardable = Some(DISCARDED_BEFORE_LOGIN);
    }

    /// Counts octets that are thrown away; `false` when there are too many.
    pub fn may_discard(&mut self, octets: usize) -> bool {
        match &mut self.discardable {
            None => true,
            Some(left) => {
                let enough = *left >= octets as u64;
                *left = left.saturating_sub(octets as u64);
                enough
            }
        }
    }

    /// Whether a whole line has been received that was not used yet.
    pub fn has_line(&self) -> bool {
        memchr::memchr(b'\n', &self.buffer).is_some()
    }

    /// Octets that come before anything else.
    pub fn put_back(&mut self, octets: Vec<u8>) {
        assert!(self.buffer.is_empty(), "octets go back to where they came from");
        self.buffer = octets;
        self.framer.reset();
    }

    /// All that was received and not used.
    pub fn take(&mut self) -> Vec<u8> {
        self.framer.reset();
        std::mem::take(&mut self.buffer)
    }

    pub fn into_octets(mut self) -> Vec<u8> {
        self.take()
    }

    /// The next command.
    pub async fn next(&mut self, output: &Rc<Output>) -> Next {
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

    /// A line that is no command: the answer to a challenge. `None` when there is no more.
    pub async fn line(&mut self, limit: usize) -> Option<Vec<u8>> {
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
            // A command may have ten thousand literals.
            if !self.is_welcome(scan, on_first_line, output) {
                return self.next_of(scan);
            }
        }
    }

    /// Whether the scan found a literal that may come. The client has been told then, and the
    /// framer stands behind the announcement.
    fn is_welcome(&self, scan: Scan, on_first_line: bool, output: &Rc<Output>) -> bool {
        let Scan::Literal { literal, at, fits: true } = scan else { return false };
        // What command it is, the first line says. An unknown one is refused before the client
        // sends the literal for nothing (RFC 3501 section 7.5).
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
                // The line goes on, its tag has arrived.
                let begun = first_words(&self.buffer);
                self.discard = Some(Discard::line());
                Some(match begun {
                    Some((tag, verb)) if verb.eq_ignore_ascii_case("ID") => {
                        // Nothing of what an ID says is needed to answer it, and RFC 2971 section
                        // 3.3 lets it say more than a line before login may hold.
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

    /// What to say of a command that nobody knows, by its first line.
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

    /// Waits for more octets; `false` when there will be none.
    pub async fn more(&mut self) -> bool {
        self.receive().await == Some(true)
    }

    fn drop_front(&mut self, octets: usize) {
        self.buffer.drain(..octets);
    }

    /// `Some(false)` at the end, `None` after too long a time.
    async fn receive(&mut self) -> Option<bool> {
        // The next command of a busy client comes at once: worth a buffer, and not two wake-ups.
        let conn = self.conn.clone();
        if !self.buffer.is_empty() {
            // A part of a command: its client may write the rest when we have acknowledged this.
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

    /// The client is slow, or idle: it waits without holding memory.
    async fn wait(&mut self) -> Option<bool> {
        self.buffer.shrink_to_fit();
        match timeout(self.idle_time, self.conn.readable()).await? {
            Ok(()) => Box::pin(self.receive()).await,
            Err(_) => Some(false),
        }
    }
}
