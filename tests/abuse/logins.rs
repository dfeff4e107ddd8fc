//! Logins, and connections that never log in: their memory is bounded and is freed again.

use kit::{Folder, PASSWORD, Server, USER};
use mailrace::limits::{LINE_BEFORE_LOGIN, LITERAL_BEFORE_LOGIN, MEMORY_BEFORE_LOGIN};

use crate::crowd::connect;
use crate::gauge::{Gauge, MIB};
use crate::{healthy, wanted};

/// Memory of a password hash by default, in bytes.
const HASH: u64 = 19 * MIB;

#[test]
fn a_password_check_leaves_no_memory_behind() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let gauge = Gauge::new(&server);
    // Touch everything that a login needs, except for the hash.
    let mut client = server.connect();
    client.command("NOOP");
    let before = gauge.resident();
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    let (after, peak) = (gauge.resident(), gauge.peak());
    println!("{} KiB before, {} after, {} at most", before >> 10, after >> 10, peak >> 10);
    assert!(peak >= before + HASH / 2, "a hash was made: {} MiB at most", peak / MIB);
    gauge.wait_for_memory(before + HASH / 2);
}

/// Each connection takes the most memory that is possible before login: it does not read its
/// replies, and sends the longest command without its end.
#[test]
fn who_does_not_log_in_has_so_much_memory_and_no_more() {
    mailrace::reactor::raise_limits();
    let folder = Folder::new();
    let flags = ["--login-time", "600", "--commands-before-login", "64"];
    let server = Server::with(&folder, &flags);
    let gauge = Gauge::new(&server);
    let count = wanted("MAILRACE_CONNECTIONS", 500);
    healthy(&server, &folder);
    let before = gauge.resident();
    let literal = LITERAL_BEFORE_LOGIN;
    let name = format!("a LOGIN {{{literal}+}}\r\n{}", "n".repeat(literal));
    let rest = "p".repeat(LINE_BEFORE_LOGIN - 100);
    let clients: Vec<_> = (0..count)
        .map(|number| {
            let mut client = connect(server.address(), number);
            client.send("c CAPABILITY\r\n".repeat(15).as_bytes());
            client.send(format!("{name} {rest}").as_bytes());
            client
        })
        .collect();
    // Data in a socket is not the server's memory. Once its memory is this large, it has read all.
    let held = (LINE_BEFORE_LOGIN + LITERAL_BEFORE_LOGIN) as u64 * count as u64;
    gauge.wait_for_memory_of(before + held);
    let each = (gauge.resident() - before) / count as u64;
    println!("{count} who do not log in: {each} octets each; {MEMORY_BEFORE_LOGIN} may be");
    assert!(each <= MEMORY_BEFORE_LOGIN as u64, "{each} octets each");
    healthy(&server, &folder);
    drop(clients);
    gauge.wait_for_connections(0);
}
