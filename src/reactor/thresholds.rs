//! Sizes at which code takes another path: the capacity of a record, a frame, a chunk, a cache.
//!
//! In the server they are the constants of [`limits`](crate::limits), known to the compiler. A
//! simulated machine in unit tests may have smaller ones, as it may have fewer leases, so that a
//! mailbox of ten messages takes the paths of one with ten million.

use crate::limits::{
    CHECKPOINT_DIRTY, CHECKPOINT_LOG, CHUNK_FRAGMENTS, CHUNK_MESSAGES, CHUNKS_AT_ONCE, JOURNAL,
    KEYWORD_SETS, KEYWORDS, OPEN_SEGMENTS, REPLAY_GATHERS, SMALL_BATCH, STEP_MESSAGES,
    SUBSCRIPTIONS, UID_RANGES, UNAPPLIED, UNFINISHED_MESSAGES, VANISHED,
};

/// The bounds of [`limits`](crate::limits) under their names, and some of single modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// See [`UID_RANGES`].
    pub uid_ranges: usize,
    /// See [`STEP_MESSAGES`].
    pub step_messages: usize,
    /// See [`UNAPPLIED`].
    pub unapplied: usize,
    /// Bytes of an unfinished batch's records that wait in memory for its commit.
    pub records_waiting: usize,
    /// Fragments of a copied message in the record that has the rest of the message.
    pub copied_fragments: usize,
    /// Bytes for records in a frame of a copy, or of a step that changes messages.
    pub records_room: usize,
    /// See [`REPLAY_GATHERS`].
    pub replay_gathers: usize,
    /// See [`CHECKPOINT_DIRTY`].
    pub checkpoint_dirty: usize,
    /// See [`CHECKPOINT_LOG`].
    pub checkpoint_log: u64,
    /// See [`CHUNK_MESSAGES`].
    pub chunk_messages: usize,
    /// See [`CHUNK_FRAGMENTS`].
    pub chunk_fragments: usize,
    /// See [`CHUNKS_AT_ONCE`].
    pub chunks_at_once: usize,
    /// See [`OPEN_SEGMENTS`].
    pub open_segments: usize,
    /// See [`JOURNAL`].
    pub journal: usize,
    /// See [`VANISHED`].
    pub vanished: usize,
    /// See [`KEYWORDS`].
    pub keywords: usize,
    /// See [`KEYWORD_SETS`].
    pub keyword_sets: usize,
    /// See [`SUBSCRIPTIONS`].
    pub subscriptions: usize,
    /// See [`UNFINISHED_MESSAGES`].
    pub unfinished_messages: usize,
    /// See [`SMALL_BATCH`].
    pub small_batch: usize,
}

impl Thresholds {
    /// The values of [`limits`](crate::limits). Values of single modules are as large as possible
    /// here, because modules take the smaller of both.
    pub const STANDARD: Thresholds = Thresholds {
        uid_ranges: UID_RANGES,
        step_messages: STEP_MESSAGES,
        unapplied: UNAPPLIED,
        records_waiting: usize::MAX,
        copied_fragments: usize::MAX,
        records_room: usize::MAX,
        replay_gathers: REPLAY_GATHERS,
        checkpoint_dirty: CHECKPOINT_DIRTY,
        checkpoint_log: CHECKPOINT_LOG,
        chunk_messages: CHUNK_MESSAGES,
        chunk_fragments: CHUNK_FRAGMENTS,
        chunks_at_once: CHUNKS_AT_ONCE,
        open_segments: OPEN_SEGMENTS,
        journal: JOURNAL,
        vanished: VANISHED,
        keywords: KEYWORDS,
        keyword_sets: KEYWORD_SETS,
        subscriptions: SUBSCRIPTIONS,
        unfinished_messages: UNFINISHED_MESSAGES,
        small_batch: SMALL_BATCH,
    };
}

/// The thresholds of this machine.
#[cfg(not(test))]
#[must_use]
pub const fn thresholds() -> Thresholds {
    Thresholds::STANDARD
}

#[cfg(test)]
pub use super::simulation::thresholds;
