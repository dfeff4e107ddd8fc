//! Clients that send without reading: the server stops reading from them, buffers little and serves
//! others. When they read at last, every reply arrives in order.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use kit::{Client, Folder, Message, PASSWORD, Server, USER, without_nul};
use mailrace::limits;
use socket2::{Domain, Socket, Type};

use crate::gauge::{Gauge, MIB};
use crate::wanted;

/// Number of such connections.
const CONNECTIONS: usize = 8;

/// Bytes that the server may keep for each of them: replies up to their limit, a buffer being
/// filled and one being sent, and the lease of an upload.
const KEPT: u64 = MIB;

/// More octets than the kernel buffers for a server that does not read.
const FLOOD: usize = 5 << 20;

/// Further memory growth that is allowed, in bytes.
const SLACK: u64 = 24 * MIB;

/// What cleaning may use besides: rows that it changes, and rows that the catalog writes.
const CLEANING: u64 = 40 * MIB;

/// If a socket accepts no octets for this long, the other end does not read.
const STUCK: Duration = Duration::from_secs(1);

/// A client with small kernel buffers, so that data must wait in the server.
fn narrow(address: SocketAddr) -> Client {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.set_send_buffer_size(16 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut client = Client::over(TcpStream::from(socket));
    client.response().expect("a greeting");
    client
}

fn narrow_login(address: SocketAddr) -> Client {
    let mut client = narrow(address);
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    client
}

/// Sends as many octets as the server accepts without reading replies; returns their number.
fn flood(client: &Client, text: &[u8]) -> usize {
    let mut socket = client.socket();
    let patience = socket.write_timeout().unwrap();
    socket.set_write_timeout(Some(STUCK)).unwrap();
    let mut sent = 0;
    while sent < text.len() {
        match socket.write(&text[sent..text.len().min(sent + (64 << 10))]) {
            Ok(octets) => sent += octets,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("the server hung up: {error}"),
        }
    }
    socket.set_write_timeout(patience).unwrap();
    sent
}

/// All clients send `text` without reading. Then each reads, and `hear` checks the replies. The
/// server may use `remembered` bytes of memory more for the mail that they sent.
fn greedy(
    server: &Server,
    gauge: &Gauge,
    clients: Vec<Client>,
    text: &[u8],
    remembered: u64,
    hear: impl Fn(&mut Client) + Sync,
) {
    let before = gauge.resident();
    let count = clients.len() as u64;
    let floods: Vec<_> = thread::scope(|scope| {
        let floods = clients.into_iter().map(|client| {
            scope.spawn(move || {
                let sent = flood(&client, text);
                (client, sent)
            })
        });
        let floods: Vec<_> = floods.collect();
        floods.into_iter().map(|flood| flood.join().expect("the flood has said why")).collect()
    });
    for (_, sent) in &floods {
        assert!(*sent < text.len(), "the server reads on though nobody reads what it says");
    }
    let grown = gauge.resident().saturating_sub(before);
    let most = floods.iter().map(|(_, sent)| *sent).max().unwrap_or(0);
    println!("{count} clients: at most {most} octets taken, {} KiB more memory", grown >> 10);
    let most = count * KEPT + SLACK + remembered;
    assert!(grown <= most, "{} MiB for {count} clients", grown / MIB);
    // Other clients are served normally.
    let mut other = server.login();
    let reply = other.append("INBOX", &[Message { options: "", octets: b"Subject: on\r\n\r\n" }]);
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
    thread::scope(|scope| {
        for (mut client, sent) in floods {
            let hear = &hear;
            let mut socket = client.socket().try_clone().unwrap();
            // Fails when the client hangs up.
            scope.spawn(move || drop(socket.write_all(&text[sent..])));
            scope.spawn(move || {
                hear(&mut client);
                client.hang_up();
            });
        }
    });
}

fn many(server: &Server) -> Vec<Client> {
    (0..CONNECTIONS).map(|_| narrow_login(server.address())).collect()
}

/// A pipeline of at least [`FLOOD`] octets.
fn pipeline(command: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in 0.. {
        if text.len() >= FLOOD {
            break;
        }
        text.push_str(&command(number));
    }
    text
}

#[test]
fn noops() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    let text = pipeline(|number| format!("n{number} NOOP\r\n"));
    let count = text.lines().count();
    greedy(&server, &gauge, many(&server), text.as_bytes(), 0, |client| {
        for number in 0..count {
            let line = client.line().expect("a reply");
            let wanted = format!("n{number} OK NOOP completed");
            assert!(
                line == wanted.as_bytes(),
                "{} is not {wanted}",
                String::from_utf8_lossy(&line)
            );
        }
    });
    gauge.wait_for_connections(0);
}

#[test]
fn commands_before_login() {
    let folder = Folder::new();
    let server = Server::with(&folder, &["--commands-before-login", "1000000"]);
    let gauge = Gauge::new(&server);
    let text = pipeline(|number| format!("c{number} CAPABILITY\r\n"));
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| narrow(server.address())).collect();
    greedy(&server, &gauge, clients, text.as_bytes(), 0, |client| {
        for number in 0..20_000 {
            let reply = client.reply(&format!("c{number}"));
            assert!(reply.texts()[0].starts_with("* CAPABILITY IMAP4rev1 "), "{reply:?}");
        }
    });
}

