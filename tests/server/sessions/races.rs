//! Concurrent changes by several sessions: every reply stays true, whatever other sessions do to
//! the messages.

use std::collections::BTreeSet;

use kit::{Client, Fetched, Folder, Message, PASSWORD, Server, USER};

use super::{login, selected};

/// Number of messages, of two alternating kinds. A change of one kind takes several records.
const MESSAGES: usize = 36_000;

const ROUNDS: usize = 3;

/// Messages, every second one with these flags.
fn fill(client: &mut Client, mailbox: &str, options: &str) {
    let octets = b"Subject: x\r\n\r\nbody\r\n";
    let (plain, other) = (Message { options: "", octets }, Message { options, octets });
    let messages: Vec<_> = [other, plain].repeat(MESSAGES / 2);
    let reply = client.append(mailbox, &messages);
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
}

/// The UIDs that a search finds.
fn found(client: &mut Client, mailbox: &str, keys: &str) -> BTreeSet<u64> {
    client.ok(&format!("SELECT {mailbox}"));
    let found = client.ok(&format!("UID SEARCH {keys}")).texts();
    let numbers = found.iter().filter_map(|line| line.strip_prefix("* SEARCH"));
    numbers.flat_map(|numbers| numbers.split_whitespace().map(|n| n.parse().unwrap())).collect()
}

/// Sends a UID STORE for each of the last 50 of [`MESSAGES`] messages, all in one pipeline. The
/// UIDs of the messages follow `before`. Returns each UID with its tag.
fn send_stores(client: &mut Client, before: u64, change: &str) -> Vec<(u64, String)> {
    let last = before + MESSAGES as u64;
    let uids = (last - 49..=last).rev();
    let stores: Vec<_> = uids.map(|uid| (uid, client.tag())).collect();
    for (uid, tag) in &stores {
        client.send(format!("{tag} UID STORE {uid} {change}\r\n").as_bytes());
    }
    stores
}

/// The messages reported with this flag, or without it.
fn told(client: &mut Client, stores: Vec<(u64, String)>, flag: &str, set: bool) -> BTreeSet<u64> {
    let mut told = BTreeSet::new();
    for (uid, tag) in stores {
        let reply = client.reply(&tag);
        let answers = Fetched::all(&reply.untagged);
        let mut of_it = answers.iter().filter(|one| one.has("UID") && one.number("UID") == uid);
        if let Some(last) = of_it.next_back()
            && reply.tagged.starts_with("OK ")
            && last.flags().contains(&flag) == set
        {
            told.insert(uid);
        }
    }
    told
}

/// Runs a command that takes all messages of INBOX to a new mailbox, while another session flags
/// the last of them. Every message reported as flagged must be flagged in the new mailbox.
fn flags_survive(server: &Server, command: &str, target: &str) {
    let mut acknowledged = 0;
    for _ in 0..ROUNDS {
        let (mut one, mut other) = (login(server), login(server));
        fill(&mut one, "INBOX", "");
        let before = found(&mut one, "INBOX", "ALL").first().unwrap() - 1;
        other.ok("SELECT INBOX");
        let tag = one.tag();
        one.send(format!("{tag} {command}\r\n").as_bytes());
        let stores = send_stores(&mut other, before, "+FLAGS (\\Flagged)");
        let told = told(&mut other, stores, "\\Flagged", true);
        let moved = one.reply(&tag);
        assert!(moved.tagged.starts_with("OK "), "{}", moved.tagged);
        let flagged = found(&mut login(server), target, "FLAGGED");
        acknowledged += told.len();
        // The target is new: its first UID is 1.
        let lost: Vec<_> = told.iter().filter(|&uid| !flagged.contains(&(uid - before))).collect();
        assert!(lost.is_empty(), "{lost:?} of {told:?} have lost their flag");
        login(server).ok(&format!("DELETE {target}"));
        login(server).ok(&format!("CREATE {target}"));
        if command.starts_with("RENAME") {
            login(server).ok(&format!("DELETE {target}"));
        }
    }
    println!("{command}: {acknowledged} flags were set before their messages moved");
}

#[test]
fn a_move_takes_the_flags_along_that_were_set_before_it() {
    let server = Server::start(&Folder::new());
    login(&server).ok("CREATE target");
    flags_survive(&server, "UID MOVE 1:* target", "target");
}

#[test]
fn so_does_a_rename_of_inbox() {
    let server = Server::start(&Folder::new());
    flags_survive(&server, "RENAME INBOX target", "target");
}

