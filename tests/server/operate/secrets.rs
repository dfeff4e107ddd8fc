//! Other users of the machine can read neither mail nor passwords.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kit::{Folder, Message, Server, command, mailrace};
use rustix::process::{Pid, Signal, kill_process};

/// A shell with umask 0.
fn careless(line: &str) -> Command {
    let mailrace = command(&[]).get_program().to_string_lossy().into_owned();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask 0; exec {mailrace} {line}")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a server from such a shell, and ends it when it listens.
fn serve_carelessly(data: &Path) {
    let line = format!(
        "serve --data {} --listen 127.0.0.1:0 --segment-size 4M --segments-ahead 1",
        data.display()
    );
    let mut child: Child = careless(&line).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("mailrace: listening on "), "{said}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

/// All files of a data folder, and the folder itself, with their permissions.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let mut all = vec![(folder.to_owned(), mode(folder))];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(modes(&path)),
            false => all.push((path.clone(), mode(&path))),
        }
    }
    all
}

#[track_caller]
fn are_private(data: &Path) {
    let all = modes(data);
    for name in ["catalog.redb", "lock", "users.secret"] {
        assert!(all.iter().any(|(path, _)| *path == data.join(name)), "no {name}: {all:?}");
    }
    assert!(all.iter().any(|(path, _)| path.extension().is_some_and(|end| end == "seg")));
    for (path, mode) in &all {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(*mode, wanted, "{} has {mode:04o}", path.display());
    }
}

#[test]
fn the_data_is_its_owners_alone_whatever_the_shell_says() {
    let place = Folder::empty();
    let data = place.path().join("a/b");
    serve_carelessly(&data);
    are_private(&data);
    let above = fs::metadata(place.path().join("a")).unwrap().permissions().mode();
    assert_eq!(above & 0o777, 0o700);
}

#[test]
fn what_was_open_before_is_closed_and_named() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let message = Message { options: "", octets: b"Subject: salary\r\n\r\nsecret\r\n" };
    assert!(server.login().append("INBOX", &[message]).tagged.starts_with("OK"));
    assert!(server.terminate().success());
    for (path, _) in modes(&folder.path()) {
        let open = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
    }
    // The doctor reports it, and the start corrects it.
    let data = folder.path();
    let doctor = || mailrace(&["doctor", "--json", "--data", data.to_str().unwrap()], "");
    let found = |output: Vec<u8>| {
        let json: serde_json::Value = serde_json::from_slice(&output).unwrap();
        let checks = json["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["check"] == "data folder").unwrap()
    };
    let before = found(doctor().stdout);
    assert_eq!(before["verdict"], "to_do", "{before}");
    assert!(before["found"].as_str().unwrap().contains("0755"), "{before}");
    let server = Server::start(&folder);
    are_private(&data);
    let log = server.log();
    assert!(log.contains("had the permissions 0755") && log.contains("0700 now"), "{log}");
    assert_eq!(found(doctor().stdout)["verdict"], "fine");
    // The second time there is nothing to report.
    assert!(server.terminate().success());
    let said = log.matches("had the permissions").count();
    let server = Server::start(&folder);
    assert_eq!(server.log().matches("had the permissions").count(), said, "{}", server.log());
}

#[test]
fn a_folder_that_is_not_mailraces_alone_is_not_taken() {
    let place = Folder::empty();
    let data = place.path();
    fs::write(data.join("index.html"), "hello").unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    let output = Server::fail(&data, &["--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(73), "{output:?}");
    assert!(said.contains("0755") && said.contains("not mailrace's alone"), "{said}");
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o7777, 0o755);
    // In a private folder the permissions of other files do not matter.
    fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    drop(Server::start(&place));
}

/// The log may have a disk of its own, and a link to it.
#[test]
fn a_log_behind_a_link_is_closed_as_well() {
    let place = Folder::new();
    let elsewhere = Folder::empty();
    fs::set_permissions(elsewhere.path(), Permissions::from_mode(0o775)).unwrap();
    symlink(elsewhere.path(), place.path().join("segments")).unwrap();
    let server = Server::start(&place);
    let mode = fs::metadata(elsewhere.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    server.login().ok("NOOP");
}

fn core_limit(server: &Server) -> String {
    let path = format!("/proc/{}/limits", server.pid().as_raw_nonzero());
    let limits = fs::read_to_string(path).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    line.split_whitespace().skip(4).take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_crash_leaves_no_dump_unless_it_is_wanted() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    assert_eq!(core_limit(&server), "0 0");
    assert!(server.terminate().success());
    let server = Server::with(&folder, &["--core-dumps"]);
    let own = fs::read_to_string("/proc/self/limits").unwrap();
    let own = own.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let own = own.split_whitespace().skip(4).take(2).collect::<Vec<_>>().join(" ");
    assert_eq!(core_limit(&server), own);
}
