//! mailrace: an IMAP server built around bulk ingestion.
//!
//! The path of a message, in the order of the modules below. A module may use those above it
//! in this list, never those below; `tests/tidy` keeps it so. What needs no I/O, the grammar of
//! IMAP and the reading of mail, is a crate of its own: [`imap`].
//!
//! ```text
//!  socket ──recv──▶ lease of the arena ──write_fixed, O_DIRECT──▶ segment ──fdatasync──▶ OK
//!           reactor          │ imap, ingest: parsed and    home, store     │
//!                            │ checksummed where it arrived                ▼
//!                            └───────────────────────────────────▶ index: a checkpoint of the log
//! ```
#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]
#![cfg_attr(not(test), warn(unreachable_pub))]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod limits;
pub mod reactor;
pub mod stats;
mod net;
pub mod store;
mod index;
mod auth;
mod home;
pub mod ingest;
mod session;
pub mod server;
mod control;
mod observe;
pub mod tools;
pub mod command;
pub mod manual;
#[cfg(test)]
mod simulation;
