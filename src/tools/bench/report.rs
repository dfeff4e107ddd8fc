//! The report of a run, as a table and as JSON.

use std::fmt::Write;

use serde::Serialize;

use super::load::Load;
use super::machine::Environment;
use super::target::Cost;
use client::Comparison;

/// The results of a run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// The machine it ran on.
    pub machine: Environment,
    /// Description of the load.
    pub load: String,
    /// Rounds over IMAP, in order.
    pub rounds: Vec<Round>,
    /// Rounds without IMAP, each measured just before the one in `rounds`.
    pub floor: Vec<Round>,
    /// Rounds with TLS, each measured just after the one in `rounds`.
    pub tls: Vec<Round>,
    /// MB/s over IMAP divided by MB/s without, as the median over pairs of neighbouring rounds.
    pub ratio_to_floor: Option<f64>,
    /// MB/s with TLS divided by MB/s in clear text, as the median over such pairs.
    pub ratio_of_tls: Option<f64>,
}

/// A round of load.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Round {
    /// Messages acknowledged.
    pub messages: u64,
    /// Octets of these messages.
    pub octets: u64,
    /// Commands acknowledged.
    pub batches: u64,
    /// Duration.
    pub seconds: f64,
    /// Messages per second.
    pub messages_per_second: f64,
    /// Megabytes (10^6 octets) per second.
    pub megabytes_per_second: f64,
    /// Latency of a batch.
    pub latency_ms: Milliseconds,
    /// Processor seconds of the server per 10^9 octets.
    pub server_cpu_seconds_per_gigabyte: Option<f64>,
    /// Processor microseconds of the server per message.
    pub server_cpu_microseconds_per_message: Option<f64>,
    /// Processor seconds of the client per 10^9 octets.
    pub client_cpu_seconds_per_gigabyte: f64,
    /// Processor microseconds of the client per message.
    pub client_cpu_microseconds_per_message: f64,
    /// Number of fdatasyncs.
    pub fdatasyncs: Option<u64>,
    /// Messages fetched back and found equal to what was sent.
    pub messages_compared: Option<u64>,
}

/// Quantiles of the time from the first octet of a batch to its acknowledgement, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Milliseconds {
    /// Median.
    pub p50: f64,
    /// 90 % of batches took at most this.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p99_9: f64,
    /// The slowest batch.
    pub max: f64,
}

impl Round {
    /// Computes the figures of a round.
    pub(super) fn new(load: &Load, cost: &Cost, compared: Option<&Comparison>) -> Round {
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

/// Rows of the table: name, decimals, value.
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
    /// A report without rounds.
    pub(super) fn new(machine: Environment, load: String) -> Report {
        let (rounds, floor, tls) = (Vec::new(), Vec::new(), Vec::new());
        Report { machine, load, rounds, floor, tls, ratio_to_floor: None, ratio_of_tls: None }
    }

    /// Computes the ratios.
    pub(super) fn compare(&mut self) {
        self.ratio_to_floor = ratio(&self.rounds, &self.floor);
        self.ratio_of_tls = ratio(&self.tls, &self.rounds);
    }

    /// The table.
    pub(super) fn table(&self) -> String {
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
            rows(&mut out, "IMAP with TLS", &self.tls);
        }
        if !self.floor.is_empty() {
            out.push('\n');
            rows(&mut out, "without IMAP", &self.floor);
        }
        if let Some(ratio) = self.ratio_to_floor {
            let _ = writeln!(out, "\nMB/s over IMAP / MB/s without: {ratio:.3}");
        }
        if let Some(ratio) = self.ratio_of_tls {
            let _ = writeln!(out, "\nMB/s with TLS / MB/s in clear text: {ratio:.3}");
        }
        out
    }
}

/// Median of the throughput ratios of neighbouring rounds.
fn ratio(these: &[Round], those: &[Round]) -> Option<f64> {
    let pairs = these.iter().zip(those);
    let mut ratios: Vec<_> =
        pairs.map(|(this, that)| this.megabytes_per_second / that.megabytes_per_second).collect();
    median(&mut ratios)
}

/// Writes a section of the table: one column for a single round, or median, lowest and highest.
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

/// Sorts the values and returns the median: of an even number, the mean of the middle two.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
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
