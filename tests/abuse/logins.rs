//! Password hashes need much memory for a moment, and none afterwards.

use crate::gauge::{Gauge, MIB};
use crate::support::{Folder, PASSWORD, Server, USER};

/// What a hash works in by default.
const HASH: u64 = 19 * MIB;

#[test]
fn a_password_check_leaves_no_memory_behind() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    // Everything that a login touches for the first time, but for the hash.
    let mut client = server.connect();
    client.command("NOOP");
    let before = gauge.resident();
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    let (after, peak) = (gauge.resident(), gauge.peak());
    println!("{} KiB before, {} after, {} at most", before >> 10, after >> 10, peak >> 10);
    assert!(peak >= before + HASH / 2, "a hash was made: {} MiB at most", peak / MIB);
    gauge.wait_for_memory(before + HASH / 2);
}
