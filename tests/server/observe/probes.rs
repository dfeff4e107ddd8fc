//! `/healthz` and `/readyz`: when they fail, and that they recover.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;

use kit::{Client, Folder, Image, Kind, Message, Server, mailrace};
use rustix::process::Signal;
use socket2::SockRef;

use super::http::get;
use super::{observed, until};

fn wait_for(admin: SocketAddr, path: &str, code: u16) -> String {
    until(|| {
        let answer = get(admin, path);
        (answer.code == code).then_some(answer.body)
    })
}

#[test]
fn a_server_that_works_is_healthy_and_ready() {
    let (server, admin) = observed(&Folder::new(), &[]);
    for path in ["/healthz", "/readyz"] {
        let answer = get(admin, path);
        assert_eq!((answer.code, &*answer.body), (200, "ok\n"), "{path}");
    }
    assert!(server.terminate().success());
}

#[test]
fn a_full_disk_takes_no_mail_until_there_is_room() {
    let Some(image) = Image::new(Kind::Ext4, "observe-full", 128) else { return };
    let (server, admin) = observed(&image.folder(), &["--segment-size", "4M"]);
    let mut client = server.login();
    let message = Message { options: "", octets: &[b'x'; 500_000] };
    assert_eq!(get(admin, "/readyz").code, 200);
    image.fill(0);
    while client.append("INBOX", &[message]).tagged.starts_with("OK") {}
    let why = wait_for(admin, "/readyz", 503);
    assert!(why.starts_with("the disk is full: "), "{why}");
    assert_eq!(get(admin, "/healthz").code, 200, "the process is well");
    assert!(get(admin, "/metrics").body.contains("\nmailrace_ready 0\n"));
    until(|| {
        let status = super::http::json(admin, "/status.json");
        let reason = status["refusals"][0]["reason"].as_str().unwrap_or_default().to_owned();
        (reason == "there is no room on the disk" && status["ready"] == false).then_some(())
    });
    image.empty();
    wait_for(admin, "/readyz", 200);
    assert!(client.append("INBOX", &[message]).tagged.starts_with("OK"));
}

/// Waits until the server can send nothing more to a client that does not read: the client's window
/// is closed, and for twenty turns of each reactor nothing was added to what waits in the kernel.
fn wait_until_stuck(admin: SocketAddr, client: &Client) {
    let mut last = (0, 0);
    until(|| {
        let turns = turns(admin);
        let queued = unsent(client).filter(|&octets| octets > 0)?;
        if queued != last.0 {
            last = (queued, turns);
        }
        (turns >= last.1 + 20).then_some(())
    });
}

/// Signs of life of the reactor that has given the fewest.
fn turns(admin: SocketAddr) -> u64 {
    let text = get(admin, "/metrics").body;
    let lines = text.lines().filter(|line| line.starts_with("mailrace_reactor_turns_total{"));
    let turns = lines.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap());
    turns.min().expect("a server has reactors")
}

/// Octets that the kernel holds for this client on the server's side; `None` while it sends them,
/// rather than ask a closed window again and again.
fn unsent(client: &Client) -> Option<u64> {
    let port = format!(":{:04X}", client.socket().local_addr().unwrap().port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    // Local and remote address, state, send and receive queue, timer.
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row[2].ends_with(&port)).expect("a connection");
    let closed = row[5].starts_with("04:");
    closed.then(|| u64::from_str_radix(row[4].split_once(':').unwrap().0, 16).unwrap())
}

