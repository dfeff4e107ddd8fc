//! The real side of the seam: io_uring by way of tokio-uring, files and threads of the system.

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

/// As many leases as the limits say.
pub(super) fn arena_shape() -> Shape {
    Shape::STANDARD
}
