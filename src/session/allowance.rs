//! Delays commands that write, while their account has logged too much besides its mail: see
//! [`crate::limits::LOG_ALLOWANCE`].

use std::time::Duration;

use super::session::Session;
use crate::home::Owner;
use crate::reactor::sleep;
use crate::stats::Figure;
use imap::protocol::Command;

/// Interval at which a waiting session checks whether the server is ending.
const LOOK: Duration = Duration::from_millis(500);

impl Session {
    /// Waits until the account may write, if the command writes.
    pub(super) async fn waits_for_log(&self, command: &Command, owner: &Owner) {
        if writes(command) {
            self.may_write(owner).await;
        }
    }

    /// Waits until the account may write. Holds no memory while it waits.
    pub(super) async fn may_write(&self, owner: &Owner) {
        if owner.wait().is_some() {
            self.home.counters.one(Figure::LogWaits);
        }
        while let Some(wait) = owner.wait()
            && self.home.ending.borrow().is_none()
        {
            sleep(wait.min(LOOK)).await;
        }
    }
}

/// Whether a command other than APPEND writes to the log.
fn writes(command: &Command) -> bool {
    matches!(
        command,
        Command::Store(_)
            | Command::Expunge(_)
            | Command::Close
            | Command::Copy { .. }
            | Command::Move { .. }
            | Command::Create(_)
            | Command::Delete(_)
            | Command::Rename { .. }
            | Command::Subscribe(_)
            | Command::Unsubscribe(_)
            | Command::SetMetadata(_)
    )
}
