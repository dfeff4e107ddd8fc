//! APPEND: one message or many, with synchronising or non-synchronising literals.

use std::io::IoSlice;

use super::answer::Completion;
use super::connection::{Client, astring, starts_with};
use super::error::ClientError;
use super::mail::Mail;
use super::slices::{SLICES, write_slices};

/// How a client announces a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literals {
    /// `{n}`: waits for the server's `+` before each message (RFC 3501 section 7.5).
    Synchronising,
    /// `{n+}`: does not wait (LITERAL+, RFC 7888).
    NonSynchronising,
}

/// A message with the command text in front of it, composed once and sent many times.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// From the space after the mailbox name, or after the previous literal, to the end of the line
    /// that announces this one.
    pub before: Box<[u8]>,
    /// The message.
    pub mail: Mail,
}

impl Prepared {
    /// Composes the text: flags, date and size of `mail`.
    #[must_use]
    pub fn new(mail: Mail, literals: Literals) -> Prepared {
        let mut before = String::from(" ");
        let names: Vec<_> = mail.flags.names().collect();
        if !names.is_empty() {
            before += &format!("({}) ", names.join(" "));
        }
        if let Some(date) = mail.date {
            before += &format!("\"{date}\" ");
        }
        let plus = if literals == Literals::NonSynchronising { "+" } else { "" };
        before += &format!("{{{}{plus}}}\r\n", mail.octets.len());
        Prepared { before: before.into_bytes().into_boxed_slice(), mail }
    }

    fn waits(&self) -> bool {
        !self.before.ends_with(b"+}\r\n")
    }
}

/// An APPEND that was sent and whose completion has not been read.
#[derive(Debug)]
#[must_use = "its completion must be read"]
pub struct Pending {
    tag: String,
}

impl Client {
    /// Appends all messages in one command and waits for its completion.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn append<'a>(
        &mut self,
        mailbox: &str,
        messages: impl IntoIterator<Item = &'a Prepared>,
    ) -> Result<Completion, ClientError> {
        let pending = self.send_append(mailbox, messages)?;
        self.finish_append(&pending)
    }

    /// Sends an APPEND of all messages without waiting for its completion. Keep at most a few
    /// hundred in flight: beyond that, each side may wait for the other to read.
    ///
    /// # Errors
    /// When the connection breaks, or the server refuses before a synchronising literal.
    pub fn send_append<'a>(
        &mut self,
        mailbox: &str,
        messages: impl IntoIterator<Item = &'a Prepared>,
    ) -> Result<Pending, ClientError> {
        let tag = self.next_tag();
        let start = format!("{tag} APPEND {}", astring(mailbox));
        let mut slices = Vec::with_capacity(64);
        slices.push(IoSlice::new(start.as_bytes()));
        for message in messages {
            if slices.len() + 3 > SLICES {
                self.write_slices(&mut slices)?;
            }
            slices.push(IoSlice::new(&message.before));
            if message.waits() {
                self.write_slices(&mut slices)?;
                self.await_continuation(&tag)?;
            }
            slices.push(IoSlice::new(&message.mail.octets));
        }
        slices.push(IoSlice::new(b"\r\n"));
        self.write_slices(&mut slices)?;
        Ok(Pending { tag })
    }

    /// Waits for the completion of an APPEND. Completions come in the order of the commands.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn finish_append(&mut self, pending: &Pending) -> Result<Completion, ClientError> {
        loop {
            let line = self.input.line()?;
            if let Some(completion) = Completion::parse(line, &pending.tag) {
                return completion
                    .ok
                    .then_some(completion.clone())
                    .ok_or_else(|| refused(completion));
            }
            if !line.starts_with(b"* ") {
                return Err(ClientError::unexpected("the completion of APPEND", line));
            }
            if starts_with(line, "* BYE") {
                return Err(ClientError::Bye(String::from_utf8_lossy(line).into_owned()));
            }
        }
    }

    /// Waits for the `+`. The completion of an earlier command in front of it is an error: do not
    /// mix pipelining with synchronising literals.
    fn await_continuation(&mut self, tag: &str) -> Result<(), ClientError> {
        loop {
            let line = self.input.line()?;
            if line.starts_with(b"+") {
                return Ok(());
            }
            if let Some(completion) = Completion::parse(line, tag) {
                return Err(refused(completion));
            }
            if !line.starts_with(b"* ") {
                return Err(ClientError::unexpected("a continuation request", line));
            }
        }
    }

    fn write_slices(&mut self, slices: &mut Vec<IoSlice<'_>>) -> Result<(), ClientError> {
        write_slices(&mut self.input.from, slices).map_err(|error| self.broken(error))
    }
}

fn refused(completion: Completion) -> ClientError {
    ClientError::Refused { command: "APPEND".into(), answer: completion.text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imap::types::{Flags, InternalDate};

    #[test]
    fn flags_and_date_go_before_the_literal() {
        let date = InternalDate::parse(b" 7-Feb-1994 22:43:04 -0800").ok();
        let flags = Flags::SEEN.union(Flags::ANSWERED);
        let mail = Mail { octets: "x".into(), flags, date };
        let full = Prepared::new(mail.clone(), Literals::NonSynchronising);
        let text = " (\\Answered \\Seen) \" 7-Feb-1994 22:43:04 -0800\" {1+}\r\n";
        assert_eq!(&*full.before, text.as_bytes());
        let bare = Mail { flags: Flags::default(), date: None, ..mail };
        assert_eq!(&*Prepared::new(bare, Literals::Synchronising).before, b" {1}\r\n");
    }
}
