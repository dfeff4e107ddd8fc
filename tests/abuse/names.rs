//! Keywords and names: how much memory, log and time of other users they can cost.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use kit::{Client, Folder, PASSWORD};

use crate::gauge::MIB;
use crate::healthy;
use crate::probe::{server, toll};

/// This many keywords, as a flag list.
fn keywords(count: usize) -> String {
    let words: Vec<_> = (0..count).map(|n| format!("k{n}")).collect();
    format!("({})", words.join(" "))
}

/// Appends messages of one octet, each with these flags.
fn append(client: &mut Client, messages: usize, flags: &str) {
    let one = format!(" {flags} {{1+}}\r\nx");
    let mut left = messages;
    while left > 0 {
        let count = left.min(5_000);
        left -= count;
        client.send(format!("a APPEND INBOX{}\r\n", one.repeat(count)).as_bytes());
        let reply = client.reply("a");
        assert!(reply.tagged.starts_with("OK"), "{}", reply.tagged);
    }
}

/// A metric of the admin endpoint.
fn figure(admin: SocketAddr, name: &str) -> u64 {
    let mut socket = TcpStream::connect(admin).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")));
    let value = line.and_then(|line| line.rsplit(' ').next()).expect("a figure of that name");
    value.parse().expect("a whole number")
}

/// Bytes of log up to now. The counters are published 20 times a second.
fn logged(admin: SocketAddr) -> u64 {
    let turns = || figure(admin, "mailrace_reactor_turns_total");
    let before = turns();
    while turns() < before + 2 {}
    figure(admin, "mailrace_log_bytes_total")
}

#[test]
fn a_thousand_keywords_for_each_message_of_a_batch() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    let toll = toll(&server, || append(&mut client, 5_000, &keywords(1_000)));
    toll.check("5,000 messages with 1,000 keywords each", 32 * MIB);
    healthy(&server, &folder);
}

#[test]
fn another_set_of_keywords_for_each_message_of_a_batch() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    let words: Vec<_> = (0..1_000).map(|n| format!("k{n}")).collect();
    // Each message lacks the keywords that the bits of its number name.
    let flags = |number: usize| {
        let wanted = |at: &usize| *at >= 12 || number >> at & 1 == 1;
        let some: Vec<_> = (0..500).filter(wanted).map(|at| &*words[at]).collect();
        format!(" ({}) {{1+}}\r\nx", some.join(" "))
    };
    let toll = toll(&server, || {
        let messages: String = (0..4_000).map(flags).collect();
        client.send(format!("a APPEND INBOX{messages}\r\n").as_bytes());
        assert!(client.reply("a").tagged.starts_with("OK"));
    });
    toll.check("4,000 messages with another 500 keywords each", 32 * MIB);
    healthy(&server, &folder);
}

#[test]
fn large_changes_of_many_sets_of_keywords() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    append(&mut client, 1 << 13, "()");
    client.ok("CREATE other");
    client.ok("SELECT INBOX");
    // Message n has the keywords that are the bits of n.
    for bit in 0..13 {
        let step = 1 << bit;
        let runs = (step..1 << 13).step_by(2 * step).map(|n| format!("{}:{}", n + 1, n + step));
        let runs: Vec<_> = runs.collect();
        client.ok(&format!("STORE {} +FLAGS.SILENT (b{bit})", runs.join(",")));
    }
    let all = keywords(900);
    let toll = toll(&server, || {
        client.ok(&format!("STORE 1:* +FLAGS.SILENT {all}"));
        client.ok(&format!("STORE 1:* +FLAGS.SILENT {all}"));
        client.ok("COPY 1:* other");
        client.ok(&format!("STORE 1:* -FLAGS.SILENT {all}"));
    });
    toll.check("changes of 900 keywords in 8,192 sets", 48 * MIB);
    healthy(&server, &folder);
}

#[test]
fn flags_as_many_as_fit_into_a_line() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    append(&mut client, 1, "()");
    client.ok("SELECT INBOX");
    let flags = keywords(9_000);
    let toll = toll(&server, || {
        for _ in 0..200 {
            let reply = client.command(&format!("STORE 1 FLAGS {flags}"));
            assert!(reply.tagged.starts_with("NO [LIMIT]"), "{}", reply.tagged);
        }
    });
    toll.check("200 lines of 9,000 flags", 24 * MIB);
    healthy(&server, &folder);
}

