//! Clients that do at random what clients do, and a plain model of what the server may answer.
//!
//! Everything here speaks through [`wire`], so that it does not matter what the octets travel on.
//! One seed gives one run: nothing is drawn but from [`random::Random`], nothing asks for the time,
//! nothing depends on the order of a hash.

mod append;
mod client;
mod commands;
mod connection;
mod content;
mod explain;
mod flags;
mod mailbox;
mod message;
mod mirror;
mod model;
mod names;
mod random;
mod reply;
mod resolve;
mod session;
mod unlawful;
mod verify;
mod wire;
