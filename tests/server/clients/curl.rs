//! `curl imap://`: each run of curl is a session of its own.

use std::fs;
use std::process::Command;

use super::{Target, run as run_client};

/// curl's exit codes.
const DONE: i32 = 0;
const UPLOAD_FAILED: i32 = 25;
/// The exit code when SELECT fails as well.
const LOGIN_DENIED: i32 = 67;
const NOT_FOUND: i32 = 78;

struct Curl<'a> {
    target: &'a Target,
    /// The mailbox.
    name: &'a str,
}

impl Curl<'_> {
    /// curl with this path of the URL.
    fn at(&self, path: &str) -> Command {
        let mut command = Command::new("curl");
        // -q: without the configuration of the user.
        command.args(["-q", "-sS", "--max-time", "60", "--user"]);
        command.arg(format!("{}:{}", self.target.user, self.target.password));
        command.arg(format!("imap://{}/{path}", self.target.address));
        command
    }

    /// The output of a fetch or search in the mailbox.
    #[track_caller]
    fn get(&self, what: &str) -> Vec<u8> {
        run_client(&mut self.at(&format!("{}{what}", self.name)), DONE).stdout
    }

    /// The untagged responses to a command, in the mailbox or without one.
    #[track_caller]
    fn command(&self, mailbox: &str, command: &str) -> String {
        let output = run_client(self.at(mailbox).args(["--request", command]), DONE);
        String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
    }

    /// An APPEND that ends with this exit code.
    #[track_caller]
    fn upload(&self, mailbox: &str, octets: &[u8], code: i32) {
        let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(file.path(), octets).unwrap();
        run_client(self.at(mailbox).arg("--upload-file").arg(file.path()), code);
    }
}

/// Uploads, lists, fetches, searches, changes, deletes.
pub fn run(target: &Target, name: &str, mail: &[Vec<u8>]) {
    let curl = Curl { target, name };
    curl.command("", &format!("CREATE {name}"));
    for octets in mail {
        curl.upload(name, octets, DONE);
    }
    let listed = String::from_utf8(run_client(&mut curl.at(""), DONE).stdout).unwrap();
    assert!(listed.lines().any(|line| line.ends_with(&format!(" {name}"))), "{listed}");
    let status = curl.command("", &format!("STATUS {name} (MESSAGES UNSEEN)"));
    assert_eq!(status, format!("* STATUS {name} (MESSAGES {} UNSEEN 0)\n", mail.len()));

    for (number, octets) in (1..).zip(mail) {
        assert!(curl.get(&format!(";UID={number}")) == *octets, "UID {number}");
        assert!(curl.get(&format!(";MAILINDEX={number}")) == *octets, "message {number}");
    }
    sections(&curl, &mail[0]);
    searches(&curl, mail);
    changes(&curl, mail);
    refusals(&curl);
    curl.command("", &format!("DELETE {name}"));
    run_client(curl.at(name).args(["--request", "NOOP"]), LOGIN_DENIED);
}

/// Parts of the first message.
fn sections(curl: &Curl<'_>, octets: &[u8]) {
    let body = memchr::memmem::find(octets, b"\r\n\r\n").expect("a header") + 4;
    let (header, text) = octets.split_at(body);
    assert!(curl.get(";UID=1;SECTION=HEADER") == header);
    assert!(curl.get(";UID=1;SECTION=TEXT") == text);
    let date = curl.get(";MAILINDEX=1;SECTION=HEADER.FIELDS%20(Date)");
    assert!(date.ends_with(b"\r\n\r\n"), "{date:?}");
    let field = &date[..date.len() - 2];
    assert!(field.is_empty() || memchr::memmem::find(header, field).is_some(), "{date:?}");
}

/// Searches in the URL, where curl takes them for the whole command, and as a custom request.
fn searches(curl: &Curl<'_>, mail: &[Vec<u8>]) {
    let numbers = |test: &dyn Fn(&[u8]) -> bool| {
        let found = (1..).zip(mail).filter(|(_, octets)| test(octets));
        let numbers: String = found.map(|(number, _): (u32, _)| format!(" {number}")).collect();
        format!("* SEARCH{numbers}\n")
    };
    let by_url = |what: &str| {
        String::from_utf8(curl.get(&format!("?{what}"))).unwrap().replace("\r\n", "\n")
    };
    let mut sizes: Vec<_> = mail.iter().map(Vec::len).collect();
    sizes.sort_unstable();
    let middle = sizes[sizes.len() / 2];
    assert_eq!(by_url("ALL"), numbers(&|_| true));
    let large = numbers(&|octets| octets.len() > middle);
    assert_eq!(by_url(&format!("LARGER%20{middle}")), large);
    let not = format!("UID SEARCH NOT (LARGER {middle}) SEEN");
    let small = numbers(&|octets| octets.len() <= middle);
    assert_eq!(curl.command(curl.name, &not), small);
    // The messages that curl uploads have `\Seen`.
    assert_eq!(curl.command(curl.name, "SEARCH UNSEEN").trim_end(), "* SEARCH");
}

/// STORE, COPY, EXPUNGE.
fn changes(curl: &Curl<'_>, mail: &[Vec<u8>]) {
    let name = curl.name;
    let changed = curl.command(name, "STORE 2 +FLAGS (\\Deleted \\Flagged)");
    assert!(changed.contains("\\Deleted") && changed.contains("\\Flagged"), "{changed}");
    let copied = format!("{name}copied");
    curl.command("", &format!("CREATE {copied}"));
    curl.command(name, &format!("COPY 2:3 {copied}"));
    for (number, octets) in (1..).zip(&mail[1..3]) {
        let path = format!("{copied};UID={number}");
        assert!(run_client(&mut curl.at(&path), 0).stdout == *octets, "copy {number}");
    }
    assert_eq!(curl.command(name, "EXPUNGE"), "* 2 EXPUNGE\n");
    run_client(&mut curl.at(&format!("{name};UID=2")), NOT_FOUND);
    assert!(curl.get(";UID=3") == mail[2]);
    assert!(curl.get(";MAILINDEX=2") == mail[2]);
    curl.command("", &format!("DELETE {copied}"));
}

/// Missing users, mailboxes and messages have different exit codes.
fn refusals(curl: &Curl<'_>) {
    let name = curl.name;
    curl.upload(&format!("{name}nowhere"), b"Subject: x\r\n\r\n", UPLOAD_FAILED);
    run_client(&mut curl.at(&format!("{name};UID=9999")), NOT_FOUND);
    run_client(&mut curl.at(&format!("{name};UIDVALIDITY=1;UID=1")), NOT_FOUND);
    run_client(&mut curl.at(&format!("{name}nowhere;UID=1")), LOGIN_DENIED);
    let user = format!("{}:wrong", curl.target.user);
    run_client(curl.at("").args(["--user", &user]), LOGIN_DENIED);
}
