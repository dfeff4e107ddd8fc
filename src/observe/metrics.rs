//! `/metrics`: the counters in the text format of OpenMetrics, which Prometheus reads.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::disk::Room;
use super::reading::Reading;
use super::status::Segments;
use crate::limits::{LARGE_LEASES, SMALL_LEASES};
use crate::stats::{BUCKETS, Histogram, STANDINGS, WHATS};

/// Content type of [`text`].
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is told, read at one moment.
#[derive(Debug)]
pub(super) struct Scrape {
    pub reactors: Vec<Reading>,
    /// Uploads under way in each reactor.
    pub uploads: Vec<u64>,
    pub segments: Segments,
    pub ready: bool,
    pub room: Option<Room>,
    pub connections: u64,
    pub begun_at: u64,
    /// When the certificate expires, in seconds since 1970 UTC.
    pub certificate: Option<i64>,
    /// Messages whose octets are damaged, and other damages.
    pub damaged: (u64, u64),
    /// Of each log its name, lines lost, and whether the last write failed.
    pub logs: [(&'static str, u64, bool); 2],
}

/// The text of a scrape.
pub(super) fn text(scrape: Scrape) -> String {
    let mut registry = Registry::with_prefix("mailrace");
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("a string takes all");
    text
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// How the values of a histogram become those of a metric.
#[derive(Clone, Copy)]
struct Scale {
    /// Of buckets with bounds of powers of two, those from this exponent on are told.
    from: usize,
    /// And those up to this one.
    to: usize,
    /// One value in the unit of the metric.
    unit: f64,
}

/// From 16 microseconds to 8.4 seconds.
const SECONDS: Scale = Scale { from: 4, to: BUCKETS - 2, unit: 1e-6 };

/// From 1 to 4,096.
const SIZES: Scale = Scale { from: 0, to: 12, unit: 1.0 };

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let numbers: Vec<_> = (0..self.reactors.len()).map(|n| n.to_string()).collect();
        let mut page = Page { encoder, scrape: self, numbers: &numbers };
        page.mail()?;
        page.log()?;
        page.sessions()?;
        page.reactors()?;
        page.process()
    }
}

struct Page<'a, 'e> {
    encoder: DescriptorEncoder<'e>,
    scrape: &'a Scrape,
    numbers: &'a [String],
}

impl<'a> Page<'a, '_> {
    fn mail(&mut self) -> fmt::Result {
        self.count("messages", None, "Messages that became durable.", |one| one.messages)?;
        let help = "Octets of messages that became durable.";
        self.count("message", Some(Unit::Bytes), help, |one| one.octets)?;
        self.count("batches", None, "APPEND commands that became durable.", |one| one.batches)?;
        let help = "Uploads under way.";
        let uploads = self.numbers.iter().zip(&self.scrape.uploads);
        let each = uploads.map(|(n, &count)| (vec![("reactor", &**n)], count as f64)).collect();
        self.gauges("uploads_active", None, help, each)
    }

    fn log(&mut self) -> fmt::Result {
        let help = "Time that calls of fdatasync took.";
        self.histogram("fdatasync", Some(Unit::Seconds), help, SECONDS, |one| &one.sync_latency)?;
        let help = "Batches and changes that one fdatasync made durable.";
        self.histogram("fdatasync_group_size", None, help, SIZES, |one| &one.group)?;
        let help = "How long the disk has owed an answer that somebody waits for.";
        let each =
            self.each(|one, n| vec![(vec![("reactor", n)], one.stalled_micros as f64 / 1e6)]);
        self.gauges("log_stalled", Some(Unit::Seconds), help, each)?;
        self.count("log_frames", None, "Frames written to the log.", |one| one.frames)?;
        let help = "Octets written to the log, headers and padding included.";
        self.count("log", Some(Unit::Bytes), help, |one| one.log_octets)?;
        let help = "The last log sequence number that is durable.";
        self.gauge("log_durable_lsn", None, help, |one| one.durable_lsn)?;
        let help =
            "Commands that waited because their account, which has a quota, had logged too much.";
        self.count("log_waits", None, help, |one| one.log_waits)?;
        let help = "The segment that the log writes to.";
        self.gauge("log_segment", None, help, |one| one.segment)?;
        let help = "Where in that segment the durable log ends.";
        self.gauge("log_position", Some(Unit::Bytes), help, |one| one.segment_offset)?;
        let help = "Segments taken into use merely allocated, which makes fdatasync slow.";
        self.count("unwritten_segments", None, help, |one| one.unwritten_segments)?;
        let help = "Octets of log that a start would have to read.";
        self.gauge("checkpoint_lag", Some(Unit::Bytes), help, |one| one.checkpoint_lag)?;
        self.count("checkpoints", None, "Checkpoints written.", |one| one.checkpoints)?;
        let help = "Checkpoints that failed and were tried again.";
        self.count("checkpoint_failures", None, help, |one| one.checkpoints_failed)
    }

