//! The cost of reading a large mailbox.
//!
//! ```sh
//! cargo bench --bench read                       # 1,000,000 small messages
//! cargo bench --bench read -- --messages 200000  # fewer
//! cargo bench --bench read -- --mbox CORPUS      # real mail, repeated up to 1 GB
//! ```
//! The real binary runs in its own process on a temporary folder. The client parses replies only as
//! far as necessary to count messages and octets; each reply is checked. BAD means that the server
//! does not support the command: the row is skipped with a message.

mod server;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::Source;
use memchr::memmem::Finder;
use rustix::process::Signal;
use server::{PASSWORD, Server, USER};

/// Number of measurements per row.
const ROUNDS: usize = 3;

/// Real mail is repeated up to this many octets.
const REPEATED: u64 = 1_000_000_000;

/// Messages in one APPEND.
const BATCH: usize = 1000;

/// Name of the row and command.
const SEARCHES: [(&str, &str); 7] = [
    ("SEARCH by flag", "UID SEARCH UNSEEN"),
    ("SEARCH by date", "UID SEARCH SINCE 1-Jan-2001"),
    ("SEARCH by size", "UID SEARCH LARGER 300"),
    ("SEARCH by all three", "UID SEARCH UNSEEN SINCE 1-Jan-2001 LARGER 300"),
    ("SEARCH HEADER", "UID SEARCH HEADER Subject zzzyx"),
    ("SEARCH BODY", "UID SEARCH BODY zzzyx"),
    ("SEARCH TEXT", "UID SEARCH TEXT zzzyx"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let messages = after("--messages").map_or(1_000_000, |n| n.parse().expect("a number"));
    let mail = match after("--mbox") {
        Some(path) => real(&path),
        None => (0..messages).map(small).collect(),
    };
    let filled = Instant::now();
    let mut server = Server::new();
    let octets = fill(&server, &mail);
    let seconds = filled.elapsed().as_secs_f64();
    let count = mail.len();
    println!("{count} messages of {} octets; filled in {seconds:.1} s", octets / count as u64);
    drop(mail);
    selects(&mut server, count);
    let mut client = Client::login(server.address);
    client.select(count);
    let (count, octets) = (count as u64, octets);
    let mut row =
        |name, command: &str, least| fetch(&server, &mut client, name, command, count, least);
    row("FLAGS", "FETCH 1:* (UID FLAGS)", 20 * count);
    row("all of the index", "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ)", 80 * count);
    row("Message-ID", "UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])", 60 * count);
    row("header", "UID FETCH 1:* (BODY.PEEK[HEADER])", 60 * count);
    row("structure", "UID FETCH 1:* (ENVELOPE BODYSTRUCTURE)", 60 * count);
    row("bodies", "UID FETCH 1:* (BODY.PEEK[])", octets);
    for (name, command) in SEARCHES {
        search(&server, &mut client, name, command, octets);
    }
}

/// A message of some 400 octets with a typical header.
fn small(number: usize) -> Bytes {
    let text = format!(
        "Received: from a.example.org by b.example.org; Tue, 07 Feb 2023 22:43:04 -0800\r\n\
         From: Sender {} <sender{}@example.org>\r\nTo: Reader <reader@example.net>\r\n\
         Subject: Message number {number}\r\nDate: Tue, 07 Feb 2023 22:43:04 -0800\r\n\
         Message-ID: <{number}.mailrace@example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\nHello, this is number {number}.\r\n",
        number % 100,
        number % 100,
    );
    text.into()
}

fn real(path: &str) -> Vec<Bytes> {
    let source = Source::open(path.as_ref()).expect("an mbox");
    let once: Vec<Bytes> = source.map(|mail| mail.expect("mail").octets).collect();
    let octets: u64 = once.iter().map(|mail| mail.len() as u64).sum();
    let times = (REPEATED / octets.max(1)).max(1) as usize;
    println!("{path}: {} messages, {times} times", once.len());
    (0..times).flat_map(|_| once.iter().cloned()).collect()
}

/// Appends everything to INBOX. Returns the number of octets.
fn fill(server: &Server, mail: &[Bytes]) -> u64 {
    let mut client = Client::login(server.address);
    let mut octets = 0;
    for batch in mail.chunks(BATCH) {
        let mut text = b"a APPEND INBOX".to_vec();
        for mail in batch {
            text.extend_from_slice(format!(" {{{}+}}\r\n", mail.len()).as_bytes());
            text.extend_from_slice(mail);
            octets += mail.len() as u64;
        }
        text.extend_from_slice(b"\r\n");
        client.send(&text);
        client.finish("a", &mut Answer::default());
    }
    octets
}

/// SELECT of a mailbox that is in memory, and of one that is not.
fn selects(server: &mut Server, count: usize) {
    let mut cold = Vec::new();
    for _ in 0..ROUNDS {
        server.restart(Signal::TERM);
        cold.push(Client::login(server.address).select(count));
    }
    let mut client = Client::login(server.address);
    let again = (0..ROUNDS).map(|_| client.select(count)).collect();
    let held = Client::login(server.address).select(count);
    let mut other = Client::login(server.address);
    let warm = (0..ROUNDS).map(|_| other.select(count)).collect();
    drop((held, client));
    println!("SELECT cold, after a restart: {} ms (under 500)", milliseconds(cold));
    println!("SELECT again: {} ms", milliseconds(again));
    println!("SELECT warm, another session has it: {} ms (under 100)", milliseconds(warm));
}

fn milliseconds(mut times: Vec<Duration>) -> String {
    times.sort();
    let ms = |time: &Duration| time.as_secs_f64() * 1e3;
    let (first, last) = (&times[0], &times[times.len() - 1]);
    format!("{:.1} ({:.1}-{:.1})", ms(&times[times.len() / 2]), ms(first), ms(last))
}

/// The cost of a command.
struct Cost {
    seconds: f64,
    cpu: f64,
}

/// Measures a command [`ROUNDS`] times. Returns the median by time.
fn measure(
    server: &Server,
    client: &mut Client,
    command: &str,
    mut check: impl FnMut(&Answer),
) -> Option<Cost> {
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let mut answer = Answer::default();
        let (begun, cpu) = (Instant::now(), server.cpu());
        client.send(format!("zq17 {command}\r\n").as_bytes());
        if !client.finish("zq17", &mut answer) {
            println!("{command}: passed over, the server does not have it: {}", answer.last);
            return None;
        }
        let seconds = begun.elapsed().as_secs_f64();
        costs.push(Cost { seconds, cpu: server.cpu() - cpu });
        check(&answer);
    }
    costs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    Some(costs.swap_remove(ROUNDS / 2))
}

