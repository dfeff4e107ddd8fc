//! The real binary, in a process of its own on a temporary folder.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Its only user.
pub const USER: &str = "bench";

/// His password.
pub const PASSWORD: &str = "bench";

/// The real binary.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    data: TempDir,
}

impl Server {
    /// On a folder of its own, with one user.
    pub fn new() -> Server {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut add = mailrace()
            .args(["user", "add", USER, "--data"])
            .arg(data.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("mailrace user add");
        let mut stdin = add.stdin.take().expect("it was piped");
        writeln!(stdin, "{PASSWORD}").expect("the password");
        drop(stdin);
        assert!(add.wait().expect("mailrace user add").success());
        let (child, address) = start(&data);
        Server { child, address, data }
    }

    /// Ends it by this signal and starts it again; the time is that of the start.
    pub fn restart(&mut self, signal: Signal) -> Instant {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
        self.child.wait().expect("it ends");
        let begun = Instant::now();
        (self.child, self.address) = start(&self.data);
        begun
    }

    /// Processor seconds of all its threads.
    pub fn cpu(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).expect("the server runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let times = fields.split_whitespace().skip(11).take(2);
        times.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
    }

    /// From here on the peak is counted again.
    pub fn forget_peak(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    /// Octets of memory, by the name that /proc gives them.
    pub fn memory(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the server runs");
        let line = status.lines().find(|line| line.starts_with(name)).expect("Linux tells it");
        let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
        kib.expect("a number of KiB") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary that is measured: the one that was built along, or MAILRACE_BINARY.
fn mailrace() -> Command {
    let binary = std::env::var_os("MAILRACE_BINARY");
    Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_mailrace").into()))
}

fn start(data: &TempDir) -> (Child, SocketAddr) {
    let mut child = mailrace()
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn"])
        .args(["--connections-per-user", "16384", "--connections-per-address", "16384", "--data"])
        .arg(data.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("mailrace serve");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it was piped");
    BufReader::new(stdout).read_line(&mut line).expect("the line that says where it listens");
    let address = line.trim().rsplit(' ').next().and_then(|address| address.parse().ok());
    (child, address.expect("an address"))
}
