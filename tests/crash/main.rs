//! kill -9 in the middle of everything: what was acknowledged is there, and no batch in part.

#[path = "../support/mod.rs"]
mod support;

mod load;
mod shadow;

use std::fs;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use load::{Style, Writer};
use shadow::Shadow;
use support::{Client, Folder, Message, PASSWORD, Random, Server, USER};

/// Rounds, unless MAILRACE_CRASHES says otherwise.
const CRASHES: usize = 8;

const BOB: &str = "bob";

/// Who is at it in each round: two accounts, three mailboxes, one of them filled by two clients.
const STYLES: [Style; 5] = [
    Style { user: USER, mailbox: "INBOX", batch: 40, large: 90_000, ahead: 2, in_step: false },
    Style { user: USER, mailbox: "INBOX", batch: 1, large: 20_000, ahead: 30, in_step: false },
    Style { user: USER, mailbox: "bulk", batch: 12, large: 40_000, ahead: 0, in_step: true },
    Style { user: BOB, mailbox: "INBOX", batch: 5, large: 3_000_000, ahead: 1, in_step: false },
    Style { user: BOB, mailbox: "INBOX", batch: 2000, large: 5_000, ahead: 0, in_step: false },
];

/// The mailboxes of those.
const MAILBOXES: [(&str, &str); 3] = [(USER, "INBOX"), (USER, "bulk"), (BOB, "INBOX")];

#[test]
fn everything_acknowledged_survives_kill_9_whole() {
    let mut random = Random::seeded();
    let rounds = std::env::var("MAILRACE_CRASHES");
    let rounds = rounds.map_or(CRASHES, |rounds| rounds.parse().expect("a number"));
    let folder = Folder::new();
    folder.add_user(BOB, PASSWORD, &[]);
    let mut server = start(&folder, &mut random);
    server.login().ok("CREATE bulk");
    let mut shadows: [Shadow; MAILBOXES.len()] = Default::default();
    for round in 0..rounds {
        let most = random.pick(&[200_000, 2_000_000, 8_000_000, 25_000_000]);
        let progress = random.below(most);
        let writers = load(server, round, progress, &mut random);
        for writer in &writers {
            let mailbox = (writer.style.user, writer.style.mailbox);
            shadows[MAILBOXES.iter().position(|own| *own == mailbox).unwrap()].heard(writer);
        }
        if random.one_in(3) {
            fs::remove_file(folder.catalog()).unwrap();
        }
        for _ in 0..random.below(3) {
            let after = Duration::from_micros(random.below(60_000) as u64);
            Server::kill_starting(&folder, &flags(&mut random), after);
        }
        server = start(&folder, &mut random);
        for ((user, mailbox), shadow) in MAILBOXES.into_iter().zip(&mut shadows) {
            shadow.verify(&mut login(&server, user), mailbox);
        }
        let messages: Vec<_> = shadows.iter().map(Shadow::len).collect();
        println!("round {round}: ended after {progress} octets, {messages:?} messages");
    }
}

/// Loads the server and ends it when so many octets are on their way, or more.
fn load(server: Server, round: usize, octets: usize, random: &mut Random) -> Vec<Writer> {
    let (sender, progress) = channel();
    let writers: Vec<_> = STYLES
        .into_iter()
        .enumerate()
        .map(|(number, style)| {
            let first = ((round * STYLES.len() + number) as u64) << 24;
            let random = Random::new(random.next());
            Writer::new(server.address(), style, random, first)
        })
        .collect();
    let threads: Vec<_> = writers
        .into_iter()
        .map(|writer| {
            let sender = sender.clone();
            thread::spawn(move || writer.run(&sender))
        })
        .collect();
    drop(sender);
    let mut sent = 0;
    while sent < octets {
        sent += progress.recv().expect("clients that go on");
    }
    if random.one_in(5) {
        assert!(server.terminate().success());
    } else {
        server.kill();
    }
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Another number of reactors, and small segments, so that batches go from one to the next.
fn flags(random: &mut Random) -> [&'static str; 4] {
    ["--segment-size", "4M", "--reactors", random.pick(&["1", "2", "3"])]
}

fn start(folder: &Folder, random: &mut Random) -> Server {
    Server::with(folder, &flags(random))
}

fn login(server: &Server, user: &str) -> Client {
    let mut client = server.connect();
    client.ok(&format!("LOGIN {user} {PASSWORD}"));
    client
}

// ---- Damage -----------------------------------------------------------------------------------

/// The n-th message of the tests below.
fn numbered(number: usize) -> Vec<u8> {
    format!("Subject: message <{number}>\r\n\r\n").into_bytes().repeat(300)
}

fn append_numbered(client: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let octets = numbered(number);
        let message = Message { options: "", octets: &octets };
        assert!(client.append_in_step("INBOX", &[message]).tagged.starts_with("OK "));
    }
}

