//! What a server meets in the open: crowds, the slow, the broken, the senseless and the greedy, and
//! hours of work. Nothing of it may cost what was acknowledged, the service of others, or memory
//! that does not come back.

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

/// How much longer than in a quick run, by an environment variable.
fn wanted(name: &str, quick: usize) -> usize {
    std::env::var(name).map_or(quick, |text| text.parse().expect("a number"))
}

/// The server serves as if nothing had been, and has said nothing of a bug or a failure.
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
