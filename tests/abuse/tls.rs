//! Idle TLS sessions: each costs its keys and little else.

use kit::{Client, Folder, Identity, PASSWORD, Server, USER};
use rustls::version::TLS13;

use crate::gauge::{Gauge, MIB};
use crate::{healthy, wanted};

/// Connections in a quick run; MAILRACE_CONNECTIONS=10000 is the real thing.
const CONNECTIONS: usize = 1000;

/// Memory of an idle session in bytes, including that of rustls.
const EACH: u64 = 32 << 10;

/// Further memory growth that is allowed, in bytes.
const SLACK: u64 = 8 * MIB;

#[test]
fn idle_sessions_by_tls_cost_little() {
    mailrace::reactor::raise_limits();
    let folder = Folder::new();
    let identity = Identity::new(&folder);
    let count = wanted("MAILRACE_CONNECTIONS", CONNECTIONS);
    let most = (count + 10).to_string();
    let flags = ["--connections-per-address", &most, "--connections-per-user", &most];
    let server = Server::with(&folder, &[&identity.flags()[..], &flags].concat());
    let gauge = Gauge::new(&server);
    healthy(&server, &folder);
    gauge.wait_for_connections(0);
    let before = gauge.resident();
    let config = identity.config(&TLS13);
    let mut clients: Vec<_> = (0..count)
        .map(|_| {
            let mut client = Client::by_tls(server.tls_address(), config.clone());
            assert!(client.response().expect("a greeting").text().starts_with("* OK "));
            client.ok(&format!("LOGIN {USER} {PASSWORD}"));
            client
        })
        .collect();
    gauge.wait_for_memory(before + EACH * count as u64 + SLACK);
    let grown = gauge.resident().saturating_sub(before);
    println!("{count} idle sessions by TLS: {} octets each", grown / count as u64);
    for client in clients.iter_mut().step_by(7) {
        client.ok("NOOP");
    }
    drop(clients);
    gauge.wait_for_connections(0);
    healthy(&server, &folder);
}