/// A failed log ends the server. While a session keeps it from ending, the probe says why.
#[test]
fn a_broken_disk_is_not_ready() {
    let Some(image) = Image::new(Kind::Xfs, "observe-broken", 320) else { return };
    let (server, admin) = observed(&image.folder(), &["--segment-size", "4M"]);
    let mut slow = server.login();
    // More than the buffers of two sockets hold.
    let large = vec![b'x'; 40 << 20];
    assert!(
        slow.append("INBOX", &[Message { options: "", octets: &large }]).tagged.starts_with("OK")
    );
    slow.ok("SELECT INBOX");
    // The client does not read, so its session cannot be told BYE once the buffers are full. Its
    // buffer is fixed: the kernel would let one grow long after the window was closed.
    SockRef::from(slow.socket()).set_recv_buffer_size(64 << 10).unwrap();
    slow.send(b"f FETCH 1 BODY[]\r\n");
    wait_until_stuck(admin, &slow);
    let mut client = server.login();
    image.fail();
    client.send(b"a CREATE new\r\n");
    let why = wait_for(admin, "/readyz", 503);
    assert!(why.contains("broke: the disk failed"), "{why}");
    // Only a restart helps.
    let why = wait_for(admin, "/healthz", 503);
    assert!(why.contains("broke: the disk failed"), "{why}");
    drop(slow);
    assert_eq!(server.wait().code(), Some(74));
}

/// Space may become free again, and then everything goes on without a restart.
#[test]
fn a_disk_that_does_not_answer_is_not_ready_until_it_does() {
    let Some(image) = Image::new(Kind::Ext4, "observe-stalled", 128) else { return };
    let (server, admin) = observed(&image.folder(), &["--segment-size", "4M"]);
    let mut client = server.login();
    let frozen = image.freeze();
    client.send(b"a CREATE new\r\n");
    let why = wait_for(admin, "/readyz", 503);
    assert!(why.starts_with("the disk has not answered a write or fdatasync of reactor "), "{why}");
    assert_eq!(get(admin, "/healthz").code, 200, "the process is well");
    assert!(get(admin, "/metrics").body.contains("\nmailrace_ready 0\n"));
    drop(frozen);
    assert!(client.reply("a").tagged.starts_with("OK "));
    wait_for(admin, "/readyz", 200);
    client.ok("CREATE another");
    assert!(server.terminate().success());
}

/// A client that holds all connections, or more, and sends nothing.
#[test]
fn probes_are_answered_in_a_crowd() {
    let (_server, admin) = observed(&Folder::new(), &[]);
    let mut silent = Vec::new();
    for round in 0..100 {
        silent.push(super::http::connect(admin));
        for path in ["/healthz", "/readyz"] {
            let answer = get(admin, path);
            assert_eq!((answer.code, &*answer.body), (200, "ok\n"), "{path} after {round}");
        }
    }
    // There is no room for requests that take longer.
    assert_eq!(get(admin, "/status.json").code, 503);
    drop(silent);
    wait_for(admin, "/status.json", 200);
}

#[test]
fn a_full_house_is_not_ready() {
    let (server, admin) = observed(&Folder::new(), &["--connections", "2"]);
    let clients = [server.connect(), server.connect()];
    let why = wait_for(admin, "/readyz", 503);
    assert!(why.contains("all 2 connections are in use"), "{why}");
    let mut third = kit::Client::connect(server.address());
    assert!(third.response().unwrap().text().starts_with("* BYE [UNAVAILABLE]"));
    until(|| {
        let refusals = super::http::json(admin, "/status.json")["refusals"].clone();
        (refusals[0]["what"] == "connection").then_some(())
    });
    drop(clients);
    wait_for(admin, "/readyz", 200);
}

#[test]
fn it_listens_on_the_loopback_only_and_only_when_asked() {
    let folder = Folder::new();
    for address in ["0.0.0.0:0", "192.0.2.7:9143", "[::]:0"] {
        let output = Server::fail(&folder.path(), &["--listen", "127.0.0.1:0", "--admin", address]);
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(address) && said.contains("loopback"), "{said}");
    }
    let (_server, admin) = observed(&folder, &[]);
    let (other, taken) = (Folder::new(), admin.to_string());
    let output = Server::fail(&other.path(), &["--listen", "127.0.0.1:0", "--admin", &taken]);
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&taken), "{output:?}");
    // Without --admin nothing more is announced, which the end checks.
    let server = Server::start(&Folder::new());
    assert!(server.terminate().success());
    assert!(mailrace(&["serve", "--help"], "").status.success());
}

/// The endpoint ends with the server and does not delay it.
#[test]
fn it_ends_with_the_server() {
    let (server, admin) = observed(&Folder::new(), &[]);
    let mut idle = super::http::connect(admin);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)));
}
