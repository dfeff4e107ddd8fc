//! Short commands of one user that cost much: memory stays within the limits, and other users are
//! served.

use std::thread;
use std::time::{Duration, Instant};

use kit::{Client, Folder, Message};
use mailrace::limits;

use crate::gauge::MIB;
use crate::healthy;
use crate::probe::{server, toll};

/// Further memory growth that is allowed: leases and buffers used for the first time, and memory
/// that the allocator keeps.
const SLACK: u64 = 32 * MIB;

/// Memory that one command may take.
const COMMAND: u64 = limits::MEMORY_OF_SESSION as u64 + SLACK;

fn append(client: &mut Client, octets: &[u8]) {
    append_all(client, &[octets]);
}

fn append_all(client: &mut Client, messages: &[&[u8]]) {
    let messages: Vec<_> = messages.iter().map(|o| Message { options: "", octets: o }).collect();
    let reply = client.append("INBOX", &messages);
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
}

/// A message with one part in base64, of this many octets.
fn encoded(octets: usize) -> Vec<u8> {
    let line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5MDEyMzQ1\r\n";
    let mut message = b"Content-Transfer-Encoding: base64\r\n\r\n".to_vec();
    message.extend(line.bytes().cycle().take(octets / line.len() * line.len()));
    message
}

/// FETCH of one message with these many items.
fn fetch(client: &mut Client, items: impl Iterator<Item = String>) {
    client.ok(&format!("FETCH 1 ({})", items.collect::<Vec<_>>().join(" ")));
}

#[test]
fn a_part_named_many_times() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    append(&mut client, &encoded(1_000_000));
    client.ok("SELECT INBOX");
    let attack = toll(&server, || {
        fetch(&mut client, (1..=2500).map(|n| format!("BINARY.PEEK[1]<0.{n}>")));
    });
    attack.check("a part of 1 MB named 2,500 times", COMMAND);
    let attack = toll(&server, || {
        fetch(&mut client, (1..=2000).map(|n| format!("BODY.PEEK[1]<0.{}>", 10_000 + n)));
    });
    attack.check("10 kB of a part named 2,000 times", COMMAND);
    healthy(&server, &folder);
}

#[test]
fn a_large_part_named_many_times() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    append(&mut client, &encoded(40_000_000));
    client.ok("SELECT INBOX");
    let most = limits::MEMORY_OF_LARGE_MESSAGE as u64 + COMMAND;
    let attack = toll(&server, || {
        fetch(&mut client, (1..=300).map(|n| format!("BINARY.PEEK[1]<0.{n}>")));
    });
    attack.check("a part of 40 MB named 300 times", most);
    let attack = toll(&server, || {
        fetch(&mut client, (0..300).map(|n| format!("BINARY.PEEK[1]<{n}.100000>")));
    });
    attack.check("100 kB of a part of 40 MB named 300 times", most);
    healthy(&server, &folder);
}

#[test]
fn fields_named_many_times() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    append(&mut client, &[&b"abc:b\r\n".repeat(35_000)[..], b"\r\nx"].concat());
    client.ok("SELECT INBOX");
    let attack = toll(&server, || {
        let names: Vec<_> = (0..15_000).map(|n| format!("a{:02}", n % 100)).collect();
        client.ok(&format!("FETCH 1 BODY.PEEK[HEADER.FIELDS ({})]", names.join(" ")));
    });
    attack.check("a list of 15,000 fields", COMMAND);
    let attack = toll(&server, || {
        fetch(&mut client, (0..300).map(|n| format!("BODY.PEEK[HEADER.FIELDS (abc x{n})]")));
    });
    attack.check("300 lists of fields of a header of 250 kB", COMMAND);
    let attack = toll(&server, || {
        let fields = (0..300).map(|n| format!("BODY.PEEK[HEADER.FIELDS (abc x{n})]<0.9>"));
        fetch(&mut client, fields.chain(["BODY.PEEK[1]".to_owned()]));
    });
    attack.check("300 lists of fields beside a part", COMMAND);
    healthy(&server, &folder);
}

