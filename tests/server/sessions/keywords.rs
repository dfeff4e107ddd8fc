//! A keyword appears with its first message and disappears with its last.

use kit::{Client, Folder, Message, Server};

const NONE: &str = "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)";

/// FLAGS and PERMANENTFLAGS of a mailbox, as told by SELECT.
fn flags(client: &mut Client, mailbox: &str) -> [String; 2] {
    let told = client.ok(&format!("SELECT {mailbox}")).texts();
    let find = |begin: &str| told.iter().find(|line| line.starts_with(begin)).unwrap().clone();
    [find("* FLAGS "), find("* OK [PERMANENTFLAGS ")]
}

#[test]
fn an_append_that_fails_leaves_no_keywords() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.login();
    for refused in [
        "(unknown) {5+}\r\nhello (\\Odd) {5+}\r\nhello",
        "(cancelled) {5+}\r\nhello {0+}\r\n",
        "(syntax) {5+}\r\nhello nonsense",
        "(large) {5+}\r\nhello {99999999999+}",
    ] {
        if refused.starts_with("(large)") {
            // The rest never comes.
            let mut gone = server.login();
            gone.send(format!("a APPEND INBOX {refused}\r\n").as_bytes());
            drop(gone);
            continue;
        }
        let tagged = client.command(&format!("APPEND INBOX {refused}")).tagged;
        assert!(!tagged.starts_with("OK"), "{refused}: {tagged}");
    }
    let mut broken = server.login();
    broken.send(b"a APPEND INBOX (broken) {5+}\r\nhel");
    broken.reset();
    assert_eq!(flags(&mut client, "INBOX")[0], NONE);
    // After a restart, too.
    drop(client);
    assert!(server.terminate().success());
    let server = Server::start(&folder);
    let mut client = server.login();
    assert_eq!(flags(&mut client, "INBOX")[0], NONE);
    let message = Message { options: "(kept) ", octets: b"hello" };
    assert!(client.append("INBOX", &[message]).tagged.starts_with("OK "));
    assert!(flags(&mut client, "INBOX")[0].ends_with(" kept)"));
}

#[test]
fn keywords_of_messages_that_are_gone_make_room() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.login();
    let thousand = |client: &mut Client, prefix: &str| {
        for base in (0..1024).step_by(128) {
            let names: Vec<_> = (base..base + 128).map(|n| format!("{prefix}{n}")).collect();
            let options = format!("({}) ", names.join(" "));
            let message = Message { options: &options, octets: b"hello" };
            let reply = client.append("INBOX", &[message]);
            assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
        }
    };
    thousand(&mut client, "k");
    let [flags_told, permanent] = flags(&mut client, "INBOX");
    assert!(flags_told.contains(" k0 ") && flags_told.contains(" k1023)"));
    assert!(!permanent.contains("\\*"), "none can be made: {permanent}");
    let refused = client.command("STORE 1 +FLAGS (new)").tagged;
    assert!(refused.starts_with("NO [LIMIT] "), "{refused}");
    let message = Message { options: "(new) ", octets: b"hello" };
    assert_eq!(client.append("INBOX", &[message]).code(), "LIMIT");

    // Another session has the mailbox selected all the time.
    let mut other = server.login();
    other.ok("SELECT INBOX");
    client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)");
    let told = client.ok("EXPUNGE").texts();
    assert!(told.iter().any(|line| line.contains("PERMANENTFLAGS") && line.contains("\\*")));
    assert!(client.append("INBOX", &[message]).tagged.starts_with("OK "));
    let [flags_told, permanent] = flags(&mut client, "INBOX");
    assert!(flags_told.ends_with("\\Draft new)"), "{flags_told}");
    assert!(permanent.contains("\\*"), "{permanent}");
    client.ok("STORE 1 -FLAGS (new)");
    assert_eq!(flags(&mut client, "INBOX")[0], NONE);

    // Once more, after unused keywords were collected.
    client.ok("UNSELECT");
    other.ok("UNSELECT");
    for prefix in ["a", "b", "c", "d"] {
        thousand(&mut client, prefix);
        client.ok("SELECT INBOX");
        client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)");
        client.ok("CLOSE");
    }
    assert_eq!(flags(&mut client, "INBOX")[0], NONE);
    drop((client, other));
    // A replay of the whole log gives the same.
    assert!(server.terminate().success());
    std::fs::remove_file(folder.catalog()).unwrap();
    let server = Server::start(&folder);
    let mut client = server.login();
    assert_eq!(flags(&mut client, "INBOX")[0], NONE);
    thousand(&mut client, "z");
}
