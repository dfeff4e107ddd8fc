//! A small blocking IMAP client: uploads as fast as a socket takes them, reads back and compares.
//!
//! It costs as little processor time as it can, for it shares the machine with the server that it
//! measures: messages leave from where they lie by `writev`, what comes back is compared where it
//! arrives. Every answer is checked; an error carries the server's own words.

mod answer;
mod append;
mod compare;
mod input;
mod slices;
mod stream;

use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

pub use self::answer::{AppendUid, Completion, Status};
pub use self::append::{Literals, Pending, Prepared};
pub use self::compare::{Comparison, Expected};
use self::input::Input;
pub use self::slices::{SLICES, write_slices};
use self::stream::Stream;
pub use self::stream::Trust;

/// So long a server may be silent in the middle of a command.
const PATIENCE: Duration = Duration::from_secs(120);

/// Untagged answers that one command may bring, in octets: enough for any listing, not for mail.
const ANSWERS: usize = 64 << 20;

/// A connection to a server.
pub struct Client {
    input: Input<Stream>,
    tags: u32,
    capabilities: Vec<String>,
}

impl Client {
    /// Connects and reads the greeting; with somebody to trust, by TLS from the first octet on.
    ///
    /// # Errors
    /// When nobody answers, or not with a greeting, or not one to be trusted.
    pub fn connect(address: SocketAddr, trust: Option<&Trust>) -> Result<Client, ClientError> {
        let stream = Stream::open(address, trust, PATIENCE)?;
        let mut client = Client { input: Input::new(stream), tags: 0, capabilities: Vec::new() };
        let greeting = client.input.line()?;
        if !greeting.starts_with(b"* OK") {
            return Err(ClientError::unexpected("a greeting", greeting));
        }
        Ok(client)
    }

    /// Logs in and learns what the server can do.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks; so with all that follow.
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

    /// Whether the server named this capability after login.
    #[must_use]
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| name == capability)
    }

    /// Makes a mailbox.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub fn create(&mut self, mailbox: &str) -> Result<(), ClientError> {
        self.command(&format!("CREATE {}", astring(mailbox))).map(drop)
    }

    /// Removes a mailbox.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub fn delete(&mut self, mailbox: &str) -> Result<(), ClientError> {
        self.command(&format!("DELETE {}", astring(mailbox))).map(drop)
    }

    /// Asks for the counters of a mailbox.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub fn status(&mut self, mailbox: &str) -> Result<Status, ClientError> {
        let items = "(MESSAGES UIDNEXT UIDVALIDITY)";
        let reply = self.command(&format!("STATUS {} {items}", astring(mailbox)))?;
        let status = reply.untagged.iter().find_map(|line| Status::parse(line));
        status.ok_or_else(|| ClientError::unexpected("STATUS", b"none that can be read"))
    }

    /// Selects a mailbox for reading; gives the number of its messages.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub fn examine(&mut self, mailbox: &str) -> Result<u32, ClientError> {
        let reply = self.command(&format!("EXAMINE {}", astring(mailbox)))?;
        let exists = reply.untagged.iter().find_map(|line| answer::numbered(line, "EXISTS"));
        exists.ok_or_else(|| ClientError::unexpected("EXISTS", b"none"))
    }

    /// Says good-bye and waits for the server's.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub fn logout(mut self) -> Result<(), ClientError> {
        self.command("LOGOUT").map(drop)
    }

    /// Sends a command without literals and reads its answers to the end.
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

    fn next_tag(&mut self) -> String {
        self.tags += 1;
        format!("A{}", self.tags)
    }

    /// Everything up to the completion of `tag`. Literals stand in the untagged answers as sent,
    /// with size and line end before them.
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

    fn write_all(&mut self, octets: &[u8]) -> Result<(), ClientError> {
        let to = &mut self.input.from;
        let written = io::Write::write_all(to, octets).and_then(|()| io::Write::flush(to));
        written.map_err(|error| self.broken(error))
    }

    /// A failed write, with the server's last words if it said why it hung up.
    fn broken(&mut self, error: io::Error) -> ClientError {
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
    /// The untagged ones, literals and all.
    pub untagged: Vec<Vec<u8>>,
    /// The tagged OK.
    pub completion: Completion,
}

/// What can go wrong between client and server.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody listens there.
    Connect {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The connection broke, or the server was silent for two minutes.
    Io(io::Error),
    /// The server hung up without a word.
    Closed,
    /// The server hung up and said why.
    Bye(String),
    /// The server answered NO or BAD.
    Refused {
        /// The first word of the command.
        command: String,
        /// The server's text, from NO or BAD on.
        answer: String,
    },
    /// The server said something else than IMAP has it say here.
    Unexpected {
        /// What should have come.
        awaited: &'static str,
        /// The line that came.
        got: String,
    },
    /// A line, or all answers to a command, are longer than any sensible server's.
    LineTooLong,
}

impl ClientError {
    fn unexpected(awaited: &'static str, got: &[u8]) -> ClientError {
        let shown = &got[..got.len().min(200)];
        ClientError::Unexpected { awaited, got: shown.escape_ascii().to_string() }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Connect { address, error } => {
                write!(f, "connecting to {address}: {error}")
            }
            ClientError::Io(error) => write!(f, "the connection to the server broke: {error}"),
            ClientError::Closed => f.write_str("the server closed the connection"),
            ClientError::Bye(line) => write!(f, "the server closed the connection: {line}"),
            ClientError::Refused { command, answer } => {
                write!(f, "the server refused {command}: {answer}")
            }
            ClientError::Unexpected { awaited, got } => {
                write!(f, "awaited {awaited} from the server, got: {got}")
            }
            ClientError::LineTooLong => f.write_str("the server's answer has no end"),
        }
    }
}

impl std::error::Error for ClientError {}

fn starts_with(line: &[u8], prefix: &str) -> bool {
    line.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// A name or password as a quoted string; what cannot be quoted as a literal that does not wait.
///
/// ```abnf
/// quoted          = DQUOTE *QUOTED-CHAR DQUOTE
/// QUOTED-CHAR     = <any TEXT-CHAR except quoted-specials> /
///                   "\" quoted-specials
/// ```
fn astring(text: &str) -> String {
    if text.bytes().all(|o| (b' '..0x7f).contains(&o)) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    format!("{{{}+}}\r\n{text}", text.len())
}

#[cfg(test)]
mod tests;
