//! Starts past damage, with `--quarantine`: sound mail is served, damage is named, and damaged
//! files are not changed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use kit::{Client, Fetched, Folder, Message, Server};

use crate::damage::{append_numbered, numbered};

/// A folder with `count` numbered messages in INBOX and no catalog.
fn without_catalog(count: usize, also: impl FnOnce(&mut Client)) -> Folder {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.login();
    append_numbered(&mut client, 0..count);
    also(&mut client);
    server.kill();
    fs::remove_file(folder.catalog()).unwrap();
    folder
}

/// Flips one bit. Returns the segment after that.
fn flip(segment: &Path, at: usize) -> Vec<u8> {
    let mut octets = fs::read(segment).unwrap();
    octets[at] ^= 0x10;
    fs::write(segment, &octets).unwrap();
    octets
}

/// Starts without the flag, which must fail. Returns the log.
#[track_caller]
fn refused(folder: &Folder) -> String {
    let output = Server::fail(&folder.path(), &["--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("--quarantine"), "it names no way on: {said}");
    said
}

fn quarantined(folder: &Folder) -> Server {
    Server::with(folder, &["--quarantine"])
}

/// The messages of INBOX by UID, and the tagged reply to FETCH.
fn inbox(client: &mut Client) -> (BTreeMap<u64, Vec<u8>>, String) {
    client.ok("SELECT INBOX");
    let reply = client.command("UID FETCH 1:* (UID BODY.PEEK[])");
    let all = Fetched::all(&reply.untagged);
    let all = all.iter().map(|f| (f.number("UID"), f.octets("BODY[]").to_vec()));
    (all.collect(), reply.tagged)
}

fn status(client: &mut Client, item: &str) -> u64 {
    let reply = client.ok(&format!("STATUS INBOX ({item})"));
    let text = reply.texts().concat();
    let (_, rest) = text.split_once(&format!("({item} ")).expect("what was asked for");
    rest.split(')').next().unwrap().parse().unwrap()
}

fn listed(folder: &Folder) -> String {
    fs::read_to_string(folder.path().join("quarantine.json")).unwrap_or_default()
}

/// Checks that message `n` has UID `n + 1`, except for those in `lost`.
#[track_caller]
fn expect_all_but(found: &BTreeMap<u64, Vec<u8>>, count: usize, lost: &[usize]) {
    let uids: Vec<_> = (0..count).filter(|n| !lost.contains(n)).map(|n| n as u64 + 1).collect();
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), uids);
    for (uid, octets) in found {
        assert!(*octets == numbered(*uid as usize - 1), "UID {uid} has other octets");
    }
}

#[test]
fn rot_in_expunged_mail_keeps_nobody_out() {
    let folder = without_catalog(10, |client| {
        client.ok("SELECT INBOX");
        client.ok("UID STORE 8 +FLAGS (\\Deleted)");
        client.ok("EXPUNGE");
    });
    let (segment, at) = folder.find(b"message <7>").unwrap();
    flip(&segment, at + 1000);
    for _ in 0..2 {
        let server = Server::start(&folder);
        let (found, end) = inbox(&mut server.login());
        assert!(end.starts_with("OK "), "{end}");
        expect_all_but(&found, 10, &[7]);
        let log = server.log();
        assert!(log.contains("1 damaged messages are in no mailbox any more"), "{log}");
        server.kill();
    }
    assert_eq!(listed(&folder), "");
}

