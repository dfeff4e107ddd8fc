//! Costs at the limits: memory for huge messages, large batches and idle sessions, time to start,
//! and the effect of many failing logins on an upload.
//!
//! ```sh
//! cargo bench --bench limits                  # all cases
//! cargo bench --bench limits -- idle million  # some
//! ```
//! The real binary runs in its own process on a temporary folder. Memory is the kernel's figure for
//! that process (VmHWM is the peak, VmRSS the present value). Every case checks afterwards that
//! acknowledged mail is there.

mod server;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kit::Client;
use mailrace::limits::ARENA;
use mailrace::reactor::raise_limits;
use rustix::process::Signal;
use server::{PASSWORD, Server, USER};
use socket2::{Domain, Socket, Type};

const MIB: u64 = 1 << 20;

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let cases: [(&str, fn()); 5] = [
        ("big-message", big_message),
        ("many-small", many_small),
        ("idle", idle),
        ("million", million),
        ("storm", storm),
    ];
    for (name, case) in cases {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            case();
        }
    }
}

/// One message of 2 GiB.
fn big_message() {
    let server = Server::new();
    let before = server.memory("VmRSS");
    let mut client = login(&server);
    let size: u64 = 2 << 30;
    client.send(format!("a APPEND INBOX {{{size}+}}\r\n").as_bytes());
    let piece = vec![b'x'; MIB as usize];
    for _ in 0..size / MIB {
        client.send(&piece);
    }
    client.send(b"\r\n");
    finish(&mut client, "a");
    expect(&mut client, 1, size);
    report_peak("one message of 2 GiB", &server, before);
}

/// A batch of 200,000 small messages.
fn many_small() {
    let server = Server::new();
    let before = server.memory("VmRSS");
    let mut client = login(&server);
    let message = message();
    client.send(b"a APPEND INBOX");
    let mut some = Vec::new();
    for _ in 0..1000 {
        some.extend_from_slice(format!(" {{{}+}}\r\n", message.len()).as_bytes());
        some.extend_from_slice(&message);
    }
    for _ in 0..200 {
        client.send(&some);
    }
    client.send(b"\r\n");
    finish(&mut client, "a");
    expect(&mut client, 200_000, 200_000 * message.len() as u64);
    report_peak("a batch of 200,000 messages", &server, before);
}

/// 10,000 idle connections after login.
fn idle() {
    raise_limits();
    let server = Server::new();
    let empty = server.memory("VmRSS");
    let mut clients = Vec::new();
    for _ in 0..10_000 {
        clients.push(login(&server));
    }
    // After one more reply from each, the last connection is idle too.
    for client in &mut clients {
        client.ok("NOOP");
    }
    let memory = server.memory("VmRSS");
    println!(
        "10,000 idle sessions: {} MiB resident ({} MiB without them); at most 250",
        memory / MIB,
        empty / MIB
    );
}

/// A start after a million messages and kill -9.
fn million() {
    let mut server = Server::new();
    let mut client = login(&server);
    let message = message();
    let mut batch = b"a APPEND INBOX".to_vec();
    for _ in 0..1000 {
        batch.extend_from_slice(format!(" {{{}+}}\r\n", message.len()).as_bytes());
        batch.extend_from_slice(&message);
    }
    batch.extend_from_slice(b"\r\n");
    for _ in 0..1000 {
        client.send(&batch);
        finish(&mut client, "a");
    }
    let peak = server.memory("VmHWM");
    let begun = server.restart(Signal::KILL);
    let started = begun.elapsed();
    let idle = server.memory("VmRSS");
    expect(&mut login(&server), 1_000_000, 1_000_000 * message.len() as u64);
    println!(
        "1,000,000 messages: peak {} MiB while taking them in; start after kill -9 in {} ms \
         (under 2,000), then {} MiB resident (under 150)",
        peak / MIB,
        started.as_millis(),
        idle / MIB
    );
}

/// Number of connections that fail to log in. Each has its own address and always uses new names,
/// so that none is cut off.
const STORM: usize = 1000;

