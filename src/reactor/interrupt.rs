//! Ending a wait from outside.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::{Conn, timeout};

/// Ends the receiving operations of a connection; they return what they have so far, or
/// `Interrupted`.
#[derive(Clone)]
pub struct Interrupt {
    end: Rc<dyn Fn()>,
}

impl Interrupt {
    pub(super) fn new(end: impl Fn() + 'static) -> Interrupt {
        Interrupt { end: Rc::new(end) }
    }

    /// See [`Interrupt`].
    pub fn interrupt(&self) {
        (self.end)();
    }
}

/// Waits for an operation of the connection that receives, at most so long; then ends it, which
/// brings back what it owns. Whether it had to be ended comes along.
pub async fn receive_within<F: Future>(
    conn: &Conn,
    time: Duration,
    receiving: F,
) -> (F::Output, bool) {
    let mut receiving = pin!(receiving);
    match timeout(time, receiving.as_mut()).await {
        Some(received) => (received, false),
        None => {
            conn.interrupt_handle().interrupt();
            (receiving.await, true)
        }
    }
}
