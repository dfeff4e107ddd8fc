//! The audit trail: the lines for logins and for commands that changed mail.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use kit::{Client, Folder, Identity, Message, PASSWORD, Server, USER};
use rustix::process::Signal;
use rustls::version::TLS13;
use serde_json::{Value, json};

use super::http::get;
use super::{observed, until};

/// The lines of a file, without the fields that differ in every run.
fn trail(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("an object a line");
        let fields = line.as_object_mut().unwrap();
        assert!(fields.remove("timestamp").unwrap().as_str().unwrap().starts_with("20"));
        assert_eq!(fields.remove("level").unwrap(), "INFO");
        assert_eq!(fields.remove("target").unwrap(), "audit");
        let span = fields.remove("span").unwrap();
        assert!(span["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{span}");
        assert!(span["id"].as_str().unwrap().contains('-'), "{span}");
        let refused = fields["message"].as_str().unwrap().starts_with("login refused");
        assert_eq!(span["user"], if refused { Value::Null } else { USER.into() }, "{span}");
        for measured in ["disk_ms", "messages_per_second", "seconds"] {
            if let Some(value) = fields.remove(measured) {
                assert!(value.as_f64().is_some_and(|value| value >= 0.0), "{measured}: {value}");
            }
        }
        line
    };
    text.lines().map(line).collect()
}

#[test]
fn every_change_is_one_line() {
    let folder = Folder::new();
    let file = folder.path().join("audit.json");
    let flags = ["--reactors", "2", "--audit-log", file.to_str().unwrap(), "--log", "error"];
    let server = Server::with(&folder, &flags);
    let mut client = server.connect();
    client.command("LOGIN alice wrong");
    client.ok("ID (\"name\" \"Pine \\\"x\" \"version\" \"4\" \"os\" \"Plan 9\")");
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    client.ok("CREATE \"a \\\"b\"");
    client.ok("RENAME \"a \\\"b\" Old");
    client.ok("SETMETADATA Old (/private/specialuse \"\\\\Sent\" /Shared/Comment \"secret\")");
    client.ok("SETMETADATA Old (/private/specialuse NIL)");
    client.ok("SETMETADATA Old (/private/specialuse NIL /shared/comment \"secret\")");
    let message = Message { options: "", octets: b"Subject: secret\r\n\r\nsecret" };
    assert!(client.append("Old", &[message; 5]).tagged.starts_with("OK"));
    client.ok("SELECT Old");
    client.ok("FETCH 1:3 (FLAGS)");
    client.ok("FETCH 1:3 (BODY.PEEK[])");
    client.ok("COPY 1,3:4 INBOX");
    client.ok("MOVE 2 INBOX");
    client.ok("STORE 1:2 +FLAGS (\\Seen)");
    client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)");
    client.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted \\Flagged)");
    client.ok("STORE 3:4 FLAGS (\\Seen)");
    client.ok("EXPUNGE");
    client.ok("EXPUNGE");
    client.ok("STORE 1 FLAGS (\\Deleted)");
    client.ok("CLOSE");
    client.ok("DELETE Old");
    client.command("DELETE Old");
    client.ok("LOGOUT");
    assert_eq!(client.line(), None);
    assert!(server.terminate().success());
    let octets = 5 * message.octets.len();
    let mut lines = trail(&file);
    let sums = lines.pop().unwrap();
    assert_eq!(
        lines,
        [
            json!({ "message": "login refused: user name, password or token is wrong",
                    "user": "alice", "mechanism": "LOGIN command", "tls": "none" }),
            json!({ "message": "logged in", "mechanism": "LOGIN command", "tls": "none",
                    "client": "Pine \"x 4" }),
            json!({ "message": "mailbox created", "mailbox": "a \"b" }),
            json!({ "message": "mailbox renamed", "mailbox": "a \"b", "to": "Old" }),
            json!({ "message": "metadata of mailbox changed", "mailbox": "Old",
                    "special_use": "\\Sent", "entries": "/shared/comment" }),
            json!({ "message": "metadata of mailbox changed", "mailbox": "Old",
                    "special_use": "" }),
            json!({ "message": "appended", "mailbox": "Old", "uids": "1:5", "messages": 5,
                    "octets": octets }),
            json!({ "message": "copied", "mailbox": "Old", "uids": "1,3:4", "messages": 3,
                    "to": "INBOX", "to_uids": "1:3" }),
            json!({ "message": "moved", "mailbox": "Old", "uids": "2", "messages": 1,
                    "to": "INBOX", "to_uids": "4" }),
            json!({ "message": "marked as deleted", "mailbox": "Old", "uids": "1,3",
                    "messages": 2 }),
            json!({ "message": "marked as deleted", "mailbox": "Old", "uids": "4",
                    "messages": 1 }),
            json!({ "message": "no longer marked as deleted", "mailbox": "Old", "uids": "4",
                    "messages": 1 }),
            json!({ "message": "expunged", "mailbox": "Old", "uids": "1,3", "messages": 2 }),
            json!({ "message": "marked as deleted", "mailbox": "Old", "uids": "4",
                    "messages": 1 }),
            json!({ "message": "expunged", "mailbox": "Old", "uids": "4", "messages": 1 }),
            json!({ "message": "mailbox deleted", "mailbox": "Old", "messages": 1 }),
        ]
    );
    assert_eq!(sums["message"], "logged out: the client ended it");
    assert_eq!((&sums["messages_in"], &sums["messages_out"]), (&5.into(), &3.into()));
    assert_eq!(sums["commands"], 22);
    assert!(sums["octets_in"].as_u64().unwrap() > octets as u64, "{sums}");
    assert!(sums["octets_out"].as_u64().unwrap() > 3 * octets as u64 / 5, "{sums}");
    assert_eq!(server_log(&folder), "", "nothing of it is in the log");
}