/// An upload alone, during a storm of failing logins, and alone again.
fn storm() {
    raise_limits();
    let server = Server::new();
    let mut client = login(&server);
    let batch = batch(64, 64 << 10);
    let mut upload = |seconds: u64| {
        let (begun, mut octets) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_secs(seconds) {
            client.send(&batch);
            finish(&mut client, "a");
            octets += batch.len();
        }
        octets as f64 / begun.elapsed().as_secs_f64() / MIB as f64
    };
    upload(5);
    let before = upload(10);
    let (over, failed) = (AtomicBool::new(false), AtomicU64::new(0));
    let (amid, logins) = std::thread::scope(|scope| {
        for part in 0..4 {
            let (over, failed, address) = (&over, &failed, server.address);
            scope.spawn(move || {
                let mut stormers: Vec<_> =
                    (part..STORM).step_by(4).map(|number| Stormer::new(address, number)).collect();
                while !over.load(Ordering::Relaxed) {
                    for stormer in &mut stormers {
                        failed.fetch_add(stormer.go_on(), Ordering::Relaxed);
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        // Until the storm has reached its full strength.
        upload(3);
        let counted = failed.load(Ordering::Relaxed);
        let amid = upload(10);
        let counted = failed.load(Ordering::Relaxed) - counted;
        let begun = Instant::now();
        drop(login(&server));
        let login = begun.elapsed();
        over.store(true, Ordering::Relaxed);
        (amid, (counted, login))
    });
    // The last replies to the storm come late.
    std::thread::sleep(Duration::from_secs(20));
    let after = upload(10);
    println!(
        "an upload: {before:.0} MiB/s alone, {amid:.0} amid {STORM} connections of which {} logins \
         a second fail, {after:.0} alone again; a known user logs in amid them in {} ms",
        logins.0 / 10,
        logins.1.as_millis()
    );
}

/// A client that guesses passwords as fast as it gets replies.
struct Stormer {
    server: SocketAddr,
    number: usize,
    tries: u64,
    stream: Option<TcpStream>,
}

impl Stormer {
    fn new(server: SocketAddr, number: usize) -> Stormer {
        Stormer { server, number, tries: 0, stream: None }
    }

    /// Reads the available data, and sends the next guess after a reply. Returns the number of
    /// failures read.
    fn go_on(&mut self) -> u64 {
        let Some(stream) = &mut self.stream else {
            self.stream = self.connect().ok();
            self.guess();
            return 0;
        };
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => self.stream = None,
            Ok(octets) if buffer[..octets].windows(5).any(|text| text == b"g NO ") => {
                self.guess();
                return 1;
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.stream = None,
        }
        0
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let host = u32::try_from(self.number).unwrap_or_default() + 2;
        let own = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() - 1 + host);
        socket.bind(&SocketAddr::from((own, 0)).into())?;
        socket.connect(&self.server.into())?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    }

    fn guess(&mut self) {
        self.tries += 1;
        let guess = format!("g LOGIN user{}x{} wrong\r\n", self.number, self.tries);
        if self.stream.as_mut().is_some_and(|stream| stream.write_all(guess.as_bytes()).is_err()) {
            self.stream = None;
        }
    }
}

/// An APPEND of `messages` messages of `octets` octets each.
fn batch(messages: usize, octets: usize) -> Vec<u8> {
    let mut batch = b"a APPEND INBOX".to_vec();
    for _ in 0..messages {
        batch.extend_from_slice(format!(" {{{octets}+}}\r\n").as_bytes());
        batch.resize(batch.len() + octets, b'x');
    }
    batch.extend_from_slice(b"\r\n");
    batch
}

fn message() -> Vec<u8> {
    b"From: a@example.org\r\nSubject: small\r\n\r\n".iter().copied().chain(*b"Hello.\r\n").collect()
}

fn report_peak(what: &str, server: &Server, before: u64) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let arenas = cores * ARENA as u64;
    println!(
        "{what}: peak {} MiB resident, {} MiB before; arenas of {} MiB and 64 are {}",
        server.memory("VmHWM") / MIB,
        before / MIB,
        arenas / MIB,
        arenas / MIB + 64
    );
}

fn login(server: &Server) -> Client {
    let mut client = Client::connect(server.address);
    client.response().expect("a greeting");
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    client
}

/// Reads up to the tagged OK.
fn finish(client: &mut Client, tag: &str) {
    let reply = client.reply(tag);
    assert!(reply.tagged.starts_with("OK"), "{}", reply.tagged);
}

fn expect(client: &mut Client, messages: u64, octets: u64) {
    let status = client.ok("STATUS INBOX (MESSAGES SIZE)").texts().concat();
    let wanted = format!("(MESSAGES {messages} SIZE {octets})");
    assert!(status.contains(&wanted), "{status} is not {wanted}");
}
