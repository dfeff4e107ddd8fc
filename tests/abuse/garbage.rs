//! Garbage: octets of every kind, and commands in every wrong state. The answer is BAD or BYE with
//! a reason, or the end of the connection; service continues.

use std::io::Read;
use std::net::Shutdown;
use std::thread;

use kit::{Client, Folder, Message, Random, Server};

use crate::gauge::{Gauge, MIB};
use crate::{healthy, wanted};

/// Mutations of commands in a quick run, unless MAILRACE_ROUNDS says otherwise.
const ROUNDS: usize = 2000;

/// Memory may grow by this many bytes.
const GROWTH: u64 = 64 * MIB;

/// Valid commands for a session with a mailbox selected.
const COMMANDS: [&str; 55] = [
    "CAPABILITY",
    "NOOP",
    "ID (\"name\" \"x\")",
    "STARTTLS",
    "AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==",
    "LOGIN alice secret",
    "LOGIN {5+}\r\nalice {6+}\r\nsecret",
    "ENABLE CONDSTORE QRESYNC UTF8=ACCEPT IMAP4rev2",
    "UNAUTHENTICATE",
    "NAMESPACE",
    "SELECT INBOX",
    "SELECT INBOX (QRESYNC (1 1 1:9 (1:2 3:4)))",
    "EXAMINE \"INBOX\" (CONDSTORE)",
    "CREATE a/b (USE (\\Sent))",
    "DELETE a/b",
    "RENAME a/b c",
    "SUBSCRIBE c",
    "UNSUBSCRIBE c",
    "LIST \"\" * RETURN (STATUS (MESSAGES UNSEEN) SPECIAL-USE CHILDREN)",
    "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"a%\" {3+}\r\nb/* c)",
    "LSUB \"\" %",
    "STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE HIGHESTMODSEQ DELETED)",
    "GETMETADATA (DEPTH infinity MAXSIZE 10) INBOX (/private {7+}\r\n/shared)",
    "SETMETADATA INBOX (/private/specialuse \"\\\\Sent\" /shared/x ~{3+}\r\nabc /shared/y NIL)",
    "APPEND INBOX (\\Seen a) \" 7-Feb-1994 22:43:04 -0800\" {5+}\r\nhello",
    "APPEND INBOX {3+}\r\nabc {3+}\r\ndef",
    "APPEND INBOX UTF8 (~{3+}\r\nabc)",
    "IDLE\r\nDONE",
    "CHECK",
    "CLOSE",
    "UNSELECT",
    "EXPUNGE",
    "UID EXPUNGE 1:5,7",
    "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
    "FETCH 1,2:* BODY.PEEK[HEADER.FIELDS (FROM {2+}\r\nTO)]<0.10>",
    "FETCH 1 (BODY[1.2.3.MIME] BINARY.PEEK[1]<1.2> BINARY.SIZE[1] PREVIEW (LAZY) SAVEDATE)",
    "UID FETCH 1:* ALL (CHANGEDSINCE 1 VANISHED)",
    "STORE 1 +FLAGS.SILENT (\\Seen a b)",
    "UID STORE 1:* (UNCHANGEDSINCE 5) FLAGS \\Deleted",
    "COPY 1 INBOX",
    "UID MOVE 1 c",
    "SEARCH CHARSET UTF-8 OR (SUBJECT {3+}\r\nabc NOT FROM \"x\") LARGER 10 1:5,* UID 3",
    "SEARCH RETURN (MIN MAX COUNT SAVE) ALL",
    "UID SEARCH RETURN (PARTIAL -1:-100) SINCE 1-Feb-2003 YOUNGER 5 MODSEQ 3",
    "UID SEARCH RETURN (UPDATE) HEADER X-Id {1+}\r\n1",
    "SORT (REVERSE DATE SUBJECT DISPLAYFROM) UTF-8 ALL",
    "UID SORT RETURN (COUNT) (SIZE) UTF-8 TEXT x",
    "THREAD REFERENCES UTF-8 ALL",
    "UID THREAD ORDEREDSUBJECT US-ASCII NOT DELETED",
    "CANCELUPDATE \"a1\"",
    "GETQUOTA \"\"",
    "COMPRESS DEFLATE",
    "NOTIFY SET STATUS (SELECTED (MessageNew (FLAGS) MessageExpunge))",
    "XYZZY",
    "LOGOUT",
];

/// Sends the octets and returns the lines of the reply. Panics if the first of them is empty.
fn say(mut client: Client, octets: &[u8], what: &str) -> Vec<String> {
    let mut socket = client.socket().try_clone().unwrap();
    let mut said = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            // The server may hang up before the end.
            client.try_send(octets);
            let _ = client.socket().shutdown(Shutdown::Write);
        });
        // An error is also an end: a server that hangs up resets unread data.
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = socket.read(&mut buffer) {
            if said.len() < MIB as usize {
                said.extend_from_slice(&buffer[..length]);
            }
        }
    });
    let text = String::from_utf8_lossy(&said);
    let lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    assert!(lines.len() < 2 || !lines[0].is_empty(), "{what}: {lines:?}");
    lines
}

