//! The seam to the kernel: everything above sees connections, files, threads, time and leases,
//! nothing of io_uring. The only folder that names tokio-uring or io-uring, and the only one with
//! `unsafe`.
//!
//! A reactor is one thread, pinned to one core, with its own ring and its own [`Arena`]. Nothing
//! here is shared between threads; reactors talk by messages.
//!
//! Two rules hold for every operation:
//! - what the kernel reads or writes (a [`Lease`], a buffer, a descriptor) is owned by the
//!   operation until its completion, even when the future that waits for it is dropped;
//! - only [`Conn::readable`] may be put under a `select!`: it carries no octets.
//!
//! The seam has two sides of the same shape. `ring` is the real one. `simulation` takes its place
//! in unit tests: network, disk, clock and threads out of one seed, so that a run can lose its
//! power at any step, and be run again.

mod arena;
mod clock;
pub mod fault;
mod inherited;
mod interrupt;
mod jobs;
mod lease;
mod options;
mod pages;
#[cfg_attr(test, allow(dead_code, unused_imports))]
mod ring;
#[cfg(test)]
pub mod simulation;
mod thresholds;

#[cfg(not(test))]
use ring as side;
#[cfg(test)]
use simulation as side;

pub use arena::{Arena, ArenaStats, Idle};
pub use clock::{Instant, sleep, thread_cpu, timeout};
pub use inherited::{HandOverError, HandedOver, Inherited};
pub use interrupt::{Interrupt, receive_within};
pub use jobs::{JobError, Jobs};
pub use lease::{Lease, LeaseClass};
pub use options::{Access, Locked, Options, ProbeError, RingError, ThreadEnd};
pub use pages::Pages;
pub use side::{
    Bound, Conn, Listener, LogFile, Peer, Standby, Thread, breathe, contain, files, give_way,
    hesitate, probe, raise_limits, random, rings, run, start_thread, unix_seconds,
};
pub use thresholds::{Thresholds, thresholds};

/// Starts a task on this reactor.
pub fn spawn<F: Future + 'static>(task: F) -> tokio::task::JoinHandle<F::Output>
where
    F::Output: 'static,
{
    tokio::task::spawn_local(task)
}
