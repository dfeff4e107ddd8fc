//! `mailrace user`, before the server starts and while it runs.

use kit::{Client, Folder, Message, PASSWORD, Server, USER, mailrace};

use super::hears;

const OVER: &str = "* BYE the user was removed, or has another password now";

fn user(folder: &Folder, arguments: &[&str], stdin: &str) -> (Option<i32>, String) {
    let path = folder.path();
    let arguments = [&["user"], arguments, &["--data", path.to_str().unwrap()]].concat();
    let output = mailrace(&arguments, stdin);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn users_are_listed_with_what_they_may() {
    let folder = Folder::empty();
    assert_eq!(user(&folder, &["list"], ""), (Some(0), String::new()));
    folder.add_user("bob", "pw", &["--no-scram", "--quota", "1K"]);
    folder.add_user("alice", "pw", &[]);
    let list = "bob\t1024\tpassword\nalice\tnone\tpassword,scram\n";
    assert_eq!(user(&folder, &["list"], ""), (Some(0), list.to_owned()));
}

#[test]
fn wrong_usage_is_named() {
    let folder = Folder::new();
    for (arguments, code, text) in [
        (&["remove", "bob"][..], 65, "there is no user with this name"),
        (&["passwd", "bob"], 65, "there is no user with this name"),
        (&["set", "bob", "--no-quota"], 65, "there is no user with this name"),
        (&["add", "alice*admin"], 65, "the name contains '*'"),
        (&["passwd", USER], 65, "the password is empty"),
        (&["set", USER], 64, "--quota"),
        (&["set", USER, "--quota", "1", "--no-quota"], 64, "--no-quota"),
    ] {
        let (status, said) = user(&folder, arguments, "");
        assert_eq!(status, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(text), "{arguments:?}: {said}");
    }
}

#[test]
fn sessions_end_at_the_next_command_when_the_password_is_another() {
    let folder = Folder::new();
    folder.add_user("bob", "pw", &[]);
    let server = Server::start(&folder);
    let mut alice = server.login();
    let mut bob = server.connect();
    bob.ok("LOGIN bob pw");
    assert_eq!(user(&folder, &["passwd", USER], "changed\n").0, Some(0));
    let reply = server.connect().command(&format!("LOGIN {USER} {PASSWORD}"));
    assert!(reply.tagged.starts_with("NO [AUTHENTICATIONFAILED] "), "{}", reply.tagged);
    // A login reads the file again, and then all sessions know.
    alice.send(b"a NOOP\r\n");
    hears(&mut alice, OVER);
    assert_eq!(alice.line(), None);
    bob.ok("NOOP");
    server.connect().ok(&format!("LOGIN {USER} changed"));
}

/// Without a login or a signal, a thread notices the change.
#[test]
fn a_session_ends_without_a_login_that_looks_at_the_file() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut alice = server.login();
    assert_eq!(user(&folder, &["remove", USER], "").0, Some(0));
    let last = loop {
        alice.send(b"n NOOP\r\n");
        let said = alice.line().unwrap();
        if !said.starts_with(b"n OK ") {
            break said;
        }
    };
    assert_eq!(String::from_utf8(last).unwrap(), OVER);
}

#[test]
fn sessions_of_a_user_who_was_removed_end() {
    let folder = Folder::new();
    folder.add_user("bob", "pw", &[]);
    let server = Server::start(&folder);
    let (mut silent, mut appending) = (server.login(), server.login());
    let mut idle = server.login();
    idle.ok("SELECT INBOX");
    idle.send(b"i IDLE\r\n");
    hears(&mut idle, "+ idling");
    assert_eq!(user(&folder, &["remove", USER], "").0, Some(0));
    server.connect().ok("LOGIN bob pw");
    // APPEND is refused like other commands.
    appending.send(b"a APPEND INBOX {1+}\r\nx\r\n");
    hears(&mut appending, OVER);
    silent.send(b"a LOGOUT\r\n");
    hears(&mut silent, OVER);
    idle.send(b"DONE\r\n");
    hears(&mut idle, "i OK ");
    idle.send(b"n NOOP\r\n");
    hears(&mut idle, OVER);
    folder.add_user(USER, "again", &[]);
    let mut client = server.connect();
    client.ok(&format!("LOGIN {USER} again"));
}

