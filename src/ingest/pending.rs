//! Batches of one connection that are on their way to the disk, and the answers they are owed.

use std::cell::Cell;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::sync::Notify;

use super::refusal::Refusal;
use imap::protocol::Tag;
use imap::protocol::response::{Code, Condition, tagged};
use imap::types::{UidRange, UidValidity};

/// The tagged response that an APPEND is owed. The session sends it, with what else its client has
/// to hear first.
pub struct Answer {
    pub(super) tag: Option<Tag>,
    pub(super) outcome: Result<Appended, Refusal>,
    pub(super) reply: PendingReply,
}

/// What an APPEND has brought (RFC 4315 section 3).
pub(super) struct Appended {
    pub validity: UidValidity,
    pub uids: UidRange,
}

impl Answer {
    /// Whether the batch is durable.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcome.is_ok()
    }

    /// Writes the tagged response; untagged when the tag could not be read.
    pub fn write(&self, out: &mut BytesMut) {
        match (&self.outcome, &self.tag) {
            (Ok(Appended { validity, uids }), Some(tag)) => {
                let uids = [*uids];
                let code = Code::AppendUid { validity: *validity, uids: &uids };
                tagged(out, tag, Condition::Ok, Some(&code), "APPEND completed");
            }
            (Ok(_), None) => unreachable!("a complete command has a tag"),
            (Err(refusal), tag) => refusal.write(out, tag.as_ref()),
        }
    }

    /// The response is on its way to the client.
    pub fn sent(self) {
        self.reply.replied();
    }
}

/// Counts the APPENDs that are owed an answer, so that a command after them can wait.
#[derive(Default)]
pub struct Pending {
    count: Cell<usize>,
    /// One of them vanished without an answer: the log broke.
    lost: Cell<bool>,
    done: Notify,
}

impl Pending {
    /// Counts one more, until the guard is told that its answer was sent.
    #[must_use]
    pub fn begin(self: &Rc<Self>) -> PendingReply {
        self.count.set(self.count.get() + 1);
        PendingReply { pending: self.clone(), replied: false }
    }

    /// Waits until there is none. `false` when one was lost: the connection must end then.
    pub async fn none(&self) -> bool {
        loop {
            let done = self.done.notified();
            if self.count.get() == 0 || self.lost.get() {
                return !self.lost.get();
            }
            done.await;
        }
    }
}

/// See [`Pending::begin`].
pub struct PendingReply {
    pending: Rc<Pending>,
    replied: bool,
}

impl PendingReply {
    /// Its answer is on the way.
    pub fn replied(mut self) {
        self.replied = true;
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        self.pending.count.set(self.pending.count.get() - 1);
        if !self.replied {
            self.pending.lost.set(true);
        }
        self.pending.done.notify_waiters();
    }
}
