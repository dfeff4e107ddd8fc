//! Threads: one for each reactor, and those beside them for what blocks.

use std::cell::Cell;
use std::future::Future;
use std::sync::Once;
use std::{io, panic, process, thread};

use crate::reactor::ThreadEnd;
use crate::reactor::jobs::said;

/// A thread that runs one future to its end.
pub struct Thread<T> {
    handle: thread::JoinHandle<io::Result<T>>,
}

/// Starts a thread beside the reactors. What it does may block.
///
/// # Errors
/// When the system gives no thread.
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
    /// When it could not begin, or panicked.
    pub fn join(self) -> Result<T, ThreadEnd> {
        match self.handle.join() {
            Ok(result) => result.map_err(ThreadEnd::Failed),
            Err(_) => Err(ThreadEnd::Panicked),
        }
    }
}

/// Nothing here: a real thread is as late as it is.
pub async fn hesitate() {}

thread_local!(static REACTOR: Cell<bool> = const { Cell::new(false) });

/// Does work whose panic need not end the process, since what it works on can be given up by
/// itself.
///
/// # Errors
/// What the panic said.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let reactor = REACTOR.replace(false);
    let result = panic::catch_unwind(panic::AssertUnwindSafe(work));
    REACTOR.set(reactor);
    result.map_err(|panic| said(&*panic).to_owned())
}

/// From now on a panic on this thread, a reactor's, ends the process: the runtime would pass over a
/// task that panics, and its client would wait for ever, and so might the log for a frame that was
/// never written. After a start everything acknowledged is there.
pub(super) fn abort_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // The hook from before writes out what is in the log, as far as it can.
            if REACTOR.get() {
                tracing::error!("mailrace aborts on a bug: {info}. Please report it, and restart");
                before(info);
                process::abort();
            }
            before(info);
        }));
    });
    REACTOR.set(true);
}