#[test]
fn what_is_not_marked_any_more_is_not_expunged() {
    let server = Server::start(&Folder::new());
    for round in 0..ROUNDS {
        let mailbox = format!("m{round}");
        login(&server).ok(&format!("CREATE {mailbox}"));
        let (mut one, mut other) = (login(&server), login(&server));
        fill(&mut one, &mailbox, "(\\Deleted) ");
        one.ok(&format!("SELECT {mailbox}"));
        other.ok(&format!("SELECT {mailbox}"));
        let tag = one.tag();
        one.send(format!("{tag} EXPUNGE\r\n").as_bytes());
        let stores = send_stores(&mut other, 0, "-FLAGS (\\Deleted)");
        let unmarked = told(&mut other, stores, "\\Deleted", false);
        one.reply(&tag);
        let there = found(&mut login(&server), &mailbox, "ALL");
        assert!(unmarked.is_subset(&there), "{:?}", unmarked.difference(&there));
    }
}

#[test]
fn a_conditional_store_overwrites_nothing_that_came_before_it() {
    let server = Server::start(&Folder::new());
    for round in 0..ROUNDS {
        let mailbox = format!("m{round}");
        login(&server).ok(&format!("CREATE {mailbox}"));
        let (mut one, mut other) = (login(&server), login(&server));
        fill(&mut one, &mailbox, "(work) ");
        let opened = one.ok(&format!("SELECT {mailbox} (CONDSTORE)")).texts().concat();
        let highest = opened.split("HIGHESTMODSEQ ").nth(1).unwrap();
        let since: u64 = highest.split(']').next().unwrap().parse().unwrap();
        other.ok(&format!("SELECT {mailbox}"));
        let tag = one.tag();
        let condition = format!("(UNCHANGEDSINCE {since})");
        one.send(format!("{tag} UID STORE 1:* {condition} +FLAGS.SILENT (work)\r\n").as_bytes());
        let stores = send_stores(&mut other, 0, "FLAGS (\\Flagged)");
        told(&mut other, stores, "\\Flagged", true);
        let reply = one.reply(&tag);
        // The flags of the other session came later, or were left alone and the client was told.
        let flagged = found(&mut login(&server), &mailbox, "FLAGGED");
        let all: BTreeSet<_> = (MESSAGES as u64 - 49..=MESSAGES as u64).collect();
        assert_eq!(flagged, all, "{}", reply.tagged);
        let overwritten = found(&mut login(&server), &mailbox, "KEYWORD work FLAGGED");
        assert!(overwritten.is_empty());
    }
}

#[test]
fn nothing_comes_back_and_no_quota_is_exceeded() {
    let folder = Folder::empty();
    folder.add_user(USER, PASSWORD, &["--quota", "1M"]);
    let server = Server::start(&folder);
    login(&server).ok("CREATE aside");
    login(&server).ok("CREATE more");
    for _ in 0..ROUNDS {
        let (mut one, mut other, mut third) = (login(&server), login(&server), login(&server));
        fill(&mut one, "INBOX", "(\\Deleted) ");
        one.ok("SELECT INBOX");
        other.ok("SELECT INBOX");
        let (moving, expunging) = (one.tag(), other.tag());
        one.send(format!("{moving} MOVE 1:* aside\r\n").as_bytes());
        other.send(format!("{expunging} EXPUNGE\r\n").as_bytes());
        let big = vec![b'm'; 300_000];
        for _ in 0..4 {
            third.append("more", &[Message { options: "", octets: &big }]);
        }
        let (moved, expunged) = (one.reply(&moving), other.reply(&expunging));
        assert!(expunged.tagged.starts_with("OK "), "{}", expunged.tagged);
        println!("MOVE: {}", moved.tagged);
        let mut all = login(&server);
        let mut size = 0;
        for mailbox in ["INBOX", "aside", "more"] {
            let status = all.ok(&format!("STATUS {mailbox} (SIZE)")).texts().concat();
            let octets = status.split("(SIZE ").nth(1).unwrap().split(')').next().unwrap();
            size += octets.parse::<u64>().unwrap();
        }
        assert!(size <= 1 << 20, "{size} octets");
        let mut owner = selected(&server, "");
        owner.ok("UID STORE 1:* +FLAGS.SILENT (\\Deleted)");
        owner.ok("EXPUNGE");
        for mailbox in ["aside", "more"] {
            owner.ok(&format!("DELETE {mailbox}"));
            owner.ok(&format!("CREATE {mailbox}"));
        }
    }
}
