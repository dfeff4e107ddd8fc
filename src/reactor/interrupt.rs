//! Ends a wait from outside.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::timeout;

/// Ends the receive operations of a connection. They return what they have so far, or
/// `Interrupted`.
#[derive(Clone)]
pub struct Interrupt {
    end: Rc<dyn Fn()>,
}

impl Interrupt {
    /// An interrupt that calls `end`.
    #[must_use]
    pub fn new(end: impl Fn() + 'static) -> Interrupt {
        Interrupt { end: Rc::new(end) }
    }

    /// Ends the operations.
    pub fn interrupt(&self) {
        (self.end)();
    }
}

/// Waits for a receive operation for at most `time`, then interrupts it, so that what it owns comes
/// back. The second value tells whether it was interrupted.
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
