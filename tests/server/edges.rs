//! Messages that end where leases and frames end, and batches whose footers need frames of their
//! own. They are written, read, and read again after kill -9.

use kit::{Client, Folder, Message, Server};
use mailrace::limits::{LARGE_LEASE, SMALL_LEASE};
use mailrace::store::HEADER;

/// A message of this size, different from those of other sizes.
fn message(size: usize) -> Vec<u8> {
    (0..size).map(|at| b'a' + u8::try_from((at + size) % 26).unwrap()).collect()
}

fn append(client: &mut Client, sizes: &[usize], in_step: bool) {
    let octets: Vec<_> = sizes.iter().map(|&size| message(size)).collect();
    let messages: Vec<_> = octets.iter().map(|octets| Message { options: "", octets }).collect();
    let reply = match in_step {
        true => client.append_in_step("INBOX", &messages),
        false => client.append("INBOX", &messages),
    };
    assert!(reply.tagged.starts_with("OK [APPENDUID"), "{sizes:?}: {}", reply.tagged);
}

fn compare(client: &mut Client, sizes: &[usize]) {
    client.ok("EXAMINE INBOX");
    let fetched = client.ok("FETCH 1:* BODY.PEEK[]").untagged;
    assert_eq!(fetched.len(), sizes.len());
    for (fetched, &size) in fetched.iter().zip(sizes) {
        assert!(fetched.literals == [message(size)], "a message of {size} octets");
    }
}

/// Appends the batches, compares, kills the server, and compares again.
fn there_and_back(batches: &[Vec<usize>], in_step: bool) {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.login();
    for sizes in batches {
        append(&mut client, sizes, in_step);
    }
    let all: Vec<usize> = batches.iter().flatten().copied().collect();
    compare(&mut client, &all);
    server.kill();
    let server = Server::start(&folder);
    compare(&mut server.login(), &all);
}

fn around_the_end_of(lease: usize) -> Vec<Vec<usize>> {
    let full = lease - HEADER;
    let sizes = full - 30..full + 4;
    sizes.flat_map(|size| [vec![size], vec![size, 3], vec![7, size - 20]]).collect()
}

#[test]
fn messages_that_fill_a_small_lease() {
    there_and_back(&around_the_end_of(SMALL_LEASE), false);
    there_and_back(&around_the_end_of(SMALL_LEASE)[..12], true);
}

#[test]
fn messages_that_fill_a_large_lease() {
    let batches = around_the_end_of(LARGE_LEASE);
    there_and_back(&batches[batches.len() - 21..], false);
    there_and_back(&batches[batches.len() - 9..], true);
}

#[test]
fn footers_that_do_not_fit_behind_the_octets() {
    let batches = [vec![1; 900], vec![1; 3_000], vec![2; 12_000], vec![200_000, 1, 1]];
    there_and_back(&batches, false);
}