#[test]
fn a_message_with_one_rotten_bit_is_refused_and_all_others_are_served() {
    let folder = without_catalog(10, |client| {
        client.ok("CREATE copies");
        client.ok("SELECT INBOX");
        client.ok("UID COPY 7:9 copies");
    });
    let (segment, at) = folder.find(b"message <7>").unwrap();
    let whole = fs::read(&segment).unwrap();
    let damaged = flip(&segment, at + 1000);
    let said = refused(&folder);
    assert!(said.contains("do not have their checksum"), "{said}");

    let server = Server::with(&folder, &["--quarantine", "--admin", "127.0.0.1:0"]);
    let metrics = get(server.admin(), "/metrics");
    assert!(metrics.contains("mailrace_damaged_messages 2"), "{metrics}");
    let mut client = server.login();
    let (found, end) = inbox(&mut client);
    assert!(end.starts_with("NO [CORRUPTION] "), "{end}");
    expect_all_but(&found, 10, &[7]);
    // Not even an undamaged part: nothing shows that it is undamaged.
    for command in [
        "UID FETCH 8 BODY.PEEK[HEADER]",
        "UID FETCH 8 BODY.PEEK[]<0.10>",
        "UID FETCH 8 (ENVELOPE BODYSTRUCTURE)",
        "UID SEARCH BODY message",
        "UID COPY 8 copies",
        "UID COPY 1:* copies",
    ] {
        let reply = client.command(command);
        assert!(reply.tagged.starts_with("NO [CORRUPTION] "), "{command}: {}", reply.tagged);
    }
    let fetched = client.ok("UID FETCH 8 (UID FLAGS RFC822.SIZE INTERNALDATE)").untagged;
    assert_eq!(Fetched::all(&fetched).len(), 1, "the listing has all");
    client.ok("UID COPY 1:7 copies");
    append_numbered(&mut client, 10..11);
    let list = listed(&folder);
    for word in ["\"INBOX\"", "\"copies\"", "\"first_uid\": 8", "\"first_uid\": 2"] {
        assert!(list.contains(word), "{word}: {list}");
    }
    assert!(fs::read(&segment).unwrap()[..at + 4096] == damaged[..at + 4096]);
    assert!(server.terminate().success());

    // The catalog now covers the damage, and the server still knows of it.
    let said = refused(&folder);
    assert!(said.contains("still there"), "{said}");
    let server = quarantined(&folder);
    let mut client = server.login();
    let (found, _) = inbox(&mut client);
    expect_all_but(&found, 11, &[7]);
    // Expunging the message ends the damage.
    client.ok("UID STORE 8 +FLAGS (\\Deleted)");
    client.ok("EXPUNGE");
    client.ok("SELECT copies");
    client.ok("UID STORE 2 +FLAGS (\\Deleted)");
    client.ok("EXPUNGE");
    assert!(server.terminate().success());
    let server = Server::start(&folder);
    let (found, end) = inbox(&mut server.login());
    assert!(end.starts_with("OK "), "{end}");
    expect_all_but(&found, 11, &[7]);
    assert!(server.terminate().success());
    assert_eq!(listed(&folder), "", "nothing is damaged");
    drop(whole);
}

#[test]
fn a_message_that_was_restored_is_served_again() {
    let folder = without_catalog(10, |_| ());
    let (segment, at) = folder.find(b"message <7>").unwrap();
    let whole = fs::read(&segment).unwrap();
    flip(&segment, at + 1000);
    let server = quarantined(&folder);
    let (found, _) = inbox(&mut server.login());
    expect_all_but(&found, 10, &[7]);
    assert!(server.terminate().success());
    restore(&segment, &whole);
    let server = Server::start(&folder);
    let (found, end) = inbox(&mut server.login());
    assert!(end.starts_with("OK "), "{end}");
    expect_all_but(&found, 10, &[]);
}

/// Restores a segment from a copy, at its present length.
fn restore(segment: &Path, whole: &[u8]) {
    let length = fs::metadata(segment).unwrap().len() as usize;
    fs::write(segment, &whole[..length.min(whole.len())]).unwrap();
}

#[test]
fn a_lost_frame_takes_its_own_changes_and_no_others() {
    let folder = without_catalog(10, |_| ());
    let (segment, at) = folder.find(b"message <7>").unwrap();
    let whole = fs::read(&segment).unwrap();
    flip(&segment, at / 4096 * 4096 + 9);
    refused(&folder);
    let server = quarantined(&folder);
    let mut client = server.login();
    let validity = status(&mut client, "UIDVALIDITY");
    let (found, end) = inbox(&mut client);
    assert!(end.starts_with("OK "), "{end}");
    expect_all_but(&found, 10, &[7]);
    let next = status(&mut client, "UIDNEXT");
    assert!(next > 11, "UIDs that may have been given are given again: {next}");
    append_numbered(&mut client, 10..11);
    let list = listed(&folder);
    assert!(list.contains(&format!("\"offset\": {}", at / 4096 * 4096)), "{list}");
    assert!(server.terminate().success());

    refused(&folder);
    // Again with the new catalog, and again without one.
    for catalog in [true, false] {
        if !catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        let server = quarantined(&folder);
        let mut client = server.login();
        let (mut found, _) = inbox(&mut client);
        assert!(found.remove(&next).is_some_and(|octets| octets == numbered(10)));
        expect_all_but(&found, 10, &[7]);
        let now = status(&mut client, "UIDVALIDITY");
        assert!(if catalog { now == validity } else { now >= validity }, "{validity} {now}");
        assert!(server.terminate().success());
    }
    // When the frame is restored, all later changes still apply.
    restore(&segment, &whole);
    fs::remove_file(folder.catalog()).unwrap();
    let server = Server::start(&folder);
    let (mut found, _) = inbox(&mut server.login());
    assert!(found.remove(&next).is_some_and(|octets| octets == numbered(10)));
    expect_all_but(&found, 10, &[]);
}

