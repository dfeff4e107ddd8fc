//! Results with updates (RFC 5267).

use std::fs::OpenOptions;

use kit::{Client, Folder, Message, Server, append_text};

use super::{append, line, lines, mailbox};

const A: &[u8] = b"From: a@x\r\nSubject: apple\r\n\r\nfruit\r\n";
const B: &[u8] = b"From: b@x\r\nSubject: banana\r\n\r\nfruit\r\n";
const C: &[u8] = b"From: c@x\r\nSubject: carrot\r\n\r\nroot\r\n";

fn three() -> (Server, Client, Client) {
    let (server, client) = mailbox(&[("", A), ("", B), ("", C)]);
    let mut other = server.login();
    other.ok("SELECT INBOX");
    (server, client, other)
}

/// Sends a command and returns the untagged responses.
#[track_caller]
fn tagged(client: &mut Client, tag: &str, command: &str) -> Vec<String> {
    client.send(format!("{tag} {command}\r\n").as_bytes());
    let reply = client.reply(tag);
    assert!(reply.tagged.starts_with("OK "), "{command}: {}", reply.tagged);
    reply.texts()
}

#[test]
fn flags_that_others_change() {
    let (_server, mut client, mut other) = three();
    let begun = tagged(&mut client, "B01", "UID SEARCH RETURN (UPDATE COUNT) FLAGGED");
    assert_eq!(begun, ["* ESEARCH (TAG \"B01\") UID COUNT 0"]);
    other.ok("STORE 2:3 +FLAGS (\\Flagged)");
    let news = lines(&mut client, "NOOP");
    assert_eq!(news.last().unwrap(), "* ESEARCH (TAG \"B01\") UID ADDTO (0 2:3)", "{news:?}");
    other.ok("STORE 2 -FLAGS (\\Flagged)");
    let news = lines(&mut client, "NOOP");
    assert_eq!(news.last().unwrap(), "* ESEARCH (TAG \"B01\") UID REMOVEFROM (0 2)");
    // Changes that do not affect the result are not told.
    other.ok("STORE 1 +FLAGS (\\Answered)");
    assert_eq!(lines(&mut client, "NOOP").len(), 1);
    // Nor are those of messages that stay what they are.
    other.ok("STORE 3 +FLAGS (\\Answered)");
    assert_eq!(lines(&mut client, "NOOP").len(), 1);
}

#[test]
fn flags_that_the_session_itself_changes() {
    let (_server, mut client, _other) = three();
    tagged(&mut client, "u", "SEARCH RETURN (UPDATE) UNSEEN");
    let news = lines(&mut client, "STORE 1 +FLAGS.SILENT (\\Seen)");
    assert_eq!(news, ["* ESEARCH (TAG \"u\") REMOVEFROM (0 1)"]);
    let news = lines(&mut client, "STORE 1 -FLAGS.SILENT (\\Seen)");
    assert_eq!(news, ["* ESEARCH (TAG \"u\") ADDTO (0 1)"]);
}

