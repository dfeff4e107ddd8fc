//! Socket activation and readiness messages. A shell plays the part of systemd: it passes its
//! standard input and standard error as the descriptors that the protocol prescribes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use kit::{Client, Folder, Identity, PASSWORD, USER, command};
use rustix::process::{Pid, Signal, kill_process};
use rustls::version::TLS13;

const PATIENCE: Duration = Duration::from_secs(60);

const LAUNCH: &str = r#"exec 3<&0 4<&2 0</dev/null 2>>"$LOG"
LISTEN_PID=$$ exec "$@""#;

struct Service {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
    manager: UnixDatagram,
}

impl Service {
    /// Starts a server with one or two sockets and the names announced for them.
    fn start(folder: &Folder, names: &str, sockets: &[&dyn AsFd], flags: &[&str]) -> Service {
        let own = |socket: &&dyn AsFd| socket.as_fd().try_clone_to_owned().unwrap();
        let mut sockets = sockets.iter().map(own);
        let place = folder.log();
        let notify = place.with_extension("notify");
        let _ = fs::remove_file(&notify);
        let manager = UnixDatagram::bind(&notify).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let serve = command(&["serve", "--segment-size", "16M", "--segments-ahead", "1"]);
        let stdio = |socket: Option<OwnedFd>| socket.map_or_else(Stdio::null, Stdio::from);
        let count = sockets.len();
        let mut child = Command::new("sh")
            .args(["-c", LAUNCH, "sh"])
            .arg(serve.get_program())
            .args(serve.get_args())
            .args(["--data".as_ref(), folder.path().as_os_str()])
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .env("LOG", &place)
            .env("LISTEN_FDS", count.to_string())
            .env("LISTEN_FDNAMES", names)
            .env("NOTIFY_SOCKET", &notify)
            .stdin(stdio(sockets.next()))
            .stderr(stdio(sockets.next()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Service { child, stdout, log: place, manager }
    }

    /// The next line of standard output. Empty at its end.
    fn says(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn tells_manager(&self) -> String {
        let mut octets = [0; 512];
        let length = self.manager.recv(&mut octets).expect("a word to the manager");
        String::from_utf8(octets[..length].to_vec()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit status and its log.
    fn ended(&mut self) -> (Option<i32>, String) {
        (self.child.wait().unwrap().code(), fs::read_to_string(&self.log).unwrap_or_default())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn greeted(client: &mut Client) {
    let greeting = client.response().expect("a greeting").text();
    assert!(greeting.starts_with("* OK "), "{greeting}");
}

#[test]
fn a_socket_is_taken_over_and_left_as_it_was() {
    let folder = Folder::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // The client waits before there is a server.
    let mut early = Client::connect(address);

    let mut service = Service::start(&folder, "imap", &[&socket], &["--reactors", "2"]);
    assert_eq!(service.says(), format!("mailrace: listening on {address}"));
    assert_eq!(service.tells_manager(), "READY=1");
    greeted(&mut early);
    for _ in 0..20 {
        let mut client = Client::connect(address);
        greeted(&mut client);
        client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    }

    service.signal(Signal::HUP);
    assert!(service.tells_manager().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(service.tells_manager(), "READY=1");

    service.signal(Signal::TERM);
    assert_eq!(service.tells_manager(), "STOPPING=1\nSTATUS=stopping on signal 15");
    let (code, log) = service.ended();
    assert_eq!(code, Some(0), "{log}");

    // No connection is refused while the next server starts.
    let mut between = Client::connect(address);
    let mut service = Service::start(&folder, "imap", &[&socket], &[]);
    greeted(&mut between);
    between.ok(&format!("LOGIN {USER} {PASSWORD}"));
    service.signal(Signal::INT);
    assert_eq!(service.ended().0, Some(0));
}

#[test]
fn one_socket_may_be_for_tls() {
    let folder = Folder::new();
    let identity = Identity::new(&folder);
    let [plain, private] = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let flags = &identity.flags()[2..];
    let mut service = Service::start(&folder, "imaps:imap", &[&private, &plain], flags);
    let address = plain.local_addr().unwrap();
    assert_eq!(service.says(), format!("mailrace: listening on {address}"));
    greeted(&mut Client::connect(address));
    let address = private.local_addr().unwrap();
    assert_eq!(service.says(), format!("mailrace: listening by TLS on {address}"));
    greeted(&mut Client::by_tls(address, identity.config(&TLS13)));

    // Without a certificate it cannot speak TLS, and says so.
    drop(service);
    let mut service = Service::start(&folder, "imaps", &[&private], &[]);
    let (code, log) = service.ended();
    assert_eq!(code, Some(78), "{log}");
    assert!(log.contains(&address.to_string()) && log.contains("--tls-cert"), "{log}");
}

#[test]
fn what_is_no_socket_to_listen_on_is_named() {
    let folder = Folder::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let datagrams = UnixDatagram::unbound().unwrap();
    let cases: [(&str, &dyn AsFd, &str); 5] = [
        ("mailrace.socket", &socket, "FileDescriptorName="),
        ("imap:imaps", &socket, "LISTEN_FDNAMES has 2 names"),
        ("imap", &file, "descriptor 3"),
        ("imap", &datagrams, "descriptor 3"),
        ("", &socket, "FileDescriptorName="),
    ];
    for (names, descriptor, expected) in cases {
        let mut service = Service::start(&folder, names, &[descriptor], &[]);
        let (code, log) = service.ended();
        assert_eq!(code, Some(74), "{names}: {log}");
        assert!(log.contains(expected), "{names}: {log}");
        fs::remove_file(folder.log()).unwrap();
    }
}
