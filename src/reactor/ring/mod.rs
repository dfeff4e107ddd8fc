//! The real side of the seam: io_uring through tokio-uring, files and threads of the system.

mod conn;
mod executor;
mod file;
pub mod files;
mod listener;
mod probe;
mod queue;
mod rings;
mod size;
mod system;
mod thread;

#[cfg(test)]
mod tests;

use super::arena::Shape;

pub use conn::{Conn, Peer};
pub(super) use executor::register;
pub use executor::{breathe, run};
pub use file::LogFile;
pub use listener::{Bound, Listener};
pub use probe::{probe, raise_limits};
pub use rings::{Standby, rings};
pub use system::{give_way, random, unix_seconds};
pub use thread::{Thread, contain, hesitate, start_thread};

/// The number of leases given by the limits.
pub(super) fn arena_shape() -> Shape {
    Shape::STANDARD
}
