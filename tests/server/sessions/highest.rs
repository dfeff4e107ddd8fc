//! HIGHESTMODSEQ: a client that resumes from it misses nothing and hears nothing twice (RFC 7162).

use kit::{Folder, Message, Reply, Server};

use super::mirror::code;
use super::{append, login, selected};

/// The HIGHESTMODSEQ that a reply tells, or the MODSEQ of its FETCH responses.
fn told(reply: &Reply) -> Option<u64> {
    let lines: Vec<String> = reply.texts().into_iter().chain([reply.tagged.clone()]).collect();
    let highest = lines.iter().rev().find_map(|line| code(line, "HIGHESTMODSEQ"));
    let fetched = || {
        let modseqs = lines.iter().filter_map(|line| line.split("MODSEQ (").nth(1));
        modseqs.map(|rest| rest.split(')').next().unwrap().to_owned()).max()
    };
    highest.or_else(fetched).map(|number| number.parse().unwrap())
}

/// What a client is told that resumes from this HIGHESTMODSEQ: flags and expunged messages.
fn missed(server: &Server, highest: u64) -> Vec<String> {
    let mut client = login(server);
    let status = client.ok("STATUS INBOX (UIDVALIDITY)").texts().concat();
    let validity = status.split("(UIDVALIDITY ").nth(1).unwrap().trim_end_matches(')');
    client.ok("ENABLE QRESYNC");
    let select = format!("SELECT INBOX (QRESYNC ({validity} {highest}))");
    let news = client.ok(&select).texts().into_iter();
    news.filter(|line| line.contains("FETCH") || line.contains("VANISHED")).collect()
}

#[test]
fn of_its_own_changes_a_client_hears_nothing_again() {
    for mode in ["QRESYNC", "CONDSTORE"] {
        let server = Server::start(&Folder::new());
        let mut client = selected(&server, mode);
        login(&server).ok("CREATE aside");
        let message = Message { options: "($New) ", octets: b"A: b\r\n\r\nc" };
        let reply = client.append("INBOX", &[message; 4]);
        let highest = told(&reply).unwrap_or_else(|| panic!("APPEND, {mode}: {:?}", reply.texts()));
        assert_eq!(missed(&server, highest), [""; 0], "APPEND, {mode}");
        for command in [
            "STORE 1:2 +FLAGS (\\Flagged $Other)",
            "STORE 2 -FLAGS.SILENT (\\Flagged)",
            "COPY 1:2 INBOX",
            "MOVE 1 aside",
            "MOVE 1 INBOX",
            "FETCH 1 BODY[]",
            "STORE 3 +FLAGS.SILENT (\\Deleted)",
            "EXPUNGE",
        ] {
            let reply = client.ok(command);
            let highest =
                told(&reply).unwrap_or_else(|| panic!("{command}, {mode}: {:?}", reply.texts()));
            assert_eq!(missed(&server, highest), [""; 0], "{command}, {mode}");
        }
        // Nothing has changed, so there is nothing to tell.
        for command in ["NOOP", "FETCH 1 FLAGS", "EXPUNGE"] {
            assert_eq!(told(&client.ok(command)), None, "{command}, {mode}");
        }
    }
}

#[test]
fn nobody_is_told_who_did_not_ask() {
    let server = Server::start(&Folder::new());
    let mut client = selected(&server, "");
    append(&mut client, 3);
    for command in ["NOOP", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE", "COPY 1 INBOX", "NOOP"] {
        assert_eq!(told(&client.ok(command)), None, "{command}");
    }
}

#[test]
fn what_others_change_is_told_as_well() {
    let server = Server::start(&Folder::new());
    let mut client = selected(&server, "QRESYNC");
    let mut other = selected(&server, "");
    append(&mut other, 3);
    let highest = told(&client.ok("NOOP")).expect("messages have come");
    assert_eq!(missed(&server, highest), [""; 0]);
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
    other.ok("EXPUNGE");
    // While it idles, too.
    client.send(b"i IDLE\r\n");
    assert!(client.line().unwrap().starts_with(b"+ "));
    assert_eq!(client.line().unwrap(), b"* VANISHED 2");
    let line = String::from_utf8(client.line().unwrap()).unwrap();
    let highest = code(&line, "HIGHESTMODSEQ").unwrap_or_else(|| panic!("{line}"));
    client.send(b"DONE\r\n");
    assert!(client.reply("i").tagged.starts_with("OK "));
    assert_eq!(missed(&server, highest.parse().unwrap()), [""; 0]);
}

#[test]
fn while_an_expunge_waits_the_client_is_held_back() {
    let server = Server::start(&Folder::new());
    let mut client = selected(&server, "QRESYNC");
    let mut other = selected(&server, "");
    append(&mut other, 3);
    let before = told(&client.ok("NOOP")).unwrap();
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    other.ok("EXPUNGE");
    other.ok("STORE 2 +FLAGS.SILENT (\\Flagged)");
    // Numbers must stay, so VANISHED has to wait. The MODSEQ of message 3 is higher.
    let reply = client.ok("FETCH 2:3 (FLAGS MODSEQ)");
    assert!(!reply.texts().iter().any(|line| line.contains("VANISHED")));
    assert_eq!(told(&reply), Some(before), "{:?}", reply.texts());
    assert!(missed(&server, before).iter().any(|line| line.contains("VANISHED")));
    let reply = client.ok("NOOP");
    assert!(reply.texts().contains(&"* VANISHED 1".to_owned()), "{:?}", reply.texts());
    assert_eq!(missed(&server, told(&reply).unwrap()), [""; 0]);
}

#[test]
fn a_command_that_another_session_was_faster_than_is_done_for_the_rest() {
    let server = Server::start(&Folder::new());
    for (command, condition) in [
        ("STORE 1:3 +FLAGS.SILENT (\\Seen)", "OK [EXPUNGEISSUED]"),
        ("STORE 1:3 +FLAGS (\\Seen)", "OK [EXPUNGEISSUED]"),
        ("STORE 2 +FLAGS.SILENT (\\Seen)", "OK [EXPUNGEISSUED]"),
        ("STORE 2 +FLAGS (\\Seen)", "OK [EXPUNGEISSUED]"),
        ("FETCH 1:3 (UID FLAGS)", "OK [EXPUNGEISSUED]"),
        ("FETCH 2 (UID BODY.PEEK[])", "OK [EXPUNGEISSUED]"),
        ("STORE 1 +FLAGS (\\Seen)", "OK STORE completed"),
        ("COPY 2 INBOX", "NO [EXPUNGEISSUED]"),
    ] {
        let (mut one, mut other) = (selected(&server, ""), selected(&server, ""));
        append(&mut one, 3);
        other.ok("NOOP");
        one.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
        one.ok("EXPUNGE");
        let reply = other.command(command);
        assert!(reply.tagged.starts_with(condition), "{command}: {}", reply.tagged);
        one.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)");
        one.ok("EXPUNGE");
    }
}
