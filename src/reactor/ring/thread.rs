//! Threads: one per reactor, and others for blocking work.

use std::cell::Cell;
use std::future::Future;
use std::sync::Once;
use std::{io, panic, process, thread};

use crate::reactor::ThreadEnd;
use crate::reactor::jobs::said;

/// A thread that runs one future to completion.
pub struct Thread<T> {
    handle: thread::JoinHandle<io::Result<T>>,
}

/// Starts a thread beside the reactors. It may block.
///
/// # Errors
/// If the system refuses a thread.
pub fn start_thread<T, F>(
    name: String,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<Thread<T>>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(runtime.block_on(async { main().await }))
    };
    Ok(Thread { handle: thread::Builder::new().name(name).spawn(work)? })
}

impl<T> Thread<T> {
    pub(super) fn of(handle: thread::JoinHandle<io::Result<T>>) -> Thread<T> {
        Thread { handle }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.handle.is_finished()
    }

    /// Blocks until it ends.
    ///
    /// # Errors
    /// If it could not start, or panicked.
    pub fn join(self) -> Result<T, ThreadEnd> {
        match self.handle.join() {
            Ok(result) => result.map_err(ThreadEnd::Failed),
            Err(_) => Err(ThreadEnd::Panicked),
        }
    }
}

/// Does nothing: a real thread has its own delays.
pub async fn hesitate() {}

thread_local!(static REACTOR: Cell<bool> = const { Cell::new(false) });

/// Runs work in which a panic need not end the process, because what it works on can be given up on
/// its own.
///
/// # Errors
/// The text of the panic.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let reactor = REACTOR.replace(false);
    let result = panic::catch_unwind(panic::AssertUnwindSafe(work));
    REACTOR.set(reactor);
    result.map_err(|panic| said(&*panic).to_owned())
}

/// Makes a panic on this thread, a reactor's, end the process. The runtime would ignore a panicked
/// task: its client would wait for ever, and the log might wait for a frame that was never written.
/// After a restart everything acknowledged is there.
pub(super) fn abort_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // The previous hook flushes the log as far as it can.
            if REACTOR.get() {
                tracing::error!("mailrace stops because of a bug: {info}. Report it, and restart");
                before(info);
                process::abort();
            }
            before(info);
        }));
    });
    REACTOR.set(true);
}
