//! The time limit for logging in.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::net::{Output, Transport};
use crate::reactor::{Instant, sleep, spawn};
use imap::protocol::response::{Code, Condition, untagged};

/// How long a client may take to read the BYE.
const GRACE: Duration = Duration::from_secs(10);

/// Sends a BYE.
pub(super) fn bye(output: &Rc<Output>, code: Option<&Code>, why: &str) {
    output.push(|out| untagged(out, Condition::Bye, code, why));
}

/// Ends a connection unless it is dropped in time. Input does not extend the time, so a client
/// cannot hold a connection by sending an octet a second.
pub(super) struct Deadline {
    at: Instant,
    end: JoinHandle<()>,
}

impl Deadline {
    pub(super) fn new(time: Duration, conn: &Rc<Transport>, output: &Rc<Output>) -> Deadline {
        // A session that ends or moves does not wait for this.
        let (conn, output) = (Rc::downgrade(conn), Rc::downgrade(output));
        let at = Instant::now() + time;
        let end = spawn(async move {
            sleep(time).await;
            if let (Some(conn), Some(output)) = (conn.upgrade(), output.upgrade()) {
                bye(&output, None, &format!("no login within {} seconds", time.as_secs()));
                conn.shutdown_read();
            }
            sleep(GRACE).await;
            if let Some(conn) = conn.upgrade() {
                conn.shutdown();
            }
        });
        Deadline { at, end }
    }

    /// The remaining time.
    pub(super) fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.end.abort();
    }
}
