//! The real binary in its default configuration, and the kernel's figures of its process.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::net::SocketAddr;
use std::time::Instant;

use kit::Folder;
pub use kit::{PASSWORD, USER};
use rustix::process::Signal;

/// The server's own defaults, where the launcher's differ for tests.
const FLAGS: [&str; 6] = ["--segment-size", "1G", "--segments-ahead", "2", "--log", "warn"];

/// A server on a folder of its own, with one user.
pub struct Server {
    running: Option<kit::Server>,
    /// The address that it listens on.
    pub address: SocketAddr,
    folder: Folder,
}

impl Server {
    pub fn new() -> Server {
        let folder = Folder::new();
        let running = kit::Server::with(&folder, &FLAGS);
        Server { address: running.address(), running: Some(running), folder }
    }

    /// Ends the server with this signal and starts it again. Returns the time when the start began.
    pub fn restart(&mut self, signal: Signal) -> Instant {
        if let Some(server) = self.running.take() {
            server.signal(signal);
            server.wait();
        }
        let begun = Instant::now();
        let server = kit::Server::with(&self.folder, &FLAGS);
        self.address = server.address();
        self.running = Some(server);
        begun
    }

    /// CPU time of all threads of the server, in seconds.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(self.process("stat")).expect("the server runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let times = fields.split_whitespace().skip(11).take(2);
        times.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
    }

    /// Resets the peak of memory.
    pub fn forget_peak(&self) {
        let _ = std::fs::write(self.process("clear_refs"), "5");
    }

    /// Memory in bytes, by its name in /proc/PID/status.
    pub fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(self.process("status")).expect("the server runs");
        let line = status.lines().find(|line| line.starts_with(name)).expect("Linux has it");
        let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
        kib.expect("a number of KiB") * 1024
    }

    fn process(&self, file: &str) -> String {
        let server = self.running.as_ref().expect("the server runs");
        format!("/proc/{}/{file}", server.pid().as_raw_nonzero())
    }
}
