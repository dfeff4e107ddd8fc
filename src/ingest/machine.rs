//! The APPEND command as a state machine without I/O: octets in, steps out.
//!
//! It stays in sync with the client. After a refusal it still parses the rest of the command and
//! discards it, so that message octets are never taken for commands. The refusal is reported where
//! the client expects a reply: instead of the `+` for a synchronising literal, or after the line
//! end behind the last non-synchronising literal (RFC 7888 section 4).

use super::refusal::Refusal;
use crate::limits::{LINE, MAILBOX_NAME};
use imap::protocol::response::Code;
use imap::protocol::{
    Discard, Head, Literal, MailboxName, NameError, Next, Options, Tag, after_utf8,
    parse_append_head, parse_append_options,
};

/// Longest mailbox name as a literal, in octets: modified UTF-7 is longer than the name it encodes.
const NAME: usize = 4 * MAILBOX_NAME;

/// The result of parsing some octets.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// All octets were consumed; the command is not complete.
    More,
    /// The client waits for `+` before it sends the mailbox name.
    Continue,
    /// The mailbox name was parsed. Call [`Machine::refuse`] to reject it.
    Mailbox(MailboxName),
    /// A message is announced. Call [`Machine::accept`] or [`Machine::refuse`].
    Message(Options),
    /// The next octets of the input, of this number, belong to the message.
    Octets(usize),
    /// The message is complete.
    MessageEnd,
    /// The command is complete; the accepted messages are the batch.
    Complete,
    /// The refused command has ended. Nothing of it may be kept.
    Refused(Refusal),
}

/// Parses one APPEND command.
pub struct Machine {
    state: State,
    tag: Option<Tag>,
    /// A partial line from earlier octets, or the rest of the first line.
    line: Vec<u8>,
    /// Whether `line` is complete.
    whole: bool,
    refusal: Option<Refusal>,
    /// Number of accepted messages.
    accepted: u64,
    /// Whether the client enabled IMAP4rev2 or UTF8=ACCEPT.
    utf8: bool,
    /// Whether the current message is in `UTF8 (…)`, so that the closing parenthesis is still to
    /// come.
    in_parentheses: bool,
}

enum State {
    Head,
    MailboxName {
        name: Vec<u8>,
        left: usize,
    },
    Options,
    /// Between `Step::Message` and the caller's decision.
    Announced(Literal),
    Literal {
        literal: Literal,
        left: u64,
    },
    /// Discarding the rest of a refused command.
    Discarded(Discard),
    Over,
}

impl Default for Machine {
    fn default() -> Self {
        Machine::new(false)
    }
}

impl Machine {
    /// Starts before the first octet of the tag. `utf8`: the client enabled IMAP4rev2 or
    /// UTF8=ACCEPT, so mailbox names are in UTF-8 and messages may come as `UTF8 (…)`.
    #[must_use]
    pub fn new(utf8: bool) -> Machine {
        Machine {
            state: State::Head,
            tag: None,
            line: Vec::new(),
            whole: false,
            refusal: None,
            accepted: 0,
            utf8,
            in_parentheses: false,
        }
    }

    /// The command's tag, if its first line was read and has one.
    #[must_use]
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// Octets of the current message that have not arrived; 0 between messages.
    #[must_use]
    pub fn literal_left(&self) -> u64 {
        match self.state {
            State::Literal { left, .. } => left,
            _ => 0,
        }
    }

    /// Whether the rest of the command is being discarded.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Accepts the announced message. Returns whether the client waits for `+`.
    ///
    /// # Panics
    /// When no message was announced.
    pub fn accept(&mut self) -> bool {
        let State::Announced(literal) = self.state else { panic!("no message was announced") };
        self.accepted += 1;
        self.state = State::Literal { literal, left: literal.size };
        literal.synchronising
    }