#[test]
fn a_long_header_in_a_large_message() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    append(&mut client, &[&b"abc:b\r\n".repeat(3_000_000)[..], b"\r\nx"].concat());
    client.ok("SELECT INBOX");
    let attack = toll(&server, || {
        let fields = (0..8).map(|n| format!("BODY.PEEK[HEADER.FIELDS (abc x{n})]"));
        fetch(&mut client, fields.chain(["BODY".to_owned()]));
    });
    let most = limits::MEMORY_OF_LARGE_MESSAGE as u64 + COMMAND;
    attack.check("8 lists of fields of a header of 21 MB", most);
}

/// 20,000 messages, with every second one expunged.
fn with_gaps(client: &mut Client) {
    for _ in 0..2 {
        append_all(client, &vec![&b"A: b\r\n\r\nx"[..]; 10_000]);
    }
    client.ok("SELECT INBOX");
    for from in (1..=20_000).step_by(5000) {
        let uids: Vec<_> = (from..from + 5000).step_by(2).map(|uid| uid.to_string()).collect();
        client.ok(&format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", uids.join(",")));
    }
    client.ok("EXPUNGE");
}

#[test]
fn sets_named_many_times() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    with_gaps(&mut client);
    let attack = toll(&server, || {
        let reply = client.ok(&format!("SEARCH RETURN (COUNT) {}", ["1:*"; 3000].join(" ")));
        assert!(reply.texts()[0].ends_with("COUNT 10000"), "{:?}", reply.texts());
    });
    attack.check("3,000 times all messages, which have gaps", COMMAND);
    client.ok("SEARCH RETURN (SAVE) ALL");
    let attack = toll(&server, || {
        client.ok(&format!("SEARCH RETURN (COUNT) {}", ["$"; 4000].join(" ")));
    });
    attack.check("4,000 times a saved result with gaps", COMMAND);
    let reply = client.command(&format!("SEARCH {}", ["1:*"; 5000].join(" ")));
    assert!(reply.tagged.starts_with("NO [LIMIT] "), "{}", reply.tagged);
    healthy(&server, &folder);
}

#[test]
fn keys_about_headers() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    append(&mut client, &[&b"a:b\r\n".repeat(50_000)[..], b"\r\nx"].concat());
    append_all(&mut client, &vec![&b"a: b\r\nz: =?utf-8?q?y=C3=A9?=\r\n\r\nx"[..]; 3000]);
    client.ok("SELECT INBOX");
    for (what, key) in [("other fields", "HEADER z y"), ("all its fields", "HEADER a y")] {
        let attack = toll(&server, || {
            let keys: Vec<_> = (0..1000).map(|n| format!("NOT {key}{n}")).collect();
            client.ok(&format!("SEARCH RETURN (COUNT) {}", keys.join(" ")));
        });
        attack.check(&format!("1,000 keys about {what} of a header of 250 kB"), COMMAND);
    }
    let reply = client.command(&format!("SEARCH {}", ["HEADER z y"; 1001].join(" ")));
    assert!(reply.tagged.starts_with("NO [LIMIT] "), "{}", reply.tagged);
    healthy(&server, &folder);
}

#[test]
fn strings_in_a_large_message() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    append(&mut client, &[b"Subject: x\r\n\r\n", &b"abcdefgh ".repeat(2_200_000)[..]].concat());
    client.ok("SELECT INBOX");
    let keys: Vec<_> = (0..1000).map(|n| format!("NOT TEXT ba{n}")).collect();
    let search = format!("SEARCH RETURN (COUNT) {}", keys.join(" "));
    let most = limits::MEMORY_OF_LARGE_MESSAGES as u64 + 4 * COMMAND;
    let attack = toll(&server, || {
        // Several clients of one user at a time, which all hang up in the middle.
        let searches = (0..4).map(|_| {
            let mut client = server.login();
            client.ok("SELECT INBOX");
            client.send(format!("s {search}\r\n").as_bytes());
            client
        });
        let searches: Vec<_> = searches.collect();
        // Another user's sort does not wait for them.
        let mut other = server.connect();
        other.ok(&format!("LOGIN bystander {}", kit::PASSWORD));
        append(&mut other, b"Subject: a\r\n\r\nx");
        other.ok("SELECT INBOX");
        let begun = Instant::now();
        other.ok("SORT (SUBJECT) UTF-8 ALL");
        println!("another user's SORT takes {} ms among them", begun.elapsed().as_millis());
        drop(searches);
        idle(&server);
    });
    attack.check("four searches for 1,000 strings in 20 MB, given up", most);
    healthy(&server, &folder);
}