#[test]
fn a_move_logs_each_keyword_once() {
    let folder = Folder::new();
    let server = server(&folder, &["--admin", "127.0.0.1:0"]);
    let admin = server.admin();
    let mut client = server.login();
    append(&mut client, 5_000, &keywords(200));
    client.ok("CREATE other");
    client.ok("SELECT INBOX");
    let before = logged(admin);
    client.ok("MOVE 1:* other");
    let logged = logged(admin) - before;
    println!("MOVE of 5,000 messages with 200 keywords: {logged} octets of log");
    assert!(logged < 5_000 * 100, "{logged}");
    healthy(&server, &folder);
}

/// An account with a quota of 1 MiB tries to fill the log. Its allowance for records other than
/// mail stops it.
#[test]
fn a_small_quota_does_not_fill_the_disk() {
    let folder = Folder::new();
    folder.add_user("mover", PASSWORD, &["--quota", "1M"]);
    let server = server(&folder, &["--admin", "127.0.0.1:0"]);
    let admin = server.admin();
    let mut client = server.connect();
    client.ok(&format!("LOGIN mover {PASSWORD}"));
    append(&mut client, 60_000, "()");
    client.ok("CREATE other");
    let waits = || figure(admin, "mailrace_log_waits_total");
    let begun = Instant::now();
    let mut commands = 0;
    let toll = toll(&server, || {
        let mut names = ["INBOX", "other"];
        while waits() == 0 {
            client.ok(&format!("SELECT {}", names[0]));
            client.ok(&format!("MOVE 1:* {}", names[1]));
            names.reverse();
            commands += 1;
        }
    });
    let logged = logged(admin);
    let seconds = begun.elapsed().as_secs();
    println!("{commands} moves of 60,000 messages: {} MiB of log", logged / MIB);
    // One command writes 4 MiB, and the allowance has grown in the meantime.
    assert!(logged < (128 + seconds + 16) * MIB, "{logged} octets in {seconds} s");
    toll.check("moves there and back", 128 * MIB);
    healthy(&server, &folder);
}

#[test]
fn names_of_many_levels_for_clients_that_do_not_read() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    let below = "/0123456789abcd".repeat(63);
    let many: String = (0..1_000).map(|n| format!("c{n} CREATE \"{n:04}{below}\"\r\n")).collect();
    client.send(many.as_bytes());
    assert!(client.reply("c999").tagged.starts_with("OK"));
    let mut others: Vec<_> = (0..4).map(|_| server.login()).collect();
    let toll = toll(&server, || {
        for other in &mut others {
            other.send(b"l LIST \"\" *\r\n");
            while !other.hears_within(Duration::from_secs(1)) {}
        }
        assert_eq!(client.ok("LIST \"\" *").untagged.len(), 64_001);
    });
    toll.check("LIST of 64,000 levels, four times unread", 32 * MIB);
    drop(others);
    healthy(&server, &folder);
}

#[test]
fn patterns_that_take_long_to_match() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    for n in 0..60 {
        let name = format!("{n:04}{}", "a".repeat(990));
        client.ok(&format!("CREATE {name}"));
        client.ok(&format!("SUBSCRIBE {name}"));
    }
    let pattern = format!("*{}b", "a%".repeat(980));
    let patterns = [&*pattern; 16].join(" ");
    let toll = toll(&server, || {
        for options in ["(SUBSCRIBED RECURSIVEMATCH) ", ""] {
            let reply = client.command(&format!("LIST {options}\"\" ({patterns})"));
            assert!(reply.tagged.starts_with("NO [LIMIT]"), "{}", reply.tagged);
        }
    });
    toll.check("16 patterns of 980 wildcards", 24 * MIB);
    // Reasonable patterns are answered.
    let mailboxes = client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% 0*/% *)").untagged.len();
    assert_eq!(mailboxes, 60);
    healthy(&server, &folder);
}