#[track_caller]
fn expect_numbered(client: &mut Client, count: usize) {
    client.ok("EXAMINE INBOX");
    let fetched = support::Fetched::all(&client.ok("UID FETCH 1:* (BODY.PEEK[])").untagged);
    assert_eq!(fetched.len(), count);
    for (number, fetched) in fetched.iter().enumerate() {
        assert!(fetched.octets("BODY[]") == numbered(number), "message {number}");
    }
}

#[test]
fn damage_to_what_was_acknowledged_stops_the_start_and_changes_nothing() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    append_numbered(&mut server.login(), 0..20);
    server.kill();
    fs::remove_file(folder.catalog()).unwrap();

    // In a message, in the header of its frame, in its footer.
    let (segment, at) = folder.find(b"message <7>").expect("what was acknowledged");
    let begin = at / 4096 * 4096;
    let end = begin + numbered(7).len().next_multiple_of(4096) - 4096;
    for damaged in [at, at + 1000, begin + 9, end + 4000] {
        let whole = fs::read(&segment).unwrap();
        let mut octets = whole.clone();
        octets[damaged] ^= 0x20;
        if octets[damaged] == 0x20 {
            // Padding: nobody misses it.
            continue;
        }
        fs::write(&segment, &octets).unwrap();
        let output = Server::fail(&folder.path(), &["--listen", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(65), "octet {damaged}: {said}");
        let name = segment.file_name().unwrap().to_str().unwrap();
        for word in [name, "damaged", &begin.to_string()] {
            assert!(said.contains(word), "octet {damaged}, {word}: {said}");
        }
        assert!(fs::read(&segment).unwrap() == octets, "octet {damaged}: the segment was changed");
        fs::write(&segment, &whole).unwrap();
    }
    let server = Server::start(&folder);
    expect_numbered(&mut server.login(), 20);
}

#[test]
fn a_torn_tail_that_nobody_was_promised_is_cut_off() {
    for (catalog, cut) in [(true, 0), (true, 5_000), (false, 100_000), (false, 1_000_000)] {
        let folder = Folder::new();
        let server = Server::start(&folder);
        append_numbered(&mut server.login(), 0..10);
        let mut unlucky = server.login();
        unlucky.send(b"u APPEND INBOX {4000000}\r\n");
        assert!(unlucky.response().unwrap().text().starts_with("+ "));
        let mut octets = b"never acknowledged".to_vec();
        octets.resize(4_000_000, b'u');
        unlucky.send(&octets);
        // Once the next one is invited, all but a few frames of the first are on the disk.
        unlucky.send(b" {4000000}\r\n");
        assert!(unlucky.response().unwrap().text().starts_with("+ "));
        server.kill();

        let (segment, at) = folder.find(b"never acknowledged").expect("it was written");
        fs::File::options().write(true).open(&segment).unwrap().set_len((at + cut) as u64).unwrap();
        if !catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        let server = Server::start(&folder);
        let mut client = server.login();
        expect_numbered(&mut client, 10);
        append_numbered(&mut client, 10..12);
        expect_numbered(&mut client, 12);
        server.kill();
        let server = Server::start(&folder);
        expect_numbered(&mut server.login(), 12);
    }
}
