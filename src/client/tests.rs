//! The client against a scripted server: it expects exactly these octets, then sends those.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use super::*;
use imap::types::{Flags, InternalDate};

type Script = &'static [(&'static str, &'static str)];

/// Plays the script and hangs up. `JoinHandle::join` panics when the client sends something else.
fn server(script: Script) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for (awaited, answer) in script {
            let mut got = vec![0; awaited.len()];
            stream.read_exact(&mut got).unwrap();
            assert_eq!(String::from_utf8_lossy(&got), *awaited);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, thread)
}

/// Runs `test` with a client that has read the greeting.
fn with<T>(script: Script, test: impl FnOnce(&mut Client) -> T) -> T {
    let (address, thread) = server(script);
    let mut client = Client::connect(address, None).unwrap();
    let result = test(&mut client);
    thread.join().unwrap();
    result
}

const GREETING: (&str, &str) = ("", "* OK hello\r\n");

fn mail(octets: &'static str) -> Mail {
    Mail { octets: octets.into(), flags: Flags::SEEN, date: None }
}

fn prepared(octets: &'static str, literals: Literals) -> Prepared {
    Prepared::new(mail(octets), literals)
}

#[test]
fn login_learns_capabilities() {
    let script: Script = &[
        GREETING,
        ("A1 LOGIN \"a \\\"b\\\"\" {3+}\r\n\u{fc}x\r\n", "* CAPABILITY OLD\r\nA1 OK in\r\n"),
        ("A2 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 Literal+ MULTIAPPEND\r\nA2 OK\r\n"),
    ];
    with(script, |client| {
        client.login("a \"b\"", "\u{fc}x").unwrap();
        assert!(client.has("LITERAL+") && client.has("MULTIAPPEND") && !client.has("OLD"));
    });
}

#[test]
fn many_messages_without_waiting() {
    let script: Script = &[
        GREETING,
        (
            "A1 APPEND \"x\" (\\Seen) {3+}\r\none (\\Seen) {3+}\r\ntwo\r\n",
            "* 2 EXISTS\r\nA1 OK [APPENDUID 7 4:5] done\r\n",
        ),
    ];
    let done = with(script, |client| {
        let messages = ["one", "two"].map(|m| prepared(m, Literals::NonSynchronising));
        client.append("x", &messages).unwrap()
    });
    assert_eq!(done.append_uids().unwrap().uids, [(4, 5)]);
}

#[test]
fn literals_that_wait_stop_at_a_refusal() {
    let script: Script = &[
        GREETING,
        ("A1 APPEND \"x\" (\\Seen) {3}\r\n", "+ go on\r\n"),
        ("one (\\Seen) {3}\r\n", "A1 NO [OVERQUOTA] full\r\n"),
        ("A2 NOOP\r\n", "A2 OK still in step\r\n"),
    ];
    with(script, |client| {
        let messages = ["one", "two"].map(|m| prepared(m, Literals::Synchronising));
        let error = client.append("x", &messages).unwrap_err();
        assert_eq!(error.to_string(), "the server refused APPEND: NO [OVERQUOTA] full");
        client.command("NOOP").unwrap();
    });
}

#[test]
fn more_messages_than_one_writev_takes() {
    let (address, thread) = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"* OK\r\n").unwrap();
            let mut expected = b"A1 APPEND \"x\"".to_vec();
            expected.extend(b" (\\Seen) {3+}\r\none".repeat(5_000));
            expected.extend(b"\r\n");
            let mut got = vec![0; expected.len()];
            stream.read_exact(&mut got).unwrap();
            assert!(got == expected);
            stream.write_all(b"A1 OK\r\n").unwrap();
        });
        (address, thread)
    };
    let mut client = Client::connect(address, None).unwrap();
    let message = prepared("one", Literals::NonSynchronising);
    client.append("x", std::iter::repeat_n(&message, 5_000)).unwrap();
    thread.join().unwrap();
}

