//! Several sessions on one mailbox: which news each gets, and when (RFC 2180, RFC 7162).

mod highest;
mod keywords;
mod metadata;
mod mirror;
mod quota;
mod races;

use kit::{Client, Folder, Message, PASSWORD, Random, Server, USER};

use mirror::Mirror;

fn login(server: &Server) -> Client {
    let mut client = server.connect();
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    client
}

fn selected(server: &Server, enable: &str) -> Client {
    let mut client = login(server);
    if !enable.is_empty() {
        client.ok(&format!("ENABLE {enable}"));
    }
    client.ok("SELECT INBOX");
    client
}

fn append(client: &mut Client, count: usize) {
    let message = Message { options: "", octets: b"Subject: x\r\n\r\nbody\r\n" };
    let reply = client.append("INBOX", &vec![message; count]);
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
}

/// Sessions act at random, several at the same time. Each keeps a mirror of the mailbox from what
/// it is told; in the end every mirror shows what is there.
#[test]
fn every_client_can_follow_what_the_others_do() {
    let mut random = Random::seeded();
    let server = Server::start(&Folder::new());
    append(&mut login(&server), 20);
    login(&server).ok("CREATE aside");
    let modes = ["", "CONDSTORE", "QRESYNC", "", "IMAP4rev2"];
    let mut mirrors: Vec<Mirror> =
        modes.iter().map(|mode| Mirror::of(selected(&server, mode), *mode == "QRESYNC")).collect();
    for round in 0..rounds() {
        if round % 10 == 0 {
            mirrors.iter().for_each(|mirror| mirror.resume(&server));
        }
        let mut sent = Vec::new();
        for mirror in &mut mirrors {
            if !random.one_in(3) {
                let by_number = mirror.send(&mut random);
                sent.push((mirror, by_number));
            }
        }
        for (mirror, by_number) in sent {
            mirror.read(by_number);
        }
    }
    let truth = Mirror::of(selected(&server, ""), false);
    for (mut mirror, mode) in mirrors.into_iter().zip(modes) {
        mirror.settle();
        assert_eq!(mirror.messages(), truth.messages(), "a session with {mode:?}");
    }
}

/// `MAILRACE_ROUNDS` for more.
fn rounds() -> usize {
    std::env::var("MAILRACE_ROUNDS").map_or(300, |rounds| rounds.parse().expect("a number"))
}

#[test]
fn an_idle_session_hears_at_once() {
    let server = Server::start(&Folder::new());
    let mut other = selected(&server, "");
    append(&mut other, 3);
    let mut idle = selected(&server, "");
    idle.send(b"i IDLE\r\n");
    assert!(idle.line().unwrap().starts_with(b"+ "));
    let mut hears = |expected: &str| {
        assert_eq!(String::from_utf8(idle.line().unwrap()).unwrap(), expected);
    };
    other.ok("STORE 2 +FLAGS (\\Flagged)");
    hears("* 2 FETCH (FLAGS (\\Flagged))");
    append(&mut other, 1);
    hears("* 4 EXISTS");
    hears("* 0 RECENT");
    other.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)");
    hears("* 1 FETCH (FLAGS (\\Deleted))");
    hears("* 2 FETCH (FLAGS (\\Flagged \\Deleted))");
    other.ok("EXPUNGE");
    hears("* 1 EXPUNGE");
    hears("* 1 EXPUNGE");
    idle.send(b"DONE\r\n");
    assert!(idle.reply("i").tagged.starts_with("OK "));
    let reply = idle.ok("NOOP");
    assert!(reply.untagged.is_empty(), "told twice: {:?}", reply.texts());
}

#[test]
fn expunges_wait_while_messages_are_named_by_number() {
    let server = Server::start(&Folder::new());
    let (mut one, mut other) = (selected(&server, ""), selected(&server, ""));
    append(&mut one, 4);
    other.ok("NOOP");
    one.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)");
    one.ok("EXPUNGE");
    for command in ["FETCH 3:4 (UID)", "STORE 3 +FLAGS (\\Seen)", "SEARCH ALL"] {
        let texts = other.command(command).texts();
        assert!(!texts.iter().any(|text| text.ends_with("EXPUNGE")), "{command}: {texts:?}");
    }
    let gone = other.command("FETCH 1:2 (UID FLAGS)");
    assert!(gone.tagged.starts_with("OK [EXPUNGEISSUED]"), "{}", gone.tagged);
    let texts = other.ok("UID FETCH 3:4 (FLAGS)").texts();
    let expunges = texts.iter().filter(|text| *text == "* 1 EXPUNGE").count();
    assert_eq!(expunges, 2, "{texts:?}");
    // In this answer, messages still have the numbers from before the client was told.
    assert!(texts.iter().any(|text| text.starts_with("* 3 FETCH (UID 3")), "{texts:?}");
}