/// Waits until the server is idle: half a second with little CPU time.
fn idle(server: &kit::Server) {
    let used = || {
        let pid = server.pid().as_raw_nonzero();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a server");
        let (_, rest) = stat.rsplit_once(')').expect("Linux tells it");
        let fields: Vec<_> = rest.split_whitespace().collect();
        // User and system time, in hundredths of a second.
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let begun = Instant::now();
    loop {
        let before = used();
        thread::sleep(Duration::from_millis(500));
        // The measured NOOPs take some of it.
        if used() - before < 20 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it works on for nobody");
    }
    println!("idle {} ms after its clients have gone", begun.elapsed().as_millis());
}

#[test]
fn a_client_that_only_stops_sending_is_answered() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    append(&mut client, &[b"Subject: x\r\n\r\n", &b"abcdefgh ".repeat(2_200_000)[..]].concat());
    client.ok("SELECT INBOX");
    let keys: Vec<_> = (0..200).map(|n| format!("NOT TEXT ba{n}")).collect();
    client.send(format!("s SEARCH {}\r\n", keys.join(" ")).as_bytes());
    client.end();
    let reply = client.reply("s");
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
    assert!(reply.texts().iter().any(|text| text == "* SEARCH 1"), "{:?}", reply.texts());
}

/// A message with 12,000 references to messages that do not exist.
fn referring(number: usize) -> Vec<u8> {
    let mut message = b"References:".to_vec();
    for reference in 0..12_000 {
        message.extend(format!("\r\n <{number}.{reference}@x>").bytes());
    }
    message.extend(b"\r\n\r\nx");
    message
}

#[test]
fn threads_of_millions() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    for part in 0..30 {
        let messages: Vec<_> = (0..10).map(|n| referring(part * 10 + n)).collect();
        append_all(&mut client, &messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    client.ok("SELECT INBOX");
    let most = limits::SORT_OCTETS as u64 * 3 / 2 + COMMAND;
    let attack = toll(&server, || {
        let reply = client.command("THREAD REFERENCES UTF-8 ALL");
        assert!(reply.tagged.starts_with("NO [LIMIT] "), "{}", reply.tagged);
    });
    attack.check("threads of 3,600,000 references", most);
    client.ok("THREAD REFERENCES UTF-8 1:50");
    healthy(&server, &folder);
}

#[test]
fn sorts_that_are_followed() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    for part in 0..16 {
        let messages: Vec<_> = (0..500)
            .map(|n| {
                let name = format!("{:05}{}", part * 500 + n, "f".repeat(990));
                let address = format!("\"{name}\" <{name}@x>");
                let header = format!("Subject: {name}\r\nFrom: {address}\r\nTo: {address}\r\n");
                format!("{header}Cc: {address}\r\n\r\nx").into_bytes()
            })
            .collect();
        append_all(&mut client, &messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    client.ok("SELECT INBOX");
    let sort = "SORT RETURN (UPDATE COUNT) (SUBJECT FROM TO CC DISPLAYFROM DISPLAYTO) UTF-8 ALL";
    let mut refused = 0;
    let attack = toll(&server, || {
        for _ in 0..12 {
            refused += usize::from(client.command(sort).tagged.starts_with("NO [LIMIT] "));
        }
    });
    let most = limits::SORT_OCTETS as u64 * 3 / 2 + COMMAND;
    attack.check("12 sorts that are followed, of 48 MB each", most);
    assert!((4..12).contains(&refused), "{refused} were refused");
    // Leaving the mailbox frees the memory.
    client.ok("UNSELECT");
    client.ok("SELECT INBOX");
    client.ok(sort);
    healthy(&server, &folder);
}
