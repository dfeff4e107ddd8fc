//! `mailrace verify` names damage, and with `--repair` lets a server start in spite of it;
//! `mailrace inspect` shows what is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use kit::{Fetched, Folder, Message, Server, mailrace};
use redb::{Database, ReadableTable, TableDefinition};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::damage::{append_numbered, numbered};

/// A folder with ten numbered messages in INBOX, written by a server with one reactor that stopped.
fn stored() -> Folder {
    let folder = Folder::new();
    let server = Server::with(&folder, &["--reactors", "1"]);
    append_numbered(&mut server.login(), 0..10);
    assert!(server.terminate().success());
    folder
}

fn flip(path: &Path, at: usize) {
    let mut octets = fs::read(path).unwrap();
    octets[at] ^= 0x10;
    fs::write(path, &octets).unwrap();
}

fn run(folder: &Folder, command: &str, flags: &[&str]) -> Output {
    let data = folder.path();
    let arguments = [&[command, "--data", data.to_str().unwrap()], flags].concat();
    mailrace(&arguments, "")
}

/// The report as JSON. It must say the same as the exit code.
#[track_caller]
fn verify(folder: &Folder, flags: &[&str]) -> Value {
    let output = run(folder, "verify", &[&["--json"], flags].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    let fine = report["sound"] == true || report["repaired"] == true;
    assert_eq!(output.status.code(), Some(if fine { 0 } else { 65 }), "{report:#} {said}");
    report
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Whether a finding names this file, and the user, mailbox and UID of message `number`.
fn names(report: &Value, file: &str, number: u64) -> bool {
    report["damaged"].as_array().unwrap().iter().any(|one| {
        let within = one["first_uid"].as_u64() <= Some(number + 1)
            && one["last_uid"].as_u64() >= Some(number + 1);
        one["file"] == file && one["user"] == "alice" && one["mailbox"] == "INBOX" && within
    })
}

fn names_place(report: &Value, file: &str, offset: usize) -> bool {
    let damaged = report["damaged"].as_array().unwrap();
    damaged.iter().any(|one| one["file"] == file && one["offset"] == offset)
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else if name(&path) != "lock" {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

#[track_caller]
fn refused(folder: &Folder) -> String {
    let output = Server::fail(&folder.path(), &["--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(65), "{said}");
    said
}

/// The UIDs of INBOX whose octets are served, each checked.
fn served(server: &Server) -> Vec<u64> {
    let mut client = server.login();
    client.ok("SELECT INBOX");
    let reply = client.command("UID FETCH 1:* (UID BODY.PEEK[])");
    let all = Fetched::all(&reply.untagged);
    for one in &all {
        let number = one.number("UID") as usize - 1;
        assert!(one.octets("BODY[]") == numbered(number), "message {number} has other octets");
    }
    all.iter().map(|one| one.number("UID")).collect()
}

#[test]
fn a_sound_folder_is_sound_and_stays_as_it_is() {
    let folder = stored();
    for catalog in [true, false] {
        if !catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        let before = contents(&folder.path());
        let report = verify(&folder, &[]);
        assert_eq!(report["catalog"], if catalog { "agrees" } else { "none" }, "{report:#}");
        assert_eq!((&report["messages"], &report["living"]), (&10.into(), &10.into()));
        let output = run(&folder, "verify", &[]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("sound: no damage found"), "{text}");
        assert!(contents(&folder.path()) == before, "files were changed");
    }
}

#[test]
fn changes_of_all_kinds_are_sound() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.login();
    append_numbered(&mut client, 0..20);
    client.ok("CREATE kept");
    client.ok("CREATE gone");
    client.ok("SELECT INBOX");
    client.ok("UID COPY 2:9 kept");
    client.ok("UID MOVE 15 gone");
    client.ok("UID STORE 3:6 +FLAGS (\\Seen \\Deleted word)");
    client.ok("EXPUNGE");
    client.ok("RENAME kept elsewhere");
    client.ok("DELETE gone");
    client.ok("SUBSCRIBE elsewhere");
    // With the changes of the last moments in the log alone.
    server.kill();
    let report = verify(&folder, &[]);
    assert_eq!(report["sound"], true, "{report:#}");
    assert_eq!(report["living"], 15 + 8, "{report:#}");
    assert!(Server::start(&folder).terminate().success());
    let report = verify(&folder, &[]);
    assert_eq!(report["sound"], true, "{report:#}");
}

#[test]
fn one_flipped_bit_is_named_with_its_file_offset_user_mailbox_and_uid() {
    let folder = stored();
    let (segment, at) = folder.find(b"message <7>").unwrap();
    let frame = at / 4096 * 4096;
    let records = frame + numbered(7).len().next_multiple_of(4096) - 4096;
    let whole = fs::read(&segment).unwrap();
    let records = (records..).find(|at| whole[*at..].starts_with(b"alice")).unwrap();
    let file = name(&segment);
    // In a message, in the header of its frame, in its records.
    for (flipped, place) in [(at + 1000, at), (frame + 9, frame), (records, frame)] {
        flip(&segment, flipped);
        let report = verify(&folder, &[]);
        assert!(names(&report, &file, 7), "octet {flipped}: {report:#}");
        let near = (frame..=place).any(|place| names_place(&report, &file, place));
        assert!(near, "octet {flipped}: {report:#}");
        fs::write(&segment, &whole).unwrap();
    }
    // In the header of the segment.
    flip(&segment, 40);
    let report = verify(&folder, &[]);
    assert!(names_place(&report, &file, 0), "{report:#}");
    fs::write(&segment, &whole).unwrap();
    assert_eq!(verify(&folder, &[])["sound"], true);
}

#[test]
fn a_segment_that_is_missing_or_too_short_is_named() {
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
    assert!(server.terminate().success());
    for sought in [12, 29] {
        let (segment, _) = folder.find(format!("Subject: <{sought}>").as_bytes()).unwrap();
        let whole = fs::read(&segment).unwrap();
        for cut in [true, false] {
            match cut {
                true => fs::write(&segment, &whole[..8192]).unwrap(),
                false => fs::remove_file(&segment).unwrap(),
            }
            let report = verify(&folder, &[]);
            assert!(names(&report, &name(&segment), sought), "{sought} {cut}: {report:#}");
            fs::write(&segment, &whole).unwrap();
        }
    }
    assert_eq!(verify(&folder, &[])["sound"], true);
}

#[test]
fn a_damaged_catalog_is_named_and_set_aside() {
    let folder = stored();
    let whole = fs::read(folder.catalog()).unwrap();
    // The chunk of INBOX: its entries have the checksums of the messages.
    let checksum = xxhash_rust::xxh3::xxh3_128(&numbered(7)).to_le_bytes();
    let places: Vec<_> = memchr::memmem::find_iter(&whole, &checksum).collect();
    assert!(!places.is_empty());
    for at in places {
        flip(&folder.catalog(), at);
    }
    let report = verify(&folder, &[]);
    assert_eq!(report["catalog"], "contradicts", "{report:#}");
    assert!(names(&report, "catalog.redb", 7) || report["damaged"][0]["mailbox"] == "INBOX");
    assert_eq!(report["damaged"][0]["user"], "alice", "{report:#}");
    assert_eq!(verify(&folder, &["--repair"])["repaired"], true);
    assert!(folder.path().join("catalog.redb.damaged-1").exists());
    let server = Server::start(&folder);
    assert_eq!(served(&server), (1..=10).collect::<Vec<_>>());
    assert!(server.terminate().success());
    assert_eq!(verify(&folder, &[])["sound"], true);

    fs::write(folder.catalog(), vec![b'x'; 100_000]).unwrap();
    let report = verify(&folder, &[]);
    assert_eq!(report["damaged"][0]["file"], "catalog.redb", "{report:#}");
}

/// Starts without a flag, several times, with and without the catalog, and checks what is served.
fn starts_without(folder: &Folder, lost: u64) {
    for catalog in [true, true, false, true, false] {
        if !catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        let server = Server::start(folder);
        let served = served(&server);
        assert!(!served.contains(&lost) && served.len() == 9, "{served:?}");
        let log = server.log();
        assert!(log.contains("quarantine: "), "the loss is not named: {log}");
        let listed = fs::read_to_string(folder.path().join("quarantine.json")).unwrap();
        assert!(listed.contains(".seg"), "{listed}");
        match catalog {
            true => assert!(server.terminate().success()),
            false => server.kill(),
        }
    }
}

#[test]
fn after_a_repair_a_server_starts_and_refuses_only_new_damage() {
    for header in [false, true] {
        let folder = stored();
        fs::remove_file(folder.catalog()).unwrap();
        let (segment, at) = folder.find(b"message <7>").unwrap();
        flip(&segment, if header { at / 4096 * 4096 + 9 } else { at + 1000 });
        refused(&folder);
        let segments = contents(&folder.path().join("segments"));
        let report = verify(&folder, &["--repair"]);
        assert_eq!((&report["repaired"], &report["recorded"]), (&true.into(), &true.into()));
        assert!(contents(&folder.path().join("segments")) == segments);
        starts_without(&folder, 8);
        let report = verify(&folder, &[]);
        assert_eq!((&report["sound"], &report["recorded"]), (&false.into(), &true.into()));

        // New damage.
        let (segment, at) = folder.find(b"message <3>").unwrap();
        let whole = fs::read(&segment).unwrap();
        for at in [at + 500, at / 4096 * 4096 + 9] {
            flip(&segment, at);
            let catalog = fs::read(folder.catalog()).unwrap();
            fs::remove_file(folder.catalog()).unwrap();
            let said = refused(&folder);
            assert!(said.contains("Nothing was changed"), "{said}");
            assert_eq!(verify(&folder, &[])["recorded"], false);
            fs::write(&segment, &whole).unwrap();
            fs::write(folder.catalog(), catalog).unwrap();
        }
        starts_without(&folder, 8);
        // Without the record, the loss is refused again.
        fs::remove_file(folder.path().join("losses")).unwrap();
        fs::remove_file(folder.catalog()).unwrap();
        refused(&folder);
    }
}

#[test]
fn a_damaged_record_of_losses_stops_the_start_and_is_named() {
    let folder = stored();
    fs::write(folder.path().join("losses"), b"mrlosses and more").unwrap();
    let said = refused(&folder);
    assert!(said.contains("losses is damaged") && said.contains("--repair"), "{said}");
    assert_eq!(verify(&folder, &[])["damaged"][0]["file"], "losses");
    assert_eq!(verify(&folder, &["--repair"])["repaired"], true);
    let server = Server::start(&folder);
    assert_eq!(served(&server).len(), 10);
}

#[test]
fn beside_a_running_server_complete_segments_are_checked() {
    let folder = stored();
    let server = Server::with(&folder, &["--reactors", "1", "--segment-size", "4M"]);
    let mut client = server.login();
    let octets = numbered(1).repeat(100);
    for _ in 0..20 {
        let message = Message { options: "", octets: &octets };
        assert!(client.append_in_step("INBOX", &[message]).tagged.starts_with("OK "));
    }
    let report = verify(&folder, &[]);
    assert_eq!((&report["running"], &report["sound"]), (&true.into(), &true.into()), "{report:#}");
    let output = run(&folder, "verify", &["--repair"]);
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let (segment, at) = folder.find(b"message <7>").unwrap();
    for at in [at + 1000, at / 4096 * 4096 + 9] {
        flip(&segment, at);
        let report = verify(&folder, &[]);
        assert_eq!(report["damaged"][0]["file"], *name(&segment), "{report:#}");
        flip(&segment, at);
    }
    let output = run(&folder, "inspect", &[]);
    assert!(output.status.success());
    assert!(server.terminate().success());
}

#[test]
fn segments_frames_and_records_are_shown_without_mail() {
    let folder = stored();
    let show = |flags: &[&str]| {
        let output = run(&folder, "inspect", flags);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (segment, at) = folder.find(b"message <7>").unwrap();
    let file = name(&segment);
    let text = show(&["--records"]);
    for part in
        [&*file, "log 0 of 1", "CreateMailbox", "commit of batch", "user \"alice\", mailbox"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("message <"), "{text}");
    assert!(!show(&[]).contains("  4096: frame"));
    flip(&segment, at / 4096 * 4096 + 9);
    let text = show(&[&*file, "--frames"]);
    let damaged = format!("  {}: DAMAGED up to byte ", at / 4096 * 4096);
    assert!(text.contains(&damaged), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains(".seg: ")).count(), 1, "{text}");
    let output = run(&folder, "inspect", &["no-such"]);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
}

/// A catalog that has forgotten which EMAILIDs were given would give them again.
#[test]
fn a_counter_of_the_catalog_that_is_too_low_is_named() {
    const ACCOUNTS: TableDefinition<&str, &[u8]> = TableDefinition::new("accounts");
    let folder = stored();
    assert_eq!(verify(&folder, &[])["sound"], true);
    let database = Database::open(folder.catalog()).unwrap();
    let writing = database.begin_write().unwrap();
    {
        let mut accounts = writing.open_table(ACCOUNTS).unwrap();
        let mut row = accounts.get("alice").unwrap().unwrap().value().to_vec();
        // Between the last UIDVALIDITY and the checksum of the row.
        assert_eq!(row[12..20], 11_u64.to_le_bytes());
        row[12..20].copy_from_slice(&5_u64.to_le_bytes());
        let sum = xxh3_64(&row[..20]).to_le_bytes();
        row[20..].copy_from_slice(&sum);
        accounts.insert("alice", &row[..]).unwrap();
    }
    writing.commit().unwrap();
    drop(database);
    let report = verify(&folder, &[]);
    assert_eq!(report["sound"], false);
    let said = report.to_string();
    assert!(said.contains("would give EMAILID M5 again, the log says Mb is next"), "{said}");
}
