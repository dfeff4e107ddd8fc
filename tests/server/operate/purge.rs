//! `mailrace user remove --purge`: the mail of a removed user goes, and nothing of it comes back.

use std::fs;
use std::process::Output;

use kit::{Client, Folder, Message, Server, USER, command};

use super::space::{clean_all, space};

const OTHER: &str = "other";

fn remove(folder: &Folder, flags: &[&str]) -> Output {
    let mut command = command(&["user", "remove", USER]);
    command.arg("--data").arg(folder.path()).args(flags).output().unwrap()
}

#[track_caller]
fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn append(client: &mut Client, mailbox: &str, text: &str) {
    let octets = format!("Subject: x\r\n\r\n{text}\r\n").into_bytes();
    let reply = client.append(mailbox, &[Message { options: "", octets: &octets }]);
    assert!(reply.tagged.starts_with("OK"), "{}", reply.tagged);
}

/// Mail in three mailboxes, and a subscription.
fn fill(server: &Server) -> Client {
    let mut client = server.login();
    client.ok("CREATE Work");
    client.ok("CREATE Work/Old");
    client.ok("SUBSCRIBE Work");
    for mailbox in ["INBOX", "Work", "Work/Old"] {
        append(&mut client, mailbox, "a secret");
    }
    client
}

fn uid_validity(client: &mut Client) -> u64 {
    let reply = client.ok("STATUS INBOX (UIDVALIDITY MESSAGES)");
    let text = |line: &kit::Response| String::from_utf8_lossy(&line.octets).into_owned();
    let line = reply.untagged.iter().map(text);
    let line = line.into_iter().find(|line| line.contains("UIDVALIDITY")).unwrap();
    assert!(line.contains("MESSAGES 0"), "{line}");
    let rest = line.split("UIDVALIDITY ").nth(1).unwrap();
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// The user is added again with what is left of the account: nothing, and no number comes again.
fn begins_anew(folder: &Folder, server: &Server) {
    folder.add_user(USER, kit::PASSWORD, &["--keep-mail"]);
    let mut client = server.login();
    uid_validity(&mut client);
    let listed = client.ok("LIST \"\" \"*\"");
    assert_eq!(listed.untagged.len(), 1, "only INBOX");
    assert_eq!(client.ok("LSUB \"\" \"*\"").untagged.len(), 0);
}

#[test]
fn a_running_server_deletes_everything_and_says_bye() {
    let folder = Folder::new();
    folder.add_user(OTHER, "password", &[]);
    let server = Server::start(&folder);
    let mut client = fill(&server);
    assert!(space(&folder)["running"] == true);
    let report = said(&remove(&folder, &["--purge"]));
    assert!(report.contains("3 mailboxes with 3 messages"), "{report}");
    let line = String::from_utf8(client.line().unwrap()).unwrap();
    assert!(line.starts_with("* BYE") && line.contains("removed"), "{line}");
    clean_all(&folder);
    assert_eq!(space(&folder)["live"], 0);
    // Again is no error.
    assert!(said(&remove(&folder, &["--purge"])).contains("nothing"));
    begins_anew(&folder, &server);
    // After a kill, without the catalog.
    said(&remove(&folder, &["--purge"]));
    server.kill();
    fs::remove_file(folder.catalog()).unwrap();
    let server = Server::start(&folder);
    begins_anew(&folder, &server);
}

#[test]
fn a_folder_that_no_server_uses_is_purged_too_and_what_was_left_is_completed() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    drop(fill(&server));
    server.kill();
    // As a command leaves it that was killed after its first step.
    let report = said(&remove(&folder, &[]));
    assert!(report.contains("mail stays"), "{report}");
    let report = said(&remove(&folder, &["--purge"]));
    assert!(report.contains("3 mailboxes with 3 messages"), "{report}");
    let server = Server::start(&folder);
    assert_eq!(space(&folder)["live"], 0);
    begins_anew(&folder, &server);
}

#[test]
fn a_user_who_never_was_is_not_purged() {
    let folder = Folder::empty();
    let output = remove(&folder, &["--purge"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("alice"), "{told}");
    assert!(!folder.path().join("segments").exists());
}
