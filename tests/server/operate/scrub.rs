//! The scrub finds damage in what a running server has stored, and names it.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;

use kit::{Folder, Random, Server};

use super::space::{SMALL, clean_all, expunge, fill, space};
use crate::observe::http::get;
use crate::observe::until;

/// Passes follow each other every second.
fn scrubbing(folder: &Folder) -> (Server, SocketAddr) {
    let flags = ["--scrub-every", "1s", "--admin", "127.0.0.1:0"];
    let server = Server::with(folder, &[&SMALL[..], &flags].concat());
    let admin = server.admin();
    (server, admin)
}

fn metric(admin: SocketAddr, name: &str) -> u64 {
    let text = get(admin, "/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

/// Waits until the scrub has begun and ended a pass from now on.
fn pass(admin: SocketAddr) {
    for _ in 0..2 {
        let last = metric(admin, "mailrace_scrub_last_seconds");
        until(|| (metric(admin, "mailrace_scrub_last_seconds") > last).then_some(()));
    }
}

fn findings(admin: SocketAddr) -> u64 {
    metric(admin, "mailrace_scrub_findings")
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut octet = [0];
    file.read_exact_at(&mut octet, at).unwrap();
    file.write_all_at(&[octet[0] ^ 0x10], at).unwrap();
    file.sync_all().unwrap();
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn a_flipped_bit_is_found_and_named() {
    let folder = Folder::new();
    let (server, admin) = scrubbing(&folder);
    let (mut client, mut random) = (server.login(), Random::seeded());
    let mail = fill(&mut client, &mut random);
    pass(admin);
    assert_eq!(findings(admin), 0, "{}", server.log());
    assert!(metric(admin, "mailrace_scrubbed_files_total") > 0);

    // In the octets of a message.
    let (segment, at) = folder.find(&mail[&3][..60]).unwrap();
    flip(&segment, at as u64 + 40);
    until(|| (findings(admin) > 0).then_some(()));
    let log = server.log();
    let line = log.lines().find(|line| line.contains("found damage")).unwrap();
    for words in
        [name(&segment), &format!("at byte {at}"), "user \"alice\", mailbox \"INBOX\", UID 3"]
    {
        assert!(line.contains(words), "no {words:?} in {line}");
    }
    assert!(space(&folder)["scrub"]["findings"].as_u64() > Some(0));
    flip(&segment, at as u64 + 40);
    until(|| (findings(admin) == 0).then_some(()));

    // A restart keeps what is known.
    let last = metric(admin, "mailrace_scrub_last_seconds");
    assert!(server.terminate().success());
    let (server, admin) = scrubbing(&folder);
    assert!(metric(admin, "mailrace_scrub_last_seconds") >= last);

    // In the header of a frame: nobody knows whose mail it is.
    let segment = &folder.segments()[0];
    flip(segment, 4096 + 40);
    until(|| (findings(admin) > 0).then_some(()));
    let log = server.log();
    let line = log.lines().rfind(|line| line.contains("found damage")).unwrap();
    assert!(line.contains(name(segment)) && line.contains("at byte 4096"), "{line}");
    flip(segment, 4096 + 40);
    pass(admin);
    assert_eq!(findings(admin), 0);
}

#[test]
fn a_record_file_is_checked_too_and_one_that_goes_is_no_damage() {
    let folder = Folder::new();
    let (server, admin) = scrubbing(&folder);
    let (mut client, mut random) = (server.login(), Random::seeded());
    let mut mail = fill(&mut client, &mut random);
    expunge(&mut client, &mut random, &mut mail);
    clean_all(&folder);
    pass(admin);
    assert_eq!(findings(admin), 0, "{}", server.log());
    let mut records = fs::read_dir(folder.path().join("records")).unwrap();
    let record = records.next().unwrap().unwrap().path();
    flip(&record, fs::metadata(&record).unwrap().len() / 2);
    until(|| (findings(admin) > 0).then_some(()));
    let log = server.log();
    assert!(log.contains(&format!("found damage: {} at byte", name(&record))), "{log}");
}

#[test]
fn it_can_be_off() {
    let folder = Folder::new();
    let flags = ["--scrub-every", "off", "--admin", "127.0.0.1:0"];
    let server = Server::with(&folder, &flags);
    assert!(!get(server.admin(), "/metrics").body.contains("scrub"));
}
