//! `mailrace backup` of a running server and `mailrace restore`: everything acknowledged before the
//! backup began is there, byte for byte, and nothing that was never sent.

mod cleaned;
mod load;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use kit::{
    Fetched, Folder, Image, Kind, Message, PASSWORD, Random, Server, command, mailrace, scratch,
};
use mailrace::store::{Segments, strip};
use serde_json::Value;

use self::load::{CLIENTS, Load, check};
use crate::damage::{append_numbered, numbered};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run_backup(folder: &Folder, to: &Path, flags: &[&str]) -> Output {
    let data = folder.path();
    let arguments = ["backup", "--data", text(&data), "--to", text(to)];
    mailrace(&[&arguments, flags].concat(), "")
}

/// A backup that succeeds; its report.
#[track_caller]
fn backup(folder: &Folder, to: &Path, flags: &[&str]) -> Value {
    let output = run_backup(folder, to, &[&["--json"], flags].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn run_restore(from: &Path, to: &Folder) -> Output {
    let data = to.path();
    mailrace(&["restore", "--from", text(from), "--data", text(&data)], "")
}

/// A data folder made of a backup.
#[track_caller]
fn restore(from: &Path) -> Folder {
    let folder = Folder::empty();
    let output = run_restore(from, &folder);
    assert!(output.status.success(), "{output:?}");
    folder
}

/// Whether `mailrace verify` finds nothing.
#[track_caller]
fn is_sound(folder: &Folder) {
    let output = mailrace(&["verify", "--data", text(&folder.path())], "");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("sound: "), "{said}");
}

fn place() -> tempfile::TempDir {
    tempfile::tempdir_in(scratch()).unwrap()
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report:#}"))
}

/// Backups under load into `to`, and a restore of the last.
fn under_load(folder: &Folder, to: &Path, links: bool, between: impl Fn()) {
    folder.add_user("bob", PASSWORD, &[]);
    let server = Server::with(folder, &["--segment-size", "4M", "--reactors", "2"]);
    let load = Load::start(server.address());
    let mut last = Vec::new();
    for round in 0..4 {
        load.wait(60);
        last = load.acknowledged();
        between();
        let report = backup(folder, to, if round % 2 == 0 { &[] } else { &["--verify"] });
        println!("{report}");
        assert_eq!(number(&report, "linked") > 0, links, "{report:#}");
    }
    load.wait(5);
    let done = load.stop();
    server.kill();
    let restored = restore(to);
    is_sound(&restored);
    let server = Server::with(&restored, &["--reactors", "3"]);
    check(&server, &done, &last);
    assert!(server.terminate().success());
    is_sound(&restored);
}

#[test]
fn a_backup_under_load_has_everything_acknowledged_before_it() {
    let folder = Folder::new();
    let to = place();
    under_load(&folder, &to.path().join("new/backup"), true, || ());
}

#[test]
fn a_backup_on_another_file_system_is_copied() {
    let to = tempfile::tempdir_in("/dev/shm").unwrap();
    under_load(&Folder::new(), to.path(), false, || ());
}

#[test]
fn an_interrupted_backup_leaves_the_one_before_it() {
    let (folder, to) = (Folder::new(), tempfile::tempdir_in("/dev/shm").unwrap());
    folder.add_user("bob", PASSWORD, &[]);
    let server = Server::with(&folder, &["--segment-size", "4M", "--reactors", "2"]);
    let load = Load::start(server.address());
    let mut random = Random::seeded();
    let manifest = || fs::read(to.path().join("backup.json")).ok();
    // Restored folders, and what must be in them.
    let (mut restored, mut floor) = (Vec::new(), vec![0; CLIENTS]);
    for _ in 0..8 {
        load.wait(20);
        let (before, now) = (manifest(), load.acknowledged());
        let mut child = command(&["backup", "--data", text(&folder.path())])
            .args(["--to", text(to.path())])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(random.below(100) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        let after = manifest();
        if after.is_none() {
            let output = run_restore(to.path(), &Folder::empty());
            assert_eq!(output.status.code(), Some(74), "{output:?}");
            continue;
        }
        if after != before {
            floor = now;
        }
        restored.push((restore(to.path()), floor.clone()));
    }
    println!("{} of 8 left a backup", restored.len());
    load.wait(5);
    floor = load.acknowledged();
    backup(&folder, to.path(), &["--verify"]);
    let done = load.stop();
    server.kill();
    restored.push((restore(to.path()), floor));
    for (folder, floor) in restored {
        is_sound(&folder);
        check(&Server::start(&folder), &done, &floor);
    }
}

#[test]
fn a_second_backup_copies_only_what_is_new() {
    let to = tempfile::tempdir_in("/dev/shm").unwrap();
    let linked = place();
    let folder = Folder::new();
    let flags = ["--segment-size", "4M", "--reactors", "1"];
    let server = Server::with(&folder, &flags);
    let octets = numbered(1).repeat(100);
    let append = |server: &Server| {
        let message = Message { options: "", octets: &octets };
        assert!(server.login().append_in_step("INBOX", &[message]).tagged.starts_with("OK "));
    };
    (0..20).for_each(|_| append(&server));
    let first = backup(&folder, to.path(), &[]);
    assert!(number(&first, "bytes_copied") >= 20 * octets.len() as u64, "{first:#}");
    let again = backup(&folder, to.path(), &[]);
    // The last frame, which no watermark covers yet.
    assert!(number(&again, "bytes_copied") < 2 << 20, "{again:#}");
    append(&server);
    let third = backup(&folder, to.path(), &[]);
    assert!(number(&third, "bytes_copied") < 4 << 20, "{third:#}");
    assert_eq!(number(&third, "removed"), 0, "{third:#}");
    backup(&folder, linked.path(), &[]);
    (0..5).for_each(|_| append(&server));
    let links = backup(&folder, linked.path(), &["--verify"]);
    assert!(number(&links, "bytes_copied") < 6 << 20, "{links:#}");
    assert!(number(&links, "linked") + number(&links, "kept") >= 3, "{links:#}");
    assert!(server.terminate().success());
    // After a restart, all of the former epoch is sealed.
    let server = Server::with(&folder, &flags);
    append(&server);
    let fourth = backup(&folder, to.path(), &["--verify"]);
    assert!(number(&fourth, "bytes_copied") < 8 << 20, "{fourth:#}");
    let server_end = server.terminate();
    assert!(server_end.success());
    // Of a stopped folder, into a backup of links and copies.
    for to in [to.path(), linked.path()] {
        backup(&folder, to, &["--verify"]);
        let restored = restore(to);
        let server = Server::start(&restored);
        let mut client = server.login();
        client.ok("SELECT INBOX");
        let all = Fetched::all(&client.ok("FETCH 1:* (BODY.PEEK[])").untagged);
        assert_eq!(all.len(), 27);
        assert!(all.iter().all(|one| one.octets("BODY[]") == octets));
    }
}

/// UIDVALIDITY and UIDNEXT of INBOX, and its last UID and EMAILID.
fn identity(server: &Server) -> (u64, u64, u64, String) {
    let mut client = server.login();
    let status = client.ok("STATUS INBOX (UIDVALIDITY UIDNEXT)").texts().join(" ");
    let number = |name: &str| {
        let rest = status.split_once(name).unwrap_or_else(|| panic!("{status}")).1;
        let digits: String = rest.trim().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    let (validity, next) = (number("UIDVALIDITY"), number("UIDNEXT"));
    client.ok("SELECT INBOX");
    let all = Fetched::all(&client.ok("UID FETCH * (UID EMAILID)").untagged);
    (validity, next, all[0].number("UID"), all[0].text("EMAILID").to_owned())
}

#[test]
fn after_a_restore_no_client_takes_new_mail_for_old() {
    let (folder, to) = (Folder::new(), place());
    let server = Server::start(&folder);
    append_numbered(&mut server.login(), 0..3);
    backup(&folder, to.path(), &[]);
    // Clients see this, and it is lost.
    append_numbered(&mut server.login(), 3..4);
    let lost = identity(&server);
    server.kill();
    let mut restored = restore(to.path());
    let mut before = lost;
    for generation in 0..2 {
        let server = Server::start(&restored);
        let first = identity(&server);
        assert!(first.0 > before.0 && first.1 > before.1, "{before:?} {first:?}");
        append_numbered(&mut server.login(), 3 + generation..4 + generation);
        let now = identity(&server);
        assert!(now.2 > before.2 && now.3 != before.3, "{before:?} {now:?}");
        assert_eq!(now.0, first.0);
        server.kill();
        // Neither a restart nor a catalog made again from the log changes it once more.
        for catalog in [true, false] {
            if !catalog {
                fs::remove_file(restored.catalog()).unwrap();
            }
            let server = Server::start(&restored);
            assert_eq!(identity(&server), now, "with catalog: {catalog}");
            assert!(server.terminate().success());
            is_sound(&restored);
        }
        before = now;
        let next = place();
        backup(&restored, next.path(), &["--verify"]);
        restored = restore(next.path());
    }
    let server = Server::start(&restored);
    let mut client = server.login();
    client.ok("SELECT INBOX");
    let all = Fetched::all(&client.ok("FETCH 1:* (BODY.PEEK[])").untagged);
    assert_eq!(all.len(), 5);
    for (at, one) in all.iter().enumerate() {
        assert!(one.octets("BODY[]") == numbered(at));
    }
}

#[test]
fn folders_that_cannot_be_source_or_target_are_refused() {
    let (folder, place) = (Folder::new(), place());
    let server = Server::start(&folder);
    append_numbered(&mut server.login(), 0..2);
    let refused = |output: Output, code: i32, word: &str| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(word), "{said}");
    };
    refused(run_backup(&folder, &folder.path().join("backup"), &[]), 64, "one is in the other");
    assert!(!folder.path().join("backup").exists());
    refused(run_backup(&folder, &folder.path(), &[]), 64, "same folder");
    let to = place.path().join("to");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("photo.jpg"), b"mine").unwrap();
    refused(run_backup(&folder, &to, &[]), 64, "photo.jpg");
    refused(run_restore(&to, &Folder::empty()), 74, "no complete backup");
    fs::remove_file(to.join("photo.jpg")).unwrap();
    backup(&folder, &to, &[]);
    refused(run_restore(&to, &folder), 64, "is not empty");
    refused(Server::fail(&to, &["--listen", "127.0.0.1:0"]), 65, "is a backup");
    let of_backup = Folder::at(place.path().join("unused"));
    let other = mailrace(&["backup", "--data", text(&to), "--to", text(&of_backup.path())], "");
    refused(other, 64, "is a backup");
    // A restore that was interrupted.
    let unfinished = Folder::empty();
    fs::write(unfinished.path().join("restoring"), b"").unwrap();
    let started = Server::fail(&unfinished.path(), &["--listen", "127.0.0.1:0"]);
    refused(started, 65, "restored completely");
    assert!(run_restore(&to, &unfinished).status.success());
    assert_eq!(identity(&Server::start(&unfinished)).2, 2);
}

