//! The mail, and clients that count what was acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use client::Source;

use crate::server::{PASSWORD, USER};

/// Messages, as many as are wanted.
pub enum Mail {
    /// Generated ones of about this many octets.
    Small(usize),
    /// Real ones, again and again.
    Real(Vec<Vec<u8>>),
}

impl Mail {
    /// Real mail if MAILRACE_CORPUS names a folder with some, else generated mail.
    pub fn new(size: usize) -> Mail {
        let Some(folder) = std::env::var_os("MAILRACE_CORPUS") else { return Mail::Small(size) };
        let path = std::path::Path::new(&folder).join("messages.mbox");
        let source = Source::open(&path).expect("an mbox");
        Mail::Real(source.map(|mail| mail.expect("mail").octets.to_vec()).collect())
    }

    /// Writes a message behind `text`: its literal, and the octets. Returns its size.
    fn write(&self, number: u64, text: &mut Vec<u8>) -> u64 {
        let mut made = Vec::new();
        let octets = match self {
            Mail::Real(all) => &all[number as usize % all.len()],
            Mail::Small(size) => {
                generate(number, *size, &mut made);
                &made
            }
        };
        text.extend_from_slice(format!(" {{{}+}}\r\n", octets.len()).as_bytes());
        text.extend_from_slice(octets);
        octets.len() as u64
    }
}

/// A message of half to one and a half times this size.
fn generate(number: u64, size: usize, text: &mut Vec<u8>) {
    let header = format!(
        "From: Sender {} <sender{}@example.org>\r\nTo: Reader <reader@example.net>\r\n\
         Subject: Message number {number}\r\nDate: Tue, 07 Feb 2023 22:43:04 -0800\r\n\
         Message-ID: <{number}.mailrace@example.org>\r\n\r\n",
        number % 100,
        number % 100
    );
    text.extend_from_slice(header.as_bytes());
    let size = size / 2 + (number as usize).wrapping_mul(2_654_435_761) % size.max(1);
    let mut state = number;
    while text.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.extend_from_slice(
            format!("{state:016x} {:016x} a line of text\r\n", !state).as_bytes(),
        );
    }
}

/// A user, and what the server has acknowledged in INBOX.
pub struct Account {
    name: String,
    pub messages: u64,
    pub octets: u64,
    /// Messages and octets of a batch whose outcome is not known.
    doubt: Option<(u64, u64)>,
    text: Vec<u8>,
}

impl Account {
    pub fn new(name: &str) -> Account {
        Account { name: name.into(), messages: 0, octets: 0, doubt: None, text: Vec::new() }
    }

    pub fn login(&self, address: SocketAddr) -> Client {
        Client::login(address, &self.name)
    }

    /// Appends messages. `false` when the server is gone.
    pub fn append(&mut self, client: &mut Client, mail: &Mail, count: usize) -> bool {
        self.text.clear();
        self.text.extend_from_slice(b"a APPEND INBOX");
        let first = self.messages;
        let octets = (0..count as u64).map(|one| mail.write(first + one, &mut self.text)).sum();
        self.text.extend_from_slice(b"\r\n");
        match client.command(&self.text) {
            Some(_) => {
                self.messages += count as u64;
                self.octets += octets;
                true
            }
            None => {
                self.doubt = Some((count as u64, octets));
                false
            }
        }
    }

    /// Checks that INBOX has what was acknowledged. A batch in doubt is there whole, or not at all.
    pub fn check(&mut self, address: SocketAddr) {
        let mut client = self.login(address);
        let reply = client.command(b"a STATUS INBOX (MESSAGES SIZE)\r\n").expect("the server runs");
        let has = |(messages, octets): (u64, u64)| {
            reply.contains(&format!("(MESSAGES {messages} SIZE {octets})"))
        };
        let known = (self.messages, self.octets);
        let more = self.doubt.take().map(|(count, octets)| (known.0 + count, known.1 + octets));
        match more {
            Some(more) if has(more) => (self.messages, self.octets) = more,
            _ => assert!(has(known), "{}: {reply} is not {known:?}", self.name),
        }
    }
}

/// Appends a few messages, and expunges them.
pub fn come_and_go(address: SocketAddr) {
    let mut account = Account::new(USER);
    let mut client = account.login(address);
    assert!(account.append(&mut client, &Mail::Small(4096), 100), "the server is gone");
    for command in ["a SELECT INBOX", "a STORE 1:* +FLAGS.SILENT (\\Deleted)", "a EXPUNGE"] {
        client.command(format!("{command}\r\n").as_bytes()).expect("the server runs");
    }
}

/// A connection with which commands are sent one by one.
pub struct Client(BufReader<TcpStream>);

impl Client {
    fn login(address: SocketAddr, user: &str) -> Client {
        let stream = TcpStream::connect(address).expect("a connection");
        let mut client = Client(BufReader::new(stream));
        client.command(format!("a LOGIN {user} {PASSWORD}\r\n").as_bytes()).expect("a login");
        client
    }

    /// Sends a command with the tag `a`, and reads up to its OK. `None` when the server is gone.
    fn command(&mut self, text: &[u8]) -> Option<String> {
        self.0.get_mut().write_all(text).ok()?;
        let mut reply = String::new();
        loop {
            let begun = reply.len();
            if self.0.read_line(&mut reply).ok()? == 0 {
                return None;
            }
            if let Some(status) = reply[begun..].strip_prefix("a ") {
                assert!(status.starts_with("OK"), "{status}");
                return Some(reply);
            }
        }
    }
}