    fn sessions(&mut self) -> fmt::Result {
        let each = self.each(|reading, n| {
            let state = |(standing, name)| {
                let count = reading.connections[standing as usize];
                (vec![("reactor", n), ("state", name)], count as f64)
            };
            STANDINGS.into_iter().map(state).collect()
        });
        self.gauges("connections", None, "Connections by what they do.", each)?;
        self.gauge("accounts", None, "Accounts in memory.", |one| one.accounts)?;
        self.count("logins", None, "Logins that were accepted.", |one| one.logins)?;
        let each = self.each(|reading, n| {
            let what = |(what, name)| {
                (vec![("reactor", n), ("what", name)], reading.refusals[what as usize])
            };
            WHATS.into_iter().map(what).collect()
        });
        self.counters("refusals", "APPENDs, logins and connections refused.", each)?;
        let help = "Commands that could not be read.";
        self.count("parse_errors", None, help, |one| one.parse_errors)
    }

    fn reactors(&mut self) -> fmt::Result {
        let help = "How late timers fire: what any event waits for its turn.";
        let name = "reactor_lateness";
        self.histogram(name, Some(Unit::Seconds), help, SECONDS, |one| &one.lateness)?;
        self.count("reactor_turns", None, "Signs of life, 20 a second.", |one| one.turns)?;
        let cpu = self.each(|one, n| vec![(vec![("reactor", n)], one.cpu_micros as f64 / 1e6)]);
        let help = "Processor time of the reactor.";
        self.counters_of("reactor_cpu", Some(Unit::Seconds), help, cpu)?;
        let each = self.each(|one, n| {
            vec![
                (vec![("reactor", n), ("size", "small")], one.small_leases as f64),
                (vec![("reactor", n), ("size", "large")], one.large_leases as f64),
            ]
        });
        self.gauges("leases_in_use", None, "Leases handed out.", each)?;
        let all = |size, count: usize| (vec![("size", size)], count as f64);
        let limits = vec![all("small", SMALL_LEASES), all("large", LARGE_LEASES)];
        self.gauges("leases", None, "Leases that each reactor has.", limits)?;
        let help = "Times that somebody waited for a lease.";
        self.count("lease_waits", None, help, |one| one.lease_waits)
    }

