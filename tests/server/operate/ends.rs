//! Errors of commands name the object, the cause and the remedy.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use kit::{Client, Folder, Message, PASSWORD, Server, USER, command, mailrace};
use rustix::process::{Pid, Signal, kill_process};

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_line_of_users_is_named() {
    let folder = Folder::new();
    let data = folder.path();
    let data = data.to_str().unwrap();
    for (line, why) in [
        (&["remove", "bob"][..], "there is no user with this name"),
        (&["passwd", "bob"], "there is no user with this name"),
        (&["set", "bob", "--no-quota"], "there is no user with this name"),
        (&["add", "alice"], "a user with this name already exists"),
        (&["add", "a\x1bb"], "the name contains"),
    ] {
        let output = mailrace(&[&["user"], line, &["--data", data]].concat(), "pw\n");
        assert_eq!(output.status.code(), Some(65));
        let name = line[1].replace('\x1b', "\\u001b");
        let start = format!("mailrace: user {name} in {data}: {why}");
        assert!(said(&output).starts_with(&start), "{output:?}");
    }
}

#[test]
fn the_folder_is_named_and_the_way_on() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let data = folder.path().display().to_string();
    let held = Server::fail(&folder.path(), &["--listen", "127.0.0.1:0"]);
    let text = said(&held);
    assert!(text.contains(&format!("another mailrace works on {data} (process ")), "{text}");
    assert!(text.contains("stop that server, or choose another folder with --data"), "{text}");
    let mut client = server.login();
    for text in [b"first", b"other"] {
        assert!(
            client
                .append("INBOX", &[Message { options: "", octets: text }])
                .tagged
                .starts_with("OK")
        );
    }
    server.kill();
    // Acknowledged mail is damaged. The name of the file alone would not say where.
    let (segment, at) = folder.find(b"first").unwrap();
    let mut octets = fs::read(&segment).unwrap();
    octets[at] ^= 1;
    fs::write(&segment, octets).unwrap();
    let damaged = said(&Server::fail(&folder.path(), &["--listen", "127.0.0.1:0"]));
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(damaged.contains(&data) && damaged.contains(name), "{damaged}");
}

/// A server whose files are limited to this many blocks of 512 bytes.
fn limited(folder: &Folder, blocks: u32) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -f {blocks}; exec \"$@\""), "sh"]);
    shell.arg(command(&[]).get_program());
    shell.args(["serve", "--listen", "127.0.0.1:0", "--reactors", "1", "--data"]);
    shell.arg(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

#[test]
fn a_limit_on_the_size_of_files_is_named() {
    // Less than the catalog needs.
    let folder = Folder::new();
    let output = limited(&folder, 8).output().unwrap();
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    assert!(said(&output).contains("RLIMIT_FSIZE"), "{output:?}");
    assert!(said(&output).contains(folder.path().to_str().unwrap()), "{output:?}");
    // Less than a segment: smaller segments are used.
    let folder = Folder::new();
    let mut child = limited(&folder, 20_000).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("mailrace: listening on ").expect(&line);
    let mut client = Client::connect(address.parse().unwrap());
    client.line();
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    let octets = vec![b'x'; 1 << 20];
    for _ in 0..30 {
        let reply = client.append("INBOX", &[Message { options: "", octets: &octets }]);
        assert!(reply.tagged.starts_with("OK"), "{}", reply.tagged);
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("RLIMIT_FSIZE"), "{output:?}");
}
