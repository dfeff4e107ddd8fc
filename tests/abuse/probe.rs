//! The toll of a command: by how much the server's memory grows while it runs, and how long the
//! NOOPs of another user on the same reactor wait.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kit::{Folder, PASSWORD, Server};

use crate::gauge::{Gauge, MIB};

/// The user whose NOOPs are measured.
const BYSTANDER: &str = "bystander";

/// A NOOP is due each time this has passed.
const PACE: Duration = Duration::from_millis(2);

/// Of 100 NOOPs, 99 are answered within this while another user's command runs. Asserted only with
/// `MAILRACE_LATENCY=required`: on a machine that does other work the figure says nothing.
const P99: Duration = Duration::from_millis(100);

/// A server with one reactor and a second user, whose NOOPs are measured.
pub fn server(folder: &Folder, flags: &[&str]) -> Server {
    folder.add_user(BYSTANDER, PASSWORD, &[]);
    Server::with(folder, &[&["--reactors", "1"], flags].concat())
}

/// NOOPs of the other user, until [`Probe::end`].
pub struct Probe {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    /// Logs in and begins. The server is one of [`server`].
    pub fn start(server: &Server) -> Probe {
        let mut client = server.connect();
        client.ok(&format!("LOGIN {BYSTANDER} {PASSWORD}"));
        client.ok("NOOP");
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        let thread = thread::spawn(move || {
            let mut waits = Vec::new();
            while !flag.load(Ordering::Relaxed) {
                let begun = Instant::now();
                client.ok("NOOP");
                let mut wait = begun.elapsed();
                waits.push(wait);
                thread::sleep(PACE.saturating_sub(wait));
                // Those that were due while this one waited would have waited for the rest of it.
                while wait > PACE {
                    wait -= PACE;
                    waits.push(wait);
                }
            }
            waits
        });
        Probe { ended, thread }
    }

    /// How long each NOOP waited, ascending.
    pub fn end(self) -> Vec<Duration> {
        self.ended.store(true, Ordering::Relaxed);
        let mut waits = self.thread.join().expect("the server answers NOOP");
        waits.sort_unstable();
        waits
    }
}

/// What an attack did to a server.
pub struct Toll {
    /// Bytes in memory before it.
    pub before: u64,
    /// The most bytes in memory while it ran.
    pub peak: u64,
    /// How long the other user's NOOPs waited, ascending.
    pub waits: Vec<Duration>,
    /// How long it ran.
    pub took: Duration,
}

/// Runs an attack on a server of [`server`] and measures its toll.
pub fn toll(server: &Server, attack: impl FnOnce()) -> Toll {
    let gauge = Gauge::new(server);
    let probe = Probe::start(server);
    let before = gauge.resident();
    // From here on VmHWM is the peak of the attack (proc_pid_clear_refs(5)).
    let pid = server.pid().as_raw_nonzero();
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("our own process");
    let begun = Instant::now();
    attack();
    let took = begun.elapsed();
    let waits = probe.end();
    Toll { before, peak: gauge.peak(), waits, took }
}

impl Toll {
    /// Bytes by which memory has grown at most.
    pub fn grown(&self) -> u64 {
        self.peak.saturating_sub(self.before)
    }

    /// Prints the figures. Panics when memory has grown by more than `most` bytes, and with
    /// `MAILRACE_LATENCY=required` when NOOPs waited longer than they may.
    pub fn check(&self, name: &str, most: u64) {
        let p99 = self.waits[self.waits.len() * 99 / 100];
        let longest = self.waits.last().copied().unwrap_or_default();
        println!(
            "{name}: {} ms; {} MiB resident, {} more at the peak; {} NOOPs of another user waited \
             {:.1} ms at the 99th percentile, {:.1} ms at most",
            self.took.as_millis(),
            self.before / MIB,
            self.grown() / MIB,
            self.waits.len(),
            p99.as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3,
        );
        let (grown, most) = (self.grown().div_ceil(MIB), most / MIB);
        assert!(grown <= most, "{name}: memory has grown by {grown} MiB, over {most}");
        if std::env::var("MAILRACE_LATENCY").is_ok_and(|value| value == "required") {
            assert!(p99 <= P99, "{name}: NOOPs of another user waited {p99:?}, over {P99:?}");
        }
    }
}