#[test]
fn fetches_of_large_mail() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    let octets: Vec<u8> = (0..250_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    server.login().append("INBOX", &[Message { options: "", octets: &octets }]);
    let told = without_nul(&octets);
    let text = pipeline(|number| format!("f{number} FETCH 1 BODY.PEEK[]\r\n"));
    let mut clients = many(&server);
    clients.iter_mut().for_each(|client| drop(client.ok("EXAMINE INBOX")));
    greedy(&server, &gauge, clients, text.as_bytes(), 0, |client| {
        for number in 0..wanted("MAILRACE_ROUNDS", 20) {
            let reply = client.reply(&format!("f{number}"));
            assert!(reply.untagged.iter().any(|response| response.literals == [&told[..]]));
        }
    });
}

#[test]
fn appends_one_behind_the_other() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    let text = pipeline(|number| format!("a{number} APPEND INBOX {{5+}}\r\nsmall\r\n"));
    // The index of the new mail may use the memory allowed for the catalog. Two gigabytes of blocks
    // with five octets each are cleaned meanwhile, which changes every row of the catalog.
    let index = (limits::CATALOG_CACHE + limits::CHECKPOINT_DIRTY) as u64 + CLEANING;
    greedy(&server, &gauge, many(&server), text.as_bytes(), index, |client| {
        let mut last = 0;
        for number in 0..wanted("MAILRACE_ROUNDS", 10_000) {
            let reply = client.reply(&format!("a{number}"));
            let uid = reply.code().rsplit(' ').next().and_then(|uid| uid.parse::<u32>().ok());
            let uid = uid.unwrap_or_else(|| panic!("{}", reply.tagged));
            assert!(uid > last, "{uid} after {last}");
            last = uid;
        }
    });
}

#[test]
fn appends_that_are_refused() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    let text = pipeline(|number| format!("r{number} APPEND nowhere {{5}}\r\n"));
    greedy(&server, &gauge, many(&server), text.as_bytes(), 0, |client| {
        for number in 0..50_000 {
            let tagged = client.reply(&format!("r{number}")).tagged;
            assert!(tagged.starts_with("NO [TRYCREATE] "), "{tagged}");
        }
    });
}

#[test]
fn invitations_to_send() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    // The client does not wait for the `+`. The replies are as long as the commands, and the kernel
    // buffers some of them too. Only one client, because the server remembers each message.
    let count = 3 * FLOOD / 6;
    let text = format!("i APPEND INBOX{}\r\n", " {1}\r\nx".repeat(count));
    let client = vec![narrow_login(server.address())];
    greedy(&server, &gauge, client, text.as_bytes(), 200 * count as u64, |client| {
        for _ in 0..100_000 {
            assert_eq!(client.line().expect("an invitation"), b"+ OK");
        }
    });
    gauge.wait_for_connections(0);
    let texts = server.login().ok("STATUS INBOX (MESSAGES)").texts();
    assert!(texts[0].contains("(MESSAGES 1)"), "a batch in part: {texts:?}");
}

#[test]
fn news_while_idle() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    let mut other = server.login();
    let message = Message { options: "", octets: b"Subject: flags\r\n\r\n" };
    other.append("INBOX", &[message; 3000]);
    let before = gauge.resident();
    let mut clients = many(&server);
    for client in &mut clients {
        client.ok("SELECT INBOX");
        client.send(b"i IDLE\r\n");
        assert!(client.line().expect("a continuation").starts_with(b"+ "));
    }
    other.ok("SELECT INBOX");
    let rounds = wanted("MAILRACE_ROUNDS", 100);
    for round in 0..rounds {
        let sign = if round % 2 == 0 { '+' } else { '-' };
        other.ok(&format!("STORE 1:* {sign}FLAGS.SILENT (\\Seen \\Flagged \\Answered \\Draft)"));
    }
    let grown = gauge.resident().saturating_sub(before);
    println!("{CONNECTIONS} that idle: {} KiB more memory", grown >> 10);
    assert!(grown <= CONNECTIONS as u64 * KEPT + SLACK, "{} MiB", grown / MIB);
    for client in &mut clients {
        client.send(b"DONE\r\n");
        let told = client.reply("i").untagged.len();
        assert!(told >= 3000, "{told}");
        // Now the client has heard of every change.
        let fetched = client.ok("FETCH 1:* FLAGS").texts();
        let flagged = fetched.iter().filter(|text| text.contains("\\Flagged")).count();
        assert_eq!(flagged, if rounds.is_multiple_of(2) { 0 } else { 3000 });
    }
}

#[test]
fn who_pauses_in_reading_is_not_cut_off() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let octets = vec![b'x'; 200_000];
    server.login().append("INBOX", &[Message { options: "", octets: &octets }; 32]);
    // The kernel buffers a part of each reply. In some cases the rest is so short that the server
    // already waits for the next command; after half a second, it waits without a buffer.
    let mut clients: Vec<_> = (0..32).map(|_| narrow_login(server.address())).collect();
    for (client, count) in clients.iter_mut().zip(1..) {
        client.ok("EXAMINE INBOX");
        client.send(format!("f FETCH 1:{count} BODY.PEEK[]\r\n").as_bytes());
    }
    thread::sleep(Duration::from_millis(1500));
    for (client, count) in clients.iter_mut().zip(1..) {
        let reply = client.reply("f");
        assert_eq!(reply.untagged.len(), count);
        assert!(reply.untagged.iter().all(|response| response.literals == [&octets[..]]));
        client.ok("NOOP");
    }
}
