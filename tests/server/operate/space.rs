//! Space that expunged mail took comes back: `mailrace space` and `mailrace clean`, and what is
//! left of the mail afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kit::{Client, Fetched, Folder, Message, Random, Server, command, mailrace};
use serde_json::Value;

use crate::observe::until;

/// Small segments, so that little mail fills several.
pub(super) const SMALL: [&str; 4] = ["--segment-size", "4M", "--reactors", "2"];

/// The messages of a mailbox by UID.
pub(super) type Mail = BTreeMap<u32, Vec<u8>>;

/// A message of this many octets, and no other like it.
pub(super) fn message(random: &mut Random, octets: usize) -> Vec<u8> {
    let mut text = format!("Subject: {}\r\n\r\n", random.number()).into_bytes();
    while text.len() < octets {
        text.extend_from_slice(format!("{:016x}", random.number()).as_bytes());
        if text.len() % 64 == 0 {
            text.extend_from_slice(b"\r\n");
        }
    }
    text.extend_from_slice(b"\r\n");
    text
}

/// Appends mail of all sizes to INBOX, 24 MB in batches, and returns it.
pub(super) fn fill(client: &mut Client, random: &mut Random) -> Mail {
    let mut mail = Mail::new();
    for round in 0..40 {
        let sizes = [50, 700, 5_000, 5_000, 20_000, 70_000, 130_000, 400_000];
        let batch: Vec<_> = sizes.iter().map(|&size| message(random, size)).collect();
        let messages: Vec<_> = batch.iter().map(|octets| Message { options: "", octets }).collect();
        // Some come alone.
        for part in messages.chunks(if round % 4 == 0 { 1 } else { 8 }) {
            let reply = client.append("INBOX", part);
            assert!(reply.tagged.starts_with("OK"), "{}", reply.tagged);
        }
        batch.into_iter().for_each(|octets| {
            mail.insert(mail.len() as u32 + 1, octets);
        });
    }
    mail
}

/// Expunges all but a fifth of INBOX at random, and takes it out of `mail`.
pub(super) fn expunge(client: &mut Client, random: &mut Random, mail: &mut Mail) {
    client.ok("SELECT INBOX");
    let gone: Vec<u32> = mail.keys().copied().filter(|_| !random.one_in(5)).collect();
    let set = gone.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    client.ok(&format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)"));
    client.ok(&format!("UID EXPUNGE {set}"));
    mail.retain(|uid, _| !gone.contains(uid));
}

/// Compares a mailbox octet by octet.
#[track_caller]
pub(super) fn check(client: &mut Client, mailbox: &str, mail: &Mail) {
    client.ok(&format!("SELECT {mailbox}"));
    let reply = client.ok("UID FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])");
    let fetched = Fetched::all(&reply.untagged);
    let uids: Vec<u32> = fetched.iter().map(|one| one.number("UID") as u32).collect();
    assert_eq!(uids, mail.keys().copied().collect::<Vec<_>>(), "{mailbox}");
    for one in fetched {
        let uid = one.number("UID") as u32;
        assert!(one.octets("BODY[]") == mail[&uid], "{mailbox}: message {uid} differs");
    }
}

pub(super) fn at(folder: &Folder, name: &str, flags: &[&str]) -> Output {
    let mut command = command(&[name]);
    command.arg("--data").arg(folder.path()).args(flags).output().unwrap()
}

#[track_caller]
pub(super) fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[track_caller]
pub(super) fn space(folder: &Folder) -> Value {
    serde_json::from_str(&said(&at(folder, "space", &["--json"]))).unwrap()
}

#[track_caller]
pub(super) fn clean_all(folder: &Folder) -> String {
    said(&at(folder, "clean", &["--all"]))
}

/// Bytes that a folder takes on the disk.
fn du(folder: &Path) -> u64 {
    let output = Command::new("du").args(["-s", "-B1"]).arg(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split('\t').next().unwrap().parse().unwrap()
}

fn sum(mail: &Mail) -> u64 {
    mail.values().map(|octets| octets.len() as u64).sum()
}

/// Every file in a folder with its length and the time of its last change.
fn listed(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(listed(&path));
        }
        found.insert(path, (metadata.len(), metadata.ctime(), metadata.ctime_nsec()));
    }
    found
}

#[track_caller]
fn verify(folder: &Folder) {
    let report = said(&at(folder, "verify", &[]));
    assert!(report.contains("sound: no damage found"), "{report}");
}