#[test]
fn what_comes_back_is_compared() {
    let script: Script = &[
        GREETING,
        (
            "A1 FETCH 1:6 (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n",
            "* 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {3}\r\none)\r\n\
             * 9 EXISTS\r\n\
             * 1 FETCH (FLAGS (\\Seen))\r\n\
             * 2 FETCH (UID 2 BODY[] {3}\r\noNe FLAGS (\\Seen))\r\n\
             * 3 FETCH (UID 3 FLAGS (\\Seen) BODY[] {4}\r\none.)\r\n\
             * 4 FETCH (UID 9 FLAGS (\\Seen) BODY[] {3}\r\none)\r\n\
             * 5 FETCH (UID 5 FLAGS (\\Recent) BODY[] {3}\r\none)\r\n\
             * 6 FETCH (UID 6 FLAGS (\\Seen) BODY[] {3}\r\none)\r\n\
             A1 OK\r\n",
        ),
    ];
    let sent = mail("one");
    let compared = with(script, |client| {
        let expected = |n| (n < 6).then_some(Expected { uid: Some(n), mail: &sent });
        client.compare("1:6", expected, |_| {}).unwrap()
    });
    assert_eq!((compared.messages, compared.octets, compared.differing), (6, 19, 5));
    for (difference, part) in compared.differences.iter().zip([
        "differs from octet 1 on",
        "has 4 octets, sent were 3",
        "has UID Some(9)",
        "has the flags Some(\"\")",
        "was never sent",
    ]) {
        assert!(difference.contains(part), "{difference}");
    }
}

#[test]
fn dates_are_one_when_the_instant_is() {
    let script: Script = &[
        GREETING,
        (
            "A1 FETCH 1:2 (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n",
            "* 1 FETCH (INTERNALDATE \" 7-Feb-1994 21:00:00 +0100\" FLAGS () BODY[] {1}\r\nx)\r\n\
             * 2 FETCH (INTERNALDATE \" 7-Feb-1994 20:00:01 +0000\" FLAGS () BODY[] {1}\r\nx)\r\n\
             A1 OK\r\n",
        ),
    ];
    let date = InternalDate::parse(b" 7-Feb-1994 20:00:00 +0000").ok();
    let sent = Mail { octets: "x".into(), flags: Flags::default(), date };
    let compared = with(script, |client| {
        client.compare("1:2", |_| Some(Expected { uid: None, mail: &sent }), |_| {}).unwrap()
    });
    assert_eq!(compared.differing, 1);
    assert!(compared.differences[0].starts_with("message 2 has the date"));
}

#[test]
fn another_octet_for_a_nul_is_no_difference() {
    let script: Script = &[
        GREETING,
        (
            "A1 FETCH 1:2 (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n",
            "* 1 FETCH (FLAGS () BODY[] {2}\r\n\u{c0})\r\n\
             * 2 FETCH (FLAGS () BODY[] {2}\r\n\u{c1})\r\n\
             A1 OK\r\n",
        ),
    ];
    // A script is text: its octets are C3 80 and C3 81.
    let sent = Mail { octets: (&b"\xc3\0"[..]).into(), flags: Flags::default(), date: None };
    let compared = with(script, |client| {
        client.compare("1:2", |_| Some(Expected { uid: None, mail: &sent }), |_| {}).unwrap()
    });
    assert_eq!(compared.differing, 1);
    assert!(compared.differences[0].starts_with("message 2, 2 octets, differs from octet 1 on"));
}

#[test]
fn answers_with_literals_are_kept_whole() {
    let script: Script = &[
        GREETING,
        (
            "A1 LIST \"\" *\r\n",
            "* LIST () \"/\" {3}\r\na\r\n\r\n* LIST () {1}\r\n/ {1}\r\nb\r\nA1 OK\r\n",
        ),
    ];
    let reply = with(script, |client| client.command("LIST \"\" *").unwrap());
    let lines = ["* LIST () \"/\" {3}\r\na\r\n", "* LIST () {1}\r\n/ {1}\r\nb"];
    assert_eq!(reply.untagged, lines.map(|line| line.as_bytes().to_vec()));
}

#[test]
fn a_server_that_gives_up_is_quoted() {
    let bye: Script = &[GREETING, ("A1 APPEND \"x\" (\\Seen) {1+}\r\nx\r\n", "* BYE disk\r\n")];
    let message = prepared("x", Literals::NonSynchronising);
    let error = with(bye, |client| client.append("x", [&message]).unwrap_err());
    assert!(matches!(error, ClientError::Bye(line) if line == "* BYE disk"));

    let gone: Script = &[GREETING, ("A1 NOOP\r\n", "")];
    let error = with(gone, |client| client.command("NOOP").unwrap_err());
    assert!(matches!(error, ClientError::Closed));

    let babble: Script = &[GREETING, ("A1 NOOP\r\n", "what?\r\n")];
    let error = with(babble, |client| client.command("NOOP").unwrap_err());
    assert!(error.to_string().ends_with("got: what?"), "{error}");
}

#[test]
fn a_greeting_that_is_none() {
    let (address, thread) = server(&[("", "* BYE full\r\n")]);
    let Err(error) = Client::connect(address, None) else { panic!("no greeting, no client") };
    assert!(error.to_string().contains("* BYE full"));
    thread.join().unwrap();
}
