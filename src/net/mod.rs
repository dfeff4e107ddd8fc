//! Between sockets and sessions: what is on its way to a client.

mod output;

pub use output::{BUFFER, GATHERED, Gone, Output, buffer};
