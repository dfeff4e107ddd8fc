//! The kernel's figures of the server process: memory, descriptors, threads.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kit::Server;

/// A mebibyte.
pub const MIB: u64 = 1 << 20;

/// A measurement of the process.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Time since the gauge was made.
    pub at: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: u64,
    /// Units of work done by then, such as commands.
    pub count: u64,
}

/// The process of a server.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    pid: i32,
    begun: Instant,
    /// Sockets that are not connections.
    own_sockets: usize,
}

impl Gauge {
    /// For a server without connections.
    pub fn new(server: &Server) -> Gauge {
        let pid = server.pid().as_raw_nonzero().get();
        let mut gauge = Gauge { pid, begun: Instant::now(), own_sockets: 0 };
        gauge.own_sockets = gauge.connections();
        gauge
    }

    /// A number from /proc/PID/status.
    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("a server");
        let line = status.lines().find(|line| line.starts_with(name)).expect("Linux tells it");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        self.status("VmRSS:") * 1024
    }

    /// Peak of the resident memory since the start, in bytes.
    pub fn peak(&self) -> u64 {
        self.status("VmHWM:") * 1024
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).expect("a server").count()
    }

    /// Connections that the server has not closed.
    pub fn connections(&self) -> usize {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid)).expect("a server");
        let links = entries.flatten().flat_map(|entry| fs::read_link(entry.path()));
        let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:")).count();
        sockets - self.own_sockets
    }

    /// Measures everything.
    pub fn sample(&self, count: u64) -> Sample {
        Sample {
            at: self.begun.elapsed(),
            resident: self.resident(),
            descriptors: self.descriptors(),
            threads: self.status("Threads:"),
            count,
        }
    }

    /// Measures at this interval until `ended` is set.
    pub fn watch(
        &self,
        every: Duration,
        ended: &AtomicBool,
        mut look: impl FnMut(&Sample),
        count: impl Fn() -> u64,
    ) -> Vec<Sample> {
        let mut samples = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            let sample = self.sample(count());
            look(&sample);
            samples.push(sample);
            std::thread::sleep(every);
        }
        samples
    }

    /// Waits until exactly `wanted` connections are open. Panics after a minute.
    pub fn wait_for_connections(&self, wanted: usize) {
        patiently(|| match self.connections() {
            open if open == wanted => Ok(()),
            open => Err(format!("{open} connections are open, not {wanted}")),
        });
    }

    /// Waits until resident memory is at least `least` bytes. Panics after a minute.
    pub fn wait_for_memory_of(&self, least: u64) {
        patiently(|| match self.resident() {
            resident if resident >= least => Ok(()),
            resident => Err(format!("{} MiB resident, under {}", resident / MIB, least / MIB)),
        });
    }

    /// Waits until resident memory is at most `most` bytes. Panics after a minute.
    pub fn wait_for_memory(&self, most: u64) {
        patiently(|| match self.resident() {
            resident if resident <= most => Ok(()),
            resident => Err(format!("{} MiB resident, over {}", resident / MIB, most / MIB)),
        });
    }
}

fn patiently(check: impl Fn() -> Result<(), String>) {
    let begun = Instant::now();
    while let Err(why) = check() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{why}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Memory in the second and in the last quarter of a run, and the work done in between.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Median of the second quarter, in bytes.
    pub before: u64,
    /// Median of the last quarter, in bytes.
    pub after: u64,
    /// Work from the middle of the one quarter to the middle of the other.
    pub count: u64,
}

impl Growth {
    /// Ignores the first quarter, in which caches fill and journals reach their full length.
    pub fn of(samples: &[Sample]) -> Growth {
        let quarter = samples.len() / 4;
        assert!(quarter >= 3, "too few samples for quarters: {}", samples.len());
        let second = &samples[quarter..2 * quarter];
        let last = &samples[samples.len() - quarter..];
        let middle = |samples: &[Sample]| samples[samples.len() / 2].count;
        Growth { before: median(second), after: median(last), count: middle(last) - middle(second) }
    }

    /// Growth of memory in bytes; 0 if it has shrunk.
    pub fn octets(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }
}

fn median(samples: &[Sample]) -> u64 {
    let mut resident: Vec<_> = samples.iter().map(|sample| sample.resident).collect();
    resident.sort_unstable();
    resident[resident.len() / 2]
}

#[test]
fn a_leak_of_a_hundred_octets_a_command_is_seen_and_noise_is_not() {
    let run = |leak: u64| {
        let sample = |second: u64| Sample {
            at: Duration::from_secs(second),
            resident: 150 * MIB + (second * 7919 % 5) * MIB + second * 500 * leak,
            descriptors: 100,
            threads: 9,
            count: second * 500,
        };
        Growth::of(&(0..3600).map(sample).collect::<Vec<_>>())
    };
    assert_eq!(run(0).octets(), 0);
    assert_eq!(run(0).count, 500 * 1800);
    assert!(run(100).octets() >= 100 * 500 * 1750);
}
