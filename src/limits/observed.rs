//! Bounds of what an operator is shown: the admin endpoint and the logs.

use std::time::Duration;

/// Uploads of a reactor that are shown to the operator, the busiest: more than anybody reads.
pub const UPLOADS_SHOWN: usize = 100;

/// Refusals that a reactor remembers for the operator: the latest, 100 KiB when all names are as
/// long as can be.
pub const REFUSALS_SHOWN: usize = 100;

/// Connections to the admin endpoint at a time: a few people, a few programs that collect metrics.
pub const ADMIN_CONNECTIONS: usize = 32;

/// Connections beyond those, on which only probes are answered. When there are so many, the oldest
/// gives way to a new one: a probe has sent its request and has its answer long before.
pub const ADMIN_PROBES: usize = 8;

/// Head of a request to the admin endpoint, in octets: browsers send one or two thousand.
pub const ADMIN_REQUEST: usize = 16 << 10;

/// Time in which the head of a request must come, and in which the next must.
pub const ADMIN_REQUEST_TIME: Duration = Duration::from_secs(10);

/// Time after which a connection to the admin endpoint ends whatever it does: whoever does not read
/// an answer shall not hold it for ever.
pub const ADMIN_CONNECTION_TIME: Duration = Duration::from_secs(120);

/// Seconds of throughput that the admin endpoint remembers: ten minutes.
pub const HISTORY: usize = 600;

/// Octets of the log that may wait for whoever reads it: some ten thousand lines. A reader that
/// stands still longer costs lines, never memory or a reactor.
pub const LOG_QUEUE: usize = 1 << 20;

/// Octets of the audit log that may wait for its disk: a hundred thousand lines, some seconds of a
/// migration of single messages.
pub const AUDIT_QUEUE: usize = 32 << 20;

/// How long the end of the process waits for a log that takes no more lines.
pub const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// And for one that takes them slowly.
pub const LOG_FAREWELL: Duration = Duration::from_secs(5);

/// How long after a failed write of a log the next is tried.
pub const LOG_RETRY: Duration = Duration::from_secs(1);
