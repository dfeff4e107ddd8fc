//! What the system knows and a program cannot: the date, and what nobody can guess.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z, for dates that are kept.
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A number that nobody can guess.
///
/// # Errors
/// When the system has none to give.
pub fn random() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

/// From now on the threads that did not call this get ten times as much of the processor.
pub fn give_way() {
    // A wish: where it is refused, the thread competes with the others.
    let _ = rustix::process::nice(10);
}