#[test]
fn expunged_mail_is_given_back_and_the_rest_stays() {
    let folder = Folder::new();
    let server = Server::with(&folder, &SMALL);
    let (mut client, mut random) = (server.login(), Random::seeded());
    let mut mail = fill(&mut client, &mut random);
    client.ok("CREATE Copies");
    client.ok("SELECT INBOX");
    client.ok("UID COPY 1:40 Copies");
    let copies: Mail = mail.range(1..=40).map(|(uid, octets)| (*uid, octets.clone())).collect();
    expunge(&mut client, &mut random, &mut mail);

    let report = clean_all(&folder);
    assert!(report.contains(" cleaned, "), "{report}");
    let space = space(&folder);
    assert_eq!(space["live"], sum(&mail) + sum(&copies), "{space:#}");
    // Of what is sealed, less is dead than lives.
    assert!(space["dead"].as_u64() < space["live"].as_u64(), "{space:#}");
    assert!(space["records"]["files"].as_u64() > Some(0), "{space:#}");
    assert_eq!((&space["running"], &space["due"]), (&true.into(), &false.into()), "{space:#}");
    // The active and ready segments are not cleaned.
    let most = sum(&mail) + sum(&copies) + (24 << 20);
    assert!(space["total"].as_u64() < Some(most + (24 << 20)), "{space:#}");
    // The segment that was active in the meantime may be worth cleaning now; there is an end.
    let mut again = (0..6).map(|_| clean_all(&folder));
    assert!(again.any(|report| report.contains("nothing to give back")));
    check(&mut client, "INBOX", &mail);
    check(&mut client, "Copies", &copies);

    // Restarts: after a stop, after a kill, and each without the catalog.
    drop(client);
    let mut server = server;
    for (kills, catalog) in [(false, true), (true, true), (false, false), (true, false)] {
        match kills {
            true => server.kill(),
            false => assert!(server.terminate().success()),
        }
        verify(&folder);
        if !catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        server = Server::with(&folder, &SMALL);
        let mut client = server.login();
        check(&mut client, "INBOX", &mail);
        check(&mut client, "Copies", &copies);
    }
}

#[test]
fn cleaning_amid_other_work_loses_nothing() {
    let folder = Folder::new();
    // The scrub reads what is moved and what goes.
    let server = Server::with(&folder, &[&SMALL[..], &["--scrub-every", "1s"]].concat());
    let (mut client, mut random) = (server.login(), Random::seeded());
    let mut mail = fill(&mut client, &mut random);
    expunge(&mut client, &mut random, &mut mail);
    let done = AtomicBool::new(false);
    let mut worker = server.login();
    let (mail, moved) = thread::scope(|scope| {
        // Moves every message away and appends others while the segments are cleaned.
        let (done, random, mut mail) = (&done, &mut random, mail);
        let work = scope.spawn(move || {
            let mut moved = Mail::new();
            let client = &mut worker;
            client.ok("CREATE Moved");
            client.ok("SELECT INBOX");
            let uids: Vec<u32> = mail.keys().copied().collect();
            for (next, uid) in (321..).zip(uids.into_iter().chain(std::iter::repeat(0))) {
                if uid == 0 && done.load(Ordering::Relaxed) {
                    break;
                }
                if uid % 2 == 1 {
                    client.ok(&format!("UID MOVE {uid} Moved"));
                    moved.insert(moved.len() as u32 + 1, mail.remove(&uid).unwrap());
                }
                if let Some((uid, octets)) = mail.iter().next_back() {
                    let reply = client.ok(&format!("UID FETCH {uid} (UID BODY.PEEK[])"));
                    let fetched = Fetched::all(&reply.untagged);
                    assert!(fetched[0].octets("BODY[]") == octets, "message {uid} differs");
                }
                let octets = message(random, 3_000);
                let reply = client.append("INBOX", &[Message { options: "", octets: &octets }]);
                assert!(reply.tagged.starts_with("OK"), "{}", reply.tagged);
                mail.insert(next, octets);
            }
            (mail, moved)
        });
        let cleaned = [0; 3].map(|_| at(&folder, "clean", &["--all"]));
        done.store(true, Ordering::Relaxed);
        cleaned.iter().for_each(|output| drop(said(output)));
        work.join().unwrap()
    });
    check(&mut client, "INBOX", &mail);
    check(&mut client, "Moved", &moved);
    drop(client);
    until(|| server.log().contains("was scrubbed").then_some(()));
    let log = server.log();
    assert!(!log.contains("has found damage"), "{log}");
    server.kill();
    verify(&folder);
    fs::remove_file(folder.catalog()).unwrap();
    let server = Server::with(&folder, &SMALL);
    let mut client = server.login();
    check(&mut client, "INBOX", &mail);
    check(&mut client, "Moved", &moved);
}

#[test]
fn a_folder_that_no_server_uses_is_cleaned_too() {
    let folder = Folder::new();
    let server = Server::with(&folder, &SMALL);
    let (mut client, mut random) = (server.login(), Random::seeded());
    let mut mail = fill(&mut client, &mut random);
    expunge(&mut client, &mut random, &mut mail);
    drop(client);
    server.kill();
    let before = du(&folder.path());
    let report = clean_all(&folder);
    assert!(report.contains(" cleaned, "), "{report}");
    verify(&folder);
    assert!(!folder.path().join("control").exists());
    let server = Server::with(&folder, &SMALL);
    check(&mut server.login(), "INBOX", &mail);
    assert!(server.terminate().success());
    // The start has cut off what cleaning did not use. A segment that its log had asked for ahead
    // and did not need is ready for mail.
    let after = du(&folder.path());
    let most = before + 2 * CLEANED_INTO;
    assert!(after < most, "{before} bytes before, {after} after:\n{report}");
}

