//! APPEND cases that a transcript cannot express: odd octets, pipelines, connections that end
//! early. `transcripts.rs` plays the dialogues.

use kit::{Client, Fetched, Folder, Message, PASSWORD, Random, Server, USER, append_text};

/// How a client slices what it sends: all at once, octet by octet, and lengths that match nothing.
pub const SLICINGS: [&[usize]; 4] = [&[usize::MAX], &[1], &[3, 1, 7, 2, 64, 5], &[11, 29, 4093]];

// ---- Octets -----------------------------------------------------------------------------------

/// Messages that no client should send, and some clients do.
fn odd_messages() -> Vec<Vec<u8>> {
    let mut odd: Vec<Vec<u8>> = [
        &b"\0"[..],
        b"\n",
        b"\r",
        b"\r\n",
        b"Subject: nul \0 in the header\r\n\r\nnul \0 in the body\0",
        b"Subject: bare LF\n\nline\nline\n",
        b"Subject: bare CR\r\rline\rline\r",
        b"Subject: all of them\r\n\n\r\n\r\r\n",
        b"Subject: gr\xfc\xdfe \xe2\x82\xac \xff\r\n\r\n8 bit\r\n",
        b"no header at all",
        b"\r\n\r\nno header either",
        b" continued from nowhere\r\n",
        b"{5}\r\nhello",
        b"Subject: a literal\r\n\r\nx {10+}\r\n",
        b")\r\na99 LOGOUT\r\n",
        b" (\\Seen) {3+}\r\nabc",
    ]
    .map(<[u8]>::to_vec)
    .into();
    odd.push((0..=255).collect());
    odd.push([b'x'; 20_000].to_vec());
    odd
}

#[test]
fn octets_come_back_as_they_came() {
    let server = Server::start(&Folder::new());
    let odd = odd_messages();
    for (number, lengths) in SLICINGS.into_iter().enumerate() {
        let mut client = server.login();
        let mailbox = format!("sliced-{number}");
        client.ok(&format!("CREATE {mailbox}"));
        for options in ["", "~"] {
            let batch: Vec<_> = odd.iter().map(|octets| Message { options, octets }).collect();
            client.send_sliced(&append_text("all", &mailbox, &batch), lengths);
            assert!(client.reply("all").tagged.starts_with("OK "));
        }
        for message in &odd {
            let message = Message { options: "", octets: message };
            client.send_sliced(&append_text("one", &mailbox, &[message]), lengths);
            assert!(client.reply("one").tagged.starts_with("OK "));
        }
        let batch: Vec<_> = odd.iter().map(|octets| Message { options: "", octets }).collect();
        assert!(client.append_in_step(&mailbox, &batch).tagged.starts_with("OK "));
        let expected: Vec<_> =
            [&odd, &odd, &odd, &odd].into_iter().flatten().map(|o| &o[..]).collect();
        expect_messages(&mut client, &mailbox, &expected);
    }
}

/// Checks that the mailbox holds exactly these messages.
#[track_caller]
fn expect_messages(client: &mut Client, mailbox: &str, messages: &[&[u8]]) {
    client.ok(&format!("EXAMINE {mailbox}"));
    let fetched = Fetched::all(&client.ok("UID FETCH 1:* (RFC822.SIZE BINARY.PEEK[])").untagged);
    assert_eq!(fetched.len(), messages.len());
    for (fetched, message) in fetched.iter().zip(messages) {
        assert!(fetched.octets("BINARY[]") == *message, "{:?}", String::from_utf8_lossy(message));
        assert_eq!(fetched.number("RFC822.SIZE"), message.len() as u64);
    }
}

/// Leases have 16 and 256 KiB. Each octet of the text between two messages is once the last one in
/// a lease.
#[test]
fn messages_come_back_wherever_a_lease_ends() {
    let server = Server::start(&Folder::new());
    let mut client = server.login();
    let octets: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    for end in [16 << 10, 256 << 10] {
        client.ok(&format!("CREATE around-{end}"));
        let mut sent = Vec::new();
        for first in end - 220..end {
            let parts = [&octets[..first], &octets[1..6], &octets[2..40]];
            let batch = parts.map(|octets| Message { options: "(a) ", octets });
            let reply = client.append(&format!("around-{end}"), &batch);
            assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
            sent.extend(parts);
        }
        expect_messages(&mut client, &format!("around-{end}"), &sent);
    }
}

#[test]
fn a_bare_lf_ends_the_command_too() {
    let server = Server::start(&Folder::new());
    for lengths in SLICINGS {
        let mut client = server.login();
        client.send_sliced(b"a APPEND INBOX {1}\n", lengths);
        assert!(client.response().unwrap().text().starts_with("+ "));
        client.send_sliced(b"\n (\\Seen) {2+}\n\n\n\nb NOOP\n", lengths);
        assert!(client.reply("a").tagged.starts_with("OK [APPENDUID "));
        assert!(client.reply("b").tagged.starts_with("OK "));
        client.send_sliced(b"c APPEND nowhere {1+}\n\n {2+}\nab\nd NOOP\n", lengths);
        assert!(client.reply("c").tagged.starts_with("NO [TRYCREATE]"));
        assert!(client.reply("d").tagged.starts_with("OK "));
    }
    let messages = [&b"\n"[..], b"\n\n"].repeat(SLICINGS.len());
    expect_messages(&mut server.login(), "INBOX", &messages);
}

