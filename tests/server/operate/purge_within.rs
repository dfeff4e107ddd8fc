//! `--purge-within`: octets of expunged mail leave the disk in time, on an idle server too.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kit::{Client, Folder, Message, Server};

use super::space::{Mail, at, check, said};
use crate::observe::http::get;
use crate::observe::until;

/// In every message that has to go.
const MARKER: &[u8] = b"Subject: the launch code is 00000000\r\n";

fn purging(folder: &Folder, more: &[&str]) -> (Server, SocketAddr) {
    let flags = ["--segment-size", "4M", "--reactors", "2", "--admin", "127.0.0.1:0"];
    let server = Server::with(folder, &[&flags[..], more].concat());
    let admin = server.admin();
    (server, admin)
}

/// The files below a folder with the marker in them.
fn marked(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(marked(&path)),
            false => {
                // Files go while they are looked at.
                let octets = fs::read(&path).unwrap_or_default();
                found.extend(memchr::memmem::find(&octets, MARKER).map(|_| path));
            }
        }
    }
    found
}

#[track_caller]
fn nothing_is_marked(folder: &Folder) {
    assert_eq!(marked(&folder.path()), [] as [PathBuf; 0]);
}

/// Waits until all is gone and the server knows that.
fn purged(folder: &Folder, admin: SocketAddr) {
    let name = "mailrace_purge_oldest_dead_seconds ";
    until(|| {
        let text = get(admin, "/metrics").body;
        let oldest = text.lines().find_map(|line| line.strip_prefix(name));
        let oldest: f64 = oldest.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap();
        (oldest == 0.0 && marked(&folder.path()).is_empty()).then_some(())
    });
}

fn message(octets: usize) -> Vec<u8> {
    let mut text = MARKER.to_vec();
    text.extend_from_slice(b"\r\n");
    text.resize(octets.max(text.len()), b'x');
    text
}

fn append(client: &mut Client, mailbox: &str, octets: &[u8]) {
    let reply = client.append(mailbox, &[Message { options: "", octets }]);
    assert!(reply.tagged.starts_with("OK"), "{}", reply.tagged);
}

/// Mail that stays, and mail that goes in every way there is.
fn leave_dead_mail(server: &Server, folder: &Folder) -> Mail {
    let mut client = server.login();
    let mut mail = Mail::new();
    // A batch that breaks when a part of it is on the disk.
    let mut broken = server.login();
    let octets = message(1 << 20);
    broken.send(format!("x APPEND INBOX {{{}+}}\r\n", octets.len() + 9).as_bytes());
    broken.send(&octets);
    until(|| (!marked(&folder.path()).is_empty()).then_some(()));
    drop(broken);
    for uid in [1, 3] {
        let octets = format!("Subject: harmless {uid}\r\n\r\nNothing to see.\r\n").into_bytes();
        append(&mut client, "INBOX", &octets);
        if uid == 1 {
            append(&mut client, "INBOX", &message(200));
        }
        mail.insert(uid, octets);
    }
    client.ok("SELECT INBOX");
    client.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)");
    client.ok("UID EXPUNGE 2");
    // A mailbox that comes and goes between two checkpoints.
    client.ok("CREATE Secrets");
    append(&mut client, "Secrets", &message(3_000));
    client.ok("DELETE Secrets");
    mail
}

#[test]
fn dead_octets_go_from_an_idle_server() {
    let folder = Folder::new();
    let (server, admin) = purging(&folder, &["--purge-within", "1s"]);
    let mail = leave_dead_mail(&server, &folder);
    purged(&folder, admin);
    check(&mut server.login(), "INBOX", &mail);
    let report = said(&at(&folder, "space", &[]));
    assert!(report.contains("Expunged mail: none on the disk"), "{report}");
    // Nothing is moved for nothing.
    let before = folder.segments();
    let report = said(&at(&folder, "clean", &["--purge"]));
    assert!(report.contains("nothing to give back"), "{report}");
    assert_eq!(folder.segments(), before);
    assert!(server.terminate().success());

    nothing_is_marked(&folder);
    let report = said(&at(&folder, "verify", &[]));
    assert!(report.contains("sound: no damage found"), "{report}");
    let (server, _) = purging(&folder, &[]);
    check(&mut server.login(), "INBOX", &mail);
}

#[test]
fn what_died_before_a_crash_and_without_the_setting_goes_too() {
    let folder = Folder::new();
    let (server, _) = purging(&folder, &[]);
    let mail = leave_dead_mail(&server, &folder);
    server.kill();
    assert!(!marked(&folder.path()).is_empty());
    let (server, admin) = purging(&folder, &["--purge-within", "1s"]);
    purged(&folder, admin);
    check(&mut server.login(), "INBOX", &mail);
    assert!(server.terminate().success());
    // Without the catalog everything is read from the log.
    fs::remove_file(folder.path().join("catalog.redb")).unwrap();
    let (server, _) = purging(&folder, &[]);
    check(&mut server.login(), "INBOX", &mail);
    nothing_is_marked(&folder);
}

#[test]
fn cleaning_a_stopped_folder_leaves_no_dead_octets() {
    let folder = Folder::new();
    let (server, _) = purging(&folder, &[]);
    let mail = leave_dead_mail(&server, &folder);
    let refused = at(&folder, "clean", &["--purge"]);
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("--purge-within"), "{why}");
    assert!(server.terminate().success());
    assert!(!marked(&folder.path()).is_empty());
    said(&at(&folder, "clean", &["--purge"]));
    nothing_is_marked(&folder);
    let (server, _) = purging(&folder, &[]);
    check(&mut server.login(), "INBOX", &mail);
}