fn server_log(folder: &Folder) -> String {
    fs::read_to_string(folder.log()).unwrap()
}

#[test]
fn a_line_has_an_end_and_no_secret() {
    let folder = Folder::new();
    let identity = Identity::new(&folder);
    let server = Server::with(&folder, &identity.flags());
    let mut client = Client::by_tls(server.tls_address(), identity.config(&TLS13));
    client.line();
    client.command("AUTHENTICATE PLAIN AGFsaWNlAHdyb25n");
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    client.ok(&format!("ID (\"name\" \"\u{202e}x\x1b{}\")", "y".repeat(1000)));
    let message = Message { options: "", octets: b"Subject: unmistakable\r\n\r\n." };
    assert!(client.append("INBOX", &vec![message; 3000]).tagged.starts_with("OK"));
    client.ok("SELECT INBOX");
    // Every second message in one command: the line has a bounded length.
    let odd: Vec<_> = (0..1500).map(|n| (2 * n + 1).to_string()).collect();
    client.ok(&format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", odd.join(",")));
    client.ok("EXPUNGE");
    client.ok("UNAUTHENTICATE");
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    // The other sessions are told that they end.
    server.signal(Signal::TERM);
    until(|| client.line().is_none().then_some(()));
    assert!(server.wait().success());
    let log = server_log(&folder);
    let lines: Vec<_> = log.lines().filter(|line| line.contains(": audit: ")).collect();
    let texts: Vec<_> = lines.iter().map(|line| line.split(": audit: ").nth(1).unwrap()).collect();
    let starts = [
        "login refused: ",
        "logged in mechanism=\"LOGIN command\" tls=\"TLSv1_3\"",
        "client named client=\"\u{fffd}x\u{fffd}yyy",
        "appended mailbox=\"INBOX\" uids=\"1:3000\" messages=3000 octets=",
        "marked as deleted mailbox=\"INBOX\" uids=\"1,3,5,",
        "expunged mailbox=\"INBOX\" uids=\"1,3,5,",
        "logged out: UNAUTHENTICATE commands=6 messages_in=3000 messages_out=0 octets_in=",
        "logged in mechanism=\"LOGIN command\" tls=\"TLSv1_3\"",
        "logged out: ",
    ];
    assert_eq!(texts.len(), starts.len(), "{texts:#?}");
    for (text, start) in texts.iter().zip(starts) {
        assert!(text.starts_with(start), "{text}\nis not\n{start}");
    }
    for text in &texts[4..6] {
        assert!(text.contains(",...\" messages=1500") && text.len() < 1200, "{text}");
    }
    assert!(lines[1].contains(&format!("user=\"{USER}\"")), "{}", lines[1]);
    for secret in ["unmistakable", PASSWORD, "wrong\""] {
        assert!(!log.contains(secret), "{secret} is in\n{log}");
    }
}

#[test]
fn a_trail_that_cannot_be_written_is_told_and_goes_on_later() {
    let folder = Folder::new();
    let file = folder.path().join("audit.json");
    symlink("/dev/full", &file).unwrap();
    let (server, admin) = observed(&folder, &["--audit-log", file.to_str().unwrap()]);
    let mut client = server.login();
    for number in 0..50 {
        client.ok(&format!("CREATE m{number}"));
    }
    until(|| server_log(&folder).contains("the audit log").then_some(()));
    let failing = || get(admin, "/metrics").body.contains("mailrace_log_failing{of=\"audit\"} 1\n");
    assert!(failing());
    fs::remove_file(&file).unwrap();
    server.signal(Signal::HUP);
    until(|| server_log(&folder).contains("can be written again").then_some(()));
    assert!(!failing());
    client.ok("LOGOUT");
    assert!(server.terminate().success());
    let log = server_log(&folder);
    let told = format!("cannot write the audit log {}: No space left", file.display());
    assert_eq!(log.matches(&told).count(), 1, "{log}");
    // The lines that waited are there, complete.
    let messages: Vec<_> = trail(&file).iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages.len(), 52, "{messages:?}");
    assert!(messages[0] == "logged in" && messages[50] == "mailbox created", "{messages:?}");
}
