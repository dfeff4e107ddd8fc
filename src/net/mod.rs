//! Between sockets and sessions: what is on its way to a client.

mod output;
mod security;

#[cfg(test)]
pub(crate) use output::forget_buffers;
pub use output::{BUFFER, GATHERED, Gone, Output, buffer};
pub use security::Security;