#[test]
fn messages_that_come_and_go() {
    let (_server, mut client, mut other) = three();
    let begun = tagged(&mut client, "n", "SEARCH RETURN (UPDATE ALL) BODY fruit");
    assert_eq!(begun, ["* ESEARCH (TAG \"n\") ALL 1:2"]);
    append(&mut other, &[("", A), ("", C), ("", B)]);
    let news = lines(&mut client, "NOOP");
    assert_eq!(news[0], "* 6 EXISTS", "{news:?}");
    assert_eq!(news.last().unwrap(), "* ESEARCH (TAG \"n\") ADDTO (0 4,6)");
    // The client's own messages, before the reply to APPEND.
    let own = Message { options: "", octets: A };
    let reply = client.append("INBOX", &[own, own]);
    let news = reply.texts();
    assert!(reply.tagged.starts_with("OK [APPENDUID "), "{}", reply.tagged);
    assert_eq!(news.last().unwrap(), "* ESEARCH (TAG \"n\") ADDTO (0 7:8)", "{news:?}");
    assert_eq!(lines(&mut client, "NOOP"), [""; 0]);
    // Also in a pipeline, each in its turn. A refused one changes nothing.
    let mut pipeline = append_text("p1", "INBOX", &[own]);
    pipeline.extend(append_text("p2", "nowhere", &[own]));
    pipeline.extend(append_text("p3", "INBOX", &[own]));
    client.send(&pipeline);
    for (tag, condition, told) in
        [("p1", "OK", Some("9")), ("p2", "NO", None), ("p3", "OK", Some("10"))]
    {
        let reply = client.reply(tag);
        assert!(reply.tagged.starts_with(condition), "{tag}: {}", reply.tagged);
        let told = told.map(|number| format!("* ESEARCH (TAG \"n\") ADDTO (0 {number})"));
        assert_eq!(reply.texts().last(), told.as_ref(), "{tag}");
    }
    other.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)");
    other.ok("EXPUNGE");
    // They are told before the numbers change.
    let news = lines(&mut client, "NOOP");
    let at = |text: &str| {
        news.iter().position(|line| line == text).unwrap_or_else(|| panic!("{news:?}"))
    };
    assert!(at("* ESEARCH (TAG \"n\") REMOVEFROM (0 1:2)") < at("* 1 EXPUNGE"));
    client.ok("SELECT INBOX");
    append(&mut other, &[("", A)]);
    assert!(!lines(&mut client, "NOOP").iter().any(|line| line.contains("ESEARCH")));
}

#[test]
fn it_goes_on_until_it_is_cancelled() {
    let (_server, mut client, mut other) = three();
    tagged(&mut client, "one", "UID SEARCH RETURN (UPDATE) FLAGGED");
    tagged(&mut client, "two", "UID SEARCH RETURN (UPDATE) FLAGGED");
    client.send(b"one SEARCH RETURN (UPDATE) ALL\r\n");
    assert!(client.reply("one").tagged.starts_with("BAD "));
    assert!(client.command("CANCELUPDATE \"three\"").tagged.starts_with("BAD "));
    client.ok("CANCELUPDATE \"one\"");
    other.ok("STORE 1 +FLAGS (\\Flagged)");
    let news = lines(&mut client, "NOOP");
    assert_eq!(news[1..], ["* ESEARCH (TAG \"two\") UID ADDTO (0 1)"]);
    client.ok("CANCELUPDATE \"two\"");
    other.ok("STORE 1 -FLAGS (\\Flagged)");
    assert_eq!(lines(&mut client, "NOOP").len(), 1);
}

#[test]
fn there_is_an_end_to_what_is_followed() {
    let (_server, mut client, _other) = three();
    for n in 0..32 {
        tagged(&mut client, &format!("c{n}"), "SEARCH RETURN (UPDATE COUNT) ALL");
    }
    let refused = tagged(&mut client, "c32", "SEARCH RETURN (UPDATE COUNT) ALL");
    assert_eq!(refused[0], "* ESEARCH (TAG \"c32\") COUNT 3");
    assert!(refused[1].starts_with("* NO [NOUPDATE \"c32\"]"), "{refused:?}");
    client.ok("CANCELUPDATE \"c3\" \"c4\"");
    assert_eq!(tagged(&mut client, "c33", "SEARCH RETURN (UPDATE COUNT) ALL").len(), 1);
}