#[test]
fn a_change_of_ones_own_is_told_as_it_was_asked_for() {
    let server = Server::start(&Folder::new());
    let mut client = selected(&server, "");
    append(&mut client, 2);
    assert!(client.ok("STORE 1 +FLAGS.SILENT (\\Seen)").untagged.is_empty());
    assert!(client.ok("NOOP").untagged.is_empty());
    assert_eq!(client.ok("STORE 1 +FLAGS (\\Seen)").untagged.len(), 1);
    client.ok("FETCH 2 (MODSEQ)");
    let texts = client.ok("STORE 2 +FLAGS.SILENT (\\Seen)").texts();
    assert!(texts.len() == 1 && texts[0].contains("MODSEQ"), "{texts:?}");
    let before = client.ok("STATUS INBOX (HIGHESTMODSEQ)").texts();
    client.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)");
    assert_eq!(client.ok("STATUS INBOX (HIGHESTMODSEQ)").texts(), before, "nothing changed");
}

#[test]
fn two_conditional_stores_are_not_both_done() {
    let server = Server::start(&Folder::new());
    let (mut one, mut other) = (selected(&server, "CONDSTORE"), selected(&server, "CONDSTORE"));
    append(&mut one, 1);
    other.ok("NOOP");
    for round in 0..20 {
        let texts = one.ok("FETCH 1 (MODSEQ)").texts();
        let modseq = texts[0].split("MODSEQ (").nth(1).unwrap().trim_end_matches("))").to_owned();
        let sign = if round % 2 == 0 { '+' } else { '-' };
        let store = format!("STORE 1 (UNCHANGEDSINCE {modseq}) {sign}FLAGS (\\Seen)");
        one.send(format!("s {store}\r\n").as_bytes());
        other.send(format!("s {store}\r\n").as_bytes());
        let won =
            [one.reply("s"), other.reply("s")].map(|reply| !reply.tagged.contains("MODIFIED"));
        assert!(won[0] != won[1], "round {round}: {won:?}");
    }
}

#[test]
fn a_session_whose_mailbox_is_deleted_is_told() {
    let server = Server::start(&Folder::new());
    login(&server).ok("CREATE away");
    let mut client = login(&server);
    client.ok("SELECT away");
    login(&server).ok("DELETE away");
    let tag = client.tag();
    client.send(format!("{tag} NOOP\r\n").as_bytes());
    client.reply(&tag);
    assert!(client.line().unwrap().starts_with(b"* BYE "));
    assert_eq!(client.line(), None);
}

#[test]
fn a_client_that_comes_back_hears_what_it_missed() {
    let server = Server::start(&Folder::new());
    let mut client = selected(&server, "QRESYNC");
    append(&mut client, 9);
    let texts = client.ok("SELECT INBOX").texts();
    let number = |name: &str| {
        let text = texts.iter().find_map(|text| text.split(name).nth(1)).expect("a number");
        text.split(']').next().unwrap().trim().to_owned()
    };
    let (validity, modseq) = (number("UIDVALIDITY "), number("HIGHESTMODSEQ "));
    client.ok("CLOSE");
    let mut other = selected(&server, "");
    other.ok("STORE 2,5:6 +FLAGS.SILENT (\\Deleted)");
    other.ok("EXPUNGE");
    other.ok("UID STORE 7 +FLAGS.SILENT (\\Answered)");
    append(&mut other, 1);
    let select = format!("SELECT INBOX (QRESYNC ({validity} {modseq} 1:9))");
    let texts = client.ok(&select).texts();
    assert!(texts.iter().any(|text| text == "* VANISHED (EARLIER) 2,5:6"), "{texts:?}");
    let fetched: Vec<_> = texts.iter().filter(|text| text.contains("FETCH")).collect();
    assert!(fetched.len() == 1 && fetched[0].contains("UID 7 FLAGS (\\Answered)"), "{texts:?}");
    // It knows nothing of another mailbox of that name.
    let texts = client.ok(&format!("SELECT INBOX (QRESYNC (1 {modseq}))")).texts();
    assert!(!texts.iter().any(|text| text.contains("VANISHED")), "{texts:?}");
}
