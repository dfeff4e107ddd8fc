//! The other side of the seam: a machine out of one seed. Its disk keeps what was written apart
//! from what is durable, its network splits and delays, its clock jumps to whatever is due next,
//! and its power can fail at any step. Everything runs on one thread; the same seed gives the same
//! run.
//!
//! Where no [`Machine`] was put up on a thread, files and threads are the real ones, so that unit
//! tests of single parts need no machine.

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
