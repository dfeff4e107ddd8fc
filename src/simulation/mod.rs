//! The simulation: runs of the real server on a [machine](crate::reactor::simulation) out of one
//! seed, with clients that do at random what clients do, crashes at any step, and a plain model of
//! what may be there and what may be answered.
//!
//! - [`world`]: one run from its seed to its end, as [`plan`] draws it; [`rot`]: damage that has to
//!   be noticed.
//! - [`client`]: what a client does, with [`session`] and what lies below it.
//! - [`model`]: what the server has promised, and [`verify`], which looks whether it is so.
//! - [`unlawful`], [`doubt`]: the checker is shown to fail. [`scenarios`]: runs about one thing.
//!
//! Clients and model speak through [`wire`], so that it does not matter what the octets travel on.
//! One seed gives one run: nothing is drawn but from [`random::Random`], nothing asks for the time,
//! nothing depends on the order of a hash.

mod append;
mod client;
mod commands;
mod connection;
mod content;
mod doubt;
mod explain;
mod flags;
mod mailbox;
mod message;
mod mirror;
mod model;
mod names;
mod plan;
mod reply;
mod resolve;
mod rot;
mod scenarios;
mod session;
mod tests;
mod unlawful;
mod verify;
mod wire;
mod world;

/// The machine's own.
mod random {
    pub use crate::reactor::simulation::Random;
}
