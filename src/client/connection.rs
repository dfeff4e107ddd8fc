//! A connection to a server: login, simple commands, answers.
//!
//! The client often shares a machine with the server that it measures, so it is built to cost
//! little processor time: messages leave by `writev` from where they lie, and what comes back is
//! compared in the buffer it arrived in.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::answer::{self, Completion, Status};
use super::error::ClientError;
use super::input::Input;
use super::stream::{Stream, Trust};

/// How long a server may be silent in the middle of a command.
const PATIENCE: Duration = Duration::from_secs(120);

/// Total size of the untagged answers to one command, in octets: enough for any listing, not for
/// mail.
const ANSWERS: usize = 64 << 20;

/// A connection to a server.
pub struct Client {
    pub(super) input: Input<Stream>,
    tags: u32,
    capabilities: Vec<String>,
}

impl Client {
    /// Connects and reads the greeting. With `trust` the connection uses TLS from its first octet
    /// (RFC 8314).
    ///
    /// # Errors
    /// When the server cannot be reached, is not trusted, or does not greet with OK.
    pub fn connect(address: SocketAddr, trust: Option<&Trust>) -> Result<Client, ClientError> {
        let stream = Stream::open(address, trust, PATIENCE)?;
        let mut client = Client { input: Input::new(stream), tags: 0, capabilities: Vec::new() };
        let greeting = client.input.line()?;
        if !greeting.starts_with(b"* OK") {
            return Err(ClientError::unexpected("a greeting", greeting));
        }
        Ok(client)
    }

    /// Logs in and asks for the server's capabilities.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn login(&mut self, user: &str, password: &str) -> Result<(), ClientError> {
        self.command(&format!("LOGIN {} {}", astring(user), astring(password)))?;
        let reply = self.command("CAPABILITY")?;
        let prefix = "* CAPABILITY ";
        let line = reply.untagged.iter().find(|l| starts_with(l, prefix));
        let line = line.ok_or_else(|| ClientError::unexpected("CAPABILITY", b"none"))?;
        let names = String::from_utf8_lossy(&line[prefix.len()..]).to_ascii_uppercase();
        self.capabilities = names.split_ascii_whitespace().map(str::to_owned).collect();
        Ok(())
    }

    /// Whether the server listed this capability after login. Names are in capitals.
    #[must_use]
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| name == capability)
    }

    /// Creates a mailbox.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn create(&mut self, mailbox: &str) -> Result<(), ClientError> {
        self.command(&format!("CREATE {}", astring(mailbox))).map(drop)
    }

    /// Deletes a mailbox.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn delete(&mut self, mailbox: &str) -> Result<(), ClientError> {
        self.command(&format!("DELETE {}", astring(mailbox))).map(drop)
    }

    /// Asks for the counters of a mailbox (STATUS).
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn status(&mut self, mailbox: &str) -> Result<Status, ClientError> {
        let items = "(MESSAGES UIDNEXT UIDVALIDITY)";
        let reply = self.command(&format!("STATUS {} {items}", astring(mailbox)))?;
        let status = reply.untagged.iter().find_map(|line| Status::parse(line));
        status.ok_or_else(|| ClientError::unexpected("STATUS", b"none that can be read"))
    }

    /// Selects a mailbox read-only. Returns the number of messages in it.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn examine(&mut self, mailbox: &str) -> Result<u32, ClientError> {
        let reply = self.command(&format!("EXAMINE {}", astring(mailbox)))?;
        let exists = reply.untagged.iter().find_map(|line| answer::numbered(line, "EXISTS"));
        exists.ok_or_else(|| ClientError::unexpected("EXISTS", b"none"))
    }

    /// Logs out and waits for the server to confirm.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn logout(mut self) -> Result<(), ClientError> {
        self.command("LOGOUT").map(drop)
    }

    /// Sends a command without literals and reads everything up to its completion.
    ///
    /// # Errors
    /// When the server answers NO or BAD, or the connection breaks.
    pub fn command(&mut self, text: &str) -> Result<Reply, ClientError> {
        let tag = self.next_tag();
        self.write_all(format!("{tag} {text}\r\n").as_bytes())?;
        let (untagged, completion) = self.answers(&tag)?;
        if completion.ok {
            return Ok(Reply { untagged, completion });
        }
        let command = text.split(' ').next().unwrap_or_default().to_owned();
        Err(ClientError::Refused { command, answer: completion.text })
    }

    pub(super) fn next_tag(&mut self) -> String {
        self.tags += 1;
        format!("A{}", self.tags)
    }

    /// Reads everything up to the completion of `tag`. Literals stay in the untagged answers as
    /// sent, after their size and a line end.
    fn answers(&mut self, tag: &str) -> Result<(Vec<Vec<u8>>, Completion), ClientError> {
        let mut untagged = Vec::new();
        let mut octets = 0;
        loop {
            let mut line = self.input.line()?.to_vec();
            if let Some(completion) = Completion::parse(&line, tag) {
                return Ok((untagged, completion));
            }
            while let Some(size) = answer::literal_size(&line) {
                if octets as u64 + size > ANSWERS as u64 {
                    return Err(ClientError::LineTooLong);
                }
                line.extend_from_slice(b"\r\n");
                self.input.literal(size, |piece| line.extend_from_slice(piece))?;
                let rest = self.input.line()?;
                line.extend_from_slice(rest);
                if answer::literal_size(rest).is_none() {
                    break;
                }
            }
            octets += line.len();
            if octets > ANSWERS {
                return Err(ClientError::LineTooLong);
            }
            if !starts_with(&line, "* ") {
                return Err(ClientError::unexpected("an answer to a command", &line));
            }
            untagged.push(line);
        }
    }

    pub(super) fn write_all(&mut self, octets: &[u8]) -> Result<(), ClientError> {
        let to = &mut self.input.from;
        let written = io::Write::write_all(to, octets).and_then(|()| io::Write::flush(to));
        written.map_err(|error| self.broken(error))
    }

    /// The error for a failed write: the server's BYE if it sent one before it hung up.
    pub(super) fn broken(&mut self, error: io::Error) -> ClientError {
        let _ = self.input.from.set_patience(Duration::from_secs(1));
        while let Ok(line) = self.input.line() {
            if starts_with(line, "* BYE") {
                return ClientError::Bye(String::from_utf8_lossy(line).into_owned());
            }
        }
        ClientError::Io(error)
    }
}

/// The answers to a command that succeeded.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The untagged answers, literals included.
    pub untagged: Vec<Vec<u8>>,
    /// The tagged OK.
    pub completion: Completion,
}

pub(super) fn starts_with(line: &[u8], prefix: &str) -> bool {
    line.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// A name or password as a quoted string, or as a non-synchronising literal when it holds octets
/// that cannot be quoted.
///
/// ```abnf
/// quoted          = DQUOTE *QUOTED-CHAR DQUOTE
/// QUOTED-CHAR     = <any TEXT-CHAR except quoted-specials> /
///                   "\" quoted-specials
/// ```
pub(super) fn astring(text: &str) -> String {
    if text.bytes().all(|o| (b' '..0x7f).contains(&o)) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    format!("{{{}+}}\r\n{text}", text.len())
}
