//! The counters of one reactor as other threads read them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::refusals::Refused;
use super::uploads::UploadsView;
use super::values::SharedValues;

/// What other threads read of one reactor. The reactor copies it here 20 times a second; values
/// that belong together may be one copy apart.
#[derive(Debug, Default)]
pub struct Tally {
    /// The figures.
    pub values: SharedValues,
    /// The log broke: the reactor ends its sessions, and then itself.
    pub broken: AtomicBool,
    /// The kernel's ID of the reactor's thread; 0 before it runs.
    pub thread: AtomicU64,
    /// Open sessions.
    pub sessions: AtomicU64,
    /// The largest frame of mail, in bytes, that fits into the segments the reactor already has.
    pub room: AtomicU64,
    /// Segments being written to, or written and not yet synced.
    pub open_segments: AtomicU64,
    /// Uploads in progress.
    pub uploads: Mutex<UploadsView>,
    /// The latest refusals, oldest first.
    pub latest_refusals: Mutex<Vec<Refused>>,
}
