//! Threads: tasks on the single thread of a machine, or real ones without a machine.

use std::future::Future;
use std::io;

use super::machine::machine;
use super::ring;
use crate::reactor::{Options, RingError, ThreadEnd};

/// A thread that runs one future to completion.
pub enum Thread<T> {
    /// Without a machine.
    Real(ring::Thread<T>),
    /// On a machine.
    Task(tokio::task::JoinHandle<T>),
}

/// A reactor that waits for its work.
pub enum Standby<T> {
    /// Without a machine.
    Real(ring::Standby<T>),
    /// On a machine.
    Task,
}

/// This many reactors that wait for their work.
pub fn rings<T: Send + 'static>(
    wanted: usize,
    exactly: bool,
) -> Result<Vec<Standby<T>>, RingError> {
    match machine() {
        Some(_) => Ok((0..wanted).map(|_| Standby::Task).collect()),
        None => Ok(ring::rings(wanted, exactly)?.into_iter().map(Standby::Real).collect()),
    }
}

impl<T: Send + 'static> Standby<T> {
    /// Starts the work.
    pub fn start<F>(self, options: Options, main: impl FnOnce() -> F + Send + 'static) -> Thread<T>
    where
        F: Future<Output = T> + 'static,
    {
        match self {
            Standby::Real(standby) => Thread::Real(standby.start(options, main)),
            Standby::Task => Thread::Task(tokio::task::spawn_local(async { main().await })),
        }
    }
}

/// Starts a thread beside the reactors.
///
/// # Errors
/// If the system refuses a thread.
pub fn start_thread<T, F>(
    name: String,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<Thread<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    match machine() {
        Some(_) => Ok(Thread::Task(tokio::task::spawn_local(async { main().await }))),
        None => Ok(Thread::Real(ring::start_thread(name, main)?)),
    }
}

impl<T> Thread<T> {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        match self {
            Thread::Real(thread) => thread.is_over(),
            Thread::Task(task) => task.is_finished(),
        }
    }

    /// Blocks until it ends. A task cannot wait for another, so on a machine this returns an error,
    /// and the task goes on.
    ///
    /// # Errors
    /// The ring's errors; always, on a machine.
    pub fn join(self) -> Result<T, ThreadEnd> {
        match self {
            Thread::Real(thread) => thread.join(),
            Thread::Task(_) => Err(ThreadEnd::Failed(io::Error::other("a task cannot be joined"))),
        }
    }

    /// Waits until it ends.
    pub async fn ended(self) -> Result<T, ThreadEnd> {
        match self {
            Thread::Real(thread) => thread.join(),
            Thread::Task(task) => task.await.map_err(|_| ThreadEnd::Panicked),
        }
    }
}

/// Runs the work; panics propagate to the test, because in a simulation each is a finding.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    Ok(work())
}

/// Waits a random time, as another thread would before it starts.
pub async fn hesitate() {
    if let Some(machine) = machine() {
        let longest = machine.temper.borrow().thread;
        machine.delay(longest).await;
    }
}
