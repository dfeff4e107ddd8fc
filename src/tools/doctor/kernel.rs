//! The kernel: release, io_uring, clock.

use std::fs;

use super::finding::Finding;
use crate::reactor::{Locked, ProbeError, probe, raise_limits};

/// Facts about the kernel.
pub(super) struct Facts {
    /// From uname(2), like `6.18.1-amd64`.
    pub release: String,
    /// Result of setting up io_uring, with what the limit on locked memory allows.
    pub uring: Result<Locked, ProbeError>,
    /// `kernel.io_uring_disabled`, which exists since Linux 6.6.
    pub disabled: Option<String>,
    /// Whether a seccomp filter applies to this process.
    pub filtered: bool,
    /// The current clock source.
    pub clock: Option<String>,
}

impl Facts {
    /// Reads the facts.
    pub(super) fn here(reactors: usize) -> Facts {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        // A server raises them before it sets up its rings.
        raise_limits();
        Facts {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
            uring: probe(reactors),
            disabled: line("/proc/sys/kernel/io_uring_disabled"),
            filtered: status
                .lines()
                .any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2")),
            clock: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        }
    }
}

/// The first line of a file in /proc or /sys.
pub(super) fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// All checks of the kernel.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    vec![release(&facts.release), uring(facts), clock(facts.clock.as_deref())]
}

fn release(release: &str) -> Finding {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Finding::unknown("kernel", format!("unknown release {release:?}"));
    };
    if major < 6 {
        return Finding::to_do(
            "kernel",
            format!("Linux {release}"),
            "mailrace needs io_uring features of Linux 6.0",
            "install Linux 6.0 or newer",
        );
    }
    let found = format!("Linux {release}");
    if (major, minor) >= (6, 17) {
        return Finding::fine("kernel", found);
    }
    Finding::fine(
        "kernel",
        format!("{found}; from 6.17 on, capable disks zero new segments by themselves"),
    )
}

fn uring(facts: &Facts) -> Finding {
    let error = match &facts.uring {
        Ok(_) => return Finding::fine("io_uring", "can be used"),
        Err(error) => error,
    };
    let found = match error {
        ProbeError::Missing => "not available in this kernel".to_owned(),
        ProbeError::Forbidden(error) => format!("forbidden ({error})"),
        ProbeError::TooOld(what) => format!("lacks {what} in this kernel"),
        ProbeError::Locked => "the limit on locked memory is too small for a ring".to_owned(),
        ProbeError::Other(error) => format!("cannot be set up: {error}"),
    };
    let remedy = match (error, facts.disabled.as_deref()) {
        (ProbeError::Forbidden(_), Some(mode @ ("1" | "2"))) => format!(
            "sysctl kernel.io_uring_disabled=0 (it is {mode}); permanently with \
             tuning/sysctl.d/90-mailrace.conf"
        ),
        (ProbeError::Forbidden(_), _) if facts.filtered => {
            "a seccomp filter applies to this process: in a container use \
             tuning/container/seccomp.json"
                .to_owned()
        }
        (ProbeError::Missing | ProbeError::TooOld(_), _) => {
            "install Linux 6.0 or newer, built with CONFIG_IO_URING".to_owned()
        }
        (ProbeError::Locked, _) => super::process::MEMLOCK.to_owned(),
        _ => "see tuning/README.md".to_owned(),
    };
    Finding::to_do("io_uring", found, "mailrace does not start without it", remedy)
}

fn clock(source: Option<&str>) -> Finding {
    let Some(source) = source else {
        return Finding::unknown("clock", "/sys does not report the clock source");
    };
    if !matches!(source, "hpet" | "acpi_pm" | "jiffies" | "pit" | "refined-jiffies") {
        return Finding::fine("clock", source);
    }
    Finding::to_do(
        "clock",
        source,
        "reading it takes a system call or device access, about a microsecond each time, and each \
         message gets a timestamp",
        "see the kernel log for why tsc was rejected; on a virtual machine ask for kvm-clock or an \
         invariant tsc",
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn releases_are_read_as_numbers() {
        for (text, verdict) in [
            ("6.18.44-fc-v595", Verdict::Fine),
            ("6.0.0", Verdict::Fine),
            ("10.1", Verdict::Fine),
            ("5.15.0-91-generic", Verdict::ToDo),
            ("", Verdict::Unknown),
            ("six", Verdict::Unknown),
            ("99999999999999.1", Verdict::Unknown),
        ] {
            assert_eq!(release(text).verdict, verdict, "{text}");
        }
        assert!(release("6.1.0").found.contains("6.17"));
        assert!(!release("6.17.0").found.contains("from 6.17"));
    }

    #[test]
    fn what_forbids_io_uring_is_named() {
        let forbidden = || Err(ProbeError::Forbidden(Error::from(ErrorKind::PermissionDenied)));
        let facts = |uring, disabled: Option<&str>, filtered| Facts {
            release: "6.18".into(),
            uring,
            disabled: disabled.map(str::to_owned),
            filtered,
            clock: None,
        };
        let remedy = |facts| uring(&facts).remedy.unwrap();
        assert_eq!(
            uring(&facts(
                Ok(Locked { registered: false, reactors: 2, usual_rings: true }),
                None,
                true
            ))
            .verdict,
            Verdict::Fine
        );
        assert!(remedy(facts(forbidden(), Some("2"), true)).contains("io_uring_disabled=0"));
        assert!(remedy(facts(forbidden(), Some("0"), true)).contains("seccomp.json"));
        assert!(remedy(facts(forbidden(), None, false)).contains("README"));
        assert!(remedy(facts(Err(ProbeError::Missing), None, false)).contains("6.0"));
    }

    #[test]
    fn slow_clocks_are_told() {
        assert_eq!(clock(Some("tsc")).verdict, Verdict::Fine);
        assert_eq!(clock(Some("arch_sys_counter")).verdict, Verdict::Fine);
        assert_eq!(clock(Some("hpet")).verdict, Verdict::ToDo);
        assert_eq!(clock(None).verdict, Verdict::Unknown);
    }
}
