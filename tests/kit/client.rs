//! A wire client on blocking sockets that sends exactly the octets it is given.
//!
//! The clients of [`crate::model`] are asynchronous instead, and reach a simulated server as well.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection};

use super::Stream;

/// Longer than any answer takes on a busy machine. A test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub struct Client {
    socket: BufReader<Stream>,
    commands: u32,
}

/// A response with its literals, without the CRLF at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The whole response as received.
    pub octets: Vec<u8>,
    /// The contents of its literals, in order.
    pub literals: Vec<Vec<u8>>,
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The untagged responses, in order.
    pub untagged: Vec<Response>,
    /// The last line without its tag: `OK [APPENDUID 1 1:3] done`.
    pub tagged: String,
}

/// A message to append.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The text between the mailbox and the literal, each part followed by a space, or nothing:
    /// `(\Seen) " 7-Feb-1994 22:43:04 -0800" `.
    pub options: &'a str,
    /// The octets.
    pub octets: &'a [u8],
}

impl Client {
    /// Connects. The greeting is still to be read.
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    /// The same over a socket that is connected already.
    pub fn over(socket: TcpStream) -> Client {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { socket: BufReader::new(Stream::Clear(socket)), commands: 0 }
    }

    /// Connects over TLS. The greeting is still to be read.
    pub fn by_tls(address: SocketAddr, config: Arc<ClientConfig>) -> Client {
        let mut client = Client::connect(address);
        client.secure(config);
        client
    }

    /// Starts TLS on this connection.
    pub fn secure(&mut self, config: Arc<ClientConfig>) {
        self.socket.get_mut().secure(config);
    }

    /// The client side of TLS.
    pub fn tls(&mut self) -> &mut ClientConnection {
        self.socket.get_mut().tls()
    }

    /// Sends octets.
    pub fn send(&mut self, octets: &[u8]) {
        assert!(self.try_send(octets), "the server is gone");
    }

    /// Sends octets to a server that may have closed the connection, and returns `false` then.
    pub fn try_send(&mut self, octets: &[u8]) -> bool {
        let stream = self.socket.get_mut();
        stream.write_all(octets).and_then(|()| stream.flush()).is_ok()
    }

    /// Sends octets in slices of these lengths, repeated, each in a TCP segment of its own.
    pub fn send_sliced(&mut self, mut octets: &[u8], lengths: &[usize]) {
        for &length in lengths.iter().cycle() {
            let (slice, rest) =
                octets.split_at(length.clamp(1, octets.len().max(1)).min(octets.len()));
            if slice.is_empty() {
                return;
            }
            self.send(slice);
            octets = rest;
        }
    }

    /// The socket. Octets that were received but not read yet have left it.
    pub fn socket(&self) -> &TcpStream {
        self.socket.get_ref().socket()
    }

    /// Whether the server sends something or closes the connection within this time.
    pub fn hears_within(&mut self, time: Duration) -> bool {
        if !self.socket.buffer().is_empty() {
            return true;
        }
        self.socket().set_read_timeout(Some(time)).unwrap();
        let heard = self.socket().peek(&mut [0]).is_ok();
        self.socket().set_read_timeout(Some(PATIENCE)).unwrap();
        heard
    }

    /// Closes the connection with a reset. What was not sent or read yet is lost.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(self.socket());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Shuts the connection down in both directions, even if another handle holds its socket.
    pub fn hang_up(&mut self) {
        let _ = self.socket().shutdown(Shutdown::Both);
    }

    /// Shuts the sending side down.
    pub fn end(&mut self) {
        self.socket().shutdown(Shutdown::Write).unwrap();
    }

