//! The seam to the kernel. Code above it sees connections, files, threads, time and leases, and
//! nothing of io_uring. This folder alone names tokio-uring and io-uring, and it alone contains
//! `unsafe`.
//!
//! A reactor is a thread pinned to a core, with its own ring and its own [`Arena`]. Threads share
//! nothing here; reactors communicate by messages.
//!
//! Two rules hold for every operation:
//! - Whatever the kernel reads or writes (a [`Lease`], a buffer, a descriptor) belongs to the
//!   operation until its completion, even if the future that waits for it is dropped.
//! - Only [`Conn::readable`] may be used in a `select!`: it carries no octets.
//!
//! The seam has two implementations with one interface. `ring` is the real one. `simulation`
//! replaces it in unit tests: one seed determines network, disk, clock and threads, so that a run
//! can lose power at any step, and can be repeated.

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