/// Panics if a line is not a refusal.
fn refusals(lines: &[String], what: &str) {
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let words: Vec<_> = line.splitn(3, ' ').collect();
        let fine = line.starts_with('+')
            || matches!(words[..], [_, "BAD" | "BYE" | "NO", reason] if !reason.is_empty());
        assert!(fine, "{what}: {line:?}");
    }
}

/// Octets that are no command, each with a name.
fn junk(random: &mut Random) -> Vec<(&'static str, Vec<u8>)> {
    let mut noise =
        |length: usize| -> Vec<u8> { (0..length).map(|_| random.number() as u8).collect() };
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    hello.extend(noise(512));
    vec![
        ("noise", noise(100_000)),
        ("a TLS ClientHello", hello),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n".to_vec()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0".to_vec()),
        ("SMTP", b"EHLO example.org\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n".to_vec()),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        ("NULs", vec![0; 100_000]),
        ("lines of NULs", b"\0\0\0\0\r\n".repeat(1000)),
        ("0xFF", vec![0xff; 100_000]),
        ("a line without end", vec![b'x'; 20_000_000]),
        ("a long line", [vec![b'y'; 1_000_000], b"\r\n".to_vec()].concat()),
        ("a long tag", [vec![b't'; 60_000], b" NOOP\r\n".to_vec()].concat()),
        ("bare CRs", b"a NOOP\r".repeat(1000)),
        ("blanks", vec![b' '; 200_000]),
        ("quotes", b"a LOGIN \"\\\"\\\\ \"\"\"\"\" \"\r\n".repeat(100)),
        ("a quoted string without end", [b"a LOGIN \"".to_vec(), vec![b'q'; 5000]].concat()),
        ("braces", b"{{{{{}}}}}{1}{2+}{}{+}{-1}\r\n".repeat(500)),
        ("a literal of 2^64", b"a LOGIN {18446744073709551616+}\r\nx\r\n".to_vec()),
        ("a literal of 4 GiB", b"a LOGIN {4294967296}\r\n".to_vec()),
        ("a number of 5,000 digits", format!("a LOGIN {{{}}}\r\n", "9".repeat(5000)).into_bytes()),
        ("tags alone", b"a\r\nb\r\n \r\n+ x\r\n* OK\r\n".repeat(100)),
        ("percent", b"a%n NOOP\r\n%s%s%s%n\r\n".to_vec()),
        (
            "base64 without end",
            [b"a AUTHENTICATE PLAIN\r\n".to_vec(), vec![b'A'; 100_000]].concat(),
        ),
        ("no base64", b"a AUTHENTICATE PLAIN\r\n!!!!\r\n".repeat(20)),
    ]
}

#[test]
fn junk_before_login() {
    let mut random = Random::seeded();
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    for (what, octets) in junk(&mut random) {
        refusals(&say(server.connect(), &octets, what), what);
        gauge.wait_for_connections(0);
    }
    for command in COMMANDS {
        // Only CAPABILITY, NOOP, ID, LOGIN, LOGOUT and AUTHENTICATE are valid before login.
        let lines =
            say(server.connect(), format!("a {command}\r\nb XYZZY\r\n").as_bytes(), command);
        let open = ["CAPAB", "NOOP", "ID ", "LOGIN", "LOGOUT", "AUTH"];
        if !open.iter().any(|open| command.starts_with(open)) {
            refusals(&lines, command);
        }
        if command != "LOGOUT" {
            assert!(lines.iter().any(|line| line.starts_with("b BAD ")), "{command}: {lines:?}");
        }
    }
    healthy(&server, &folder);
}

