//! Ends long commands whose client has disconnected.
//!
//! A client that has closed its connection looks like one that only has nothing more to send. The
//! server sends a notice to tell the two apart: a closed connection answers with a reset.

use std::pin::pin;
use std::time::Duration;

use super::session::Session;
use crate::net::Gone;
use crate::reactor::{Instant, timeout};
use imap::protocol::response::{Condition, untagged};

/// Time between two checks of a client. A disconnected one is detected at the third.
const LOOK: Duration = Duration::from_millis(500);

/// When a command checks its client next.
pub(super) struct Vigil {
    next: Instant,
}

impl Vigil {
    /// For a command that starts now.
    pub(super) fn new() -> Vigil {
        Vigil { next: Instant::now() + LOOK }
    }
}

impl Session {
    /// The name of the user, empty before login.
    pub(super) fn user_name(&self) -> &str {
        self.user.as_ref().map_or("", |(user, _)| &user.name)
    }

    /// Checks the client if that is due. Call it only between two replies: it may send a notice.
    ///
    /// # Errors
    /// When the client has disconnected.
    pub(super) fn still_there(&self, vigil: &mut Vigil) -> Result<(), Gone> {
        if self.output.is_gone() {
            return Err(Gone);
        }
        let now = Instant::now();
        if now >= vigil.next {
            vigil.next = now + LOOK;
            let ending = self.home.ending.borrow().is_some();
            if !ending && self.conn.has_ended() && !self.output.is_full() {
                self.output.push(|out| untagged(out, Condition::Ok, None, "still working"));
            }
        }
        Ok(())
    }

    /// Waits for `work`, and checks the client at intervals. Call it only between two replies.
    /// `work` must be safe to drop.
    ///
    /// # Errors
    /// When the client has disconnected.
    pub(super) async fn watch<T>(
        &self,
        vigil: &mut Vigil,
        work: impl Future<Output = T>,
    ) -> Result<T, Gone> {
        let mut work = pin!(work);
        loop {
            if let Some(result) = timeout(LOOK, &mut work).await {
                return Ok(result);
            }
            self.still_there(vigil)?;
        }
    }
}
