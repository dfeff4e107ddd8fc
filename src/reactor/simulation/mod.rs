//! The simulated side of the seam: a machine determined by one seed. Its disk distinguishes written
//! from durable data, its network splits and delays, its clock jumps to the next event, and its
//! power can fail at any step. Everything runs on one thread; equal seeds give equal runs.
//!
//! On a thread without a [`Machine`], files and threads are real, so that small unit tests need no
//! machine.

mod conn;
mod disk;
mod executor;
mod file;
pub mod files;
mod listener;
mod machine;
mod network;
mod node;

mod remote;
mod thread;

use super::ring;

pub use conn::{Conn, Peer};
pub use disk::{Disk, Loss};
pub(super) use executor::{arena_shape, register};
pub use executor::{breathe, give_way, probe, raise_limits, random, run, unix_seconds};
pub use file::LogFile;
pub use kit::Random;
pub use listener::{Bound, Listener};
pub use machine::{Machine, Temper, made, thresholds};
pub use remote::Remote;
pub use thread::{Standby, Thread, contain, hesitate, rings, start_thread};