fn fetch(server: &Server, client: &mut Client, name: &str, command: &str, count: u64, least: u64) {
    server.forget_peak();
    let mut octets = 0;
    let cost = measure(server, client, command, |answer| {
        assert_eq!(answer.fetched, count, "{command}: {}", answer.last);
        assert!(answer.octets >= least, "{command}: {} octets", answer.octets);
        octets = answer.octets;
    });
    let Some(Cost { seconds, cpu }) = cost else { return };
    let megabytes = octets as f64 / 1e6;
    println!(
        "{name}: {:.0} messages/s, {:.0} MB/s; server CPU {:.2} µs/message, {:.2} s/GB; \
         peak {} MiB",
        count as f64 / seconds,
        megabytes / seconds,
        cpu * 1e6 / count as f64,
        cpu / megabytes * 1e3,
        server.memory("VmHWM") >> 20,
    );
}

fn search(server: &Server, client: &mut Client, name: &str, command: &str, stored: u64) {
    let cost = measure(server, client, command, |answer| assert!(answer.octets > 0));
    let Some(Cost { seconds, cpu }) = cost else { return };
    println!(
        "{name}: {:.1} ms; server CPU {:.1} ms; {:.0} MB/s if all was looked at",
        seconds * 1e3,
        cpu * 1e3,
        stored as f64 / 1e6 / seconds
    );
}

/// Counts replies and keeps nothing: [`kit::Client`] would take more time than the server.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The counted reply to a command.
#[derive(Default)]
struct Answer {
    octets: u64,
    /// Number of FETCH responses.
    fetched: u64,
    /// Number in the EXISTS response of SELECT.
    exists: Option<usize>,
    /// The tagged response.
    last: String,
}

/// Octets kept of each piece, for words that end in the next piece.
const KEPT: usize = 512;

impl Client {
    fn login(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a socket option");
        let mut client = Client { stream, buffer: vec![0; KEPT + (1 << 20)] };
        client.send(format!("l LOGIN {USER} {PASSWORD}\r\n").as_bytes());
        assert!(client.finish("l", &mut Answer::default()));
        client
    }

    fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).expect("the server reads");
    }

    fn select(&mut self, count: usize) -> Duration {
        let (begun, mut answer) = (Instant::now(), Answer::default());
        self.send(b"s SELECT INBOX\r\n");
        assert!(self.finish("s", &mut answer), "{}", answer.last);
        let time = begun.elapsed();
        assert_eq!(answer.exists, Some(count), "EXISTS");
        time
    }

    /// Reads up to the tagged response. Returns `true` for OK and `false` for BAD; NO panics.
    fn finish(&mut self, tag: &str, answer: &mut Answer) -> bool {
        let fetch = Finder::new(b" FETCH (");
        let mut kept = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[kept..]).expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            answer.octets += read as u64;
            let here = &self.buffer[..kept + read];
            if answer.octets < 4096 {
                answer.exists = answer.exists.or_else(|| exists(here));
            }
            // Matches within the kept octets were counted already.
            let old = fetch.find_iter(&here[..kept]).count() as u64;
            answer.fetched += fetch.find_iter(here).count() as u64 - old;
            if let Some(text) = here.strip_suffix(b"\r\n") {
                let line = memchr::memrchr(b'\n', text).map_or(text, |at| &text[at + 1..]);
                if let Some(status) = line.strip_prefix(tag.as_bytes()) {
                    answer.last = String::from_utf8_lossy(status).into_owned();
                    assert!(!status.starts_with(b" NO"), "{}", answer.last);
                    return status.starts_with(b" OK");
                }
            }
            let keep = KEPT.min(here.len());
            let from = here.len() - keep;
            self.buffer.copy_within(from..from + keep, 0);
            kept = keep;
        }
    }
}

fn exists(text: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(text).into_owned();
    let line = text.lines().find_map(|line| line.strip_suffix(" EXISTS"))?;
    line.strip_prefix("* ")?.parse().ok()
}