#[test]
fn who_gets_the_name_of_another_gets_no_mail_of_his() {
    let folder = Folder::new();
    let server = Server::with(&folder, &["--reactors", "3"]);
    let append = |password: &str, subject: &str| {
        let mut client = server.connect();
        client.ok(&format!("LOGIN {USER} {password}"));
        let mail = format!("Subject: {subject}\r\n\r\nx\r\n");
        let message = Message { options: "", octets: mail.as_bytes() };
        assert!(client.append("INBOX", &[message]).tagged.starts_with("OK "));
    };
    let seen = |server: &Server, password: &str| {
        let mut client = server.connect();
        client.ok(&format!("LOGIN {USER} {password}"));
        client.ok("SELECT INBOX");
        let subjects = client.ok("FETCH 1:* (BODY[HEADER.FIELDS (SUBJECT)])").untagged;
        let subjects = subjects.iter().filter_map(|response| response.literals.first());
        subjects.map(|text| String::from_utf8_lossy(text).trim().to_owned()).collect::<Vec<_>>()
    };
    append(PASSWORD, "first");
    let (status, said) = user(&folder, &["remove", USER], "");
    assert_eq!(status, Some(0));
    assert!(said.contains("The mail stays on disk. A new user of that name"), "{said}");
    assert_eq!(user(&folder, &["add", USER], "other\n").0, Some(0));
    append("other", "second");
    assert_eq!(seen(&server, "other"), ["Subject: second"]);
    assert!(server.terminate().success());
    // Rebuilt from the log it is the same.
    std::fs::remove_file(folder.catalog()).unwrap();
    let server = Server::with(&folder, &["--reactors", "2"]);
    assert_eq!(seen(&server, "other"), ["Subject: second"]);
    assert_eq!(user(&folder, &["remove", USER], "").0, Some(0));
    assert_eq!(user(&folder, &["add", USER, "--keep-mail"], "back\n").0, Some(0));
    assert_eq!(seen(&server, "back"), ["Subject: second"]);
    assert_eq!(user(&folder, &["remove", USER], "").0, Some(0));
    let path = folder.path().join("users");
    let text = std::fs::read_to_string(&path).unwrap();
    let last = text.lines().rfind(|line| line.starts_with("#removed")).unwrap();
    std::fs::write(&path, text.replace(&format!("{last}\n"), "")).unwrap();
    // The first user's line is now the last one.
    assert_eq!(user(&folder, &["add", USER, "--keep-mail"], "first\n").0, Some(0));
    assert_eq!(seen(&server, "first"), ["Subject: first"]);
}

#[test]
fn a_session_goes_on_with_another_quota() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.login();
    let append = |client: &mut Client| {
        let message = Message { options: "", octets: &[b'x'; 1000] };
        client.append("INBOX", &[message]).tagged
    };
    assert!(append(&mut client).starts_with("OK "));
    assert_eq!(user(&folder, &["set", USER, "--quota", "1500"], "").0, Some(0));
    server.login();
    assert!(append(&mut client).starts_with("NO [OVERQUOTA] "));
    assert_eq!(user(&folder, &["set", USER, "--no-quota"], "").0, Some(0));
    server.login();
    assert!(append(&mut client).starts_with("OK "));
}

/// Many changes at the same time, with logins between them: no change is lost, no login refused.
#[test]
fn changes_at_the_same_time_are_all_made() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (folder, address) = (&folder, server.address());
            let connect = move || {
                let mut client = Client::connect(address);
                hears(&mut client, "* OK ");
                client
            };
            scope.spawn(move || {
                let name = format!("user{number}");
                folder.add_user(&name, "one", &[]);
                connect().ok(&format!("LOGIN {name} one"));
                folder.passwd(&name, "two", &[]);
                connect().ok(&format!("LOGIN {name} two"));
                if number % 2 == 0 {
                    assert_eq!(user(folder, &["remove", &name], "").0, Some(0));
                }
                connect().ok(&format!("LOGIN {USER} {PASSWORD}"));
            });
        }
    });
    let (_, list) = user(&folder, &["list"], "");
    let mut names: Vec<_> = list.lines().map(|line| line.split('\t').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["alice", "user1", "user3", "user5"]);
}
