//! What a reactor does so that a segment can be used for other mail.
//!
//! The [coordinator](crate::server) picks a segment and asks all reactors for these steps, one
//! after the other. It repeats the first two until the catalog names nothing in the segment:
//!
//! ```text
//! empty   octets of living messages are written again, and records say where they lie now
//! cover   a checkpoint has all of that, and everything else that was written before
//! leave   no reader holds a place in the segment any more
//! ```
//!
//! Why nothing can name the segment later: a change names places of messages that it found in a
//! mailbox, and there are none left. A copy names its messages in several frames; [relocating]
//! therefore waits while one is under way, and none begins before the new places are known. An
//! unfinished batch has octets that nothing names yet; its segments are not emptied at all.

mod pace;
mod packing;
mod relocating;
pub(super) mod steps;

use std::rc::Rc;

pub(crate) use self::pace::Pace;
use self::relocating::Relocating;
pub(crate) use self::steps::{CleanError, Cleaning, Emptied};
use super::checkpoints::Checkpoints;
use super::state::Home;

/// Carries out a step.
pub(crate) async fn carry_out(step: Cleaning, home: Rc<Home>, checkpoints: Rc<Checkpoints>) {
    // Nobody waits for the answer when the server is stopping.
    match step {
        Cleaning::Empty { segment, purpose, pace, reply } => {
            let emptied = Relocating::new(&home, segment, purpose, &pace).run().await;
            let _ = reply.send(emptied);
        }
        Cleaning::Cover { reply } => {
            let covered = checkpoints.cover().await.map_err(CleanError::Log);
            let _ = reply.send(covered);
        }
        Cleaning::MoveOn { segment, reply } => {
            let moved = home.log.0.leave(segment).await.map_err(CleanError::Log);
            let _ = reply.send(moved);
        }
        Cleaning::Leave { segment, reply } => {
            home.files.leave(segment).await;
            let _ = reply.send(());
        }
    }
}
