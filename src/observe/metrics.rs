//! `/metrics`: every declared figure in the OpenMetrics text format, which Prometheus reads.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{self, Registry};

use super::process::Process;
use super::reading::Reading;
use crate::stats::{Declared, Figure, Histogram, Kind, Scope, Unit, Values};

/// Content type of [`text()`].
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All figures, read at one moment.
#[derive(Debug)]
pub(super) struct Scrape {
    pub reactors: Vec<Reading>,
    pub process: Process,
}

/// The text of a scrape.
pub(super) fn text(scrape: Scrape) -> String {
    let mut registry = Registry::with_prefix("mailrace");
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("writing to a string cannot fail");
    text
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let numbers: Vec<_> = (0..self.reactors.len()).map(|n| n.to_string()).collect();
        for &figure in Figure::ALL {
            let declared = figure.declared();
            let of_process = declared.scope == Scope::Process;
            if of_process && !self.process.has(figure) {
                continue;
            }
            let help = format!("{}.", declared.help);
            let unit = unit(declared.unit);
            let metric =
                encoder.encode_descriptor(declared.name, &help, unit.as_ref(), kind(declared))?;
            let mut family = Family { metric, figure, declared };
            if of_process {
                family.encode(&self.process.values, None)?;
                continue;
            }
            for (reading, number) in self.reactors.iter().zip(&numbers) {
                family.encode(&reading.values, Some(number))?;
            }
        }
        Ok(())
    }
}

fn kind(declared: &Declared) -> MetricType {
    match declared.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram { .. } => MetricType::Histogram,
    }
}

fn unit(unit: Unit) -> Option<registry::Unit> {
    match unit {
        Unit::None => None,
        Unit::Bytes => Some(registry::Unit::Bytes),
        Unit::Micros | Unit::Time => Some(registry::Unit::Seconds),
    }
}

/// A metric of which samples are being written.
struct Family<'e> {
    metric: MetricEncoder<'e>,
    figure: Figure,
    declared: &'static Declared,
}

impl Family<'_> {
    /// Writes the samples of one reactor, or of the process.
    fn encode(&mut self, values: &Values, reactor: Option<&str>) -> fmt::Result {
        let mut labels: Vec<_> = reactor.map(|number| ("reactor", number)).into_iter().collect();
        if let Kind::Histogram { from, to } = self.declared.kind {
            let histogram = values.histogram(self.figure);
            let scale = self.scale();
            let sum = histogram.sum() as f64 * scale;
            let buckets = buckets(histogram, from, to, scale);
            let mut one = self.metric.encode_family(&labels)?;
            return one.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None);
        }
        let Some(label) = self.declared.label else {
            return self.sample(&labels, values.get(self.figure));
        };
        for (name, value) in label.values.iter().zip(values.each(self.figure)) {
            labels.push((label.name, name));
            self.sample(&labels, *value)?;
            labels.pop();
        }
        Ok(())
    }

    fn sample(&mut self, labels: &Vec<(&str, &str)>, value: u64) -> fmt::Result {
        match labels.is_empty() {
            true => write(&mut self.metric, self.declared, value),
            false => write(&mut self.metric.encode_family(labels)?, self.declared, value),
        }
    }

    fn scale(&self) -> f64 {
        if self.declared.unit == Unit::Micros { 1e-6 } else { 1.0 }
    }
}

/// Writes a value. Whole numbers have neither a point nor an exponent, as a float might.
fn write(metric: &mut MetricEncoder<'_>, declared: &Declared, value: u64) -> fmt::Result {
    let is_counter = declared.kind == Kind::Counter;
    let seconds = value as f64 * 1e-6;
    match declared.unit == Unit::Micros && seconds.fract() != 0.0 {
        true if is_counter => metric.encode_counter::<NoLabelSet, f64, f64>(&seconds, None),
        true => metric.encode_gauge(&seconds),
        false => {
            let value = if declared.unit == Unit::Micros { value / 1_000_000 } else { value };
            match is_counter {
                true => metric.encode_counter::<NoLabelSet, u64, f64>(&value, None),
                false => metric.encode_gauge(&value),
            }
        }
    }
}

/// Upper bounds, and how many values are in each bucket alone; the last has no bound. `scale` is
/// one value in the unit of the metric.
fn buckets(histogram: &Histogram, from: usize, to: usize, scale: f64) -> Vec<(f64, u64)> {
    let counts = histogram.counts();
    let bound = |exponent: usize| (1u64 << exponent) as f64 * scale;
    let mut buckets = vec![(bound(from), counts[..=from].iter().sum())];
    buckets.extend((from + 1..=to).map(|at| (bound(at), counts[at])));
    buckets.push((f64::MAX, counts[to + 1..].iter().sum()));
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape() -> String {
        let mut reading = Reading::with(&[(Figure::Messages, 5), (Figure::ReactorCpu, 1_500_000)]);
        let fdatasync = reading.values.histogram_mut(Figure::Fdatasync);
        [1, 100, 10_000_000].iter().for_each(|&micros| fdatasync.add(micros));
        reading.values.set_each(Figure::Refusals, [1, 2, 3]);
        let mut process = Process::default();
        process.set_each(Figure::Segments, [1, 2, 4, 3]);
        process.set(Figure::DiskFree, 50);
        process.set(Figure::CertificateExpires, 1_800_000_000);
        process.set(Figure::Ready, 1);
        process.set_each(Figure::LogLinesLost, [3, 0]);
        process.set_each(Figure::LogFailing, [0, 1]);
        text(Scrape { reactors: vec![reading, Reading::default()], process })
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
            "mailrace_reactor_cpu_seconds_total{reactor=\"1\"} 0",
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
        assert!(!text.contains("mailrace_disk_size"), "an unknown figure is left out");
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
