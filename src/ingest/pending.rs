//! Batches of one connection in flight, and the replies they are owed.

use std::cell::Cell;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::sync::Notify;

use super::refusal::Refusal;
use imap::protocol::Tag;
use imap::protocol::response::{Code, Condition, tagged};
use imap::types::{UidRange, UidValidity};

/// The tagged response of an APPEND. The session sends it, after any untagged responses that must
/// come first.
pub struct Answer {
    pub(super) tag: Option<Tag>,
    pub(super) outcome: Result<Appended, Refusal>,
    pub(super) reply: PendingReply,
}

/// The contents of APPENDUID (RFC 4315 section 3).
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

    /// Writes the tagged response; untagged if the tag could not be parsed.
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

    /// Notes that the response was sent.
    pub fn sent(self) {
        self.reply.replied();
    }
}

/// Counts the APPENDs without a reply, so that a later command can wait for them.
#[derive(Default)]
pub struct Pending {
    count: Cell<usize>,
    /// Whether one was dropped without a reply, because the log failed.
    lost: Cell<bool>,
    done: Notify,
}

impl Pending {
    /// Counts an APPEND until its guard is told that the reply was sent.
    #[must_use]
    pub fn begin(self: &Rc<Self>) -> PendingReply {
        self.count.set(self.count.get() + 1);
        PendingReply { pending: self.clone(), replied: false }
    }

    /// Waits until all replies were sent. `false` if one was lost: the connection must end.
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

/// Counts an APPEND: see [`Pending::begin`].
pub struct PendingReply {
    pending: Rc<Pending>,
    replied: bool,
}

impl PendingReply {
    /// Notes that the reply was sent.
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
