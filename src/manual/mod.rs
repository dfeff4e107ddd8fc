//! What does not fit into the comment of one module. Prose, in the order in which to read it:
//!
//! - [`architecture`]: the path of a message, who owns what, and where a change belongs
//! - [`durability`]: what an OK promises, and what happens after a power loss
//! - [`format`](mod@format): the files, octet by octet
//! - [`operations`]: running a server, its files, its messages, its ends
//! - [`settings`]: every flag and configuration key with its default
//! - [`observability`]: watching it: the live page, metrics, probes, the log
//! - [`rfc`]: which file implements which RFC
//! - [`style`]: how this code is written, and why

pub mod architecture;
pub mod durability;
pub mod format;
pub mod observability;
pub mod operations;
pub mod rfc;
pub mod settings;
pub mod style;

#[cfg(test)]
mod tests;