#[test]
fn megabytes_of_a_refused_command_are_thrown_away() {
    let server = Server::with(&Folder::new(), &["--append-limit", "1M"]);
    let mut client = server.login();
    let commands = b"a99 LOGOUT\r\na98 APPEND INBOX {5+}\r\n".repeat(150_000);
    let refused = Message { options: "", octets: &commands };
    let fine = Message { options: "(\\Seen) ", octets: b"hello" };
    for (mailbox, code) in [("INBOX", "TOOBIG"), ("nowhere", "TRYCREATE")] {
        let reply = client.append(mailbox, &[fine, refused, fine, refused]);
        assert!(reply.tagged.starts_with(&format!("NO [{code}]")), "{}", reply.tagged);
        assert!(reply.untagged.is_empty());
    }
    assert_eq!(client.append("INBOX", &[fine]).code().split(' ').nth(2), Some("1"));
}

// ---- Pipelines --------------------------------------------------------------------------------

/// A word in the commands around APPENDs. No segment may ever hold it.
const MARKER: &[u8] = b"marker-of-a-command";

/// A word in the messages, to show that the search works.
const CONTENT: &[u8] = b"marker-of-a-message";

#[test]
fn a_pipeline_is_answered_in_order_and_leaves_only_mail_on_the_disk() {
    let mut random = Random::seeded();
    let folder = Folder::new();
    let server = Server::with(&folder, &["--segment-size", "4M"]);
    let mut stored = 0;
    for round in 0..24 {
        let lengths = SLICINGS[round % SLICINGS.len()];
        let large = if lengths == [1] { 500 } else { 40_000 };
        let mut pipeline = Pipeline::new(&mut random, large, &mut stored);
        if lengths == [usize::MAX] {
            // Behind LOGOUT. In slices, the server might be gone before the last one.
            pipeline.text.extend_from_slice(&[b"x LOGIN ", MARKER].concat());
        }
        let mut client = server.connect();
        client.send_sliced(&pipeline.text, lengths);
        for (tag, expected) in &pipeline.expected {
            let reply = client.reply(tag);
            assert!(fits(&reply.tagged, expected), "{tag}: {}, not {expected}", reply.tagged);
            for line in reply.texts() {
                assert!(!line.contains("STATUS") || line.ends_with(&pipeline.status), "{line}");
            }
        }
        assert_eq!(client.response(), None, "LOGOUT ends it");
    }
    assert!(folder.find(CONTENT).is_some());
    assert_eq!(folder.find(MARKER), None);
    assert_eq!(folder.find(format!("LOGIN {USER}").as_bytes()), None);
    server.kill();
    assert_eq!(folder.find(MARKER), None);
}

fn fits(tagged: &str, expected: &str) -> bool {
    let (begin, rest) = expected.split_once("{}").unwrap_or((expected, ""));
    let after =
        tagged.strip_prefix(begin).map(|tagged| tagged.trim_start_matches(char::is_numeric));
    after.is_some_and(|after| rest.is_empty() || after.starts_with(rest))
}

/// A session that is sent as one pipeline.
struct Pipeline {
    text: Vec<u8>,
    /// Tags with the beginnings of their tagged responses. `{}` stands for a UIDVALIDITY.
    expected: Vec<(String, String)>,
    /// The end of the STATUS response.
    status: String,
}

impl Pipeline {
    /// `stored` counts the messages in INBOX.
    fn new(random: &mut Random, large: usize, stored: &mut usize) -> Pipeline {
        let status = String::new();
        let mut pipeline = Pipeline { text: Vec::new(), expected: Vec::new(), status };
        let marker = String::from_utf8_lossy(MARKER).into_owned();
        pipeline.command(&format!("LOGIN {USER} {PASSWORD}"), "OK ");
        pipeline.command(&format!("LOGIN {USER} {marker}"), "BAD ");
        pipeline.appends(random, large, stored);
        pipeline.command("NOOP", "OK ");
        pipeline.command(&format!("LIST \"\" {marker}"), "OK ");
        pipeline.appends(random, large, stored);
        pipeline.status = format!("(MESSAGES {stored} UIDNEXT {})", *stored + 1);
        pipeline.command("STATUS INBOX (MESSAGES UIDNEXT)", "OK ");
        pipeline.refused(&marker);
        pipeline.command(&format!("SELECT {marker}"), "NO ");
        pipeline.appends(random, large, stored);
        pipeline.command("SELECT INBOX", "OK ");
        pipeline.appends(random, large, stored);
        pipeline.command(&format!("{marker} {marker}"), "BAD ");
        pipeline.appends(random, large, stored);
        pipeline.command("LOGOUT", "OK ");
        pipeline
    }

