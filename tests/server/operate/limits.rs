//! A server that runs out of descriptors or locked memory, or loses its folder.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write, stderr};
use std::process::{Command, Stdio};

use kit::{Client, Folder, Message, Server, command};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

const MEGABYTE: Message<'static> = Message { options: "", octets: &[b'x'; 1 << 20] };

fn descriptors(pid: Pid, current: u64) {
    let maximum = Some(20_000);
    prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(current), maximum }).unwrap();
}

/// Without a descriptor the next segment cannot be opened. The disk has not failed.
#[test]
fn a_lack_of_descriptors_is_no_room_for_now() {
    let folder = Folder::new();
    let flags = ["--segment-size", "4M", "--segments-ahead", "0", "--reactors", "1"];
    let server = Server::with(&folder, &flags);
    let mut client = server.login();
    client.ok("NOOP");
    descriptors(server.pid(), 5);
    let refused = (0..40).map(|_| client.append("INBOX", &[MEGABYTE]).tagged);
    let refused = refused.into_iter().find(|tagged| !tagged.starts_with("OK ")).unwrap();
    assert!(refused.starts_with("NO [UNAVAILABLE] "), "{refused}");
    descriptors(server.pid(), 1024);
    let tagged = client.append("INBOX", &[MEGABYTE]).tagged;
    assert!(tagged.starts_with("OK "), "{tagged}");
    assert!(server.terminate().success());
}

#[test]
fn a_folder_that_goes_away_ends_the_promises() {
    for what in ["segments", "data"] {
        let folder = Folder::new();
        let server = Server::with(&folder, &["--reactors", "1"]);
        let mut client = server.login();
        let small = Message { options: "", octets: b"Subject: a\r\n\r\n" };
        assert!(client.append("INBOX", &[small]).tagged.starts_with("OK "));
        let from = match what {
            "segments" => folder.path().join("segments"),
            _ => folder.path(),
        };
        let away = from.with_extension("away");
        fs::rename(&from, &away).unwrap();
        let bye = until_bye(&mut client);
        assert!(bye.starts_with("* BYE [UNAVAILABLE] "), "{bye}");
        assert_eq!(server.wait().code(), Some(72));
        let said = fs::read_to_string(folder.log()).unwrap();
        let path = folder.path().join("segments");
        assert!(said.contains(&format!("{} was deleted or moved", path.display())), "{said}");
        fs::rename(&away, &from).unwrap();
    }
}

/// Removes the files one by one and leaves the folder.
#[test]
fn a_segment_that_is_deleted_ends_the_promises() {
    let folder = Folder::new();
    let server = Server::with(&folder, &["--reactors", "1"]);
    let mut client = server.login();
    let small = Message { options: "", octets: b"Subject: a\r\n\r\n" };
    assert!(client.append("INBOX", &[small]).tagged.starts_with("OK "));
    for entry in fs::read_dir(folder.path().join("segments")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let bye = until_bye(&mut client);
    assert!(bye.starts_with("* BYE [UNAVAILABLE] "), "{bye}");
    assert_eq!(server.wait().code(), Some(72));
}

/// What the server sends unasked.
fn until_bye(client: &mut Client) -> String {
    client.response().expect("a word at the end").text()
}

/// Rings count against an ordinary user's limit on locked memory.
#[test]
fn a_server_starts_with_as_little_locked_memory_as_there_is() {
    if !rustix::process::geteuid().is_root() {
        let _ = writeln!(stderr(), "skipped: only root becomes another user");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(place.path(), Some(65534), Some(65534)).unwrap();
    let binary = place.path().join("mailrace");
    fs::copy(command(&[]).get_program(), &binary).unwrap();
    for (kib, flags, starts) in [
        (64, &[][..], true),
        (8192, &["--reactors", "32"], true),
        (64, &["--reactors", "3"], true),
        (64, &["--reactors", "32"], false),
    ] {
        let mut child = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"])
            .args(["prlimit", &format!("--memlock={}", kib << 10)])
            .arg(&binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--segments-ahead", "0"])
            .args(["--segment-size", "4M", "--data"])
            .arg(place.path().join("data"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listens = line.starts_with("mailrace: listening on ");
        if listens {
            rustix::process::kill_process(Pid::from_child(&child), rustix::process::Signal::TERM)
                .unwrap();
        }
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let code = child.wait().unwrap().code();
        assert_eq!(listens, starts, "{kib} KiB, {flags:?}: {said}");
        assert!(starts || code == Some(71), "{code:?}");
        let told = said.matches("the limit on locked memory").count();
        assert!((1..=2).contains(&told), "{kib} KiB, {flags:?}: {said}");
    }
}
