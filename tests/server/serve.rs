//! Starting, stopping and logging in.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kit::{Client, Folder, PASSWORD, Server, USER, mailrace};
use mailrace::limits::LINE_BEFORE_LOGIN;
use rustix::process::Signal;

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_user_logs_in_with_the_right_password_alone() {
    let server = Server::start(&Folder::new());
    let mut client = server.connect();
    for wrong in ["LOGIN alice wrong", "LOGIN Alice secret", "LOGIN nobody secret"] {
        let reply = client.command(wrong);
        assert!(reply.tagged.starts_with("NO [AUTHENTICATIONFAILED]"), "{}", reply.tagged);
    }
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
}

/// Before it is known whether what follows the literal makes it too long.
#[test]
fn a_line_as_long_as_can_be_announces_a_literal() {
    let server = Server::start(&Folder::new());
    let mut client = server.connect();
    let user = "u".repeat(LINE_BEFORE_LOGIN - "a LOGIN  {5}".len());
    client.send(format!("a LOGIN {user} {{5}}\r\n").as_bytes());
    assert_eq!(client.response().expect("an invitation").text(), "+ OK");
    client.send(b"hello\r\n");
    let refused = client.response().expect("a refusal").text();
    assert_eq!(refused, "a BAD the line is too long");
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
}

/// The tag of an endless line has arrived. The rest is discarded as it comes.
#[test]
fn a_line_that_is_too_long_is_answered_with_its_tag() {
    let server = Server::start(&Folder::new());
    let mut client = server.connect();
    let long = "x".repeat(40 << 10);
    client.send(format!("a1 LOGIN {long} secret\r\n").as_bytes());
    assert_eq!(client.reply("a1").tagged, "BAD the line is too long");
    // As much as RFC 2971 allows.
    let fields: Vec<_> =
        (0..30).map(|n| format!("\"field-{n}\" \"{}\"", "v".repeat(1024))).collect();
    client.send(format!("a2 ID ({})\r\n", fields.join(" ")).as_bytes());
    let reply = client.reply("a2");
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
    assert!(reply.texts().iter().any(|line| line.starts_with("* ID ")), "{:?}", reply.texts());
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    client.ok("SELECT INBOX");
    let uids: Vec<_> = (100_000..130_000).map(|n| (2 * n).to_string()).collect();
    client.send(format!("a3 UID FETCH {} (FLAGS)\r\n", uids.join(",")).as_bytes());
    assert_eq!(client.reply("a3").tagged, "BAD the line is too long");
    client.send(format!("a4 APPEND {} {{5+}}\r\nhello\r\n", "m".repeat(80 << 10)).as_bytes());
    assert_eq!(client.reply("a4").tagged, "BAD the line is too long");
    // Without a tag no other answer is possible.
    client.send(format!("{}\r\n", "t".repeat(100 << 10)).as_bytes());
    assert_eq!(client.response().unwrap().text(), "* BAD the line is too long");
    client.ok("NOOP");
}

#[test]
fn users_are_added_before_the_start_and_while_it_runs() {
    let folder = Folder::empty();
    folder.add_user("early", "one", &["--quota", "10G"]);
    let server = Server::start(&folder);
    server.connect().ok("LOGIN early one");
    folder.add_user("late", "two words", &[]);
    server.connect().ok("LOGIN late \"two words\"");
    server.connect().ok("LOGIN early one");
}

