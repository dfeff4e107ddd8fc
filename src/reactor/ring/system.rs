//! The date and random numbers, from the operating system.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z, for stored dates.
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// An unpredictable number.
///
/// # Errors
/// If the system cannot provide one.
pub fn random() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

/// Lowers this thread's priority to nice 10, about a tenth of a normal thread's share.
pub fn give_way() {
    // Optional: if it is refused, the thread competes with the others.
    let _ = rustix::process::nice(10);
}
