//! What a server takes of what the system allows this process: rings and descriptors.

use super::{Config, Ring, StartError};
use crate::limits::{ADMIN_CONNECTIONS, ADMIN_PROBES, CONNECTIONS, OPEN_SEGMENTS};
use crate::reactor::{self, probe, raise_limits};

/// Descriptors of the process that are there whatever it does: standard streams, the lock, the
/// catalog, files of users and certificates when they are read, signals, logs.
const FILES: u64 = 24;

/// Descriptors of each reactor besides those of its connections: its ring, two that it is woken by,
/// two sockets to listen on, and the segments that it writes to or is about to.
const FILES_OF_REACTOR: u64 = 12;

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Rings for as many reactors as are configured, or, if no number is, as there can be.
pub(super) fn rings(config: &Config) -> Result<Vec<Ring>, StartError> {
    raise_limits();
    let wanted = config.reactors.unwrap_or_else(cores).max(1);
    let locked = probe(wanted).map_err(StartError::Kernel)?;
    let rings = reactor::rings(wanted, config.reactors.is_some()).map_err(StartError::Rings)?;
    if !locked.registered {
        tracing::warn!(
            "the limit on locked memory is too small for registered buffers; going on without \
             them, a little slower. See LimitMEMLOCK in tuning/README.md"
        );
    }
    Ok(rings)
}

/// How many connections there may be: what is configured, or else [`CONNECTIONS`], but no more than
/// there are descriptors for when the log, the catalog and reading have theirs.
pub(super) fn connections(config: &Config, reactors: usize) -> usize {
    let wanted = config.connections.unwrap_or(CONNECTIONS);
    let Some(limit) = raise_limits() else { return wanted };
    let room = room(limit, reactors as u64, config.observed);
    if room >= wanted as u64 {
        return wanted;
    }
    let taken = room.max(1) as usize;
    tracing::warn!(
        "at most {taken} connections at a time instead of {wanted}: this process has {limit} \
         descriptors, and the log and the files need some of them. Raise the limit (LimitNOFILE in \
         the unit, --ulimit nofile for a container)"
    );
    taken
}

/// Descriptors that are left for connections.
fn room(limit: u64, reactors: u64, observed: bool) -> u64 {
    let admin = if observed { (ADMIN_CONNECTIONS + ADMIN_PROBES) as u64 } else { 0 };
    // Of a small limit reading gets a part; what is open to be read is closed for the log.
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
        // What the unit gives is enough for all of them.
        assert!(room(20_000, 16, true) >= CONNECTIONS as u64);
    }
}