#[test]
fn a_user_is_added_once_and_his_password_is_not_to_be_found() {
    let folder = Folder::new();
    let path = folder.path();
    let data = path.to_str().unwrap();
    let output = mailrace(&["user", "add", USER, "--data", data], "other\n");
    assert_eq!(output.status.code(), Some(65), "{output:?}");
    assert!(stderr(&output).contains("a user with this name already exists"), "{output:?}");
    let text = fs::read_to_string(path.join("users")).unwrap();
    assert!(text.contains("alice:$argon2id$") && !text.contains(PASSWORD), "{text}");
    let mode = fs::metadata(path.join("users")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn one_sentence_and_a_code_for_every_misuse() {
    let folder = Folder::new();
    let path = folder.path();
    let data = path.to_str().unwrap();
    for (arguments, code) in [
        (&["user", "add", "a:b", "--data", data][..], 65),
        (&["user", "add", "bob", "--data", data], 65),
        (&["user", "add", "bob", "--data", data, "--quota", "much"], 64),
        (&["serve", "--data", data, "--listen", "nowhere"], 64),
        (&["serve", "--data", data, "--segment-size", "1"], 64),
        (&["nonsense"], 64),
        (&[], 64),
    ] {
        let output = mailrace(arguments, "");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"]] {
        let output = mailrace(arguments, "");
        assert!(output.status.success() && !output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_second_server_on_the_folder_is_turned_away() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let output = Server::fail(&folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
    assert_eq!(output.stdout, b"");
    server.login().ok("NOOP");
}

#[test]
fn a_port_in_use_is_named() {
    let (folder, other) = (Folder::new(), Folder::new());
    let server = Server::start(&folder);
    let address = server.address().to_string();
    let output = Server::fail(&other.path(), &["--listen", &address]);
    assert!(output.status.code().is_some_and(|code| code != 0), "{output:?}");
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
    assert_eq!(output.stdout, b"");
}

#[test]
fn a_file_of_users_that_makes_no_sense_is_named_with_the_line() {
    let folder = Folder::new();
    let path = folder.path().join("users");
    fs::write(&path, "# fine\nalice\n").unwrap();
    let output = Server::fail(&folder.path(), &["--listen", "127.0.0.1:0"]);
    assert!(output.status.code().is_some_and(|code| code != 0), "{output:?}");
    assert!(stderr(&output).contains("users, line 2: "), "{}", stderr(&output));
}

#[test]
fn a_data_folder_that_is_a_file_is_named() {
    let folder = Folder::empty();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let output = Server::fail(&path, &["--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(73), "{}", stderr(&output));
    assert!(stderr(&output).contains("file"), "{}", stderr(&output));
}

#[test]
fn a_signal_ends_it_with_a_word_to_everyone() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start(&Folder::new());
        let mut clients = [server.connect(), server.login()];
        server.signal(signal);
        for client in &mut clients {
            let response = client.response().expect("a farewell").text();
            assert!(response.starts_with("* BYE"), "{response}");
            assert_eq!(client.response(), None);
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn it_starts_again_after_any_end() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    server.login().ok("CREATE kept");
    server.kill();
    let server = Server::start(&folder);
    assert!(server.login().ok("LIST \"\" kept").texts().iter().any(|line| line.ends_with("kept")));
    assert!(server.terminate().success());
    let server = Server::start(&folder);
    server.login().ok("SELECT kept");
}

/// A client that saw no OK would send its message again, and it would be there twice.
#[test]
fn what_is_stored_is_acknowledged_before_the_end() {
    let folder = Folder::new();
    for _ in 0..3 {
        let server = Server::start(&folder);
        let before = count(&mut server.login());
        let clients: Vec<_> = (0..8).map(|_| server.login()).collect();
        let (tell, told) = std::sync::mpsc::channel();
        let uploads: Vec<_> = clients
            .into_iter()
            .map(|client| {
                let tell = tell.clone();
                std::thread::spawn(move || upload_until_bye(client, &tell))
            })
            .collect();
        // All clients are uploading.
        told.iter().take(200).count();
        server.signal(Signal::TERM);
        let acknowledged: usize = uploads.into_iter().map(|upload| upload.join().unwrap()).sum();
        assert!(server.wait().success());
        let server = Server::start(&folder);
        assert_eq!(count(&mut server.login()) - before, acknowledged);
        assert!(server.terminate().success());
    }
}

/// Appends one message after the other, each before the reply to the previous one. Returns how many
/// were acknowledged. Nothing may follow BYE.
fn upload_until_bye(mut client: Client, tell: &std::sync::mpsc::Sender<()>) -> usize {
    let message = b"a APPEND INBOX {5+}\r\nhello\r\n";
    let mut acknowledged = 0;
    client.try_send(message);
    loop {
        client.try_send(message);
        let Some(line) = client.line_or_end() else { return acknowledged };
        if line.starts_with(b"a OK ") {
            acknowledged += 1;
            let _ = tell.send(());
        } else if line.starts_with(b"* BYE") {
            assert_eq!(client.line_or_end(), None, "something comes behind BYE");
            return acknowledged;
        }
    }
}

fn count(client: &mut Client) -> usize {
    let status = client.ok("STATUS INBOX (MESSAGES)").texts().concat();
    let count = status.split("(MESSAGES ").nth(1).and_then(|rest| rest.strip_suffix(')'));
    count.unwrap_or_else(|| panic!("{status}")).parse().unwrap()
}
