//! What the cleaning of segments and the scrub have found and done.

use std::sync::atomic::AtomicU64;

/// Counters that any thread may read.
#[derive(Debug, Default)]
pub struct SpaceCounts {
    /// Octets of messages that mailboxes name; copies count each.
    pub live: AtomicU64,
    /// Octets of sealed segments that cleaning would give back: nothing names them.
    pub dead: AtomicU64,
    /// Segments that were emptied and given back.
    pub cleaned: AtomicU64,
    /// Octets of these segments.
    pub given_back: AtomicU64,
    /// Octets of living messages that were written again for that.
    pub rewritten: AtomicU64,
    /// For how long octets that nothing names have been on the disk, in microseconds; only
    /// where they have to go in time.
    pub oldest_dead: AtomicU64,
}

/// Counters of the scrub, which any thread may read.
#[derive(Debug, Default)]
pub struct ScrubCounts {
    /// Bytes read and checked since the start.
    pub bytes: AtomicU64,
    /// Segments and record files that were checked since the start.
    pub files: AtomicU64,
    /// Bytes of the files that this pass has not checked yet.
    pub left: AtomicU64,
    /// Findings of the last complete pass or of the one under way, whichever has more.
    pub findings: AtomicU64,
    /// When the last complete pass ended, in seconds since 1970 UTC; 0 for never.
    pub last: AtomicU64,
    /// 1 when the scrub is off because the disk cannot be read.
    pub off: AtomicU64,
}
