//! Messages of 4 GiB that are announced and never sent: each costs a connection and nothing else.

use std::fs;
use std::os::unix::fs::MetadataExt;

use kit::{Client, Folder, Message, PASSWORD, Server};

use crate::crowd::connect;
use crate::gauge::{Gauge, MIB};
use crate::{healthy, wanted};

/// Connections in a quick run; MAILRACE_CONNECTIONS=16000 is the real thing.
const CONNECTIONS: usize = 2000;

/// The largest message that can be announced.
const SIZE: u64 = u32::MAX as u64;

/// Memory of a connection that waits for octets, in bytes: the state of a session and an upload,
/// about 19 KiB.
const EACH: u64 = 22 << 10;

/// Further memory growth that is allowed, in bytes: what the first connections cost once.
const SLACK: u64 = 16 * MIB;

/// The same for the second half of the connections.
const SLACK_LATER: u64 = 2 * MIB;

/// Number of accounts with room for one such message.
const ACCOUNTS: usize = 8;

fn login(server: &Server, number: usize, user: &str) -> Client {
    let mut client = connect(server.address(), number);
    client.line().expect("a greeting");
    client.ok(&format!("LOGIN {user} {PASSWORD}"));
    client
}

fn disk(folder: &Folder) -> u64 {
    folder.segments().iter().map(|path| fs::metadata(path).unwrap().blocks() * 512).sum()
}

fn append(client: &mut Client, size: usize) -> String {
    let octets = vec![b'q'; size];
    client.append("INBOX", &[Message { options: "", octets: &octets }]).tagged
}

#[test]
fn messages_that_never_come_cost_nothing() {
    mailrace::reactor::raise_limits();
    let folder = Folder::new();
    for account in 0..ACCOUNTS {
        folder.add_user(&format!("user-{account}"), PASSWORD, &["--quota", "5G"]);
    }
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    healthy(&server, &folder);
    gauge.wait_for_connections(0);
    let count = wanted("MAILRACE_CONNECTIONS", CONNECTIONS);
    let before = (gauge.resident(), disk(&folder));
    let mut clients = Vec::new();
    // Without a quota, with and without `+` in the literal.
    let mut halfway = 0;
    for number in 0..count {
        if number == count / 2 {
            gauge.wait_for_memory(before.0 + EACH * number as u64 + SLACK);
            halfway = gauge.resident();
        }
        let mut client = login(&server, number, kit::USER);
        let plus = if number % 2 == 0 { "" } else { "+" };
        client.send(format!("a APPEND INBOX {{{SIZE}{plus}}}\r\n").as_bytes());
        if number % 2 == 0 {
            assert!(client.line().expect("an invitation").starts_with(b"+ "));
        }
        clients.push(client);
    }
    gauge.wait_for_memory(halfway + EACH * (count - count / 2) as u64 + SLACK_LATER);
    // With a quota: each message alone would fit, and does not block others of its account.
    for account in 0..ACCOUNTS {
        let user = format!("user-{account}");
        for number in 0..4 {
            let mut client = login(&server, number, &user);
            client.send(format!("a APPEND INBOX {{{SIZE}}}\r\n").as_bytes());
            let line = client.line().expect("an answer");
            assert!(line.starts_with(b"+ "), "{}", String::from_utf8_lossy(&line));
            clients.push(client);
        }
        let mut client = login(&server, 0, &user);
        assert!(append(&mut client, 1_000_000).starts_with("OK "));
    }
    gauge.wait_for_memory(before.0 + EACH * count as u64 + SLACK);
    let resident = gauge.resident();
    println!(
        "{} announced {} GiB: {} MiB resident, {} MiB before; {} octets each",
        clients.len(),
        clients.len() * 4,
        resident / MIB,
        before.0 / MIB,
        resident.saturating_sub(before.0) / clients.len() as u64
    );
    healthy(&server, &folder);
    // Half of them send some octets before they leave: a few, or more than a lease holds.
    for (number, client) in clients.iter_mut().enumerate().step_by(2) {
        client.try_send(&vec![b'.'; if number % 100 == 0 { 400_000 } else { 100 }]);
    }
    healthy(&server, &folder);
    let sent = clients.len() as u64 / 100 * 400_000;
    for (number, client) in clients.into_iter().enumerate() {
        if number % 3 == 0 { client.reset() } else { drop(client) }
    }
    gauge.wait_for_connections(0);
    // The quota is free again.
    for account in 0..ACCOUNTS {
        let user = format!("user-{account}");
        let mut clients: Vec<_> = (0..3).map(|number| login(&server, number, &user)).collect();
        for client in &mut clients {
            client.send(format!("a APPEND INBOX {{{SIZE}}}\r\n").as_bytes());
            assert!(client.line().expect("an answer").starts_with(b"+ "), "{user}");
        }
        let texts = login(&server, 3, &user).ok("STATUS INBOX (MESSAGES SIZE)").texts();
        assert!(texts[0].contains("(MESSAGES 1 SIZE 1000000)"), "{texts:?}");
    }
    gauge.wait_for_connections(0);
    healthy(&server, &folder);
    // When leases were short, each octet may have cost a block. Segments are prepared in advance.
    let most = before.1 + sent + (count as u64 + 1000) * 4096 + 64 * MIB;
    let taken = disk(&folder);
    println!("the log takes {} MiB, {} before", taken / MIB, before.1 / MIB);
    assert!(taken <= most, "{} MiB of disk", taken / MIB);
}

/// A batch that never ends is refused when the list of its messages fills its share of memory.
/// Other clients are served.
#[test]
fn a_batch_without_end_is_refused() {
    let folder = Folder::new();
    let server = Server::with(&folder, &["--reactors", "1"]);
    let gauge = Gauge::new(&server);
    let before = gauge.resident();
    let mut client = server.login();
    client.send(b"e APPEND INBOX");
    let some = b" {1+}\r\nx".repeat(10_000);
    let most = mailrace::limits::UNFINISHED_MESSAGES;
    for _ in 0..most / 10_000 {
        client.send(&some);
    }
    healthy(&server, &folder);
    client.send(&some);
    client.send(&some);
    client.send(b"\r\n");
    let reply = client.reply("e");
    assert!(reply.tagged.starts_with("NO [LIMIT] "), "{}", reply.tagged);
    let peak = gauge.peak().saturating_sub(before);
    println!("{most} messages: {} octets each", peak / most as u64);
    assert!(peak <= 200 * most as u64 + SLACK, "{} MiB", peak / MIB);
    healthy(&server, &folder);
    let texts = client.ok("STATUS INBOX (MESSAGES)").texts();
    assert!(texts[0].contains("(MESSAGES 2)"), "{texts:?}");
}
