//! Clients that send an octet now and then: at login, in a command, in a literal. They get all the
//! time that they are allowed, and do not hold up others.

use std::time::{Duration, Instant};

use kit::{Client, Fetched, Folder, Message, Server};

use crate::mail::Mail;
use crate::{healthy, wanted};
use mailrace::limits::{LARGE_LEASES, LOGIN_TIME, SMALL_LEASES};

/// Time between two octets of a slow client.
const TRICKLE: Duration = Duration::from_millis(20);

/// Sends these octets one at a time, over and over, until the server replies or hangs up.
fn trickle(client: &mut Client, octets: &[u8]) {
    for octet in octets.iter().cycle() {
        if client.hears_within(TRICKLE) || !client.try_send(&[*octet]) {
            return;
        }
    }
}

#[test]
fn who_does_not_log_in_is_told_to_go() {
    assert_eq!(LOGIN_TIME, Duration::from_secs(60), "what operations.md says");
    let folder = Folder::new();
    let server = Server::with(&folder, &["--login-time", "1"]);
    let mut early = server.login();
    let mut again = server.login();
    again.ok("UNAUTHENTICATE");
    let octets: [&[u8]; 5] = [
        // A client that sends nothing, and one that never ends its first command.
        b"",
        b"a",
        // Endless names and passwords.
        b"a LOGIN {4000+}\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"a AUTHENTICATE PLAIN AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        // An upload before login, which is discarded.
        b"a APPEND INBOX {4000000+}\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ];
    std::thread::scope(|scope| {
        for octets in octets {
            let (begun, mut client) = (Instant::now(), server.connect());
            scope.spawn(move || {
                if octets.is_empty() {
                    client.hears_within(Duration::from_secs(60));
                } else {
                    trickle(&mut client, octets);
                }
                let said = client.line().map(|line| String::from_utf8_lossy(&line).into_owned());
                assert_eq!(said.as_deref(), Some("* BYE no login within 1 seconds"));
                assert_eq!(client.line(), None);
                assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
            });
        }
        // Complete commands do not extend the time.
        let mut client = server.connect();
        scope.spawn(move || {
            while client.try_send(b"n NOOP\r\n") {
                match client.line() {
                    Some(line) if line.starts_with(b"n OK ") => {}
                    Some(line) => {
                        assert!(line.starts_with(b"* BYE no login "), "{line:?}");
                        return;
                    }
                    None => panic!("no BYE"),
                }
            }
        });
        scope.spawn(move || {
            assert!(again.line().unwrap().starts_with(b"* BYE no login "));
        });
    });
    // This logged-in connection is older than those.
    early.ok("NOOP");
    healthy(&server, &folder);
}

#[test]
fn slow_commands_keep_nothing_from_others() {
    let folder = Folder::new();
    let server = Server::with(&folder, &["--reactors", "1"]);
    let count = wanted("MAILRACE_CONNECTIONS", 300);
    let mut slow: Vec<_> = (0..count).map(|_| server.login()).collect();
    let command = b"s UID SEARCH SUBJECT {6+}\r\nlittle";
    for (at, &octet) in command.iter().enumerate() {
        slow.iter_mut().for_each(|client| client.send(&[octet]));
        if at % 8 == 0 {
            healthy(&server, &folder);
        }
    }
    for mut client in slow {
        client.send(b"\r\n");
        assert!(client.reply("s").tagged.starts_with("BAD no mailbox is selected"));
    }
}

/// A client in the middle of a message.
struct Uploading {
    client: Client,
    mail: Mail,
    octets: Vec<u8>,
    sent: usize,
}

impl Uploading {
    fn begin(server: &Server, mail: Mail) -> Uploading {
        let (mut client, octets) = (server.login(), mail.octets());
        client.send(format!("u APPEND INBOX {{{}}}\r\n", octets.len()).as_bytes());
        assert!(client.line().expect("an invitation").starts_with(b"+ "));
        Uploading { client, mail, octets, sent: 0 }
    }

    fn send(&mut self, octets: usize) {
        self.client.send(&self.octets[self.sent..self.sent + octets]);
        self.sent += octets;
    }

    fn finish(mut self) {
        self.send(self.octets.len() - self.sent);
        self.client.send(b"\r\n");
        let reply = self.client.reply("u");
        assert!(reply.tagged.starts_with("OK [APPENDUID "), "{:?}: {}", self.mail, reply.tagged);
    }
}

/// Uploads of other clients while leases are short.
fn others(server: &Server, folder: &Folder, number: &mut u64) {
    let mut client = server.login();
    for size in [1_000, 100_000, 2_000_000] {
        *number += 1;
        let octets = Mail { owner: 9, number: *number, size }.octets();
        let reply = client.append("INBOX", &[Message { options: "", octets: &octets }; 3]);
        assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
        *number += 1;
        let octets = Mail { owner: 9, number: *number, size }.octets();
        let reply = client.append_in_step("INBOX", &[Message { options: "", octets: &octets }]);
        assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
    }
    healthy(server, folder);
}

#[test]
fn more_slow_messages_than_there_are_leases() {
    mailrace::reactor::raise_limits();
    let folder = Folder::new();
    let server = Server::with(&folder, &["--reactors", "1"]);
    let mut number = 0;
    let mut slow = Vec::new();
    // Clients with small leases come first, so they have waited longest.
    for (count, size) in [(SMALL_LEASES + 100, 12_000), (LARGE_LEASES + 100, 60_000)] {
        for _ in 0..count {
            number += 1;
            let mut one = Uploading::begin(&server, Mail { owner: 1, number, size });
            one.send(size / 3);
            slow.push(one);
        }
        others(&server, &folder, &mut number);
    }
    // One octet each: a client that gets a lease for it must give it up again.
    for _ in 0..wanted("MAILRACE_ROUNDS", 2) {
        slow.iter_mut().for_each(|one| one.send(1));
        others(&server, &folder, &mut number);
    }
    let sent: usize = slow.len();
    slow.into_iter().for_each(Uploading::finish);
    let mut client = server.login();
    client.ok("EXAMINE INBOX");
    let reply = client.ok("UID SEARCH RETURN (COUNT) FROM o1@example.org");
    assert!(reply.texts()[0].ends_with(&format!("COUNT {sent}")), "{:?}", reply.texts());
    let found = client.ok("UID SEARCH FROM o1@example.org").texts();
    let found = found[0].strip_prefix("* SEARCH ").unwrap().replace(' ', ",");
    let fetched = client.ok(&format!("UID FETCH {found} BODY.PEEK[]"));
    let mut numbers: Vec<_> = Fetched::all(&fetched.untagged)
        .iter()
        .map(|fetched| Mail::of(fetched.octets("BODY[]")).expect("what was sent").number)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), sent);
}
