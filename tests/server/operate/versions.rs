//! Data of a newer or older mailrace: a clear error, and nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use kit::{Folder, Message, Server};
use redb::{Database, ReadableDatabase, TableDefinition};
use xxhash_rust::xxh3::xxh3_64;

/// `src/manual/format.rs`: where the version of a segment's header stands, and its checksum.
const VERSION_AT: usize = 8;
const CHECKSUM_AT: usize = 88;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// A folder with some mail, its server stopped.
fn data() -> Folder {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.login();
    client.append("INBOX", &[Message { options: "", octets: b"Subject: kept\r\n\r\nkept\r\n" }]);
    drop(client);
    assert!(server.terminate().success());
    folder
}

/// Every file below a folder, except the lock.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.ends_with("lock") {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn start(folder: &Folder) -> (Output, String) {
    let output = Server::fail(&folder.path(), &["--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

/// The segment that has the mail, with this version in its header.
fn set_version(folder: &Folder, version: u16) -> PathBuf {
    let (path, _) = folder.find(b"Subject: kept").expect("the mail is in the log");
    let mut octets = fs::read(&path).unwrap();
    octets[VERSION_AT..VERSION_AT + 2].copy_from_slice(&version.to_le_bytes());
    let checksum = xxh3_64(&octets[..CHECKSUM_AT]).to_le_bytes();
    octets[CHECKSUM_AT..CHECKSUM_AT + 8].copy_from_slice(&checksum);
    fs::write(&path, octets).unwrap();
    path
}

#[test]
fn segments_of_a_newer_mailrace_are_left_alone() {
    let folder = data();
    let segment = set_version(&folder, 7);
    let name = segment.file_name().unwrap().to_str().unwrap();
    for catalog in [true, false] {
        if !catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        let before = contents(&folder.path());
        let (output, said) = start(&folder);
        assert_eq!(output.status.code(), Some(65), "{said}");
        for word in [name, "format 7", "reads 3", "Upgrade", "Nothing was changed"] {
            assert!(said.contains(word), "no {word:?}: {said}");
        }
        assert!(contents(&folder.path()) == before, "something was touched");
    }
    // The version that wrote it can still read it.
    set_version(&folder, 3);
    let server = Server::start(&folder);
    assert!(server.login().ok("STATUS INBOX (MESSAGES)").texts()[0].contains("MESSAGES 1"));
}

#[test]
fn segments_of_an_older_mailrace_are_left_alone() {
    let folder = data();
    for version in [1, 2] {
        let segment = set_version(&folder, version);
        let name = segment.file_name().unwrap().to_str().unwrap();
        let before = contents(&folder.path());
        let (output, said) = start(&folder);
        assert_eq!(output.status.code(), Some(65), "{said}");
        let older = format!("older mailrace (format {version}");
        for word in [name, &older, "copy the mail", "Nothing was changed"] {
            assert!(said.contains(word), "no {word:?}: {said}");
        }
        assert!(contents(&folder.path()) == before, "something was touched");
    }
}

#[test]
fn a_catalog_of_a_newer_mailrace_is_left_alone() {
    let folder = data();
    let format = || {
        let database = Database::open(folder.catalog()).unwrap();
        let reading = database.begin_read().unwrap();
        reading.open_table(META).unwrap().get("format").unwrap().unwrap().value()
    };
    let known = format();
    let database = Database::open(folder.catalog()).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(META).unwrap().insert("format", known + 5).unwrap();
    writing.commit().unwrap();
    drop(database);

    let before = contents(&folder.path());
    let (output, said) = start(&folder);
    assert_eq!(output.status.code(), Some(65), "{said}");
    let (found, up_to) = (format!("format {}", known + 5), format!("up to {known}"));
    for word in ["catalog.redb", &found, &up_to, "delete the file"] {
        assert!(said.contains(word), "no {word:?}: {said}");
    }
    let after = contents(&folder.path());
    assert!(before.keys().eq(after.keys()), "files came or went");
    let differ: Vec<_> = before.keys().filter(|path| before[*path] != after[*path]).collect();
    assert!(differ.is_empty(), "touched: {differ:?}");
    assert_eq!(format(), known + 5);

    // As the message says: without the catalog everything is there again.
    fs::remove_file(folder.catalog()).unwrap();
    let server = Server::start(&folder);
    assert!(server.login().ok("STATUS INBOX (MESSAGES)").texts()[0].contains("MESSAGES 1"));
}
