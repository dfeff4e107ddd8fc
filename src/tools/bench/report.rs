//! The report: a table to read, JSON to keep.

use std::fmt::Write;

use serde::Serialize;

use super::load::Load;
use super::machine::Machine;
use super::target::Cost;
use client::Comparison;

/// Everything a run has found out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// What was done, in words.
    pub load: String,
    /// The rounds over IMAP, in order.
    pub rounds: Vec<Round>,
    /// The rounds without IMAP, each measured just before the one in `rounds`.
    pub floor: Vec<Round>,
    /// The rounds by TLS, each measured just after the one in `rounds`.
    pub tls: Vec<Round>,
    /// Median of the ratios between neighbours, MB/s over IMAP to MB/s without.
    pub ratio_to_floor: Option<f64>,
    /// The same, MB/s by TLS to MB/s in clear text.
    pub ratio_of_tls: Option<f64>,
}

/// A round of load.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Messages acknowledged.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Commands acknowledged.
    pub batches: u64,
    /// How long it took.
    pub seconds: f64,
    /// Messages a second.
    pub messages_per_second: f64,
    /// Megabytes (10^6 octets) a second.
    pub megabytes_per_second: f64,
    /// Latency of a batch.
    pub latency_ms: Milliseconds,
    /// Processor seconds of the server for each 10^9 octets.
    pub server_cpu_seconds_per_gigabyte: Option<f64>,
    /// Processor microseconds of the server for each message.
    pub server_cpu_microseconds_per_message: Option<f64>,
    /// Processor seconds of the client for each 10^9 octets.
    pub client_cpu_seconds_per_gigabyte: f64,
    /// Processor microseconds of the client for each message.
    pub client_cpu_microseconds_per_message: f64,
    /// Calls of fdatasync.
    pub fdatasyncs: Option<u64>,
    /// Messages that were fetched back and were what had been sent.
    pub messages_compared: Option<u64>,
}

/// From the first octet of a batch to its acknowledgement, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Milliseconds {
    /// Half of the batches took no longer.
    pub p50: f64,
    /// 90 in 100.
    pub p90: f64,
    /// 99 in 100.
    pub p99: f64,
    /// 999 in 1000.
    pub p99_9: f64,
    /// All.
    pub max: f64,
}

impl Round {
    /// The figures of a round.
    pub fn new(load: &Load, cost: &Cost, compared: Option<&Comparison>) -> Round {
        let seconds = load.elapsed.as_secs_f64().max(1e-9);
        let per_gigabyte = |cpu: f64| cpu / (load.octets.max(1) as f64 / 1e9);
        let per_message = |cpu: f64| cpu * 1e6 / load.messages.max(1) as f64;
        let milliseconds = |share| load.latency.milliseconds(share);
        let (server, client) = (cost.cpu.map(|c| c.as_secs_f64()), load.client_cpu.as_secs_f64());
        Round {
            messages: load.messages,
            octets: load.octets,
            batches: load.batches,
            seconds,
            messages_per_second: load.messages as f64 / seconds,
            megabytes_per_second: load.octets as f64 / 1e6 / seconds,
            latency_ms: Milliseconds {
                p50: milliseconds(0.5),
                p90: milliseconds(0.9),
                p99: milliseconds(0.99),
                p99_9: milliseconds(0.999),
                max: milliseconds(1.0),
            },
            server_cpu_seconds_per_gigabyte: server.map(per_gigabyte),
            server_cpu_microseconds_per_message: server.map(per_message),
            client_cpu_seconds_per_gigabyte: per_gigabyte(client),
            client_cpu_microseconds_per_message: per_message(client),
            fdatasyncs: cost.fdatasyncs,
            messages_compared: compared.map(|c| c.messages),
        }
    }
}

