//! The counters of one reactor as other threads read them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::census::STANDINGS;
use super::histogram::SharedHistogram;
use super::refusals::{Refused, WHATS};
use super::uploads::UploadsView;

/// Counters of one reactor that other threads read. The reactor copies them here 20 times a second;
/// those that belong together may be a copy apart.
#[derive(Debug, Default)]
pub struct Tally {
    /// Copies made: as long as it ascends, the reactor turns.
    pub turns: AtomicU64,
    /// The log broke: the reactor ends its sessions, and then itself.
    pub broken: AtomicBool,
    /// The system's number of the reactor's thread; 0 before it runs.
    pub thread: AtomicU64,
    /// Microseconds for which the disk has owed an answer that somebody waits for.
    pub stalled_micros: AtomicU64,
    /// Sessions.
    pub sessions: AtomicU64,
    /// The same by what they do, in the order of [`STANDINGS`].
    pub connections: [AtomicU64; STANDINGS.len()],
    /// Accounts in memory.
    pub accounts: AtomicU64,
    /// Logins accepted.
    pub logins: AtomicU64,
    /// Commands that could not be read.
    pub parse_errors: AtomicU64,
    /// What was refused, in the order of [`WHATS`].
    pub refusals: [AtomicU64; WHATS.len()],
    /// Batches committed.
    pub batches: AtomicU64,
    /// Messages committed.
    pub messages: AtomicU64,
    /// Octets of those.
    pub octets: AtomicU64,
    /// fdatasync calls.
    pub syncs: AtomicU64,
    /// How long they took, in microseconds.
    pub sync_latency: SharedHistogram,
    /// How many waited for one and the same.
    pub group: SharedHistogram,
    /// How late timers fire, in microseconds.
    pub lateness: SharedHistogram,
    /// Processor time of the reactor in microseconds.
    pub cpu_micros: AtomicU64,
    /// Leases handed out, small ones.
    pub small_leases: AtomicU64,
    /// Leases handed out, large ones.
    pub large_leases: AtomicU64,
    /// Times that somebody waited for a lease.
    pub lease_waits: AtomicU64,
    /// Frames written to the log.
    pub frames: AtomicU64,
    /// Octets written to the log, headers and padding included.
    pub log_octets: AtomicU64,
    /// Commands that waited because their account had logged too much.
    pub log_waits: AtomicU64,
    /// The last LSN that is durable.
    pub durable_lsn: AtomicU64,
    /// The segment that the next frame is expected in.
    pub segment: AtomicU64,
    /// Where in it, in octets.
    pub segment_offset: AtomicU64,
    /// The largest frame of mail that needs no other segment than those it has, in octets.
    pub room: AtomicU64,
    /// Segments that are written to, or written and not synced yet.
    pub open_segments: AtomicU64,
    /// Segments taken into use that were not written before.
    pub unwritten_segments: AtomicU64,
    /// Checkpoints written.
    pub checkpoints: AtomicU64,
    /// Checkpoints that failed.
    pub checkpoints_failed: AtomicU64,
    /// Octets of log that came after the last checkpoint.
    pub checkpoint_lag: AtomicU64,
    /// Uploads under way.
    pub uploads: Mutex<UploadsView>,
    /// What was refused lately, oldest first.
    pub latest_refusals: Mutex<Vec<Refused>>,
}