#[test]
fn tampering_is_found() {
    let (folder, to) = (Folder::new(), tempfile::tempdir_in("/dev/shm").unwrap());
    let server = Server::start(&folder);
    append_numbered(&mut server.login(), 0..5);
    assert!(server.terminate().success());
    let server = Server::start(&folder);
    backup(&folder, to.path(), &["--verify"]);
    // A segment that is complete, so that the backup does not copy it again.
    let segments: Vec<PathBuf> = fs::read_dir(to.path().join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| memchr::memmem::find(&fs::read(path).unwrap(), b"message <3>").is_some())
        .collect();
    let mut octets = fs::read(&segments[0]).unwrap();
    let at = memchr::memmem::find(&octets, b"message <3>").unwrap();
    octets[at + 100] ^= 1;
    fs::remove_file(&segments[0]).unwrap();
    fs::write(&segments[0], &octets).unwrap();
    let mut permissions = fs::metadata(&segments[0]).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&segments[0], permissions).unwrap();
    let output = run_backup(&folder, to.path(), &["--verify"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(65), "{output:?}");
    assert!(said.contains("damaged: ") && said.contains("INBOX"), "{said}");
    // The manifest.
    let path = to.path().join("backup.json");
    let manifest = fs::read_to_string(&path).unwrap();
    fs::write(&path, manifest.replacen("\"stripped\": false", "\"stripped\": true", 1)).unwrap();
    let output = run_restore(to.path(), &Folder::empty());
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    drop(server);
}