type Figure = (&'static str, usize, fn(&Round) -> Option<f64>);

/// Rows of the table: what, decimals, where from.
const FIGURES: [Figure; 16] = [
    ("messages", 0, |r| Some(r.messages as f64)),
    ("MB", 0, |r| Some(r.octets as f64 / 1e6)),
    ("messages/s", 0, |r| Some(r.messages_per_second)),
    ("MB/s", 1, |r| Some(r.megabytes_per_second)),
    ("latency p50, ms", 2, |r| Some(r.latency_ms.p50)),
    ("latency p90, ms", 2, |r| Some(r.latency_ms.p90)),
    ("latency p99, ms", 2, |r| Some(r.latency_ms.p99)),
    ("latency p99.9, ms", 2, |r| Some(r.latency_ms.p99_9)),
    ("latency max, ms", 2, |r| Some(r.latency_ms.max)),
    ("server CPU, s/GB", 3, |r| r.server_cpu_seconds_per_gigabyte),
    ("server CPU, µs/message", 2, |r| r.server_cpu_microseconds_per_message),
    ("client CPU, s/GB", 3, |r| Some(r.client_cpu_seconds_per_gigabyte)),
    ("client CPU, µs/message", 2, |r| Some(r.client_cpu_microseconds_per_message)),
    ("batches", 0, |r| Some(r.batches as f64)),
    ("fdatasyncs", 0, |r| r.fdatasyncs.map(|n| n as f64)),
    ("messages compared", 0, |r| r.messages_compared.map(|n| n as f64)),
];

impl Report {
    /// One without rounds.
    pub fn new(machine: Machine, load: String) -> Report {
        let (rounds, floor, tls) = (Vec::new(), Vec::new(), Vec::new());
        Report { machine, load, rounds, floor, tls, ratio_to_floor: None, ratio_of_tls: None }
    }

    /// Finds the ratios.
    pub fn compare(&mut self) {
        self.ratio_to_floor = ratio(&self.rounds, &self.floor);
        self.ratio_of_tls = ratio(&self.tls, &self.rounds);
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let machine = &self.machine;
        let commit = machine.commit.as_deref().unwrap_or("unknown");
        let cores = machine.cores;
        let _ = writeln!(out, "{}", self.load);
        let _ = writeln!(
            out,
            "{}, {cores} core{}, {}, {}, commit {commit}\n",
            machine.cpu,
            if cores == 1 { "" } else { "s" },
            machine.kernel,
            machine.file_system
        );
        if !self.rounds.is_empty() {
            rows(&mut out, "IMAP", &self.rounds);
        }
        if !self.tls.is_empty() {
            out.push('\n');
            rows(&mut out, "IMAP by TLS", &self.tls);
        }
        if !self.floor.is_empty() {
            out.push('\n');
            rows(&mut out, "without IMAP", &self.floor);
        }
        if let Some(ratio) = self.ratio_to_floor {
            let _ = writeln!(out, "\nMB/s over IMAP to MB/s without: {ratio:.3}");
        }
        if let Some(ratio) = self.ratio_of_tls {
            let _ = writeln!(out, "\nMB/s by TLS to MB/s in clear text: {ratio:.3}");
        }
        out
    }
}

/// Median of the ratios of throughput between neighbours.
fn ratio(these: &[Round], those: &[Round]) -> Option<f64> {
    let pairs = these.iter().zip(those);
    let mut ratios: Vec<_> =
        pairs.map(|(this, that)| this.megabytes_per_second / that.megabytes_per_second).collect();
    median(&mut ratios)
}

/// One column for a single round; median, lowest and highest of several.
fn rows(out: &mut String, title: &str, rounds: &[Round]) {
    let several = rounds.len() > 1;
    let _ = match several {
        true => writeln!(out, "{title:<24}{:>14}{:>14}{:>14}", "median", "lowest", "highest"),
        false => writeln!(out, "{title}"),
    };
    for (name, decimals, figure) in FIGURES {
        let mut values: Vec<f64> = rounds.iter().filter_map(figure).collect();
        let Some(middle) = median(&mut values) else { continue };
        let _ = write!(out, "{name:<24}{middle:>14.decimals$}");
        if several {
            let (low, high) = (values[0], values[values.len() - 1]);
            let _ = write!(out, "{low:>14.decimals$}{high:>14.decimals$}");
        }
        out.push('\n');
    }
}

/// Sorts; the mean of the two in the middle when their number is even.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[half]),
        _ => Some((values[half - 1] + values[half]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
