//! Between sockets and sessions: what is on its way to a client.

mod output;

#[cfg(test)]
pub(crate) use output::forget_buffers;
pub use output::{BUFFER, GATHERED, Gone, Output, buffer};