    fn process(&mut self) -> fmt::Result {
        let Segments { ready, active, reserve, sealed, .. } = self.scrape.segments;
        let state = |name, count: u64| (vec![("state", name)], count as f64);
        let each = vec![
            state("ready", ready),
            state("active", active),
            state("reserve", reserve),
            state("sealed", sealed),
        ];
        self.gauges("segments", None, "Files of the log.", each)?;
        if let Some(Room { size, available }) = self.scrape.room {
            let help = "Size of the file system of the log.";
            self.one("disk_size", Some(Unit::Bytes), help, size as f64)?;
            let help = "What is free on it.";
            self.one("disk_free", Some(Unit::Bytes), help, available as f64)?;
        }
        let limit = self.scrape.connections as f64;
        self.one("connections_limit", None, "Connections that there may be.", limit)?;
        let ready = f64::from(u8::from(self.scrape.ready));
        self.one("ready", None, "1 while mail is taken, else 0, as /readyz says.", ready)?;
        let (messages, others) = self.scrape.damaged;
        let help = "Messages whose octets the start found damaged.";
        self.one("damaged_messages", None, help, messages as f64)?;
        let help = "Holes in the log, and other damages that the start went past.";
        self.one("damages", None, help, others as f64)?;
        let of = |name| vec![("of", name)];
        let lost = self.scrape.logs.iter().map(|&(name, lost, _)| (of(name), lost)).collect();
        let help = "Lines lost because what takes them was too slow, or failed.";
        self.counters("log_lines_lost", help, lost)?;
        let failing = |&(name, _, failing)| (of(name), f64::from(u8::from(failing)));
        let failing = self.scrape.logs.iter().map(failing).collect();
        self.gauges("log_failing", None, "1 while the log cannot be written, else 0.", failing)?;
        let help = "When the server started, in seconds since 1970 UTC.";
        self.one("start_time", Some(Unit::Seconds), help, self.scrape.begun_at as f64)?;
        if let Some(until) = self.scrape.certificate {
            let help = "When the TLS certificate expires, in seconds since 1970 UTC.";
            self.one("tls_certificate_expires", Some(Unit::Seconds), help, until as f64)?;
        }
        let version = vec![(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)];
        self.gauges("build_info", None, "The version that runs.", version)
    }

    /// Something of each reactor, with its label.
    fn each<T>(&self, of: impl Fn(&'a Reading, &'a str) -> Vec<T>) -> Vec<T> {
        let numbered = self.scrape.reactors.iter().zip(self.numbers);
        numbered.flat_map(|(reading, number)| of(reading, number)).collect()
    }

    /// A figure of each reactor, with its label.
    fn figure(&self, of: impl Fn(&Reading) -> u64) -> Vec<(Labels<'a>, f64)> {
        self.each(|reading, n| vec![(vec![("reactor", n)], of(reading) as f64)])
    }

    /// A counter of each reactor.
    fn count(
        &mut self,
        name: &str,
        unit: Option<Unit>,
        help: &str,
        of: impl Fn(&Reading) -> u64,
    ) -> fmt::Result {
        self.counters_of(name, unit, help, self.figure(of))
    }

    fn counters(&mut self, name: &str, help: &str, each: Vec<(Labels<'a>, u64)>) -> fmt::Result {
        let each = each.into_iter().map(|(labels, count)| (labels, count as f64)).collect();
        self.counters_of(name, None, help, each)
    }

    fn counters_of(
        &mut self,
        name: &str,
        unit: Option<Unit>,
        help: &str,
        each: Vec<(Labels<'a>, f64)>,
    ) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut metric = self.encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, value) in &each {
            let mut one = metric.encode_family(labels)?;
            // Whole numbers as such: a float has a point and perhaps an exponent.
            if value.fract() == 0.0 {
                one.encode_counter::<NoLabelSet, u64, f64>(&(*value as u64), None)?;
            } else {
                one.encode_counter::<NoLabelSet, f64, f64>(value, None)?;
            }
        }
        Ok(())
    }

    /// A gauge of each reactor.
    fn gauge(
        &mut self,
        name: &str,
        unit: Option<Unit>,
        help: &str,
        of: impl Fn(&Reading) -> u64,
    ) -> fmt::Result {
        self.gauges(name, unit, help, self.figure(of))
    }

    /// A gauge without labels.
    fn one(&mut self, name: &str, unit: Option<Unit>, help: &str, value: f64) -> fmt::Result {
        self.gauges(name, unit, help, vec![(Vec::new(), value)])
    }

