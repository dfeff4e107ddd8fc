//! What the cleaning of segments has found and done.

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
}
