//! The destinations of log lines. No failure of a destination stops the server.

use std::fs::{self, File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use kit::{Client, Folder, Server, command};
use rustix::fs::OFlags;
use rustix::process::{Resource, Rlimit, Signal, prlimit};

use super::http::get;
use super::until;

/// A server whose log goes to this destination.
fn start(folder: &Folder, flags: &[&str], stderr: impl Into<Stdio>) -> (Server, SocketAddr) {
    let mut all = vec!["--admin", "127.0.0.1:0", "--reactors", "1"];
    all.extend_from_slice(flags);
    let tune = |command: &mut Command| {
        command.stderr(stderr);
    };
    let server = Server::tuned(folder, &all, tune).expect("it starts");
    let admin = server.admin();
    (server, admin)
}

/// A full pipe.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while (&writer).write(b".\n").is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

/// Makes this many lines at level debug.
fn chatter(client: &mut Client, lines: usize) {
    for _ in 0..lines / 100 {
        client.send(&b"x nonsense\r\n".repeat(100));
        (0..100).for_each(|_| drop(client.line()));
    }
}

fn metric(admin: SocketAddr, name: &str) -> u64 {
    let text = get(admin, "/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

const LOST: &str = "mailrace_log_lines_lost_total{of=\"log\"}";

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_log_that_nobody_reads_costs_lines_and_nothing_else() {
    for json in [false, true] {
        let folder = Folder::new();
        let (mut reader, writer) = pipe().unwrap();
        let format = if json { "json" } else { "text" };
        let flags = ["--log", "debug", "--log-format", format];
        let (server, admin) = start(&folder, &flags, writer);
        let mut client = server.login();
        chatter(&mut client, 30_000);
        let lost = metric(admin, LOST);
        assert!(lost > 10_000, "{lost}");
        client.ok("NOOP");
        // Reading goes on: first the lines that had room, then the number of missing ones.
        let (mut text, mut piece) = (Vec::new(), vec![0; 1 << 16]);
        let told = until(|| {
            let octets = reader.read(&mut piece).unwrap();
            text.extend_from_slice(&piece[..octets]);
            // Whole lines.
            let end = memchr::memrchr(b'\n', &text)?;
            let text = String::from_utf8_lossy(&text[..end]);
            let mut lines = text.lines();
            lines.find(|line| line.contains("lines of the log were lost")).map(str::to_owned)
        });
        let told = match json {
            true => {
                let line: serde_json::Value = serde_json::from_str(&told).unwrap();
                assert_eq!(line["level"], "WARN");
                line["fields"]["message"].as_str().unwrap().to_owned()
            }
            false => told.split_once("lines: ").unwrap().1.to_owned(),
        };
        let number: u64 = told.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(number, lost, "{told}");
        let text = String::from_utf8_lossy(&text);
        assert!(text.lines().filter(|line| line.contains("makes no sense")).count() > 1000);
        // The last lines arrive before the end, when they are read.
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            reader.read_to_string(&mut rest).map(|_| rest)
        });
        assert!(server.terminate().success());
        assert!(rest.join().unwrap().unwrap().contains("stopping on signal 15"));
    }
}

#[test]
fn an_end_does_not_wait_for_a_reader() {
    let folder = Folder::new();
    let (reader, writer) = full_pipe();
    let (server, admin) = start(&folder, &["--log", "debug"], writer);
    let mut client = server.login();
    chatter(&mut client, 20_000);
    assert!(metric(admin, LOST) > 0);
    assert_eq!(get(admin, "/healthz").code, 200);
    assert!(server.terminate().success());
    // Nor does a reader that is gone at the start.
    let (other, writer) = full_pipe();
    let status = command(&["serve", "--nonsense"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(64));
    let (third, writer) = full_pipe();
    let status = command(&["serve", "--data", "/proc/none"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(73));
    drop((reader, other, third));
}

#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let gone = || Stdio::from(pipe().unwrap().1);
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    for stderr in [gone, full] as [fn() -> Stdio; 2] {
        let folder = Folder::new();
        let (server, admin) = start(&folder, &[], stderr());
        let tagged = server.connect().command("LOGIN alice wrong").tagged;
        assert!(tagged.starts_with("NO"), "{tagged}");
        server.login().ok("NOOP");
        until(|| (metric(admin, "mailrace_log_failing{of=\"log\"}") == 1).then_some(()));
        assert!(server.terminate().success());
        let status = command(&["serve", "--nonsense"]).stderr(stderr()).status().unwrap();
        assert_eq!(status.code(), Some(64));
        let listed = command(&["config", "example"]).stdout(gone()).output().unwrap();
        assert!(listed.status.success(), "{listed:?}");
    }
}

#[test]
fn files_of_the_log_are_reopened_and_nobody_elses_to_write() {
    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (log, audit) = (path("log.txt"), path("audit.json"));
    let flags = ["--reactors", "1", "--log-file", &log, "--audit-log", &audit];
    let server = Server::with(&folder, &flags);
    for (round, signal) in [Signal::HUP, Signal::USR1].into_iter().enumerate() {
        server.login().ok("LOGOUT");
        until(|| read(Path::new(&audit)).contains("logged in").then_some(()));
        for file in [&log, &audit] {
            let mode = fs::metadata(file).unwrap().permissions().mode();
            assert_eq!(mode & 0o137, 0, "{file}: {mode:o}");
            fs::rename(file, format!("{file}.{round}")).unwrap();
        }
        server.signal(Signal::USR2);
        server.signal(signal);
        until(|| (Path::new(&log).exists() && Path::new(&audit).exists()).then_some(()));
    }
    assert_eq!(server.log(), "", "nothing goes to standard error");
    assert!(server.terminate().success());
    assert!(read(Path::new(&format!("{log}.0"))).contains("ready after"));
    assert!(read(Path::new(&log)).contains("stopping on signal 15"));
    // No line is in both files.
    for round in 0..2 {
        assert!(!read(Path::new(&format!("{log}.{round}"))).contains("logged in"));
    }
    // A name that cannot be a file is reported with its flag.
    let output = Server::fail(&folder.path(), &["--log-file", "/nowhere/log"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(73) && said.contains("--log-file /nowhere/log"), "{said}");
}

#[test]
fn a_limit_on_the_size_of_files_ends_nothing() {
    let folder = Folder::new();
    let log = folder.path().join("log.txt");
    let flags = ["--log-file", log.to_str().unwrap(), "--log", "debug"];
    let (server, admin) = start(&folder, &flags, Stdio::null());
    let limit = Rlimit { current: Some(64 << 10), maximum: None };
    prlimit(Some(server.pid()), Resource::Fsize, limit).unwrap();
    let mut client = server.login();
    chatter(&mut client, 2000);
    until(|| (metric(admin, "mailrace_log_failing{of=\"log\"}") == 1).then_some(()));
    client.ok("NOOP");
    prlimit(Some(server.pid()), Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    until(|| (metric(admin, "mailrace_log_failing{of=\"log\"}") == 0).then_some(()));
    assert!(server.terminate().success());
    let whole = read(&log).lines().all(|line| line.starts_with("20") && line.contains('Z'));
    assert!(whole && read(&log).contains("stopping on signal 15"));
    assert_eq!(read(&log).matches("makes no sense").count(), 2000);
}

#[test]
fn journald_is_told_priorities() {
    let folder = Folder::new();
    let file = File::create(folder.log()).unwrap();
    let stat = file.metadata().unwrap();
    for (stream, prefix) in [(stat.ino(), "<6>20"), (stat.ino() + 1, "20")] {
        file.set_len(0).unwrap();
        let stream = format!("{}:{stream}", stat.dev());
        let tune = |command: &mut Command| {
            command.env("JOURNAL_STREAM", stream);
        };
        let server = Server::tuned(&folder, &[], tune).unwrap();
        server.login().ok("LOGOUT");
        assert!(server.terminate().success());
        let log = read(&folder.log());
        assert!(log.contains("logged in"), "{log}");
        assert!(log.lines().any(|line| line.starts_with(prefix)), "{log}");
        assert!(log.lines().all(|line| line.starts_with('<') == prefix.starts_with('<')), "{log}");
    }
}
