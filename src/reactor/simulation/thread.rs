//! Threads: tasks of the one thread that there is, or, without a machine, real ones.

use std::future::Future;
use std::io;

use super::machine::machine;
use super::ring;
use crate::reactor::{Options, ThreadEnd};

/// A thread that runs one future to its end.
pub enum Thread<T> {
    /// Without a machine.
    Real(ring::Thread<T>),
    /// On a machine.
    Task(tokio::task::JoinHandle<T>),
}

/// Starts a reactor.
///
/// # Errors
/// Never, but as the real one.
pub fn start_reactor<T, F>(
    name: String,
    options: Options,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<Thread<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    match machine() {
        Some(_) => Ok(Thread::Task(tokio::task::spawn_local(async { main().await }))),
        None => Ok(Thread::Real(ring::start_reactor(name, options, main)?)),
    }
}

/// Starts a thread beside the reactors.
///
/// # Errors
/// When the system gives no thread.
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

    /// Blocks until it ends; but a task cannot wait for another, and the last of what it does
    /// comes after this.
    ///
    /// # Errors
    /// As the real one; always, for a task.
    pub fn join(self) -> Result<T, ThreadEnd> {
        match self {
            Thread::Real(thread) => thread.join(),
            Thread::Task(_) => Err(ThreadEnd::Failed(io::Error::other("a task goes on alone"))),
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

/// Another thread begins when it pleases.
pub async fn hesitate() {
    if let Some(machine) = machine() {
        let longest = machine.temper.borrow().thread;
        machine.delay(longest).await;
    }
}