/// Commands with extreme nesting, width or numbers.
fn exaggerations() -> Vec<(&'static str, Vec<u8>)> {
    let line = |text: String| format!("x {text}\r\n").into_bytes();
    let many = |head: &str, part: &str, octets: usize| {
        line(format!("{head}{}", part.repeat(octets / part.len())))
    };
    const LINE: usize = 60_000;
    vec![
        ("parentheses", many("SEARCH ", "(", LINE)),
        ("NOTs", many("SEARCH ", "NOT ", LINE)),
        ("ORs", many("SEARCH ", "OR ", LINE)),
        ("a deep search", line(format!("SEARCH {}ALL{}", "(".repeat(29_000), ")".repeat(29_000)))),
        ("TEXTs", many("SEARCH", " TEXT a", LINE)),
        ("a thousand HEADERs", many("SEARCH", " HEADER a b", 10_000)),
        ("literals of nothing", many("SEARCH", " {0+}\r\n", LINE)),
        ("synchronising literals", many("SEARCH", " {0}\r\n", LINE)),
        ("literals, bare LF", many("SEARCH", " {0}\n", LINE)),
        ("literals of a LOGIN", many("LOGIN", " {0+}\r\n", LINE)),
        ("ranges", many("FETCH 1", ",1:*", LINE)),
        ("the largest UIDs", many("UID FETCH 1", ",4294967295", LINE)),
        ("items", line(format!("FETCH 1 ({}UID)", "BODY.PEEK[] ".repeat(1000)))),
        ("sections", line(format!("FETCH 1 BODY[{}1]", "1.".repeat(25_000)))),
        ("fields", line(format!("FETCH 1 BODY[HEADER.FIELDS ({}B)]", "A ".repeat(25_000)))),
        ("stars", many("LIST \"\" ", "*", LINE)),
        ("stars and percents", many("LIST \"\" ", "*%", LINE)),
        ("stars between letters", many("LIST \"\" ", "*a", 2_000)),
        ("patterns", line(format!("LIST \"\" ({}b)", "a* ".repeat(15_000)))),
        ("levels", line(format!("CREATE {}b", "a/".repeat(25_000)))),
        ("a long name", many("CREATE ", "n", LINE)),
        ("modified UTF-7", many("CREATE ", "&AAA-", LINE)),
        ("keywords", line(format!("STORE 1 FLAGS ({}z)", "k ".repeat(25_000)))),
        ("new keywords", {
            let words: Vec<_> = (0..9000).map(|n| format!("w{n}")).collect();
            line(format!("STORE 1 FLAGS ({})", words.join(" ")))
        }),
        ("criteria", line(format!("SORT ({}SIZE) UTF-8 ALL", "REVERSE DATE ".repeat(4000)))),
        ("ENABLE", many("ENABLE", " X", LINE)),
        ("ID", line(format!("ID ({}\"a\" NIL)", "\"a\" \"b\" ".repeat(6000)))),
        ("a date", line("SEARCH SINCE 99-Xyz-99999".into())),
        ("numbers", line("FETCH 99999999999999999999 (BODY[]<99999999999999999999.0>)".into())),
        ("partials", line("FETCH 1 BODY.PEEK[]<4294967295.4294967295>".into())),
        ("APPEND of 64 bits", b"x APPEND INBOX {18446744073709551615}\r\n".to_vec()),
        ("APPEND without messages", line("APPEND INBOX".into())),
        ("APPEND with flags", line(format!("APPEND INBOX ({}) {{1+}}\r\na", "a ".repeat(25_000)))),
        ("IDLE without DONE", b"x IDLE\r\nno\r\nDONE\r\n".to_vec()),
        ("IDLE and a long line", [b"x IDLE\r\n".to_vec(), vec![b'D'; 100_000]].concat()),
    ]
}

#[test]
fn junk_and_exaggerations_after_login() {
    let mut random = Random::seeded();
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    healthy(&server, &folder);
    let before = gauge.resident();
    for (what, octets) in junk(&mut random).into_iter().chain(exaggerations()) {
        let mut client = server.login();
        client.ok("SELECT INBOX");
        println!("{what}");
        say(client, &octets, what);
        gauge.wait_for_connections(0);
        healthy(&server, &folder);
    }
    let peak = gauge.peak().saturating_sub(before);
    println!("memory grew by {} MiB at most", peak / MIB);
    assert!(peak <= GROWTH, "{} MiB", peak / MIB);
}

#[test]
fn commands_that_are_almost_right() {
    let mut random = Random::seeded();
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    server.login().append("INBOX", &[Message { options: "", octets: b"Subject: a\r\n\r\nb" }; 9]);
    for round in 0..wanted("MAILRACE_ROUNDS", ROUNDS) {
        let mut octets = Vec::new();
        let mut whole = String::new();
        for number in 0..random.within(1, 6) {
            let command = random.pick(&COMMANDS);
            let mut text = format!("a{number} {command}\r\n").into_bytes();
            whole.push_str(&format!("a{number} {command}\r\n"));
            for _ in 0..random.below(4) {
                if text.is_empty() {
                    break;
                }
                let at = random.below(text.len());
                match random.below(5) {
                    0 => text[at] = random.number() as u8,
                    1 => drop(text.remove(at)),
                    2 => text.insert(at, random.pick(b"(){}[]<>\"\\*%+~ \r\n\0,:.19")),
                    3 => text.truncate(at.max(1)),
                    _ => {
                        let other = random.pick(&COMMANDS).as_bytes();
                        let from = random.below(other.len());
                        text.splice(at..at, other[from..].iter().copied());
                    }
                }
            }
            octets.extend(text);
        }
        let mut client = server.connect();
        if !random.one_in(4) {
            client.ok("LOGIN alice secret");
        }
        if random.one_in(2) {
            client.command("SELECT INBOX");
        }
        say(client, &octets, &format!("round {round}, from {whole:?}"));
    }
    gauge.wait_for_connections(0);
    healthy(&server, &folder);
    assert!(server.terminate().success());
    healthy(&Server::start(&folder), &folder);
}
