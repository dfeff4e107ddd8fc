//! Connections that end too early: reset or half-closed, in a message, in a reply, in IDLE.
//! Thousands of them leave nothing behind, and no batch in part.

use std::collections::HashMap;

use kit::{Client, Fetched, Folder, Message, Random, Server, append_text};

use crate::gauge::{Gauge, MIB};
use crate::mail::Mail;
use crate::{healthy, wanted};
use mailrace::limits::{LARGE_LEASES, SMALL_LEASES};

/// Connections in a quick run, unless MAILRACE_ROUNDS says otherwise.
const ROUNDS: usize = 2000;

/// Messages of a batch.
const BATCH: usize = 3;

/// Memory may grow by this many bytes.
const GROWTH: u64 = 24 * MIB;

/// How much of a batch was sent and acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The batch was not sent completely.
    Broken,
    /// It was sent, but the client did not wait for the reply.
    Unknown,
    /// The reply was OK.
    Promised,
}

/// A batch whose messages name its number.
fn batch(number: usize, random: &mut Random) -> Vec<u8> {
    let large = random.pick(&[2_000, 40_000, 600_000]);
    let octets: Vec<_> = (0..BATCH as u64)
        .map(|index| {
            let size = if random.one_in(4) { random.within(200, large) } else { 700 };
            Mail { owner: number, number: index, size }.octets()
        })
        .collect();
    let messages: Vec<_> = octets.iter().map(|octets| Message { options: "", octets }).collect();
    append_text("b", "INBOX", &messages)
}

/// Ends a connection in a random way.
fn end(mut client: Client, random: &mut Random) {
    match random.below(3) {
        0 => client.reset(),
        1 => drop(client),
        _ => {
            // Half-closed: the server must notice, answer complete commands, and close.
            client.end();
            while client.line_or_end().is_some() {}
        }
    }
}

/// Runs one connection that ends at a random point.
fn connection(server: &Server, number: usize, random: &mut Random) -> Fate {
    let mut client = Client::connect(server.address());
    if random.one_in(20) {
        end(client, random);
        return Fate::Broken;
    }
    client.line().expect("a greeting");
    if random.one_in(20) {
        client.send(random.pick(&[&b"a LOGIN ali"[..], b"a LOGIN {5}\r\nal", b"a NOO", b"\r"]));
        end(client, random);
        return Fate::Broken;
    }
    client.ok("LOGIN alice secret");
    if random.one_in(3) {
        client.ok("SELECT big");
        let command = random.pick(&["FETCH 1:* BODY.PEEK[]", "IDLE", "SEARCH BODY {100}", "CHE"]);
        client.send(format!("x {command}").as_bytes());
        if random.one_in(2) {
            client.send(b"\r\n");
            let _ = random.one_in(2) && client.line_or_end().is_some();
        }
        end(client, random);
        return Fate::Broken;
    }
    let text = batch(number, random);
    match random.below(4) {
        0 => {
            client.send(&text);
            client.end();
            let line = client.line().expect("a reply");
            assert!(line.starts_with(b"b OK [APPENDUID "), "{}", String::from_utf8_lossy(&line));
            assert_eq!(client.line(), None);
            Fate::Promised
        }
        1 => {
            client.send(&text);
            end(client, random);
            Fate::Unknown
        }
        _ => {
            let length = random.below(text.len() - 2);
            client.send(&text[..length]);
            end(client, random);
            Fate::Broken
        }
    }
}

#[test]
fn thousands_that_break_off_leave_nothing_behind() {
    let mut random = Random::seeded();
    let folder = Folder::new();
    let server = Server::with(&folder, &["--reactors", "1"]);
    let gauge = Gauge::new(&server);
    let mut client = server.login();
    client.ok("CREATE big");
    let big = vec![b'B'; 3_000_000];
    client.append("big", &[Message { options: "", octets: &big }; 2]);
    drop(client);
    let rounds = wanted("MAILRACE_ROUNDS", ROUNDS);
    let mut before = 0;
    let mut fates = Vec::new();
    for number in 0..rounds {
        fates.push(connection(&server, number, &mut random));
        if number == rounds / 4 {
            before = gauge.resident();
        }
    }
    gauge.wait_for_connections(0);
    let after = gauge.resident();
    println!("{rounds} connections: resident {} MiB, then {} MiB", before / MIB, after / MIB);
    assert!(after < before + GROWTH, "memory grows: {} MiB", after / MIB);
    whole_batches(&mut server.login(), &fates);
    healthy(&server, &folder);
    drop(client_of_all_leases(&server, &folder));
    gauge.wait_for_connections(0);
    assert!(server.terminate().success());
    let server = Server::start(&folder);
    whole_batches(&mut server.login(), &fates);
}

/// Checks that each batch is there whole or not at all, and each acknowledged one is there.
fn whole_batches(client: &mut Client, fates: &[Fate]) {
    client.ok("EXAMINE INBOX");
    client.send(b"f UID FETCH 1:* BODY.PEEK[]\r\n");
    let mut found: HashMap<usize, usize> = HashMap::new();
    loop {
        let response = client.response().expect("messages");
        let Some(fetched) = Fetched::parse(&response) else {
            assert!(response.octets.starts_with(b"f OK "), "{}", response.text());
            break;
        };
        let octets = fetched.octets("BODY[]");
        if octets.starts_with(b"X-Id") {
            let mail = Mail::of(octets).expect("what was sent");
            *found.entry(mail.owner).or_default() += 1;
        }
    }
    for (number, fate) in fates.iter().enumerate() {
        let count = found.get(&number).copied().unwrap_or(0);
        let right = match fate {
            Fate::Broken => count == 0,
            Fate::Unknown => count == 0 || count == BATCH,
            Fate::Promised => count == BATCH,
        };
        assert!(right, "{count} messages of batch {number}, {fate:?}");
    }
}

/// Starts as many uploads as there are leases, each with some octets in its lease. If a lease had
/// been lost, one upload would have to give up its own, and its octets would be on the disk.
fn client_of_all_leases(server: &Server, folder: &Folder) -> Vec<Client> {
    mailrace::reactor::raise_limits();
    let mark = b"in a lease and not on the disk";
    let mut clients = Vec::new();
    // The log uses one of the small leases.
    for (count, size) in [(SMALL_LEASES - 1, 10_000), (LARGE_LEASES, 100_000)] {
        for _ in 0..count {
            let mut client = server.login();
            client.send(format!("u APPEND INBOX {{{size}}}\r\n").as_bytes());
            assert!(client.line().expect("an invitation").starts_with(b"+ "));
            client.send(mark);
            clients.push((client, size));
        }
    }
    // The reactor takes turns: by the third reply it has served all uploads.
    let mut other = server.login();
    (0..3).for_each(|_| drop(other.ok("NOOP")));
    assert_eq!(folder.find(mark), None, "an upload had to give up its lease");
    for (client, size) in &mut clients {
        client.send(&vec![b'.'; *size - mark.len()]);
        client.send(b"\r\n");
        assert!(client.reply("u").tagged.starts_with("OK [APPENDUID "));
    }
    assert!(folder.find(mark).is_some());
    clients.into_iter().map(|(client, _)| client).collect()
}
