//! Lines lost by the logs, which are written on threads of their own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts of one log. There is one process and one log of each kind, so they are static.
#[derive(Debug)]
pub struct LineCounts {
    /// Name of the log in the metrics.
    pub name: &'static str,
    lost: AtomicU64,
    failing: AtomicBool,
}

/// The log of the server.
pub static LOG: LineCounts = LineCounts::new(LINE_COUNTS[0]);

/// The file of `--audit-log`.
pub static AUDIT: LineCounts = LineCounts::new(LINE_COUNTS[1]);

/// Names of [`LOG`] and [`AUDIT`] in the metrics.
pub const LINE_COUNTS: [&str; 2] = ["log", "audit"];

/// Target of the events that make up the audit trail.
pub const AUDIT_TARGET: &str = "audit";

impl LineCounts {
    /// Nothing lost, nothing failed.
    #[must_use]
    pub const fn new(name: &'static str) -> LineCounts {
        LineCounts { name, lost: AtomicU64::new(0), failing: AtomicBool::new(false) }
    }

    /// Counts a lost line.
    pub fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Lines lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Says whether the last write failed.
    pub fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// See [`LineCounts::set_failing`].
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}
