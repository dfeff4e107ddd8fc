//! Commands that take long end when their client has gone.
//!
//! A client that has hung up cannot be told from one that only has nothing more to send. A notice
//! tells the two apart: the answer of the one that has gone is a reset.

use std::pin::pin;
use std::time::Duration;

use super::session::Session;
use crate::net::Gone;
use crate::reactor::{Instant, timeout};
use imap::protocol::response::{Condition, untagged};

/// Time between two looks at a client. One that has gone is noticed at the third.
const LOOK: Duration = Duration::from_millis(500);

/// When a command looks whether its client is there.
pub(super) struct Vigil {
    next: Instant,
}

impl Vigil {
    /// Of a command that begins.
    pub fn new() -> Vigil {
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
    /// When the client has gone.
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

    /// Waits for work that may be given up, and checks the client meanwhile. Call it only between
    /// two replies.
    ///
    /// # Errors
    /// When the client has gone.
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
