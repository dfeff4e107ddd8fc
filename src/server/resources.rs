//! Takes rings and file descriptors within the limits of this process.

use super::{Config, StartError};
use crate::limits::{ADMIN_CONNECTIONS, ADMIN_PROBES, CONNECTIONS, OPEN_SEGMENTS};
use crate::reactor::{self, Standby, probe, raise_limits};

/// Descriptors that the process always needs: standard streams, the lock, the catalog, users and
/// certificate files while they are read, signals, logs.
const FILES: u64 = 24;

/// Descriptors that each reactor needs beside its connections: its ring, two to wake it, two
/// listening sockets, and the segments it writes to or is about to.
const FILES_OF_REACTOR: u64 = 12;

/// A reactor's thread with its ring, before it starts work.
pub(super) type Ring = Standby<Result<(), StartError>>;

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Makes rings for the configured number of reactors or, without one, for as many as possible.
pub(super) fn rings(config: &Config) -> Result<Vec<Ring>, StartError> {
    raise_limits();
    let wanted = config.reactors.unwrap_or_else(cores).max(1);
    let locked = probe(wanted).map_err(StartError::Kernel)?;
    let rings = reactor::rings(wanted, config.reactors.is_some()).map_err(StartError::Rings)?;
    if !locked.registered {
        tracing::warn!(
            "the limit on locked memory is too small for registered buffers; continuing without \
             them, slightly slower. See LimitMEMLOCK in tuning/README.md"
        );
    }
    Ok(rings)
}

/// The maximum number of connections: the configured number or [`CONNECTIONS`], but no more than
/// descriptors are left after the log, the catalog and reading have theirs.
pub(super) fn connections(config: &Config, reactors: usize) -> usize {
    let wanted = config.connections.unwrap_or(CONNECTIONS);
    let Some(limit) = raise_limits() else { return wanted };
    let room = room(limit, reactors as u64, config.observed);
    if room >= wanted as u64 {
        return wanted;
    }
    let taken = room.max(1) as usize;
    tracing::warn!(
        "accepting at most {taken} connections instead of {wanted}: this process may open {limit} \
         files, and the log needs some of them. Raise the limit (LimitNOFILE in the unit, --ulimit \
         nofile for a container)"
    );
    taken
}

/// Number of descriptors left for connections.
fn room(limit: u64, reactors: u64, observed: bool) -> u64 {
    let admin = if observed { (ADMIN_CONNECTIONS + ADMIN_PROBES) as u64 } else { 0 };
    // Under a low limit reading gets a quarter: segments open for reading can be closed at any
    // time.
    let reading = (reactors * OPEN_SEGMENTS as u64).min(limit / 4);
    limit.saturating_sub(FILES + reactors * FILES_OF_REACTOR + admin.min(limit / 16) + reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_the_log() {
        assert_eq!(room(80, 1, false), 80 - 24 - 12 - 20);
        assert_eq!(room(1024, 2, false), 1024 - 24 - 24 - 128);
        assert_eq!(room(1024, 2, true), 1024 - 24 - 24 - 128 - 40);
        assert_eq!(room(40, 4, false), 0);
        // The limit in the systemd unit is enough for all connections.
        assert!(room(20_000, 16, true) >= CONNECTIONS as u64);
    }
}
