//! Running, time and numbers, as the machine has them.

use std::future::Future;
use std::io;

use super::machine::machine;
use super::ring;
use crate::reactor::arena::{Shape, Whole};
use crate::reactor::{Locked, Options, ProbeError};

/// Runs `main` until it is done. With a machine, time passes only when nobody has anything to do.
///
/// # Errors
/// Never, but as the real one.
pub fn run<F: Future>(_: Options, main: F) -> io::Result<F::Output> {
    let simulated = machine().is_some();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(simulated).build()?;
    Ok(tokio::task::LocalSet::new().block_on(&runtime, main))
}

/// Lets other tasks run.
pub async fn breathe() {
    match machine() {
        Some(machine) => machine.delay(1).await,
        None => tokio::task::yield_now().await,
    }
}

/// Everything is there.
///
/// # Errors
/// Never, but as the real one.
#[allow(clippy::unnecessary_wraps)]
pub fn probe(reactors: usize) -> Result<Locked, ProbeError> {
    Ok(Locked { registered: true, reactors, usual_rings: true })
}

/// There is no limit.
pub fn raise_limits() -> Option<u64> {
    None
}

/// Seconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn unix_seconds() -> u64 {
    machine().map_or_else(ring::unix_seconds, |machine| machine.born + machine.now() / 1000)
}

/// A number that nobody can guess who does not know the seed.
///
/// # Errors
/// Never, but as the real one.
pub fn random() -> io::Result<u64> {
    machine().map_or_else(ring::random, |machine| Ok(machine.random(|random| random.number())))
}

/// Nothing to do: the tasks of a machine take turns.
pub fn give_way() {}

/// How many leases an arena has.
pub(in crate::reactor) fn arena_shape() -> Shape {
    machine().map_or(Shape::STANDARD, |machine| machine.shape())
}

/// No memory is registered; but the machine wants to know whether it comes back.
pub(in crate::reactor) fn register(memory: Whole) -> Option<u16> {
    if let Some(machine) = machine() {
        machine.arenas.borrow_mut().push(memory.downgrade());
    }
    None
}
