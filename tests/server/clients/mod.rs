//! Real mail clients against the real binary: each uploads, reads back, changes and compares.
//!
//! A client that is not installed is skipped and says so; with MAILRACE_CLIENTS=required it fails.
//! MAILRACE_CLIENT_SERVER=127.0.0.1:143,user,password runs all of them against another server, to
//! see whether a failure is the server's or the test's.

mod curl;
mod mbsync;
mod readme;
mod tls;

use std::fs;
use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use client::Source;
use kit::{Client, Folder, PASSWORD, Server, USER};
use mailrace::tools::Generator;

/// The server to use, and the user.
struct Target {
    address: SocketAddr,
    user: String,
    password: String,
    /// The test's own server, which ends with it.
    _server: Option<Server>,
}

impl Target {
    /// A new server, or the one that MAILRACE_CLIENT_SERVER names.
    fn new() -> Target {
        let Ok(other) = std::env::var("MAILRACE_CLIENT_SERVER") else {
            let server = Server::start(&Folder::new());
            let (user, password) = (USER.into(), PASSWORD.into());
            return Target { address: server.address(), user, password, _server: Some(server) };
        };
        let parts: Vec<_> = other.splitn(3, ',').collect();
        let [address, user, password] = parts[..] else { panic!("address,user,password: {other}") };
        let address = address.parse().expect("an address with its port");
        Target { address, user: user.into(), password: password.into(), _server: None }
    }

    /// A connection of the test itself, to check what a client did.
    fn login(&self) -> Client {
        let mut client = Client::connect(self.address);
        client.response().expect("a greeting");
        client.ok(&format!("LOGIN {} {}", self.user, self.password));
        client
    }
}

/// The prefix of a test's mailboxes: other servers keep those of earlier runs.
fn prefix(client: &str) -> String {
    format!("{client}{}", std::process::id())
}

/// Whether all of these programs are installed, each given with its Debian package. Says so when
/// one is not.
fn installed(programs: &[(&str, &str)]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let Some((program, package)) = programs.iter().find(|(program, _)| !there(program)) else {
        return true;
    };
    let why = format!("{program} is not installed (apt-get install {package})");
    let required = std::env::var("MAILRACE_CLIENTS").is_ok_and(|value| value == "required");
    assert!(!required, "{why}");
    // Not captured, so that it is seen when all tests pass.
    let _ = writeln!(stderr(), "skipped: {why}");
    false
}

/// The first messages of the corpus, or generated mail. Only messages that no server or client may
/// change: all line ends are CRLF.
fn mail(count: usize) -> Vec<Vec<u8>> {
    let folder = std::env::var_os("MAILRACE_CORPUS").map(PathBuf::from);
    let corpus = folder.and_then(|folder| Source::open(&folder.join("messages.mbox")).ok());
    let messages: Vec<Vec<u8>> = match corpus {
        Some(source) => source.take(count).map(|mail| mail.unwrap().octets.into()).collect(),
        None => {
            let _ = writeln!(stderr(), "MAILRACE_CORPUS names no corpus: generated mail instead");
            Generator::regular(500).take(count).map(|mail| mail.octets.into()).collect()
        }
    };
    assert_eq!(messages.len(), count);
    messages
}

/// Runs a client to its end. Panics when its exit code is not the expected one.
#[track_caller]
fn run(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    if output.status.code() != Some(code) {
        let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
        panic!("{command:?}: {}, not {code}\n{out}\n{err}", output.status);
    }
    output
}

/// Runs one of the scripts beside this file on this many messages.
#[track_caller]
fn script(name: &str, client: &str, count: usize) {
    let target = Target::new();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (index, octets) in mail(count).iter().enumerate() {
        fs::write(folder.path().join(format!("{index:04}.eml")), octets).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/clients").join(name);
    let mut command = Command::new("python3");
    // Python must leave nothing in the folder of the scripts.
    command.arg("-B").arg(script);
    command.args([target.address.ip().to_string(), target.address.port().to_string()]);
    command.args([&target.user, &target.password]).arg(folder.path()).arg(prefix(client));
    run(&mut command, 0);
}

#[test]
fn python_imaplib() {
    if installed(&[("python3", "python3")]) {
        script("imaplib_client.py", "imaplib", 60);
    }
}

#[test]
fn mailutil() {
    if installed(&[("mailutil", "uw-mailutils"), ("python3", "python3")]) {
        script("mailutil_client.py", "mailutil", 60);
    }
}

#[test]
fn mbsync() {
    if installed(&[("mbsync", "isync")]) {
        mbsync::run(&Target::new(), &prefix("mbsync"), &mail(500));
    }
}

#[test]
fn curl() {
    if installed(&[("curl", "curl")]) {
        curl::run(&Target::new(), &prefix("curl"), &mail(20));
    }
}
