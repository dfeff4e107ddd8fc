//! The script in README.md, as printed there.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;

use kit::{Fetched, Folder, PASSWORD, Server, USER};

use super::{installed, run};

/// Folded lines, spaces that a parser would strip, NUL, 8 bit, no line end, no header at all.
const MAIL: [&[u8]; 4] = [
    b"Received: from listman.example.org (localhost.localdomain [127.0.0.1]) by example.org\n\
      \tid 1;  \nSubject:   two spaces before, one behind \nStatus: RO\nX-Status: AFDT\n\nbody\n",
    b"Subject: \xfc\n\n\0\xff text\r\nmixed\n\n>From here on\n",
    b"\nno header\n",
    b"Subject: nothing behind it\n\n",
];

/// The separator line of each, and its date. The last has none.
const DATES: [(&str, Option<&str>); 4] = [
    ("Mon Feb  7 21:52:25 1994", Some(" 7-Feb-1994 21:52:25 +0000")),
    ("Thu Feb 29 00:00:00 1996", Some("29-Feb-1996 00:00:00 +0000")),
    ("Wed Dec 31 23:59:59 1969", Some("31-Dec-1969 23:59:59 +0000")),
    ("yesterday", None),
];

/// Runs the script on this many copies of [`MAIL`]. Returns its exit status and output.
fn upload(address: SocketAddr, copies: usize, code: i32) -> (String, String) {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, script) = readme.split_once("```python\n").expect("a script in Python");
    let (script, _) = script.split_once("```\n").unwrap();
    let server = format!("\"{}\", {}", address.ip(), address.port());
    let script = script.replacen("\"127.0.0.1\", 1143", &server, 1);
    let script = script.replacen("\"alice\", \"secret\"", &format!("{USER:?}, {PASSWORD:?}"), 1);

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut mbox = Vec::new();
    for (octets, (date, _)) in MAIL.iter().zip(DATES).cycle().take(copies * MAIL.len()) {
        mbox.extend_from_slice(format!("From somebody@example.org {date}\n").as_bytes());
        mbox.extend_from_slice(octets);
        mbox.push(b'\n');
    }
    fs::write(folder.path().join("upload.py"), script).unwrap();
    fs::write(folder.path().join("old.mbox"), mbox).unwrap();
    let mut command = Command::new("python3");
    command.current_dir(folder.path()).args(["-B", "upload.py", "old.mbox"]);
    let output = run(&mut command, code);
    let [out, err] = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
    (out, err)
}

#[test]
fn the_script_uploads_mail_as_it_is() {
    if !installed(&[("python3", "python3")]) {
        return;
    }
    let server = Server::start(&Folder::new());
    let (said, _) = upload(server.address(), 60, 0);
    assert_eq!(said.lines().count(), 3, "240 messages, 100 in each batch: {said}");
    assert!(said.lines().all(|line| line.starts_with("batch OK [APPENDUID ")), "{said}");

    let mut client = server.login();
    client.ok("SELECT INBOX");
    let reply = client.ok("FETCH 1:* (FLAGS INTERNALDATE BINARY.PEEK[])");
    let found = Fetched::all(&reply.untagged);
    assert_eq!(found.len(), 240);
    for (index, found) in found.iter().enumerate() {
        let (octets, (_, date)) = (MAIL[index % MAIL.len()], DATES[index % MAIL.len()]);
        assert_eq!(found.octets("BINARY[]"), in_crlf(octets), "message {index}");
        if let Some(date) = date {
            assert_eq!(found.text("INTERNALDATE"), date, "message {index}");
        }
        let all = ["\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"];
        let flags = if index % MAIL.len() == 0 { &all[..] } else { &[] };
        assert_eq!(found.flags(), flags, "message {index}");
    }
}

#[test]
fn the_script_says_what_was_refused_and_ends() {
    if !installed(&[("python3", "python3")]) {
        return;
    }
    let server = Server::with(&Folder::new(), &["--append-limit", "100"]);
    let (said, _) = upload(server.address(), 1, 1);
    assert!(said.starts_with("batch NO [TOOBIG]"), "{said}");
}

/// A server that ends in the middle of a batch ends the script too, with or without BYE.
#[test]
fn the_script_ends_with_the_server() {
    if !installed(&[("python3", "python3")]) {
        return;
    }
    for last in ["* BYE the server is stopping\r\n", ""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut input = BufReader::new(socket.try_clone().unwrap());
            socket.write_all(b"* OK [CAPABILITY IMAP4rev1] ready\r\n").unwrap();
            loop {
                let mut line = String::new();
                input.read_line(&mut line).unwrap();
                let (tag, command) = line.split_once(' ').unwrap();
                if command.starts_with("APPEND") {
                    break;
                }
                write!(socket, "* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n").unwrap();
            }
            socket.write_all(last.as_bytes()).unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
            // The client goes on sending until it reads that.
            io::copy(&mut input, &mut io::sink()).unwrap();
        });
        let (_, said) = upload(address, 1, 1);
        let why = if last.is_empty() { "the server closed the connection" } else { last.trim() };
        assert_eq!(said.trim(), why);
        server.join().unwrap();
    }
}

fn in_crlf(octets: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        found.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        found.extend_from_slice(if line.ends_with(b"\n") { b"\r\n" } else { b"" });
    }
    found
}
