//! Bounds of what an operator is shown: the admin endpoint and the logs.

use std::time::Duration;

/// Uploads of a reactor that the operator sees, busiest first. More than anyone reads.
pub const UPLOADS_SHOWN: usize = 100;

/// Recent refusals that a reactor keeps for the operator: 100 KiB with the longest names.
pub const REFUSALS_SHOWN: usize = 100;

/// Simultaneous connections to the admin endpoint: a few people, a few metrics collectors.
pub const ADMIN_CONNECTIONS: usize = 32;

/// Further connections to the admin endpoint, which only serve probes. When all are in use, a new
/// one replaces the oldest: a probe is answered long before that.
pub const ADMIN_PROBES: usize = 8;

/// Longest head of an admin request, in bytes. Browsers send one or two thousand.
pub const ADMIN_REQUEST: usize = 16 << 10;

/// Time for the head of an admin request to arrive, and for the next request to follow.
pub const ADMIN_REQUEST_TIME: Duration = Duration::from_secs(10);

/// Lifetime of an admin connection. A client that does not read must not hold it for ever.
pub const ADMIN_CONNECTION_TIME: Duration = Duration::from_secs(120);

/// Simultaneous connections to the control socket: an operator, and a script or two.
pub const CONTROL_CONNECTIONS: usize = 4;

/// Longest request on the control socket, in bytes. Those of commands have some fifty.
pub const CONTROL_REQUEST: usize = 4 << 10;

/// Time for a request on the control socket to arrive, and for an answer to be read. Commands do
/// both at once; others must not hold a connection for ever.
pub const CONTROL_TIME: Duration = Duration::from_secs(10);

/// Seconds of throughput that the admin endpoint remembers: ten minutes.
pub const HISTORY: usize = 600;

/// Log lines waiting for their reader, in bytes: about ten thousand lines. A reader that stalls
/// longer loses lines, but never takes memory or stalls a reactor.
pub const LOG_QUEUE: usize = 1 << 20;

/// Audit lines waiting for their disk, in bytes: a hundred thousand lines, or several seconds of
/// migrating single messages.
pub const AUDIT_QUEUE: usize = 32 << 20;

/// Time that the process waits at its end for a log that accepts no lines.
pub const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// Time that the process waits at its end for a log that accepts lines slowly.
pub const LOG_FAREWELL: Duration = Duration::from_secs(5);

/// Time between a failed write to a log and the next attempt.
pub const LOG_RETRY: Duration = Duration::from_secs(1);
