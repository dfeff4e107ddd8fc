//! The simulation: the real server on a simulated [machine](crate::reactor::simulation), with
//! random clients, crashes at any step, and a simple model of the allowed data and replies.
//!
//! - [`world`]: one run from its seed to its end, as [`plan`] draws it.
//! - [`rot`]: damage that the server has to notice.
//! - [`backup`]: copies of the data folder while the server cleans it.
//! - [`scenarios`]: runs for one case each.
//!
//! Clients and model are those of [`kit::model`]; they do not depend on the transport. A seed
//! determines the whole run: all randomness comes from a [`kit::Random`], no code reads the real
//! time, and nothing depends on the order of a hash table.

mod backup;
mod folder;
mod plan;
mod purge;
mod rot;
mod scenarios;
mod tests;
mod world;