    /// Reads a line and returns it without its CRLF. `None` when the server closed the connection.
    pub fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            match self.socket.read_until(b'\n', &mut line) {
                Ok(0) if line.is_empty() => return None,
                Ok(0) => panic!("hung up amid {:?}", String::from_utf8_lossy(&line)),
                Ok(_) if line.ends_with(b"\r\n") => {
                    line.truncate(line.len() - 2);
                    return Some(line);
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&line)),
            }
        }
    }

    /// Reads up to the next LF, which is included, or to the end of the connection, even an
    /// abnormal one. `None` when there is nothing.
    pub fn line_or_end(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        let _ = self.socket.read_until(b'\n', &mut line);
        (!line.is_empty()).then_some(line)
    }

    /// Reads the next response. `None` when the server closed the connection.
    pub fn response(&mut self) -> Option<Response> {
        let mut response = Response { octets: self.line()?, literals: Vec::new() };
        while let Some(length) = announced(&response.octets) {
            let mut literal = vec![0; length];
            self.socket.read_exact(&mut literal).unwrap();
            response.octets.extend_from_slice(b"\r\n");
            response.octets.extend_from_slice(&literal);
            response.octets.extend(self.line().expect("the rest of a response"));
            response.literals.push(literal);
        }
        Some(response)
    }

    /// Reads up to the tagged response to `tag`. Panics when the connection ends before it.
    pub fn reply(&mut self, tag: &str) -> Reply {
        let mut untagged = Vec::new();
        loop {
            let response = self.response().unwrap_or_else(|| {
                let heard: Vec<_> = untagged.iter().map(Response::text).collect();
                panic!("hung up without a reply to {tag}: {heard:#?}")
            });
            let text = response.text();
            match text.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                Some(tagged) => return Reply { untagged, tagged: tagged.into() },
                None => untagged.push(response),
            }
        }
    }

    /// Returns an unused tag.
    pub fn tag(&mut self) -> String {
        self.commands += 1;
        format!("t{}", self.commands)
    }

    /// Sends a command of one line and reads the answer.
    pub fn command(&mut self, command: &str) -> Reply {
        let tag = self.tag();
        self.send(format!("{tag} {command}\r\n").as_bytes());
        self.reply(&tag)
    }

    /// The same for a command that has to succeed.
    #[track_caller]
    pub fn ok(&mut self, command: &str) -> Reply {
        let reply = self.command(command);
        assert!(reply.tagged.starts_with("OK "), "{command}: {}", reply.tagged);
        reply
    }

    /// APPEND with non-synchronising literals (RFC 7888), sent at once.
    pub fn append(&mut self, mailbox: &str, messages: &[Message<'_>]) -> Reply {
        let tag = self.tag();
        let command = append_text(&tag, mailbox, messages);
        self.send(&command);
        self.reply(&tag)
    }

    /// APPEND with synchronising literals: each message is sent after its `+`. A tagged response
    /// in place of a `+` ends the command.
    pub fn append_in_step(&mut self, mailbox: &str, messages: &[Message<'_>]) -> Reply {
        let tag = self.tag();
        self.send(format!("{tag} APPEND {mailbox}").as_bytes());
        let mut untagged = Vec::new();
        for message in messages {
            self.send(format!(" {}{{{}}}\r\n", message.options, message.octets.len()).as_bytes());
            loop {
                let response = self.response().expect("a continuation");
                let text = response.text();
                if text.starts_with("+ ") {
                    break;
                }
                if let Some(tagged) = text.strip_prefix(&format!("{tag} ")) {
                    return Reply { untagged, tagged: tagged.into() };
                }
                untagged.push(response);
            }
            self.send(message.octets);
        }
        self.send(b"\r\n");
        let mut reply = self.reply(&tag);
        untagged.append(&mut reply.untagged);
        Reply { untagged, tagged: reply.tagged }
    }
}

/// The octets of an APPEND with non-synchronising literals.
pub fn append_text(tag: &str, mailbox: &str, messages: &[Message<'_>]) -> Vec<u8> {
    let mut text = format!("{tag} APPEND {mailbox}").into_bytes();
    for message in messages {
        let head = format!(" {}{{{}+}}\r\n", message.options, message.octets.len());
        text.extend_from_slice(head.as_bytes());
        text.extend_from_slice(message.octets);
    }
    text.extend_from_slice(b"\r\n");
    text
}

impl Response {
    /// As text, with replacement characters for what is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.octets).into_owned()
    }
}

impl Reply {
    /// The response code without its brackets: `APPENDUID 1 1:3`. Empty when there is none.
    pub fn code(&self) -> &str {
        let code = self.tagged.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        code.map_or("", |(code, _)| code)
    }

    /// The untagged responses as text.
    pub fn texts(&self) -> Vec<String> {
        self.untagged.iter().map(Response::text).collect()
    }
}

/// The length of the literal announced at the end of a line: `{5}`, `~{5}`.
fn announced(line: &[u8]) -> Option<usize> {
    let digits = line.strip_suffix(b"}")?;
    let brace = digits.iter().rposition(|&octet| octet == b'{')?;
    std::str::from_utf8(&digits[brace + 1..]).ok()?.parse().ok()
}
