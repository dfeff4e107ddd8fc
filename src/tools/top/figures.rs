//! Numbers in a form that people read.

/// A size in powers of 1,000: `1.23 GB`.
pub(super) fn size(octets: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (octets as f64, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {}", units[unit])
}

/// Bytes as megabytes: `12.3`.
pub(super) fn megabytes(octets: f64) -> String {
    let value = octets / 1e6;
    if value >= 100.0 { whole(value) } else { format!("{value:.1}") }
}

/// A whole number in groups of three: `1,234,567`.
pub(super) fn whole(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A figure in the unit that its status names.
pub(super) fn measured(value: f64, unit: &str) -> String {
    match unit {
        "bytes" => size(value as u64),
        "seconds" if value >= 1.0 => format!("{value:.1} s"),
        "seconds" if value >= 0.001 => format!("{:.1} ms", value * 1e3),
        "seconds" => format!("{:.0} µs", value * 1e6),
        "time" => format!("{value:.0}"),
        _ if value.fract() == 0.0 => whole(value),
        _ => format!("{value:.1}"),
    }
}

/// A duration in seconds: `3 h 20 min`.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        172_800..31_536_000 => format!("{} days", seconds / 86_400),
        _ => "more than a year".into(),
    }
}

/// The time of day, in UTC, of a Unix time.
pub(super) fn clock(time: u64) -> String {
    let day = time % 86_400;
    format!("{:02}:{:02}:{:02}", day / 3600, day % 3600 / 60, day % 60)
}

/// A bar chart one line high. Each column shows the mean of the values that fall into it.
pub(super) fn sparkline(values: &[u64], columns: usize) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let columns = columns.min(values.len());
    if columns == 0 {
        return String::new();
    }
    let mean = |column: usize| {
        let from = column * values.len() / columns;
        let to = (column + 1) * values.len() / columns;
        values[from..to].iter().sum::<u64>() as f64 / (to - from) as f64
    };
    let means: Vec<f64> = (0..columns).map(mean).collect();
    let most = means.iter().copied().fold(1.0, f64::max);
    // Rounded up, so that a small value differs from zero.
    means.iter().map(|value| BLOCKS[(value / most * 8.0).ceil() as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(measured(1234.0, ""), "1,234");
        assert_eq!(measured(1.5, ""), "1.5");
        assert_eq!(measured(0.0025, "seconds"), "2.5 ms");
        assert_eq!(measured(1e6, "bytes"), "1.00 MB");
        for (octets, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345_678, "12.3 MB"),
            (999_600_000, "1.00 GB"),
            (456_000_000_000, "456 GB"),
            (u64::MAX, "18447 PB"),
        ] {
            assert_eq!(size(octets), text);
        }
        assert_eq!(
            (whole(0.4), whole(999.0), whole(1_234_567.0)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
        assert_eq!(
            (megabytes(12_340_000.0), megabytes(123_400_000.0)),
            ("12.3".into(), "123".into())
        );
        assert_eq!((duration(59), duration(12_000)), ("59 s".into(), "3 h 20 min".into()));
        assert_eq!(
            (duration(200_000), duration(u64::MAX)),
            ("2 days".into(), "more than a year".into())
        );
        assert_eq!(clock(1_700_000_000), "22:13:20");
    }

    #[test]
    fn a_sparkline_is_as_high_as_its_values() {
        assert_eq!(sparkline(&[], 10), "");
        assert_eq!(sparkline(&[0, 0], 10), "  ");
        assert_eq!(sparkline(&[0, 1, 50, 100], 10), " ▁▄█");
        assert_eq!(sparkline(&[0, 100, 50, 50], 2), "██");
        assert_eq!(sparkline(&[7; 600], 60).chars().count(), 60);
    }
}
