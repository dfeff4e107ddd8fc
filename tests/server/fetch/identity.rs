//! EMAILID over everything that a message outlives.

use std::collections::BTreeSet;
use std::fs;

use kit::{Client, Fetched, Folder, Message, Server};

fn append(client: &mut Client, count: usize) {
    let messages: Vec<_> =
        (0..count).map(|_| Message { options: "", octets: b"A: b\r\n\r\nc" }).collect();
    assert!(client.append("INBOX", &messages).tagged.starts_with("OK "));
}

/// The EMAILIDs of all messages of a mailbox.
fn emails(client: &mut Client, mailbox: &str) -> Vec<String> {
    client.ok(&format!("EXAMINE {mailbox}"));
    let reply = client.ok("UID FETCH 1:* (EMAILID)");
    let fetched = Fetched::all(&reply.untagged);
    fetched.iter().map(|one| one.text("EMAILID").trim_matches(['(', ')']).to_owned()).collect()
}

#[test]
fn a_message_keeps_it_and_no_other_message_gets_it() {
    let folder = Folder::new();
    let mut server = Server::start(&folder);
    let mut client = server.login();
    for name in ["copies", "moved"] {
        client.ok(&format!("CREATE {name}"));
    }
    append(&mut client, 3);
    let first = emails(&mut client, "INBOX");
    client.ok("SELECT INBOX");
    client.ok("UID COPY 1:2 copies");
    client.ok("UID MOVE 2:3 moved");
    append(&mut client, 2);
    let mut given: BTreeSet<String> = first.iter().cloned().collect();
    given.extend(emails(&mut client, "INBOX"));
    assert_eq!(given.len(), 5);
    let shown = |client: &mut Client| ["copies", "moved"].map(|name| emails(client, name));
    let expected = [first[..2].to_vec(), first[1..].to_vec()];
    assert_eq!(shown(&mut client), expected);
    for with_catalog in [true, false] {
        drop(client);
        assert!(server.terminate().success());
        if !with_catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        server = Server::start(&folder);
        client = server.login();
        assert_eq!(shown(&mut client), expected);
        assert_eq!(emails(&mut client, "INBOX")[0], first[0]);
        for email in &first[1..] {
            client.ok("EXAMINE moved");
            let found = client.ok(&format!("UID SEARCH EMAILID {email}")).texts();
            assert_eq!(found.len(), 1, "{found:?}");
            let expected = if *email == first[1] { "* SEARCH 1" } else { "* SEARCH 2" };
            assert_eq!(found[0], expected);
        }
    }
    for with_catalog in [true, false] {
        for name in ["INBOX", "copies", "moved"] {
            client.ok(&format!("SELECT {name}"));
            client.ok("UID STORE 1:* +FLAGS (\\Deleted)");
            client.ok("EXPUNGE");
        }
        drop(client);
        assert!(server.terminate().success());
        if !with_catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        server = Server::start(&folder);
        client = server.login();
        append(&mut client, 2);
        let fresh = emails(&mut client, "INBOX");
        assert!(fresh.iter().all(|email| given.insert(email.clone())), "{fresh:?}");
        assert_eq!(fresh.len(), 2);
    }
}
