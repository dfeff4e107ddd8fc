//! The seam to the kernel: everything above sees connections, log files and leases, nothing of
//! io_uring. The only folder that names tokio-uring or io-uring, and the only one with `unsafe`.
//!
//! A reactor is one thread, pinned to one core, with its own ring and its own [`Arena`]. Nothing
//! here is shared between threads; reactors talk by messages.
//!
//! Two rules hold for every operation:
//! - what the kernel reads or writes (a [`Lease`], a buffer, a descriptor) is owned by the
//!   operation until its completion, even when the future that waits for it is dropped;
//! - only [`Conn::readable`] may be put under a `select!`: it carries no octets.

mod arena;
mod clock;
mod conn;
mod file;
mod lease;
mod listener;
mod probe;
mod ring;

#[cfg(test)]
mod tests;

pub use arena::{Arena, ArenaStats, Idle};
pub use clock::{sleep, thread_cpu, timeout, unix_seconds};
pub use conn::{Conn, Interrupt, Peer};
pub use file::LogFile;
pub use lease::{Lease, LeaseClass};
pub use listener::Listener;
pub use probe::{ProbeError, probe, raise_descriptors};
pub use ring::{Options, breathe, run, spawn};
