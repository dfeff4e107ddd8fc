//! Backups of a server that strips segments, uses them again, takes snapshots and drops record
//! files all the time.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use kit::{Folder, PASSWORD, Server as Binary};
use mailrace::server::{CleaningConfig, Config, Server, SnapshotConfig};

use super::load::{Load, check};
use super::{backup, is_sound, number, place, restore};

/// A server in this process: no flag of the binary makes cleaning and snapshots as eager.
fn server(folder: &Folder) -> Server {
    let look = Duration::from_millis(1);
    let server = Server::start(Config {
        data: folder.path(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        reactors: Some(2),
        segment_size: 1 << 20,
        first_segment: 1 << 20,
        segments_ahead: 1,
        cleaning: CleaningConfig { eager: true, look, least: 0, ..CleaningConfig::default() },
        snapshots: SnapshotConfig { least: 0, times: 0, files: 2, rate: None, look },
        ..Config::default()
    });
    server.expect("a server")
}

fn amid_cleaning(to: &Path) {
    let folder = Folder::new();
    folder.add_user("bob", PASSWORD, &[]);
    let server = server(&folder);
    let load = Load::start(server.address());
    let (mut restored, mut snapshots, mut records) = (Vec::new(), 0, 0);
    for _ in 0..4 {
        // The backup is made amid the second half of the changes.
        load.allow(80);
        load.wait(40);
        let from = load.acknowledged();
        let report = backup(&folder, to, &[]);
        println!("{report}");
        assert!(number(&report, "files") > 0);
        let names = |name: &str| std::fs::read_dir(to.join(name)).unwrap().count();
        snapshots += names("snapshot");
        records += names("records");
        restored.push((restore(to), from));
    }
    assert!(snapshots > 0 && records > 0, "{snapshots} snapshots, {records} record files");
    let done = load.stop();
    server.stop().expect("it stops");
    is_sound(&folder);
    for (folder, from) in restored {
        is_sound(&folder);
        check(&Binary::with(&folder, &["--reactors", "1"]), &done, &from);
        is_sound(&folder);
    }
}

#[test]
fn a_backup_of_links_amid_cleaning_and_snapshots_is_whole() {
    amid_cleaning(place().path());
}

#[test]
fn a_backup_of_copies_amid_cleaning_and_snapshots_is_whole() {
    amid_cleaning(tempfile::tempdir_in("/dev/shm").unwrap().path());
}
