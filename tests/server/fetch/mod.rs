//! FETCH from outside: sections, partials, items of all kinds, messages of all sizes.

mod identity;
mod large;

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};

use kit::{Client, Fetched, Folder, Message, Reply, Server};

const NESTED: &str = "From: Ann <ann@example.org>\r\n\
    Subject: outer\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=\"out\"\r\n\r\n\
    a preamble\r\n\
    --out\r\n\
    Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    SGVsbG8g\r\nd29ybGQ=\r\n\
    --out\r\n\
    Content-Type: message/rfc822\r\nContent-Description: forwarded\r\n\r\n\
    From: Bob <bob@example.org>\r\nSubject: inner\r\n\
    Content-Type: multipart/alternative; boundary=in\r\n\r\n\
    --in\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\n\
    caf=C3=A9 =\r\nau lait\r\n\
    --in\r\n\
    Content-Type: text/html\r\n\r\n\
    <p>hi</p>\r\n\
    --in--\r\n\
    --out\r\n\
    Content-Type: text/plain\r\nContent-Transfer-Encoding: x-nobody-knows\r\n\r\n\
    abc\r\n\
    --out--\r\n\
    an epilogue\r\n";

fn server() -> (Server, Client) {
    let server = Server::start(&Folder::new());
    let client = server.login();
    (server, client)
}

fn append(client: &mut Client, messages: &[&[u8]]) {
    let messages: Vec<_> = messages.iter().map(|octets| Message { options: "", octets }).collect();
    let reply = client.append("INBOX", &messages);
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
}

fn with(messages: &[&[u8]]) -> (Server, Client) {
    let (server, mut client) = server();
    append(&mut client, messages);
    client.ok("SELECT INBOX");
    (server, client)
}

/// The only literal in the only FETCH response for message 1, and the name of its item.
#[track_caller]
fn literal(client: &mut Client, item: &str) -> (String, Vec<u8>) {
    let reply = client.ok(&format!("FETCH 1 ({item})"));
    let [response] = &fetches(&reply)[..] else { panic!("{item}: {:?}", reply.texts()) };
    let name = response.strip_prefix("* 1 FETCH (").unwrap().split(" {").next().unwrap();
    let name = name.split(" ~{").next().unwrap().to_owned();
    let literals = &reply.untagged.iter().find(|r| r.text() == *response).unwrap().literals;
    assert_eq!(literals.len(), 1, "{item}: {response}");
    (name, literals[0].clone())
}

fn fetches(reply: &Reply) -> Vec<String> {
    reply.texts().into_iter().filter(|text| text.contains(" FETCH ")).collect()
}

#[track_caller]
fn check(client: &mut Client, sections: &[(&str, &str)]) {
    for (asked, expected) in sections {
        let (name, octets) = literal(client, asked);
        let name_asked = asked.replace(".PEEK", "");
        let cut = name_asked.rfind('.').filter(|_| name_asked.ends_with('>'));
        let name_asked = cut.map_or(name_asked.clone(), |at| format!("{}>", &name_asked[..at]));
        assert_eq!(name, name_asked);
        assert_eq!(String::from_utf8_lossy(&octets), *expected, "{asked}");
    }
}

// ---- Sections ---------------------------------------------------------------------------------

