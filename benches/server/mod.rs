//! The real binary in its default configuration, and the kernel's figures of its process.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::net::SocketAddr;
use std::path::PathBuf;
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
    flags: Vec<String>,
}

impl Server {
    pub fn new() -> Server {
        Server::with(&[], &[])
    }

    /// A server with more users, all with [`PASSWORD`], and other values of some flags.
    pub fn with(users: &[String], other: &[(&str, &str)]) -> Server {
        let folder = Folder::new();
        users.iter().for_each(|user| folder.add_user(user, PASSWORD, &[]));
        let mut flags: Vec<String> = FLAGS.map(Into::into).into();
        for (name, value) in other {
            match flags.iter().position(|flag| flag == name) {
                Some(at) => flags[at + 1] = (*value).into(),
                None => flags.extend([(*name).into(), (*value).into()]),
            }
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server { address, running: None, folder, flags };
        server.start();
        server
    }

    /// Ends the server with this signal and starts it again. Returns the time when the start began.
    pub fn restart(&mut self, signal: Signal) -> Instant {
        self.stop(signal);
        self.start()
    }

    /// Ends the server with this signal, if it runs.
    pub fn stop(&mut self, signal: Signal) {
        if let Some(server) = self.running.take() {
            server.signal(signal);
            server.wait();
        }
    }

    /// Starts the server. It listens on return. Returns the time when the start began.
    pub fn start(&mut self) -> Instant {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let begun = Instant::now();
        let server = kit::Server::with(&self.folder, &flags);
        self.address = server.address();
        self.running = Some(server);
        begun
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path()
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

    /// The server's share of the memory that it uses, in bytes: of pages that other processes use
    /// too, a part. `None` where the kernel does not tell.
    pub fn share_of_memory(&self) -> Option<u64> {
        let rollup = std::fs::read_to_string(self.process("smaps_rollup")).ok()?;
        let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    }

    fn process(&self, file: &str) -> String {
        let server = self.running.as_ref().expect("the server runs");
        format!("/proc/{}/{file}", server.pid().as_raw_nonzero())
    }
}
