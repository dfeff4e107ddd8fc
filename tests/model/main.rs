//! The library against models, without a running server.
//!
//! - [`log`]: random histories of a log, with crashes at any moment.
//! - [`fuzz`]: octets of any kind to parsers, state machines, codecs and recovery.

mod fuzz;
mod log;
mod targets;