#[test]
fn sections_of_the_message_itself() {
    let (_server, mut client) = with(&[NESTED.as_bytes()]);
    let header_end = NESTED.find("\r\n\r\n").unwrap() + 4;
    check(
        &mut client,
        &[
            ("BODY.PEEK[]", NESTED),
            ("BODY.PEEK[HEADER]", &NESTED[..header_end]),
            ("BODY.PEEK[TEXT]", &NESTED[header_end..]),
            ("RFC822.HEADER", &NESTED[..header_end]),
            ("BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "Subject: outer\r\n\r\n"),
            ("BODY.PEEK[HEADER.FIELDS (X-Not-There)]", "\r\n"),
            (
                "BODY.PEEK[HEADER.FIELDS.NOT (Subject content-type)]",
                "From: Ann <ann@example.org>\r\nMIME-Version: 1.0\r\n\r\n",
            ),
        ],
    );
}

#[test]
fn sections_of_nested_parts() {
    let (_server, mut client) = with(&[NESTED.as_bytes()]);
    // As Dovecot does: the end of the line of the inner boundary belongs to the inner message.
    let inner = &NESTED[NESTED.find("From: Bob").unwrap()..];
    let inner = &inner[..inner.find("--out").unwrap()];
    let inner_header = inner.find("\r\n\r\n").unwrap() + 4;
    check(
        &mut client,
        &[
            ("BODY.PEEK[1]", "SGVsbG8g\r\nd29ybGQ="),
            (
                "BODY.PEEK[1.MIME]",
                "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            ),
            ("BODY.PEEK[2]", inner),
            ("BODY.PEEK[2.HEADER]", &inner[..inner_header]),
            ("BODY.PEEK[2.TEXT]", &inner[inner_header..]),
            ("BODY.PEEK[2.HEADER.FIELDS (subject)]", "Subject: inner\r\n\r\n"),
            ("BODY.PEEK[2.1]", "caf=C3=A9 =\r\nau lait"),
            ("BODY.PEEK[2.2]", "<p>hi</p>"),
            ("BODY.PEEK[2.2.MIME]", "Content-Type: text/html\r\n\r\n"),
            ("BODY.PEEK[2.1]<3.5>", "=C3=A"),
            // As Dovecot does: a missing part is empty.
            ("BODY.PEEK[9]", ""),
            ("BODY.PEEK[9]<0.5>", ""),
            ("BODY.PEEK[1.9.HEADER]", ""),
            ("BODY.PEEK[1.HEADER]", ""),
            ("BODY.PEEK[1.HEADER.FIELDS (X)]", ""),
            ("BODY.PEEK[4294967295.1]", ""),
        ],
    );
}

#[test]
fn partials() {
    let (_server, mut client) = with(&[b"A: b\r\n\r\n0123456789"]);
    check(
        &mut client,
        &[
            ("BODY.PEEK[]<0.3>", "A: "),
            ("BODY.PEEK[]<16.9>", "89"),
            ("BODY.PEEK[]<18.1>", ""),
            ("BODY.PEEK[]<18446744073709551615.4294967295>", ""),
            ("BODY.PEEK[TEXT]<0.4294967295>", "0123456789"),
            ("BODY.PEEK[TEXT]<3.4>", "3456"),
            ("BODY.PEEK[HEADER]<3.4>", "b\r\n\r"),
            ("BODY.PEEK[HEADER.FIELDS (a)]<1.2>", ": "),
            ("BODY.PEEK[HEADER.FIELDS (a)]<99.2>", ""),
            ("BODY.PEEK[1]<8.9>", "89"),
        ],
    );
}

#[test]
fn parts_without_their_encoding() {
    let (_server, mut client) = with(&[NESTED.as_bytes()]);
    check(
        &mut client,
        &[
            ("BINARY.PEEK[1]", "Hello world"),
            ("BINARY.PEEK[1]<6.99>", "world"),
            ("BINARY.PEEK[1]<99.1>", ""),
            ("BINARY.PEEK[2.1]", "caf\u{e9} au lait"),
            ("BINARY.PEEK[9]", ""),
        ],
    );
    let reply = client.ok("FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2.1] BINARY.SIZE[9])");
    let expected = "* 1 FETCH (BINARY.SIZE[1] 11 BINARY.SIZE[2.1] 13 BINARY.SIZE[9] 0)";
    assert_eq!(fetches(&reply), [expected]);
    // Items that cannot be decoded are left out; the rest is answered.
    let reply = client.command("FETCH 1 (UID BINARY.PEEK[3] BODY.PEEK[3])");
    assert_eq!(reply.code(), "UNKNOWN-CTE");
    assert_eq!(fetches(&reply), ["* 1 FETCH (UID 1 BODY[3] {3}\r\nabc)"]);
}

// ---- Items ------------------------------------------------------------------------------------

#[test]
fn items_of_the_index() {
    let (_server, mut client) = server();
    let options = "(\\Flagged Work) \"17-Jul-1996 02:44:25 -0700\" ";
    client.append("INBOX", &[Message { options, octets: b"A: b\r\n\r\nc" }]);
    client.ok("EXAMINE INBOX");
    let reply = client.ok("FETCH 1 FAST");
    let expected = "* 1 FETCH (FLAGS (\\Flagged Work \\Recent) \
                    INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 9)";
    assert_eq!(fetches(&reply), [expected]);
    let reply = client.ok("UID FETCH 1 (THREADID MODSEQ EMAILID SAVEDATE)");
    let [text] = &fetches(&reply)[..] else { panic!("{:?}", reply.texts()) };
    assert!(text.starts_with("* 1 FETCH (UID 1 THREADID NIL MODSEQ ("), "{text}");
    assert!(text.contains(" EMAILID (") && text.contains(" SAVEDATE \""), "{text}");
    let reply = client.ok("FETCH 1 (UID UID FLAGS UID)");
    assert_eq!(fetches(&reply), ["* 1 FETCH (UID 1 FLAGS (\\Flagged Work \\Recent))"]);
}

#[test]
fn who_fetches_has_seen() {
    let (_server, mut client) = with(&[b"A: b\r\n\r\nc", b"A: d\r\n\r\ne"]);
    client.ok("EXAMINE INBOX");
    client.ok("FETCH 1 BODY[]");
    client.ok("SELECT INBOX");
    let reply = client.ok("FETCH 1 (UID BODY.PEEK[] RFC822.HEADER)");
    assert!(!fetches(&reply)[0].contains("FLAGS"));
    let reply = client.ok("FETCH 1:2 FLAGS");
    assert!(!fetches(&reply).concat().contains("Seen"));
    for (number, item) in [(1, "BODY[TEXT]"), (2, "RFC822")] {
        let reply = client.ok(&format!("FETCH {number} {item}"));
        let text = &fetches(&reply)[0];
        assert!(text.starts_with(&format!("* {number} FETCH (FLAGS (\\Seen")), "{text}");
        let reply = client.ok(&format!("FETCH {number} {item}"));
        assert!(!fetches(&reply)[0].contains("FLAGS"), "told once");
    }
}

#[test]
fn some_of_them() {
    let messages: Vec<_> = (0..9).map(|n| format!("N: {n}\r\n\r\n")).collect();
    let messages: Vec<_> = messages.iter().map(|text| text.as_bytes()).collect();
    let (_server, mut client) = with(&messages);
    let mut uids = |command: &str| {
        let reply = client.ok(command);
        Fetched::all(&reply.untagged).iter().map(|f| f.number("UID")).collect::<Vec<_>>()
    };
    assert_eq!(uids("UID FETCH 2:9 (UID) (PARTIAL 2:3)"), [3, 4]);
    assert_eq!(uids("UID FETCH 1,3,5,7,9 (UID) (PARTIAL -1:-2)"), [7, 9]);
    assert!(uids("UID FETCH 1:* (UID) (PARTIAL 10:20)").is_empty());
    assert_eq!(uids("UID FETCH 7:99 (UID)"), [7, 8, 9]);
    assert!(uids("UID FETCH 99 (UID)").is_empty());
    assert_eq!(uids("UID FETCH 99:* (UID)"), [9]);
    assert_eq!(uids("FETCH 2,4:5,* (UID)"), [2, 4, 5, 9]);
}

#[test]
fn previews() {
    let large = [b"Subject: b\r\n\r\nThe large one ".to_vec(), vec![b'x'; 2 << 20]].concat();
    let (_server, mut client) = with(&[b"Subject: a\r\n\r\nHello\r\n there  world\r\n", &large]);
    let reply = client.ok("FETCH 1 (PREVIEW UID)");
    assert_eq!(fetches(&reply), ["* 1 FETCH (UID 1 PREVIEW \"Hello there world\")"]);
    let reply = client.ok("FETCH 1:2 (PREVIEW (LAZY))");
    assert!(fetches(&reply)[0].contains("PREVIEW \"Hello there world\""));
    assert_eq!(fetches(&reply)[1], "* 2 FETCH (PREVIEW NIL)", "a large one costs something");
    assert!(fetches(&client.ok("FETCH 2 PREVIEW"))[0].contains("The large one x"));
}

#[test]
fn what_has_changed() {
    let (_server, mut client) = with(&[b"A: 1\r\n\r\n", b"A: 2\r\n\r\n", b"A: 3\r\n\r\n"]);
    let modseq = |reply: &Reply| {
        let fetched = Fetched::all(&reply.untagged);
        let text = fetched[0].text("MODSEQ").to_owned();
        text.trim_matches(['(', ')']).parse::<u64>().unwrap()
    };
    let before = modseq(&client.ok("FETCH 3 (UID MODSEQ)"));
    client.ok("UID STORE 2 +FLAGS (\\Flagged)");
    let reply = client.ok(&format!("FETCH 1:* (UID) (CHANGEDSINCE {before})"));
    let fetched = Fetched::all(&reply.untagged);
    assert_eq!((fetched.len(), fetched[0].number("UID")), (1, 2));
    assert!(modseq(&reply) > before);
    // A client that uses mod-sequences is told that of a flag set by FETCH.
    let reply = client.ok("FETCH 1 BODY[]");
    assert!(modseq(&reply) > before);
    let reply = client.command("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)");
    assert!(reply.tagged.starts_with("BAD "), "{}", reply.tagged);
    client.ok("ENABLE QRESYNC");
    client.ok("UID STORE 3 +FLAGS (\\Deleted)");
    client.ok("UID EXPUNGE 3");
    let reply = client.ok(&format!("UID FETCH 1:99 (FLAGS) (CHANGEDSINCE {before} VANISHED)"));
    assert_eq!(reply.texts()[0], "* VANISHED (EARLIER) 3");
    assert_eq!(fetches(&reply).len(), 2);
}

// ---- Octets -----------------------------------------------------------------------------------

#[test]
fn odd_octets_come_back() {
    let odd: [&[u8]; 7] = [
        b"Subject: bare\nFrom: lf\n\nline\nline\n",
        b"Subject: nul\r\n\r\na\0b\0",
        b"Subject: eight \xe9 bit\r\n\r\n\xff\xfe\x80",
        b"no header at all",
        b"\r\nonly a body\r\n",
        b"A: b\r\n\r\n",
        b"A: b",
    ];
    let (_server, mut client) = with(&odd);
    let reply = client.ok("FETCH 1:* (BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])");
    assert_eq!(reply.untagged.len(), odd.len());
    for (response, octets) in reply.untagged.iter().zip(odd) {
        let [whole, header, text] = &response.literals[..] else { panic!("{}", response.text()) };
        // Only a literal of BINARY may have a NUL.
        let told: Vec<_> = octets.iter().map(|&o| if o == 0 { 0x80 } else { o }).collect();
        assert_eq!(whole.escape_ascii().to_string(), told.escape_ascii().to_string());
        assert_eq!([&header[..], text].concat(), told);
    }
    let reply = client.ok("FETCH 2 (BINARY.PEEK[] BINARY.PEEK[1])");
    assert_eq!(reply.untagged[0].literals, [odd[1], b"a\0b\0"]);
    assert!(reply.texts()[0].contains("BINARY[] ~{20}"), "{:?}", reply.texts());
    let reply = client.ok("FETCH 2 (BODY.PEEK[1] RFC822.TEXT BODY.PEEK[HEADER.FIELDS (Subject)])");
    assert_eq!(reply.untagged[0].literals[..2], [b"a\x80b\x80", b"a\x80b\x80"]);
    let reply = client.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (from)]");
    assert_eq!(reply.untagged[0].literals, [b"From: lf\n\n"]);
    client.ok("FETCH 1:* (BODYSTRUCTURE BODY ENVELOPE BODY.PEEK[1] BINARY.SIZE[1] PREVIEW)");
}

/// A FETCH response has at least one item.
#[test]
fn nothing_is_told_of_what_cannot_be_decoded() {
    let (_server, mut client) = with(&[b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin"]);
    for command in ["FETCH 1 BINARY.PEEK[1]", "FETCH 1 (BINARY.SIZE[1])"] {
        let reply = client.command(command);
        assert!(reply.tagged.starts_with("NO [UNKNOWN-CTE] "), "{}", reply.tagged);
        assert_eq!(fetches(&reply), [""; 0], "{command}");
    }
    let reply = client.command("UID FETCH 1 BINARY.PEEK[1]");
    assert_eq!(fetches(&reply), ["* 1 FETCH (UID 1)"]);
}

#[test]
fn message_global_is_a_message_to_who_has_enabled_rev2() {
    let message = b"Content-Type: message/global\r\n\r\nSubject: inner\r\n\r\ntext";
    let (_server, mut client) = with(&[message]);
    let structure = |client: &mut Client| client.ok("FETCH 1 BODYSTRUCTURE").texts()[0].clone();
    assert!(!structure(&mut client).contains("inner"));
    client.ok("ENABLE IMAP4rev2");
    assert!(structure(&mut client).contains("(NIL \"inner\" "));
    check(
        &mut client,
        &[("BODY.PEEK[1.HEADER]", "Subject: inner\r\n\r\n"), ("BODY.PEEK[1.1]", "text")],
    );
}

// ---- Failures ---------------------------------------------------------------------------------

#[test]
fn damage_is_told_and_the_rest_is_answered() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.login();
    let large = [b"Subject: two\r\n\r\ntreasure".to_vec(), vec![b'x'; 400_000]].concat();
    append(&mut client, &[b"Subject: one\r\n\r\nfirst", &large, b"Subject: 3\r\n\r\nlast gem"]);
    for sought in [&b"treasure"[..], b"last gem"] {
        let (path, at) = folder.find(sought).unwrap();
        let mut segment = OpenOptions::new().write(true).open(path).unwrap();
        segment.seek(SeekFrom::Start(at as u64)).unwrap();
        segment.write_all(b"!").unwrap();
        segment.sync_all().unwrap();
    }
    client.ok("SELECT INBOX");
    let reply = client.command("FETCH 1,3 (UID BODY.PEEK[])");
    assert_eq!(reply.code(), "CORRUPTION", "{}", reply.tagged);
    assert_eq!(fetches(&reply), ["* 1 FETCH (UID 1 BODY[] {21}\r\nSubject: one\r\n\r\nfirst)"]);
    let reply = client.command("FETCH 3 (UID BODYSTRUCTURE)");
    assert_eq!((reply.code(), fetches(&reply).len()), ("CORRUPTION", 0));
    // Only its header is read, which shows no damage.
    client.ok("FETCH 3 (BODY.PEEK[HEADER])");
    // Octets of a large message are sent before the damage is found. The client must not mistake it
    // for complete.
    client.send(b"x FETCH 2 BODY.PEEK[]\r\n");
    let mut taken = 0;
    while let Some(line) = client.line_or_end() {
        assert!(!line.starts_with(b"x OK") && !line.ends_with(b")\r\n"));
        taken += line.len();
    }
    assert!(taken <= large.len() + 100);
}

#[test]
fn what_another_session_expunged_is_missing() {
    let (server, mut client) = server();
    let message = |options, octets| Message { options, octets };
    client.append(
        "INBOX",
        &[
            message("", b"A: 1\r\n\r\n"),
            message("(\\Deleted) ", b"A: 2\r\n\r\n"),
            message("", b"A: 3\r\n\r\n"),
        ],
    );
    client.ok("SELECT INBOX");
    let mut other = server.login();
    other.ok("SELECT INBOX");
    other.ok("CLOSE");
    let mut told = |items: &str| {
        let reply = client.command(&format!("FETCH 1:3 ({items})"));
        let fetched = Fetched::all(&reply.untagged);
        let numbers: Vec<_> = fetched.iter().map(|f| (f.number, f.number("UID"))).collect();
        (reply.code().to_owned(), numbers)
    };
    // The session itself knows which UID each of its numbers has.
    assert_eq!(told("UID"), (String::new(), vec![(1, 1), (2, 2), (3, 3)]));
    let rest = ("EXPUNGEISSUED".to_owned(), vec![(1, 1), (3, 3)]);
    assert_eq!(told("UID FLAGS"), rest);
    assert_eq!(told("UID BODY.PEEK[]"), rest);
}
