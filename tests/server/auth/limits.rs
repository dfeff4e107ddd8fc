//! Limits at their edges: exactly as many as allowed, and not one more.

use std::time::{Duration, Instant};

use kit::{Client, Folder, Message, PASSWORD, Server, USER};
use mailrace::limits::{COMMAND_STEP, COMMANDS_AT_ONCE, DISCARDED_BEFORE_LOGIN};

use super::hears;

#[test]
fn connections_of_a_user() {
    let folder = Folder::new();
    folder.add_user("bob", "pw", &[]);
    let server = Server::with(&folder, &["--connections-per-user", "3", "--reactors", "2"]);
    let mut sessions: Vec<_> = (0..3).map(|_| server.login()).collect();
    let mut client = server.connect();
    let refused = client.command(&format!("LOGIN {USER} {PASSWORD}")).tagged;
    assert!(refused.starts_with("NO [LIMIT] too many connections of this user, 3 "), "{refused}");
    assert!(refused.contains("3 is the most") && !refused.contains("--"), "{refused}");
    // The connection stays open for another user, or until there is room.
    client.ok("LOGIN bob pw");
    client.ok("UNAUTHENTICATE");
    sessions[0].ok("UNAUTHENTICATE");
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    let mut gone = sessions.pop().unwrap();
    gone.ok("LOGOUT");
    assert_eq!(gone.line(), None);
    sessions[0].ok(&format!("LOGIN {USER} {PASSWORD}"));
}

#[test]
fn connections_from_an_address() {
    let folder = Folder::new();
    let server = Server::with(&folder, &["--connections-per-address", "3"]);
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    let mut refused = Client::connect(server.address());
    hears(
        &mut refused,
        "* BYE [UNAVAILABLE] too many connections from your address, 3 is the most",
    );
    assert_eq!(refused.line(), None);
    // A connection that moves to the reactor of its account still counts.
    clients[0].ok(&format!("LOGIN {USER} {PASSWORD}"));
    hears(&mut Client::connect(server.address()), "* BYE [UNAVAILABLE] ");
    let mut gone = clients.pop().unwrap();
    gone.ok("LOGOUT");
    assert_eq!(gone.line(), None);
    // It is free a moment after the client sees the end of the connection.
    let begun = Instant::now();
    while !Client::connect(server.address()).line().unwrap().starts_with(b"* OK ") {
        assert!(begun.elapsed() < Duration::from_secs(60), "there is room");
    }
}

#[test]
fn a_silent_session_ends() {
    let folder = Folder::new();
    let server = Server::with(&folder, &["--idle-time", "1"]);
    let said = std::fs::read_to_string(folder.log()).unwrap();
    assert!(said.contains("WARN") && said.contains("RFC 9051"), "{said}");
    let mut silent = server.login();
    let mut idle = server.login();
    idle.send(b"i IDLE\r\n");
    hears(&mut idle, "+ idling");
    let mut amid = server.login();
    amid.send(b"a APPEND INBOX {100+}\r\nonly the beginning");
    let begun = Instant::now();
    hears(&mut silent, "* BYE idle for too long");
    assert_eq!(silent.line(), None);
    hears(&mut idle, "* BYE idle for too long");
    hears(&mut amid, "* BYE idle for too long amid a message");
    assert_eq!(amid.line(), None);
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    // A session that sends something now and then does not end.
    let mut busy = server.login();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        busy.ok("NOOP");
    }
    drop(server);
    let _server = Server::with(&folder, &["--idle-time", "1800"]);
    let said = std::fs::read_to_string(folder.log()).unwrap();
    assert_eq!(said.matches("RFC 9051").count(), 1, "{said}");
}

#[test]
fn commands_before_login() {
    let server = Server::with(&Folder::new(), &["--commands-before-login", "20"]);
    let mut client = server.connect();
    let begun = Instant::now();
    for _ in 0..20 {
        client.ok("NOOP");
    }
    let late = COMMAND_STEP * (20 - 20 / COMMANDS_AT_ONCE);
    assert!(begun.elapsed() >= late, "{:?}", begun.elapsed());
    client.send(b"a NOOP\r\n");
    hears(&mut client, "* BYE 20 commands and no login");
    assert_eq!(client.line(), None);
    // There is no limit after login. After UNAUTHENTICATE it applies again.
    let mut client = server.login();
    for _ in 0..100 {
        client.ok("NOOP");
    }
    client.ok("UNAUTHENTICATE");
    for _ in 0..20 {
        client.ok("NOOP");
    }
    client.send(b"a NOOP\r\n");
    hears(&mut client, "* BYE 20 commands");
}

#[test]
fn what_is_no_command_counts_too() {
    let server = Server::with(&Folder::new(), &["--commands-before-login", "3"]);
    let mut client = server.connect();
    client.send(b"a NONSENSE\r\nb NOOP\r\nc APPEND x {1+}\r\nx\r\nd NOOP\r\n");
    for answer in ["a BAD ", "b OK ", "c NO ", "* BYE 3 commands and no login"] {
        hears(&mut client, answer);
    }
    let message = Message { options: "", octets: b"x" };
    assert!(server.login().append("INBOX", &[message]).tagged.starts_with("OK "));
}

/// A client that sends a message right behind a failing LOGIN gets its replies. One that sends
/// endlessly is cut off.
#[test]
fn octets_before_login() {
    let server = Server::start(&Folder::new());
    let mut client = server.connect();
    let half = vec![b'x'; DISCARDED_BEFORE_LOGIN as usize / 2 - 1000];
    let append = |client: &mut Client| {
        client.send(format!("a APPEND INBOX {{{}+}}\r\n", half.len()).as_bytes());
        client.send(&half);
        client.send(b"\r\n");
    };
    for _ in 0..2 {
        append(&mut client);
        hears(&mut client, "a NO log in first");
    }
    client.send(format!("a APPEND INBOX {{{}+}}\r\n", u32::MAX).as_bytes());
    client.send(&[b'x'; 4000]);
    hears(&mut client, "* BYE too much was sent before login");
    // Commands that are refused for their literals count as well.
    let mut client = server.connect();
    client.send(format!("b LOGIN {{{}+}}\r\n", u32::MAX).as_bytes());
    hears(&mut client, "b BAD ");
    client.send(&half);
    client.send(&half);
    client.send(&[b'x'; 4000]);
    hears(&mut client, "* BYE too much was sent before login");
    // There is no such limit after login, and it starts again when the connection logs out.
    let mut client = server.connect();
    append(&mut client);
    hears(&mut client, "a NO ");
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    for _ in 0..3 {
        client.send(format!("c NOOP {{{}+}}\r\n", half.len()).as_bytes());
        client.send(&half);
        client.send(b"\r\n");
        hears(&mut client, "c BAD ");
    }
    client.ok("UNAUTHENTICATE");
    append(&mut client);
    hears(&mut client, "a NO ");
}
