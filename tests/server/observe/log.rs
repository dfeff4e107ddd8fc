//! The log: every line names its connection, and none shows mail or passwords.

use std::fs;

use kit::{Folder, Message, PASSWORD};

use super::observed;

#[test]
fn lines_name_the_connection_and_keep_secrets() {
    let folder = Folder::new();
    let (server, _) = observed(&folder, &["--log", "debug", "--log-format", "json"]);
    let mut client = server.login();
    let content = b"Subject: unmistakable\r\n\r\nbody";
    let message = Message { options: "", octets: content };
    assert!(client.append("INBOX", &[message; 3]).tagged.starts_with("OK"));
    assert!(client.append("nowhere", &[message]).tagged.starts_with("NO"));
    let mut stranger = server.connect();
    stranger.command("LOGIN {7+}\r\nbad\nbad hunter2");
    client.ok("LOGOUT");
    assert_eq!(client.line(), None);
    assert!(server.terminate().success());

    let log = fs::read_to_string(folder.log()).unwrap();
    for secret in ["unmistakable", PASSWORD, "hunter2"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let find = |message: &str| {
        let has = |line: &&serde_json::Value| {
            line["fields"]["message"].as_str().is_some_and(|text| text.starts_with(message))
        };
        lines.iter().find(has).unwrap_or_else(|| panic!("no {message:?} in\n{log}"))
    };
    let batch = find("appended");
    let fields = &batch["fields"];
    assert_eq!(
        (&fields["messages"], &fields["octets"]),
        (&3.into(), &(3 * content.len()).into()),
        "{batch}"
    );
    assert_eq!((&fields["mailbox"], &fields["uids"]), (&"INBOX".into(), &"1:3".into()), "{batch}");
    assert!(fields["disk_ms"].as_f64().unwrap() > 0.0, "{batch}");
    for line in [batch, find("logged in"), find("APPEND refused: no such mailbox"), find("closed")]
    {
        let span = &line["span"];
        assert_eq!(span["name"], "connection", "{line}");
        assert!(span["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
        assert!(span["id"].as_str().unwrap().contains('-'), "{line}");
        assert_eq!(span["user"], "alice", "{line}");
    }
    assert_eq!(find("logged in")["level"], "INFO");
    assert_eq!(find("opened")["level"], "DEBUG");
    let refused = find("login refused");
    assert_eq!(
        (&refused["level"], &refused["fields"]["user"]),
        (&"INFO".into(), &"bad\u{fffd}bad".into())
    );
}
