//! Load and attacks: crowds; slow, broken and greedy clients; garbage; hours of work. None of them
//! may lose acknowledged mail, disturb other clients, or leak memory.

use std::fs;

use kit::{Folder, Message, Server};

mod broken;
mod costly;
mod crowd;
mod garbage;
mod gauge;
mod logins;
mod mail;
mod mixed;
mod names;
mod pieces;
mod probe;
mod promised;
mod tls;
mod slow;
mod unread;

/// The number in this environment variable, or else the one for a quick run.
fn wanted(name: &str, quick: usize) -> usize {
    std::env::var(name).map_or(quick, |text| text.parse().expect("a number"))
}

/// Checks that the server serves normally, and has logged no bug and no failure.
fn healthy(server: &Server, folder: &Folder) {
    let mut client = server.login();
    let reply =
        client.append("INBOX", &[Message { options: "", octets: b"Subject: fine\r\n\r\n" }]);
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
    client.ok("EXAMINE INBOX");
    client.ok("FETCH * (UID BODY.PEEK[])");
    let log = fs::read_to_string(folder.log()).unwrap();
    let bad = log.lines().find(|line| line.contains("panicked") || line.contains(" ERROR "));
    assert_eq!(bad, None);
}