#[test]
fn sorted_results_have_positions() {
    let (_server, mut client, mut other) = three();
    let begun =
        tagged(&mut client, "s", "UID SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 UNSEEN");
    assert_eq!(begun, ["* ESEARCH (TAG \"s\") UID ALL 3,2,1"]);
    append(&mut other, &[("", b"Subject: bean\r\n\r\n"), ("", b"Subject: beet\r\n\r\n")]);
    append(&mut other, &[("", b"Subject: zucchini\r\n\r\n")]);
    let news = lines(&mut client, "NOOP");
    // 6 3 5 4 2 1
    assert_eq!(news.last().unwrap(), "* ESEARCH (TAG \"s\") UID ADDTO (1 6 3 5,4)", "{news:?}");
    other.ok("STORE 1,3,5 +FLAGS.SILENT (\\Seen)");
    let news = lines(&mut client, "NOOP");
    // 6 4 2
    assert_eq!(
        news.last().unwrap(),
        "* ESEARCH (TAG \"s\") UID REMOVEFROM (2 3,5 4 1)",
        "{news:?}"
    );
    other.ok("STORE 3,5 -FLAGS.SILENT (\\Seen)");
    let news = lines(&mut client, "NOOP");
    assert_eq!(news.last().unwrap(), "* ESEARCH (TAG \"s\") UID ADDTO (2 3,5)", "{news:?}");
    other.ok("STORE 6 +FLAGS.SILENT (\\Deleted)");
    other.ok("EXPUNGE");
    let news = lines(&mut client, "NOOP");
    assert!(news.contains(&"* ESEARCH (TAG \"s\") UID REMOVEFROM (1 6)".into()), "{news:?}");
    assert_eq!(line(&mut client, "UID SORT (REVERSE SUBJECT) UTF-8 UNSEEN"), "* SORT 3 5 4 2");
}

#[test]
fn idle_tells_at_once() {
    let (_server, mut client, mut other) = three();
    tagged(&mut client, "i", "UID SEARCH RETURN (UPDATE) FLAGGED");
    client.send(b"idle IDLE\r\n");
    assert!(client.response().unwrap().text().starts_with('+'));
    other.ok("STORE 2 +FLAGS (\\Flagged)");
    loop {
        let text = client.response().expect("news").text();
        if text.starts_with("* ESEARCH") {
            assert_eq!(text, "* ESEARCH (TAG \"i\") UID ADDTO (0 2)");
            break;
        }
    }
    client.send(b"DONE\r\n");
    assert!(client.reply("idle").tagged.starts_with("OK "));
}

/// Cuts the segment before the block with the only message that has these octets.
fn lose(folder: &Folder, sought: &[u8]) {
    let (path, at) = folder.find(sought).unwrap();
    let segment = OpenOptions::new().write(true).open(path).unwrap();
    segment.set_len(at as u64 / 4096 * 4096).unwrap();
}

/// It is unknown whether a message that cannot be read is in a result.
#[test]
fn a_result_that_is_not_known_is_not_followed() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let (mut client, mut other) = (server.login(), server.login());
    append(&mut client, &[("", A), ("", B), ("", C)]);
    client.ok("SELECT INBOX");
    let followed = [
        ("s", "SEARCH RETURN (UPDATE) BODY gem"),
        ("o", "SORT RETURN (UPDATE) (DATE) UTF-8 BODY gem"),
    ];
    for (tag, command) in followed {
        tagged(&mut client, tag, command);
    }
    append(&mut other, &[("", b"Subject: d\r\n\r\nfirst gem\r\n")]);
    lose(&folder, b"first gem");
    let news = lines(&mut client, "NOOP");
    for (tag, _) in followed {
        let told =
            news.iter().filter(|line| line.starts_with(&format!("* NO [NOUPDATE \"{tag}\"] ")));
        assert_eq!(told.count(), 1, "{news:?}");
    }
    append(&mut other, &[("", b"Subject: e\r\n\r\nsecond gem\r\n")]);
    let news = lines(&mut client, "NOOP");
    assert!(!news.iter().any(|line| line.contains("ESEARCH")), "{news:?}");
    // The same when it cannot be read from the start.
    lose(&folder, b"second gem");
    for (tag, command) in followed {
        client.send(format!("{tag} {command}\r\n").as_bytes());
        let reply = client.reply(tag);
        assert_eq!(reply.code(), "CORRUPTION", "{}", reply.tagged);
        let news = reply.texts();
        let told =
            news.iter().filter(|line| line.starts_with(&format!("* NO [NOUPDATE \"{tag}\"] ")));
        assert_eq!(told.count(), 1, "{news:?}");
        let cancelled = client.command(&format!("CANCELUPDATE \"{tag}\""));
        assert!(cancelled.tagged.starts_with("BAD "), "{}", cancelled.tagged);
    }
}
