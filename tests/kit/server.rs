//! The launcher: starts the real binary, learns its addresses, stops and kills it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Client, PASSWORD, USER, build_folder, scratch};

/// Longer than any start or stop takes on a busy machine. A test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A data folder that is deleted when its last clone is dropped.
#[derive(Clone)]
pub struct Folder {
    place: Arc<tempfile::TempDir>,
    data: PathBuf,
}

impl Folder {
    /// An empty folder, without a user.
    pub fn empty() -> Folder {
        let place = tempfile::tempdir_in(scratch()).unwrap();
        let data = place.path().join("data");
        fs::create_dir(&data).unwrap();
        Folder { place: Arc::new(place), data }
    }

    /// The data lies at `data` and is not deleted. The log of the server stays in the scratch
    /// folder.
    pub fn at(data: PathBuf) -> Folder {
        let folder = Folder { data, ..Folder::empty() };
        folder.add_user(USER, PASSWORD, &[]);
        folder
    }

    /// A folder in which [`USER`] may log in.
    #[expect(clippy::new_without_default, reason = "it makes a folder on the disk")]
    pub fn new() -> Folder {
        let folder = Folder::empty();
        folder.add_user(USER, PASSWORD, &[]);
        folder
    }

    /// What `--data` is given.
    pub fn path(&self) -> PathBuf {
        self.data.clone()
    }

    /// The catalog, which may be deleted while no server runs.
    pub fn catalog(&self) -> PathBuf {
        self.path().join("catalog.redb")
    }

    /// The segments of the log, oldest first.
    pub fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("segments")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut segments: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
        segments.sort();
        segments
    }

    /// The first place of some octets in the log: segment and offset.
    pub fn find(&self, sought: &[u8]) -> Option<(PathBuf, usize)> {
        self.segments().into_iter().find_map(|segment| {
            let at = memchr::memmem::find(&fs::read(&segment).unwrap(), sought)?;
            Some((segment, at))
        })
    }

    /// The file with the messages that the server logs.
    pub fn log(&self) -> PathBuf {
        self.place.path().join("log")
    }

    /// `mailrace user add`.
    pub fn add_user(&self, name: &str, password: &str, flags: &[&str]) {
        let mut command = command(&["user", "add", name]);
        command.arg("--data").arg(self.path()).args(flags);
        let output = run(command, format!("{password}\n").as_bytes());
        assert!(output.status.success(), "{output:?}");
    }

    /// `mailrace user passwd`.
    pub fn passwd(&self, name: &str, password: &str, flags: &[&str]) {
        let mut command = command(&["user", "passwd", name]);
        command.arg("--data").arg(self.path()).args(flags);
        let output = run(command, format!("{password}\n").as_bytes());
        assert!(output.status.success(), "{output:?}");
    }
}

/// A running server.
pub struct Server {
    child: Child,
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    stdout: Receiver<String>,
    /// Keeps the folder while the server runs.
    folder: Folder,
}

impl Server {
    /// Starts a server with small segments on a free loopback port.
    pub fn start(folder: &Folder) -> Server {
        Server::with(folder, &[])
    }

    /// The same with more flags.
    pub fn with(folder: &Folder, flags: &[&str]) -> Server {
        Server::attempt(folder, flags)
            .unwrap_or_else(|status| panic!("no server: {status:?}\n{}", read(&folder.log())))
    }

    /// The same for a server that may exit at once; its exit status. Panics when it hangs.
    pub fn attempt(folder: &Folder, flags: &[&str]) -> Result<Server, ExitStatus> {
        Server::tuned(folder, flags, |_| ())
    }