    fn tag(&mut self, expected: String) -> String {
        let tag = format!("p{}", self.expected.len());
        self.expected.push((tag.clone(), expected));
        tag
    }

    fn command(&mut self, command: &str, expected: &str) {
        let tag = self.tag(expected.into());
        self.text.extend_from_slice(format!("{tag} {command}\r\n").as_bytes());
    }

    /// One to three APPENDs of one to three messages.
    fn appends(&mut self, random: &mut Random, large: usize, stored: &mut usize) {
        for _ in 0..random.within(1, 3) {
            let count = random.within(1, 3);
            let messages: Vec<_> = (0..count)
                .map(|_| {
                    let mut octets = CONTENT.to_vec();
                    octets.resize(random.within(CONTENT.len(), large), b'm');
                    octets
                })
                .collect();
            let messages: Vec<_> =
                messages.iter().map(|octets| Message { options: "", octets }).collect();
            let (first, last) = (*stored + 1, *stored + count);
            *stored = last;
            let set = if count == 1 { format!("{first}]") } else { format!("{first}:{last}]") };
            let tag = self.tag(format!("OK [APPENDUID {{}} {set}"));
            self.text.extend_from_slice(&append_text(&tag, "INBOX", &messages));
        }
    }

    /// An APPEND to a missing mailbox, with a message that must not reach the disk.
    fn refused(&mut self, marker: &str) {
        let tag = self.tag("NO [TRYCREATE] ".into());
        let message = Message { options: "", octets: marker.as_bytes() };
        self.text.extend_from_slice(&append_text(&tag, "nowhere", &[message]));
    }
}

// ---- Ends -------------------------------------------------------------------------------------

#[test]
fn a_connection_that_ends_amid_a_batch_leaves_nothing() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let large = vec![b'l'; 600_000];
    let batch =
        [&b"small"[..], &large, b"small again"].map(|octets| Message { options: "", octets });
    let text = append_text("a", "INBOX", &batch);
    // Everywhere in the text, and at places of the large message in several frames.
    let edge = text.len() - large.len();
    let cuts = (0..text.len() - 1).filter(|cut| {
        let within = cut.checked_sub(60).filter(|within| *within < large.len());
        within.is_none_or(|within| within % 101_111 == 0)
    });
    let cuts: Vec<_> = cuts.collect();
    assert!(cuts.len() > edge && cuts.len() < edge + 10);
    for cut in cuts {
        let mut client = server.login();
        client.send(&text[..cut]);
        client.end();
        assert_eq!(client.response(), None, "after {cut} octets");
    }
    let expect_nothing = |server: &Server| {
        let status = server.login().ok("STATUS INBOX (MESSAGES SIZE)").texts();
        assert_eq!(status, ["* STATUS INBOX (MESSAGES 0 SIZE 0)"]);
    };
    expect_nothing(&server);
    server.kill();
    let server = Server::start(&folder);
    expect_nothing(&server);
    assert!(server.login().append("INBOX", &batch).tagged.starts_with("OK "));
}

#[test]
fn batches_before_the_one_that_ends_early_stay() {
    let server = Server::start(&Folder::new());
    let message = Message { options: "", octets: b"hello" };
    let mut client = server.login();
    let mut text = append_text("a", "INBOX", &[message, message]);
    text.extend(append_text("b", "INBOX", &[message]));
    text.truncate(text.len() - 2);
    client.send(&text);
    assert!(client.reply("a").tagged.starts_with("OK [APPENDUID "));
    client.end();
    assert_eq!(client.response(), None);
    expect_messages(&mut server.login(), "INBOX", &[b"hello", b"hello"]);
}

#[test]
fn room_is_kept_for_what_was_announced_until_the_connection_ends() {
    let folder = Folder::empty();
    folder.add_user(USER, PASSWORD, &["--quota", "1000"]);
    let server = Server::start(&folder);
    let (mut silent, mut other) = (server.login(), server.login());
    silent.send(b"s APPEND INBOX {900}\r\n");
    assert!(silent.response().unwrap().text().starts_with("+ "));
    assert_eq!(other.command("APPEND INBOX {200}").code(), "OVERQUOTA");
    silent.end();
    assert_eq!(silent.response(), None);
    let message = Message { options: "", octets: &[b'm'; 200] };
    assert!(other.append_in_step("INBOX", &[message]).tagged.starts_with("OK "));

    // A cancelled batch releases its room as well.
    assert_eq!(other.command("APPEND INBOX {801}").code(), "OVERQUOTA");
    other.send(&append_text("c", "INBOX", &[message, message, Message { octets: b"", ..message }]));
    assert!(other.reply("c").tagged.starts_with("NO "));
    let rest = Message { options: "", octets: &[b'm'; 800] };
    assert!(other.append_in_step("INBOX", &[rest]).tagged.starts_with("OK "));
}