    fn gauges(
        &mut self,
        name: &str,
        unit: Option<Unit>,
        help: &str,
        each: Vec<(Labels<'a>, f64)>,
    ) -> fmt::Result {
        let kind = MetricType::Gauge;
        let mut metric = self.encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, value) in &each {
            // All are whole numbers.
            let value = *value as u64;
            match labels.is_empty() {
                true => metric.encode_gauge(&value)?,
                false => metric.encode_family(labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        name: &str,
        unit: Option<Unit>,
        help: &str,
        scale: Scale,
        of: impl Fn(&Reading) -> &Histogram,
    ) -> fmt::Result {
        let kind = MetricType::Histogram;
        let mut metric = self.encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (reading, number) in self.scrape.reactors.iter().zip(self.numbers) {
            let histogram = of(reading);
            let labels = [("reactor", &**number)];
            let mut one = metric.encode_family(&labels)?;
            let sum = histogram.sum() as f64 * scale.unit;
            let buckets = buckets(histogram, scale);
            one.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None)?;
        }
        Ok(())
    }
}

/// Upper bounds and how many values are in each bucket alone; the last has no bound.
fn buckets(histogram: &Histogram, scale: Scale) -> Vec<(f64, u64)> {
    let counts = histogram.counts();
    let bound = |exponent: usize| (1u64 << exponent) as f64 * scale.unit;
    let mut buckets = vec![(bound(scale.from), counts[..=scale.from].iter().sum())];
    buckets.extend((scale.from + 1..=scale.to).map(|at| (bound(at), counts[at])));
    buckets.push((f64::MAX, counts[scale.to + 1..].iter().sum()));
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape() -> String {
        let mut reading = Reading { messages: 5, cpu_micros: 1_500_000, ..Reading::default() };
        [1, 100, 10_000_000].iter().for_each(|&micros| reading.sync_latency.add(micros));
        reading.refusals = [1, 2, 3];
        text(Scrape {
            reactors: vec![reading, Reading::default()],
            uploads: vec![1, 0],
            segments: Segments { ready: 1, active: 2, reserve: 4, sealed: 3, unwritten: 0 },
            ready: true,
            room: Some(Room { size: 100, available: 50 }),
            connections: 16_384,
            begun_at: 1_700_000_000,
            certificate: Some(1_800_000_000),
            damaged: (1, 2),
            logs: [("log", 3, false), ("audit", 0, true)],
        })
    }

    #[test]
    fn names_units_and_labels_are_as_prometheus_wants_them() {
        let text = scrape();
        for line in [
            "# HELP mailrace_messages Messages that became durable.",
            "# TYPE mailrace_messages counter",
            "mailrace_messages_total{reactor=\"0\"} 5",
            "mailrace_messages_total{reactor=\"1\"} 0",
            "mailrace_reactor_cpu_seconds_total{reactor=\"0\"} 1.5",
            "# UNIT mailrace_message_bytes bytes",
            "mailrace_refusals_total{reactor=\"0\",what=\"login\"} 2",
            "mailrace_segments{state=\"sealed\"} 3",
            "mailrace_disk_free_bytes 50",
            "mailrace_segments{state=\"reserve\"} 4",
            "mailrace_tls_certificate_expires_seconds 1800000000",
            "mailrace_ready 1",
            "mailrace_log_lines_lost_total{of=\"log\"} 3",
            "mailrace_log_failing{of=\"audit\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|one| one == line), "no {line} in\n{text}");
        }
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_all() {
        let text = scrape();
        let prefix = "mailrace_fdatasync_seconds_bucket{le=";
        let of_first = |line: &&str| line.starts_with(prefix) && line.contains("reactor=\"0\"");
        let lines: Vec<_> = text.lines().filter(of_first).collect();
        assert_eq!(lines.len(), 21);
        let counts: Vec<u64> =
            lines.iter().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(counts.is_sorted() && counts[0] == 1 && counts[19] == 2 && counts[20] == 3);
        assert!(lines[20].contains("le=\"+Inf\""), "{}", lines[20]);
        assert!(text.contains("mailrace_fdatasync_seconds_count{reactor=\"0\"} 3\n"), "{text}");
    }
}