    /// The same with changes to the command before it runs.
    pub fn tuned(
        folder: &Folder,
        flags: &[&str],
        tune: impl FnOnce(&mut Command),
    ) -> Result<Server, ExitStatus> {
        let (mut child, stdout) = spawn(folder, flags, tune);
        let line = match stdout.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Err(child.wait().unwrap()),
            Err(RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                let status = child.wait();
                panic!("no server, and no end of it: {status:?}\n{}", read(&folder.log()));
            }
        };
        let address = line.strip_prefix("mailrace: listening on ").map(str::parse);
        let Some(Ok(address)) = address else { panic!("what is this: {line:?}") };
        let tls_address = flags.contains(&"--tls-listen").then(|| {
            let line = stdout.recv_timeout(PATIENCE).expect("a second line");
            let address = line.strip_prefix("mailrace: listening by TLS on ").map(str::parse);
            let Some(Ok(address)) = address else { panic!("what is this: {line:?}") };
            address
        });
        Ok(Server { child, address, tls_address, stdout, folder: folder.clone() })
    }

    /// Starts a server and kills it after this time, during its start or later.
    pub fn kill_starting(folder: &Folder, flags: &[&str], after: Duration) {
        let (mut child, stdout) = spawn(folder, flags, |_| ());
        let _ = stdout.recv_timeout(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts a server that is expected to refuse the start, and waits for its end. Panics when it
    /// listens.
    pub fn fail(folder: &Path, flags: &[&str]) -> Output {
        let mut command = serve(folder, flags);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = lines(child.stdout.take().unwrap()).recv_timeout(PATIENCE);
        if said != Err(RecvTimeoutError::Disconnected) {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it does not give up: {said:?}");
        }
        child.wait_with_output().unwrap()
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address it listens on with TLS. Only with `--tls-listen`.
    pub fn tls_address(&self) -> SocketAddr {
        self.tls_address.expect("it was to listen by TLS")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        read(&self.folder.log())
    }

    /// The address of the admin endpoint. Only with `--admin`, and only once.
    pub fn admin(&self) -> SocketAddr {
        let line = self.stdout.recv_timeout(PATIENCE).expect("a second line");
        let address = line.strip_prefix("mailrace: admin on http://");
        let address = address.and_then(|address| address.strip_suffix('/')).map(str::parse);
        let Some(Ok(address)) = address else { panic!("what is this: {line:?}") };
        address
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Connects and reads the greeting.
    pub fn connect(&self) -> Client {
        let mut client = Client::connect(self.address);
        let greeting = client.response().expect("a greeting").text();
        assert!(greeting.starts_with("* OK "), "{greeting}");
        client
    }

    /// Connects and logs in as [`USER`].
    pub fn login(&self) -> Client {
        let mut client = self.connect();
        client.ok(&format!("LOGIN {USER} {PASSWORD}"));
        client
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal and does not wait.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// SIGTERM; the exit status.
    pub fn terminate(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end. Panics when it prints another line on standard output.
    pub fn wait(mut self) -> ExitStatus {
        match self.stdout.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Disconnected) => self.child.wait().unwrap(),
            Err(RecvTimeoutError::Timeout) => panic!("the server does not end"),
            Ok(line) => panic!("a second line on standard output: {line:?}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("---- log of the server ----\n{}", read(&self.folder.log()));
        }
    }
}

/// The binary under test with these arguments: the one beside the running test, or MAILRACE_BINARY.
pub fn command(arguments: &[&str]) -> Command {
    let binary = std::env::var_os("MAILRACE_BINARY");
    let mut command =
        Command::new(binary.map_or_else(|| build_folder().join("mailrace"), Into::into));
    command.args(arguments);
    command
}

/// Runs the binary to its end.
pub fn mailrace(arguments: &[&str], stdin: &str) -> Output {
    run(command(arguments), stdin.as_bytes())
}

fn run(mut command: Command, stdin: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read it may have ended already.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

/// `mailrace serve` with small segments and thousands of connections per user and address, unless
/// the flags say otherwise.
fn serve(folder: &Path, flags: &[&str]) -> Command {
    let mut command = command(&["serve"]);
    command.arg("--data").arg(folder).args(flags);
    let standard = [
        ("--segment-size", "16M"),
        ("--segments-ahead", "1"),
        ("--connections-per-user", "16384"),
        ("--connections-per-address", "16384"),
    ];
    for (flag, value) in standard {
        if !flags.contains(&flag) {
            command.args([flag, value]);
        }
    }
    command
}

fn spawn(
    folder: &Folder,
    flags: &[&str],
    tune: impl FnOnce(&mut Command),
) -> (Child, Receiver<String>) {
    let mut command = serve(&folder.path(), flags);
    let log = File::options().append(true).create(true).open(folder.log()).unwrap();
    if !flags.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    tune(&mut command);
    let mut child = command.spawn().unwrap();
    let stdout = lines(child.stdout.take().unwrap());
    (child, stdout)
}

/// Lines as they are printed. The channel closes when the process ends.
fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
