//! Execution, time and randomness of the simulated machine.

use std::future::Future;
use std::io;

use super::machine::machine;
use super::ring;
use crate::reactor::arena::{Shape, Whole};
use crate::reactor::{Locked, Options, ProbeError};

/// Runs `main` to completion. On a machine, time passes only when no task can run.
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

/// Reports that everything is supported.
#[allow(clippy::unnecessary_wraps)]
pub fn probe(reactors: usize) -> Result<Locked, ProbeError> {
    Ok(Locked { registered: true, reactors, usual_rings: true })
}

/// Reports that there is no limit.
pub fn raise_limits() -> Option<u64> {
    None
}

/// Seconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn unix_seconds() -> u64 {
    machine().map_or_else(ring::unix_seconds, |machine| machine.born + machine.now() / 1000)
}

/// A number that is unpredictable without the seed.
pub fn random() -> io::Result<u64> {
    machine().map_or_else(ring::random, |machine| Ok(machine.random(|random| random.number())))
}

/// Does nothing: the tasks of a machine take turns.
pub fn give_way() {}

/// The number of leases in an arena.
pub(in crate::reactor) fn arena_shape() -> Shape {
    machine().map_or(Shape::STANDARD, |machine| machine.shape())
}

/// Registers nothing, but lets the machine check that the memory is returned.
pub(in crate::reactor) fn register(memory: Whole) -> Option<u16> {
    if let Some(machine) = machine() {
        machine.arenas.borrow_mut().push(memory.downgrade());
    }
    None
}