    /// Refuses the complete command; call `step` until it has ended. The first refusal counts.
    pub fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }

    /// Refuses the complete command because of the announced or current message. The text of the
    /// refusal gets the number of the message, so that the client of a large batch can find it; not
    /// for the first message, because most commands have only one.
    pub fn refuse_message(&mut self, mut refusal: Refusal) {
        let arrives = matches!(self.state, State::Literal { .. });
        let number = self.accepted + u64::from(!arrives);
        if number > 1 {
            refusal.text = format!("message {number} of the batch: {}", refusal.text).into();
        }
        self.refuse(refusal);
    }

    /// Parses input. Returns the number of octets consumed and their meaning. After [`Step::More`]
    /// all were consumed.
    pub fn step(&mut self, input: &[u8]) -> (usize, Step) {
        let mut taken = 0;
        loop {
            let (more, step) = self.advance(&input[taken..]);
            taken += more;
            match step {
                Some(step) => return (taken, step),
                None if taken == input.len() && !self.can_go_on() => return (taken, Step::More),
                None => {}
            }
        }
    }

    /// Whether `step` can make progress without input.
    fn can_go_on(&self) -> bool {
        match &self.state {
            State::Head | State::Options => self.whole,
            State::MailboxName { left, .. } => *left == 0,
            State::Literal { left, .. } => *left == 0 || self.refusal.is_some(),
            State::Announced(_) => true,
            State::Discarded(_) => false,
            State::Over => panic!("the command is over"),
        }
    }

    fn advance(&mut self, input: &[u8]) -> (usize, Option<Step>) {
        match &mut self.state {
            State::Head | State::Options => self.line(input),
            State::MailboxName { name, left } => {
                let taken = input.len().min(*left);
                name.extend_from_slice(&input[..taken]);
                *left -= taken;
                if *left > 0 {
                    return (taken, None);
                }
                let name = MailboxName::from_wire(name, self.utf8);
                self.state = State::Options;
                (taken, self.mailbox(name))
            }
            State::Announced(literal) => {
                assert!(self.refusal.is_some(), "an announced message was not answered");
                let literal = *literal;
                (0, self.discard(Discard::after(literal)))
            }
            State::Literal { literal, left } if self.refusal.is_some() => {
                let discard = Discard::rest_of(*literal, literal.size - *left);
                (0, self.discard(Some(discard)))
            }
            State::Literal { left: 0, .. } => {
                self.state = State::Options;
                (0, Some(Step::MessageEnd))
            }
            State::Literal { left, .. } => {
                let taken = usize::try_from(*left).map_or(input.len(), |n| n.min(input.len()));
                *left -= taken as u64;
                (taken, (taken > 0).then_some(Step::Octets(taken)))
            }
            State::Discarded(discard) => match discard.feed(input) {
                Some(taken) => (taken, self.discard(None)),
                None => (input.len(), None),
            },
            State::Over => panic!("the command is over"),
        }
    }

    /// Finds the end of a line. A line that is complete in the input is not copied.
    fn line(&mut self, input: &[u8]) -> (usize, Option<Step>) {
        if std::mem::take(&mut self.whole) {
            let line = std::mem::take(&mut self.line);
            return (0, self.options(&line));
        }
        let Some(end) = memchr::memchr(b'\n', input) else {
            self.line.extend_from_slice(input);
            if self.line.len() > LINE {
                self.refuse_message(Refusal::bad("the command line is too long"));
                let mut discard = Discard::line();
                discard.feed(&std::mem::take(&mut self.line));
                self.state = State::Discarded(discard);
            }
            return (input.len(), None);
        };
        let taken = end + 1;
        let is_head = matches!(self.state, State::Head);
        if self.line.is_empty() && !is_head {
            return (taken, self.options(&input[..taken]));
        }
        self.line.extend_from_slice(&input[..taken]);
        let line = std::mem::take(&mut self.line);
        (taken, if is_head { self.head(&line) } else { self.options(&line) })
    }

    fn head(&mut self, line: &[u8]) -> Option<Step> {
        let text = without_line_end(line);
        match parse_append_head(text, self.utf8) {
            Ok(Head::Mailbox { tag, mailbox, rest }) => {
                self.tag = Some(tag);
                // With its line end, which is stripped only once.
                self.line = line[rest..].to_vec();
                self.whole = true;
                self.state = State::Options;
                self.mailbox(mailbox)
            }
            Ok(Head::MailboxLiteral { tag, literal }) => {
                self.tag = Some(tag);
                self.state = State::Options;
                let Some(left) = usize::try_from(literal.size).ok().filter(|&n| n <= NAME) else {
                    self.refuse(Refusal::no(Some(Code::Limit), "the mailbox name is too long"));
                    return self.discard(Discard::after(literal));
                };
                self.state = State::MailboxName { name: Vec::new(), left };
                literal.synchronising.then_some(Step::Continue)
            }
            Err(error) => {
                self.refuse(Refusal::bad(error.to_string()));
                self.tag = error.tag;
                self.state = State::Options;
                self.discard_from(text)
            }
        }
    }

    fn mailbox(&mut self, name: Result<MailboxName, NameError>) -> Option<Step> {
        match name {
            Ok(name) => Some(Step::Mailbox(name)),
            Err(error) => {
                self.refuse(Refusal::no(Some(Code::Cannot), error.to_string()));
                None
            }
        }
    }

    fn options(&mut self, line: &[u8]) -> Option<Step> {
        let text = without_line_end(line);
        if self.refusal.is_some() {
            return self.discard_from(text);
        }
        let text = match std::mem::take(&mut self.in_parentheses) {
            false => text,
            true => match after_utf8(text) {
                Some(rest) => rest,
                None => {
                    self.refuse(Refusal::bad("expected a closing parenthesis after the message"));
                    return self.discard_from(text);
                }
            },
        };
        match parse_append_options(text) {
            Ok(Next::Message(options)) if options.utf8 && !self.utf8 => {
                self.refuse_message(Refusal::no(Some(Code::Cannot), "ENABLE UTF8=ACCEPT first"));
                self.discard(Discard::after(options.literal))
            }
            Ok(Next::Message(options)) if options.literal.size == 0 => {
                self.refuse(Refusal::no(None, "APPEND cancelled by a message of zero octets"));
                self.discard(Discard::after(options.literal))
            }
            Ok(Next::Message(options)) => {
                self.in_parentheses = options.utf8;
                self.state = State::Announced(options.literal);
                Some(Step::Message(options))
            }
            Ok(Next::End) if self.accepted > 0 => {
                self.state = State::Over;
                Some(Step::Complete)
            }
            Ok(Next::End) => {
                self.refuse(Refusal::bad("expected a message literal"));
                self.discard_from(text)
            }
            Err(error) => {
                self.refuse_message(error.into());
                self.discard_from(text)
            }
        }
    }

    /// A line of a refused command: it announces a literal, or ends the command.
    fn discard_from(&mut self, text: &[u8]) -> Option<Step> {
        self.discard(Literal::at_end(text).and_then(|(literal, _)| Discard::after(literal)))
    }

    /// Discards the rest of a refused command; `None` if the command has ended for the client.
    fn discard(&mut self, rest: Option<Discard>) -> Option<Step> {
        match rest {
            Some(discard) => {
                self.state = State::Discarded(discard);
                None
            }
            None => {
                self.state = State::Over;
                let refusal = self.refusal.take();
                Some(Step::Refused(refusal.expect("only refused commands are discarded")))
            }
        }
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
