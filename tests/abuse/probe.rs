//! The toll of a command: how much the server's memory grows while it runs, and how long the NOOPs
//! of another user on the same reactor wait.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kit::{Folder, PASSWORD, Server};

use crate::gauge::{Gauge, MIB};

/// The user whose NOOPs are measured.
const BYSTANDER: &str = "bystander";

/// Interval between two NOOPs.
const PACE: Duration = Duration::from_millis(2);

/// 99 of 100 NOOPs are answered within this time while another user's command runs. Asserted only
/// with `MAILRACE_LATENCY=required`: on a busy machine the figure means nothing.
const P99: Duration = Duration::from_millis(100);

/// A server with one reactor and a second user, whose NOOPs are measured.
pub fn server(folder: &Folder, flags: &[&str]) -> Server {
    folder.add_user(BYSTANDER, PASSWORD, &[]);
    Server::with(folder, &[&["--reactors", "1"], flags].concat())
}

/// Sends NOOPs as the other user until [`Probe::end`].
pub struct Probe {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    /// Logs in and starts. The server must come from [`server`].
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
                // NOOPs that were due in the meantime would have waited for the rest of that time.
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

/// The effect of an attack on a server.
pub struct Toll {
    /// Resident memory before the attack, in bytes.
    pub before: u64,
    /// Peak of the resident memory during the attack, in bytes.
    pub peak: u64,
    /// How long the other user's NOOPs waited, ascending.
    pub waits: Vec<Duration>,
    /// Duration of the attack.
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
    /// Largest growth of memory, in bytes.
    pub fn grown(&self) -> u64 {
        self.peak.saturating_sub(self.before)
    }

    /// Prints the figures. Panics if memory has grown by more than `most` bytes and, with
    /// `MAILRACE_LATENCY=required`, if NOOPs waited too long.
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
