//! Ending a wait from outside.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::timeout;

/// Ends the receiving operations of a connection; they return what they have so far, or
/// `Interrupted`.
#[derive(Clone)]
pub struct Interrupt {
    end: Rc<dyn Fn()>,
}

impl Interrupt {
    /// One that is carried out by `end`.
    #[must_use]
    pub fn new(end: impl Fn() + 'static) -> Interrupt {
        Interrupt { end: Rc::new(end) }
    }

    /// See [`Interrupt`].
    pub fn interrupt(&self) {
        (self.end)();
    }
}

/// Waits for an operation that receives, at most so long; then ends it, which brings back what it
/// owns. Whether it had to be ended comes along.
pub async fn receive_within<F: Future>(
    time: Duration,
    interrupt: impl FnOnce() -> Interrupt,
    receiving: F,
) -> (F::Output, bool) {
    let mut receiving = pin!(receiving);
    match timeout(time, receiving.as_mut()).await {
        Some(received) => (received, false),
        None => {
            interrupt().interrupt();
            (receiving.await, true)
        }
    }
}
