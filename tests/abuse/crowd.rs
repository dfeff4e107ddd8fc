//! Ten thousand connections at a time, and one above the limit.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use kit::{Client, Folder, Message, PASSWORD, Server, USER};
use socket2::{Domain, Socket, Type};

use crate::gauge::{Gauge, MIB};
use crate::{healthy, wanted};

/// Connections in a quick run; MAILRACE_CONNECTIONS=10000 is the real thing.
const CROWD: usize = 1000;

/// Memory of an idle connection in bytes; 10,000 take 80 MiB.
const IDLE: u64 = 8 << 10;

/// Further memory growth that is allowed, in bytes.
const SLACK: u64 = 16 * MIB;

/// Opens a connection and reads nothing. A client address has some 28,000 ports, and earlier tests
/// still hold some of them, so there are several addresses.
pub fn connect(server: SocketAddr, number: usize) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let host = u8::try_from(1 + number / 4000).expect("a million connections are too many");
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    Client::over(TcpStream::from(socket))
}

/// Opens `count` connections and logs in on every other one.
fn crowd(server: &Server, count: usize) -> Vec<Client> {
    let clients = (0..count).map(|number| {
        let mut client = connect(server.address(), number);
        assert!(client.line().expect("a greeting").starts_with(b"* OK "));
        if number % 2 == 0 {
            client.ok(&format!("LOGIN {USER} {PASSWORD}"));
            client.ok("SELECT INBOX");
        }
        client
    });
    clients.collect()
}

/// Median duration of some APPENDs.
fn append(client: &mut Client) -> Duration {
    let mut times: Vec<_> = (0..51)
        .map(|_| {
            let begun = Instant::now();
            let message = Message { options: "", octets: &[b'm'; 10_000] };
            assert!(client.append("bulk", &[message; 5]).tagged.starts_with("OK "));
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn thousands_that_do_nothing_cost_little() {
    mailrace::reactor::raise_limits();
    let folder = Folder::new();
    let server = Server::with(&folder, &["--login-time", "1800"]);
    let gauge = Gauge::new(&server);
    let count = wanted("MAILRACE_CONNECTIONS", CROWD);
    let mut worker = server.login();
    worker.ok("CREATE bulk");
    let alone = append(&mut worker);
    let before = gauge.resident();
    for round in 0..3 {
        let begun = Instant::now();
        let clients = crowd(&server, count);
        let arrived = begun.elapsed();
        let among = append(&mut worker);
        let most = before + IDLE * count as u64 + SLACK;
        // Connections keep their buffer for half a second after the last command.
        gauge.wait_for_memory(most);
        let resident = gauge.resident();
        assert_eq!(gauge.connections(), count + 1);
        println!(
            "{count} connections in {} ms: {} MiB resident, {} without them, {} octets each; \
             a batch of 5 takes {} us among them, {} alone",
            arrived.as_millis(),
            resident / MIB,
            before / MIB,
            resident.saturating_sub(before) / count as u64,
            among.as_micros(),
            alone.as_micros()
        );
        let begun = Instant::now();
        if round % 2 == 0 {
            drop(clients);
        } else {
            clients.into_iter().for_each(Client::reset);
        }
        gauge.wait_for_connections(1);
        println!("all gone after {} ms", begun.elapsed().as_millis());
    }
    // The third crowd needs no more memory than the first: freed memory is reused.
    gauge.wait_for_memory(before + IDLE * count as u64 + SLACK);
    healthy(&server, &folder);
}

#[test]
fn one_too_many_is_told_so() {
    mailrace::reactor::raise_limits();
    let folder = Folder::new();
    let limit = wanted("MAILRACE_CONNECTIONS_LIMIT", 200);
    let flags = ["--connections", &limit.to_string(), "--login-time", "1800"];
    let server = Server::with(&folder, &flags);
    let gauge = Gauge::new(&server);
    let mut clients = crowd(&server, limit);
    for number in 0..100 {
        let mut refused = connect(server.address(), number);
        let line = refused.line().expect("a reason");
        assert!(line.starts_with(b"* BYE [UNAVAILABLE] too many connections"), "{line:?}");
        assert_eq!(refused.line(), None);
    }
    gauge.wait_for_connections(limit);
    for client in clients.iter_mut().step_by(2) {
        client.ok("NOOP");
    }
    // Each connection that closes, in whatever way, makes room for one more.
    for number in 0..50 {
        let gone = clients.pop().unwrap();
        match number % 3 {
            0 => drop(gone),
            1 => gone.reset(),
            _ => {
                let mut gone = gone;
                gone.ok("LOGOUT");
                assert!(gone.line().is_none());
            }
        }
        gauge.wait_for_connections(clients.len());
        // The descriptor is closed a moment before the count goes down.
        let begun = Instant::now();
        let new = loop {
            let mut new = connect(server.address(), number);
            if new.line().expect("a greeting").starts_with(b"* OK ") {
                break new;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "there is room");
        };
        clients.push(new);
    }
    drop(clients);
    gauge.wait_for_connections(0);
    healthy(&server, &folder);
}
