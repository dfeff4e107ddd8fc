//! Real mail is appended and fetched, and every octet compared. MAILRACE_CORPUS names a folder with
//! `messages.mbox` and `torture/`; without it, the mail is generated.

use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use client::Source;
use kit::{Client, Fetched, Folder, Message, Server, without_nul};
use mailrace::tools::Generator;

/// Messages in each batch, repeated.
const BATCHES: [usize; 8] = [1, 2, 100, 1, 7, 1, 31, 500];

/// Messages fetched by one command.
const FETCHED: u32 = 50;

/// The corpus. Says so and returns `None` when it is not there.
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("MAILRACE_CORPUS").map(PathBuf::from);
    let there = |folder: &PathBuf| {
        folder.join("messages.mbox").is_file() && folder.join("torture").is_dir()
    };
    let found = folder.filter(there);
    if found.is_none() {
        // Not captured, so that it is seen when all tests pass.
        let _ = writeln!(stderr(), "MAILRACE_CORPUS names no corpus: generated mail instead");
    }
    found
}

/// The messages of a source, as many as the list of the corpus says.
fn read(mail: &Path, list: &Path) -> Vec<Vec<u8>> {
    let source = Source::open(mail).unwrap();
    let messages: Vec<Vec<u8>> = source.map(|mail| mail.unwrap().octets.into()).collect();
    let lines = std::fs::read_to_string(list).unwrap().lines().count();
    assert_eq!(messages.len(), lines - 1, "{}", mail.display());
    messages
}

#[test]
fn the_torture_messages() {
    let messages = match corpus() {
        Some(corpus) => read(&corpus.join("torture"), &corpus.join("torture.tsv")),
        None => Generator::new(298).take(298).map(|mail| mail.octets.into()).collect(),
    };
    there_and_back(&messages);
}

#[test]
fn the_whole_mbox() {
    let messages = match corpus() {
        Some(corpus) => read(&corpus.join("messages.mbox"), &corpus.join("messages.tsv")),
        None => Generator::new(2065).take(1000).map(|mail| mail.octets.into()).collect(),
    };
    there_and_back(&messages);
}

/// In batches, one by one, and with synchronising literals; then again after a restart.
fn there_and_back(messages: &[Vec<u8>]) {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.login();
    for mailbox in ["batches", "single", "step"] {
        client.ok(&format!("CREATE {mailbox}"));
    }
    append(&mut client, "batches", messages, &BATCHES, Client::append);
    append(&mut client, "single", messages, &[1], Client::append);
    append(&mut client, "step", messages, &[60], Client::append_in_step);
    for mailbox in ["batches", "single", "step"] {
        compare(&mut client, mailbox, messages);
    }
    server.kill();
    let server = Server::start(&folder);
    let mut client = server.login();
    compare(&mut client, "batches", messages);
}

/// Appends all messages in batches of these lengths, repeated.
fn append(
    client: &mut Client,
    mailbox: &str,
    mut messages: &[Vec<u8>],
    lengths: &[usize],
    append: impl Fn(&mut Client, &str, &[Message<'_>]) -> kit::Reply,
) {
    let mut uid = 1;
    for &length in lengths.iter().cycle() {
        if messages.is_empty() {
            return;
        }
        let (batch, rest) = messages.split_at(length.min(messages.len()));
        let batch: Vec<_> = batch.iter().map(|octets| Message { options: "", octets }).collect();
        let reply = append(client, mailbox, &batch);
        let last = uid + batch.len() - 1;
        let uids = if last == uid { format!(" {uid}") } else { format!(" {uid}:{last}") };
        assert!(reply.code().starts_with("APPENDUID "), "{}", reply.tagged);
        assert!(reply.code().ends_with(&uids), "{}, not {uids}", reply.tagged);
        uid = last + 1;
        messages = rest;
    }
}

/// Checks that the mailbox holds these messages, octet for octet, in every way to fetch them.
fn compare(client: &mut Client, mailbox: &str, messages: &[Vec<u8>]) {
    client.ok(&format!("SELECT {mailbox}"));
    let total: usize = messages.iter().map(Vec::len).sum();
    let status = client.ok(&format!("STATUS {mailbox} (MESSAGES SIZE)")).texts();
    let expected = format!("* STATUS {mailbox} (MESSAGES {} SIZE {total})", messages.len());
    assert_eq!(status, [expected]);
    for (first, part) in (1..).step_by(FETCHED as usize).zip(messages.chunks(FETCHED as usize)) {
        let last = first + part.len() as u32 - 1;
        let items = "UID RFC822.SIZE BINARY.PEEK[] BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT]";
        let reply = client.ok(&format!("FETCH {first}:{last} ({items})"));
        let fetched = Fetched::all(&reply.untagged);
        assert_eq!(fetched.len(), part.len(), "{mailbox} {first}:{last}");
        for ((number, fetched), message) in (first..).zip(&fetched).zip(part) {
            assert_eq!((fetched.number, fetched.number("UID")), (number, number.into()));
            let size = fetched.number("RFC822.SIZE");
            assert_eq!(size, message.len() as u64, "{mailbox}, UID {number}");
            assert!(fetched.octets("BINARY[]") == message, "{mailbox}, UID {number}: other octets");
            let message = without_nul(message);
            assert!(fetched.octets("BODY[]") == message, "{mailbox}, UID {number}: other text");
            let parts = [fetched.octets("BODY[HEADER]"), fetched.octets("BODY[TEXT]")].concat();
            assert!(parts == message, "{mailbox}, UID {number}: the parts are not the whole");
        }
    }
}