/// Size of the segments that `mailrace clean` writes to on a stopped folder.
const CLEANED_INTO: u64 = 64 << 20;

#[test]
fn the_sum_is_what_the_disk_has_and_nothing_is_touched() {
    let folder = Folder::new();
    let server = Server::with(&folder, &SMALL);
    let (mut client, mut random) = (server.login(), Random::seeded());
    let mut mail = fill(&mut client, &mut random);
    expunge(&mut client, &mut random, &mut mail);
    let parts = ["sealed", "active", "ready", "preparing", "records", "catalog", "spare", "other"];
    let adds_up = |space: &Value| {
        let parts = parts.map(|part| space[part]["bytes"].as_u64().unwrap());
        assert_eq!(space["total"], parts.iter().sum::<u64>(), "{space:#}");
    };
    // The server may prepare segments in the meantime.
    loop {
        let before = du(&folder.path());
        let space = space(&folder);
        adds_up(&space);
        if du(&folder.path()) == before {
            assert_eq!(space["total"], before, "{space:#}");
            assert!(space["active"]["files"].as_u64() >= Some(2), "{space:#}");
            break;
        }
    }
    clean_all(&folder);
    drop(client);
    server.kill();
    // After a stop the catalog is whole, after a kill it is not.
    for kills in [false, true] {
        let server = Server::with(&folder, &SMALL);
        match kills {
            true => server.kill(),
            false => assert!(server.terminate().success()),
        }
        let before = listed(&folder.path());
        let space = space(&folder);
        adds_up(&space);
        assert_eq!(space["total"], du(&folder.path()), "{space:#}");
        assert_eq!((&space["running"], &space["live"]), (&false.into(), &sum(&mail).into()));
        let table = said(&at(&folder, "space", &[]));
        for words in ["no server uses it", "Living messages", "Record files", "Total", "Free disk"]
        {
            assert!(table.contains(words), "no {words:?} in\n{table}");
        }
        assert!(table.lines().all(|line| line.len() <= 100), "{table}");
        assert_eq!(listed(&folder.path()), before, "something was touched");
    }
    // Without a catalog, what lives is unknown.
    fs::remove_file(folder.catalog()).unwrap();
    assert_eq!(space(&folder)["live"], Value::Null);
    assert!(said(&at(&folder, "space", &[])).contains("unknown without a catalog"));
}

#[test]
fn a_long_path_and_a_left_socket_are_no_obstacle() {
    let outer = Folder::empty();
    let folder = Folder::at(outer.path().join("long".repeat(40)).join("long".repeat(20)));
    let socket = folder.path().join("control");
    for _ in 0..2 {
        let server = Server::start(&folder);
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(space(&folder)["running"], true);
        server.kill();
        assert!(socket.exists());
        assert_eq!(space(&folder)["running"], false);
    }
    let server = Server::start(&folder);
    assert!(server.terminate().success());
    assert!(!socket.exists());
    // A file of that name is not ours: the server runs without a control socket, and says so.
    fs::write(&socket, "mine").unwrap();
    let server = Server::start(&folder);
    assert!(server.log().contains("cannot make the control socket"), "{}", server.log());
    let output = at(&folder, "space", &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(75) && told.contains("does not answer"), "{told}");
    assert!(server.terminate().success());
    assert_eq!(fs::read(&socket).unwrap(), b"mine");
}

#[test]
fn nothing_is_made_where_no_data_is() {
    let folder = Folder::empty();
    let nowhere = folder.path().join("nowhere");
    for name in ["space", "clean"] {
        let output = mailrace(&[name, "--data", nowhere.to_str().unwrap()], "");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains("nowhere"), "{told}");
        assert!(!nowhere.exists());
    }
}

#[test]
fn what_is_no_request_is_refused_and_the_socket_stays_in_service() {
    let folder = Folder::new();
    let _server = Server::start(&folder);
    let socket = folder.path().join("control");
    for (request, answer) in [
        ("hello\n", "does not know"),
        ("{\"erase\":{}}\n", "does not know"),
        ("{\"clean\":{\"all\":true,\"more\":1}}\n", "does not know"),
        ("{\"space\":{}}\n", "\"running\":true"),
    ] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        assert!(line.contains(answer), "{line}");
    }
    // More than it reads, and then no line.
    let mut stream = UnixStream::connect(&socket).unwrap();
    let _ = stream.write_all(&[b'x'; 1 << 16]);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    assert_eq!(space(&folder)["running"], true);
}
