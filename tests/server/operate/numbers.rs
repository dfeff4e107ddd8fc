//! Files of the log over many starts, and files that had another use before.

use std::fs;
use std::path::PathBuf;

use kit::{Folder, Message, Server};
use mailrace::store::{Epoch, ReadyHeader, SegmentId};

const BLOCK: usize = 4096;

/// Where the header of a segment says that its file had an earlier use.
const REUSED_AT: usize = 74;

fn messages(server: &Server) -> String {
    server.login().ok("STATUS INBOX (MESSAGES)").texts().concat()
}

#[test]
fn a_hundred_restarts_without_mail_leave_no_files() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    server
        .login()
        .append("INBOX", &[Message { options: "", octets: b"Subject: kept\r\n\r\nkept\r\n" }]);
    server.kill();
    let mut counts = Vec::new();
    for restart in 0..100 {
        let server = Server::start(&folder);
        match restart % 2 {
            0 => server.kill(),
            _ => assert!(server.terminate().success()),
        }
        counts.push(folder.segments().len());
    }
    // A server that ends soon may leave one more. It must go with the next: what stays, adds up.
    let most = counts[..10].iter().max();
    let lasting = counts[10..].windows(3).map(|three| three.iter().min());
    assert!(lasting.max() <= Some(most), "files: {counts:?}");
    for catalog in [true, false] {
        if !catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        let server = Server::start(&folder);
        assert!(messages(&server).contains("MESSAGES 1"));
        server.kill();
    }
}

/// Adds segments that are ready and have had the use of another before: more than are held back.
fn reuse(folder: &Folder, old: &[u8]) {
    let last = folder.segments().pop().expect("there is a log");
    let last: u64 = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    for number in 1..=20 {
        let mut octets = vec![0; 64 * BLOCK];
        let (header, behind) = octets.split_at_mut(BLOCK);
        ReadyHeader { reused: true }.encode(header);
        for left in behind.chunks_mut(old.len() - BLOCK) {
            left.copy_from_slice(&old[BLOCK..][..left.len()]);
        }
        let name = SegmentId(last + number).file_name();
        fs::write(folder.path().join("segments").join(name), octets).unwrap();
    }
}

#[test]
fn an_earlier_use_of_a_file_is_neither_damage_nor_cut() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let octets = "Subject: old\r\n\r\n".to_owned() + &"old mail\r\n".repeat(3000);
    server.login().append("INBOX", &[Message { options: "", octets: octets.as_bytes() }]);
    assert!(server.terminate().success());
    // The next start cuts the segment to its length.
    assert!(Server::start(&folder).terminate().success());
    let (path, _) = folder.find(b"Subject: old").expect("the mail is in the log");
    reuse(&folder, &fs::read(path).unwrap());

    for round in 2..5 {
        let server = Server::start(&folder);
        server
            .login()
            .append("INBOX", &[Message { options: "", octets: b"Subject: new\r\n\r\nnew\r\n" }]);
        server.kill();
        let reused = |path: &PathBuf| {
            let octets = fs::read(path).unwrap();
            octets.starts_with(b"mailrace") && octets[REUSED_AT] == 1
        };
        assert!(folder.segments().iter().any(reused), "none of the files was reused");
        for catalog in [true, false] {
            if !catalog {
                fs::remove_file(folder.catalog()).unwrap();
            }
            let server = Server::start(&folder);
            assert!(messages(&server).contains(&format!("MESSAGES {round}")));
            let log = server.log();
            assert!(!log.contains("was cut") && !log.contains("damage"), "{log}");
            server.kill();
        }
    }
}

#[test]
fn a_start_that_needs_a_higher_epoch_than_the_last_is_refused() {
    let folder = Folder::new();
    assert!(Server::start(&folder).terminate().success());
    let last = SegmentId::first_of(Epoch::LAST).file_name();
    let path = folder.path().join("segments").join(&last);
    let mut octets = vec![0; 16 * BLOCK];
    ReadyHeader { reused: false }.encode(&mut octets);
    fs::write(&path, octets).unwrap();
    let output = Server::fail(&folder.path(), &["--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{said}");
    for word in [&last[..], "Epochs end with 16777215", "Nothing was changed"] {
        assert!(said.contains(word), "no {word:?}: {said}");
    }
    fs::remove_file(path).unwrap();
    assert!(Server::start(&folder).terminate().success());
}
