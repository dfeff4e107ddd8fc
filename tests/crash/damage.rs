//! Chosen damage: octets and tails of segments.

use std::fs;

use kit::{Client, Fetched, Folder, Message, Server};

/// The message with this number.
pub fn numbered(number: usize) -> Vec<u8> {
    format!("Subject: message <{number}>\r\n\r\n").into_bytes().repeat(300)
}

pub fn append_numbered(client: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let octets = numbered(number);
        let message = Message { options: "", octets: &octets };
        assert!(client.append_in_step("INBOX", &[message]).tagged.starts_with("OK "));
    }
}

#[track_caller]
fn expect_numbered(client: &mut Client, count: usize) {
    client.ok("EXAMINE INBOX");
    let fetched = Fetched::all(&client.ok("UID FETCH 1:* (BODY.PEEK[])").untagged);
    assert_eq!(fetched.len(), count);
    for (number, fetched) in fetched.iter().enumerate() {
        assert!(fetched.octets("BODY[]") == numbered(number), "message {number}");
    }
}

#[test]
fn damage_to_what_was_acknowledged_stops_the_start_and_changes_nothing() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    append_numbered(&mut server.login(), 0..20);
    server.kill();
    fs::remove_file(folder.catalog()).unwrap();

    // In a message, in the header of its frame, in its footer.
    let (segment, at) = folder.find(b"message <7>").expect("what was acknowledged");
    let begin = at / 4096 * 4096;
    let end = begin + numbered(7).len().next_multiple_of(4096) - 4096;
    for damaged in [at, at + 1000, begin + 9, end + 4000] {
        let whole = fs::read(&segment).unwrap();
        let mut octets = whole.clone();
        octets[damaged] ^= 0x20;
        if octets[damaged] == 0x20 {
            // Padding, which carries no data.
            continue;
        }
        fs::write(&segment, &octets).unwrap();
        let output = Server::fail(&folder.path(), &["--listen", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(65), "octet {damaged}: {said}");
        let name = segment.file_name().unwrap().to_str().unwrap();
        for word in [name, "damaged", &begin.to_string()] {
            assert!(said.contains(word), "octet {damaged}, {word}: {said}");
        }
        assert!(fs::read(&segment).unwrap() == octets, "octet {damaged}: the segment was changed");
        fs::write(&segment, &whole).unwrap();
    }
    let server = Server::start(&folder);
    expect_numbered(&mut server.login(), 20);
}

#[test]
fn a_torn_tail_that_nobody_was_promised_is_cut_off() {
    for (catalog, cut) in [(true, 0), (true, 5_000), (false, 100_000), (false, 1_000_000)] {
        let folder = Folder::new();
        let server = Server::start(&folder);
        append_numbered(&mut server.login(), 0..10);
        let mut unlucky = server.login();
        unlucky.send(b"u APPEND INBOX {4000000}\r\n");
        assert!(unlucky.response().unwrap().text().starts_with("+ "));
        let mut octets = b"never acknowledged".to_vec();
        octets.resize(4_000_000, b'u');
        unlucky.send(&octets);
        // When the next literal is invited, all but a few frames of the first are on the disk.
        unlucky.send(b" {4000000}\r\n");
        assert!(unlucky.response().unwrap().text().starts_with("+ "));
        server.kill();

        let (segment, at) = folder.find(b"never acknowledged").expect("it was written");
        fs::File::options().write(true).open(&segment).unwrap().set_len((at + cut) as u64).unwrap();
        if !catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        let server = Server::start(&folder);
        let mut client = server.login();
        expect_numbered(&mut client, 10);
        append_numbered(&mut client, 10..12);
        expect_numbered(&mut client, 12);
        server.kill();
        let server = Server::start(&folder);
        expect_numbered(&mut server.login(), 12);
    }
}