#[test]
fn what_a_lost_frame_created_is_found_under_another_name() {
    let folder = Folder::new();
    let server = Server::with(&folder, &["--reactors", "1"]);
    let mut client = server.login();
    append_numbered(&mut client, 0..2);
    client.ok("CREATE somewhere-else");
    let octets = numbered(77);
    let message = Message { options: "", octets: &octets };
    assert!(client.append_in_step("somewhere-else", &[message]).tagged.starts_with("OK "));
    append_numbered(&mut client, 2..4);
    server.kill();
    fs::remove_file(folder.catalog()).unwrap();
    let (segment, at) = folder.find(b"somewhere-else").unwrap();
    flip(&segment, at / 4096 * 4096 + 9);
    let server = quarantined(&folder);
    let mut client = server.login();
    let (found, _) = inbox(&mut client);
    expect_all_but(&found, 4, &[]);
    let list = client.ok("LIST \"\" \"Recovered*\"").texts().concat();
    let name = list.split('"').rev().nth(1).unwrap_or_else(|| panic!("{list}")).to_owned();
    client.ok(&format!("EXAMINE \"{name}\""));
    let fetched = Fetched::all(&client.ok("FETCH 1:* BODY.PEEK[]").untagged);
    assert!(fetched.len() == 1 && fetched[0].octets("BODY[]") == octets);
    // The name from the lost frame is free.
    client.ok("CREATE somewhere-else");
}

#[test]
fn a_segment_that_is_missing_or_has_no_header_costs_what_only_it_had() {
    for erase in [false, true] {
        let folder = Folder::new();
        let flags = ["--reactors", "1", "--segment-size", "4M"];
        let server = Server::with(&folder, &flags);
        let mut client = server.login();
        let octets = |n: usize| format!("Subject: <{n}>\r\n\r\n").into_bytes().repeat(30_000);
        for number in 0..30 {
            let octets = octets(number);
            let message = Message { options: "", octets: &octets };
            assert!(client.append_in_step("INBOX", &[message]).tagged.starts_with("OK "));
        }
        server.kill();
        fs::remove_file(folder.catalog()).unwrap();
        let (segment, _) = folder.find(b"Subject: <12>").unwrap();
        let kept = fs::read(&segment).unwrap();
        let inside: Vec<_> = (0..30)
            .filter(|n| memchr::memmem::find(&kept, format!("<{n}>").as_bytes()).is_some())
            .collect();
        if erase {
            let mut octets = kept.clone();
            octets[..4096].fill(0);
            fs::write(&segment, &octets).unwrap();
        } else {
            fs::remove_file(&segment).unwrap();
        }
        refused(&folder);
        let server = quarantined(&folder);
        let (found, _) = inbox(&mut server.login());
        for (uid, found) in &found {
            assert!(*found == octets(*uid as usize - 1), "UID {uid} has other octets");
        }
        for number in (0..30).filter(|n| erase || !inside.contains(n)) {
            assert!(found.contains_key(&(number as u64 + 1)), "message {number} is lost");
        }
        server.kill();
        if erase {
            // The unused end of the file is cut off, as at any start.
            let now = fs::read(&segment).unwrap();
            assert!(now.len() >= 2 << 20 && kept[4096..].starts_with(&now[4096..]));
        } else {
            fs::write(&segment, &kept).unwrap();
            fs::remove_file(folder.catalog()).unwrap();
            let server = Server::start(&folder);
            let (found, _) = inbox(&mut server.login());
            assert_eq!(found.len(), 30);
        }
    }
}

#[test]
fn a_damaged_catalog_is_set_aside() {
    let folder = without_catalog(5, |_| ());
    fs::write(folder.catalog(), vec![b'x'; 100_000]).unwrap();
    refused(&folder);
    let server = quarantined(&folder);
    let (found, end) = inbox(&mut server.login());
    assert!(end.starts_with("OK "), "{end}");
    expect_all_but(&found, 5, &[]);
    let aside = folder.path().join("catalog.redb.damaged-1");
    assert!(fs::read(aside).unwrap() == vec![b'x'; 100_000]);
    assert!(listed(&folder).contains("catalog.redb"));
    assert!(server.terminate().success());
    let server = Server::start(&folder);
    expect_all_but(&inbox(&mut server.login()).0, 5, &[]);
}

#[test]
fn the_flag_makes_no_difference_where_nothing_is_damaged() {
    let folder = without_catalog(5, |_| ());
    let server = quarantined(&folder);
    let mut client = server.login();
    expect_all_but(&inbox(&mut client).0, 5, &[]);
    assert_eq!(status(&mut client, "UIDNEXT"), 6);
    assert_eq!(listed(&folder), "");
}

fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}
