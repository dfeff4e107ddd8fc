//! SEARCH, SORT and THREAD against the real binary.

mod contexts;
mod keys;
mod model;
mod order;
mod results;

use kit::{Client, Folder, Message, Server};

/// A server, and a client that has INBOX selected with these messages in it.
fn mailbox(messages: &[(&str, &[u8])]) -> (Server, Client) {
    let server = Server::start(&Folder::new());
    let mut client = server.login();
    append(&mut client, messages);
    client.ok("SELECT INBOX");
    (server, client)
}

fn append(client: &mut Client, messages: &[(&str, &[u8])]) {
    let message = |&(options, octets)| Message { options, octets };
    let reply = client.append("INBOX", &messages.iter().map(message).collect::<Vec<_>>());
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
}

/// What `SEARCH` with these keys finds.
#[track_caller]
fn found(client: &mut Client, keys: &str) -> Vec<u32> {
    numbers(client, &format!("SEARCH {keys}"), "SEARCH")
}

/// The numbers in the answer to a command.
#[track_caller]
fn numbers(client: &mut Client, command: &str, word: &str) -> Vec<u32> {
    let line = line(client, command);
    let rest = line.strip_prefix(&format!("* {word}")).unwrap_or_else(|| panic!("{line}"));
    rest.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// The only untagged response to a command that must succeed, its tag written as `x`.
#[track_caller]
fn line(client: &mut Client, command: &str) -> String {
    let lines = lines(client, command);
    let [line] = &lines[..] else { panic!("{command}: {lines:?}") };
    line.clone()
}

/// The untagged responses to a command that must succeed, its tag written as `x`.
#[track_caller]
fn lines(client: &mut Client, command: &str) -> Vec<String> {
    let tag = client.tag();
    client.send(format!("{tag} {command}\r\n").as_bytes());
    let reply = client.reply(&tag);
    assert!(reply.tagged.starts_with("OK "), "{command}: {}", reply.tagged);
    reply.texts().iter().map(|text| text.replace(&format!("(TAG \"{tag}\")"), "x")).collect()
}