#[test]
fn record_files_take_the_place_of_segments_in_the_next_backup() {
    let (folder, links, copies) =
        (Folder::new(), place(), tempfile::tempdir_in("/dev/shm").unwrap());
    let server = Server::with(&folder, &["--reactors", "1"]);
    let mut client = server.login();
    append_numbered(&mut client, 0..5);
    client.ok("SELECT INBOX");
    client.ok("STORE 1:* +FLAGS (\\Deleted)");
    client.ok("EXPUNGE");
    assert!(server.terminate().success());
    let (old, _) = folder.find(b"message <3>").unwrap();
    let server = Server::with(&folder, &["--reactors", "1"]);
    append_numbered(&mut server.login(), 5..8);
    for to in [links.path(), copies.path()] {
        backup(&folder, to, &["--verify"]);
    }
    assert!(server.terminate().success());
    let segments = Segments::open(&folder.path().join("segments")).unwrap();
    let listed = segments.list().unwrap();
    let stripped = listed.iter().find(|(segment, _)| old.ends_with(segment.file_name())).unwrap().0;
    strip(&segments, stripped).unwrap();
    // The start removes the segment.
    let server = Server::with(&folder, &["--reactors", "1"]);
    assert!(!old.exists());
    for to in [links.path(), copies.path()] {
        let report = backup(&folder, to, &["--verify"]);
        assert!(number(&report, "removed") >= 1, "{report:#}");
        let records = to.join("records").join(stripped.record_file_name());
        assert!(records.exists() && !to.join("segments").join(stripped.file_name()).exists());
        let report = backup(&folder, to, &["--verify"]);
        assert_eq!(number(&report, "removed"), 0, "{report:#}");
        let server = Server::start(&restore(to));
        assert_eq!(identity(&server).2, 8);
        fs::remove_file(records).unwrap();
        let output = run_restore(to, &Folder::empty());
        assert_eq!(output.status.code(), Some(74), "{output:?}");
    }
    assert!(server.terminate().success());
}

#[test]
fn a_full_disk_leaves_the_backup_before_it() {
    let Some(image) = Image::new(Kind::Ext4, "backup-full", 64) else { return };
    let (folder, disk) = (Folder::new(), image.folder().path());
    let to = disk.join("../backup");
    let server = Server::with(&folder, &["--segment-size", "4M", "--reactors", "1"]);
    append_numbered(&mut server.login(), 0..5);
    backup(&folder, &to, &["--verify"]);
    let octets = numbered(1).repeat(500);
    for _ in 0..15 {
        let message = Message { options: "", octets: &octets };
        assert!(server.login().append_in_step("INBOX", &[message]).tagged.starts_with("OK "));
    }
    image.fill(1 << 20);
    let output = run_backup(&folder, &to, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("No space left"), "{said}");
    let restored = restore(&to);
    let old = Server::start(&restored);
    assert_eq!(identity(&old).2, 5);
    image.empty();
    server.kill();
}
