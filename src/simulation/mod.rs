//! The simulation: the real server on a [machine](crate::reactor::simulation) that follows from one
//! seed, with clients that act at random, crashes at any step, and a plain model of what may be on
//! the disk and what may be answered.
//!
//! - [`world`]: one run from its seed to its end, as [`plan`] draws it.
//! - [`rot`]: damage that the server has to notice.
//! - [`scenarios`]: runs about one thing each.
//!
//! Clients and model are those of [`kit::model`]; they do not care how octets reach the server. One
//! seed gives one run: all randomness comes from a [`kit::Random`], nothing asks for the time, and
//! nothing depends on the order of a hash table.

mod plan;
mod rot;
mod scenarios;
mod tests;
mod world;
