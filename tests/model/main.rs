//! The library against models, without the binary.
//!
//! - [`log`]: random histories of a log, with crashes at any moment.
//! - [`lawful`]: random clients on real sockets, checked by the model of the simulation.
//! - [`fuzz`]: octets of any kind to parsers, state machines, codecs and recovery.

mod disk;
mod folder;
mod fuzz;
mod lawful;
mod log;
mod targets;
