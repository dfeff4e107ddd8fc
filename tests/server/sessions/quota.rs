//! Commands that work with a full quota, and the share that unfinished uploads claim.

use kit::{Client, Folder, Message, PASSWORD, Server, USER};

use super::login;

fn server(quota: &str) -> Server {
    let folder = Folder::empty();
    folder.add_user(USER, PASSWORD, &["--quota", quota]);
    Server::start(&folder)
}

fn append(client: &mut Client, octets: usize) -> String {
    let octets = vec![b'q'; octets];
    client.append("INBOX", &[Message { options: "", octets: &octets }]).tagged
}

fn answer(client: &mut Client, command: &str) -> String {
    client.command(command).tagged
}

/// Clients without MOVE delete by COPY, STORE and EXPUNGE.
#[test]
fn who_has_filled_the_quota_can_delete_through_the_trash() {
    for create in [
        "CREATE trash",
        "CREATE \"Deleted Messages\"",
        "CREATE Papierkorb (USE (\\Trash))",
        "CREATE Papierkorb",
    ] {
        let server = server("100K");
        let mut client = login(&server);
        client.ok(create);
        let trash = create.trim_start_matches("CREATE ").split(" (").next().unwrap();
        client.ok("CREATE other");
        if create == "CREATE Papierkorb" {
            client.ok("SETMETADATA Papierkorb (/private/specialuse \"\\\\Trash\")");
        }
        for _ in 0..2 {
            assert!(append(&mut client, 50_000).starts_with("OK "));
        }
        client.ok("SELECT INBOX");
        assert!(answer(&mut client, "COPY 1 other").starts_with("NO [OVERQUOTA]"));
        assert!(answer(&mut client, &format!("COPY 1:2 {trash}")).starts_with("OK [COPYUID "));
        // Not without limit: once more the quota.
        assert!(answer(&mut client, &format!("COPY 1 {trash}")).starts_with("NO [OVERQUOTA]"));
        assert!(append(&mut client, 10).starts_with("NO [OVERQUOTA]"));
        client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)");
        client.ok("EXPUNGE");
        assert!(append(&mut client, 1_000).starts_with("OK "));
        assert!(append(&mut client, 50_000).starts_with("NO [OVERQUOTA]"));
        client.ok(&format!("SELECT {trash}"));
        client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)");
        client.ok("EXPUNGE");
        assert!(append(&mut client, 50_000).starts_with("OK "));
    }
}

#[test]
fn an_announcement_keeps_nobody_from_the_quota() {
    let server = server("5M");
    let (mut slow, mut other) = (login(&server), login(&server));
    slow.send(b"a APPEND INBOX {5000000}\r\n");
    assert!(slow.line().unwrap().starts_with(b"+ "));
    assert!(append(&mut other, 3_000_000).starts_with("OK "));
    // Now it does not fit any more. The rest is discarded, and nothing of it is stored.
    slow.send(&vec![b'q'; 5_000_000]);
    slow.send(b"\r\n");
    let refused = slow.reply("a").tagged;
    assert!(refused.starts_with("NO [OVERQUOTA]"), "{refused}");
    let status = slow.ok("STATUS INBOX (MESSAGES SIZE)").texts();
    assert_eq!(status, ["* STATUS INBOX (MESSAGES 1 SIZE 3000000)"]);
    // Its claim is released. Within a batch the answer says which message it was.
    assert!(append(&mut slow, 1_900_000).starts_with("OK "));
    slow.ok("SELECT INBOX");
    slow.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)");
    slow.ok("EXPUNGE");
    slow.send(b"b APPEND INBOX {5}\r\n");
    assert!(slow.line().unwrap().starts_with(b"+ "));
    slow.send(b"hello {4000000}\r\n");
    assert!(slow.line().unwrap().starts_with(b"+ "));
    assert!(append(&mut other, 3_000_000).starts_with("OK "));
    slow.send(&vec![b'q'; 4_000_000]);
    slow.send(b"\r\n");
    let refused = slow.reply("b").tagged;
    assert!(refused.starts_with("NO [OVERQUOTA] message 2 of the batch: "), "{refused}");
    let status = other.ok("STATUS INBOX (MESSAGES SIZE)").texts();
    assert_eq!(status, ["* STATUS INBOX (MESSAGES 1 SIZE 3000000)"]);
}
