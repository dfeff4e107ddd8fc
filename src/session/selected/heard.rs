//! HIGHESTMODSEQ: the mod-sequence up to which a client has been told all changes (RFC 7162
//! sections 3.1.2 and 3.2).
//!
//! A client that reconnects asks for changes since the highest mod-sequence it knows: the last
//! HIGHESTMODSEQ, or a higher MODSEQ of a later FETCH response. It is sent a new HIGHESTMODSEQ
//! after messages were added or expunged, because no FETCH response tells that; otherwise its next
//! QRESYNC would repeat the change. It is sent a lower one while an EXPUNGE must wait; otherwise it
//! would never learn of that (section 3.2). A client without QRESYNC never catches up on missed
//! EXPUNGEs, and is sent no lower value.

use std::cell::Cell;
use std::cmp::Ordering;

use bytes::BytesMut;

use super::Selected;
use crate::index::{Changes, Mailbox};
use crate::reactor::fault::{Fault, made};
use crate::session::enabled::Enabled;
use imap::protocol::response::{self, Code, Condition};
use imap::types::ModSeq;

/// The mod-sequences that a client knows.
pub(in crate::session) struct Heard {
    /// The client knows every change up to this one.
    all: ModSeq,
    /// Highest mod-sequence sent since then, although not all changes below it were.
    told: Cell<ModSeq>,
    /// Whether the next tagged OK must carry `all`.
    pub(super) owed: bool,
}

/// `* OK [HIGHESTMODSEQ n]` as an untagged response.
pub(in crate::session) fn tell_highest(out: &mut BytesMut, highest: ModSeq) {
    let code = Code::HighestModSeq(highest);
    response::untagged(out, Condition::Ok, Some(&code), "the highest mod-sequence");
}

impl Heard {
    /// For a client that gets this HIGHESTMODSEQ from SELECT.
    pub(crate) fn new(highest: ModSeq) -> Heard {
        Heard { all: highest, told: Cell::default(), owed: false }
    }

    /// Notes that the client is sent the mod-sequence of a message.
    pub(crate) fn tells(&self, modseq: ModSeq) {
        self.told.set(self.told.get().max(modseq));
    }

    /// Ends a command after which the client knows all changes up to `all`. Returns the
    /// HIGHESTMODSEQ to send, if the client would assume another one or is owed it.
    fn settle(&mut self, all: ModSeq, enabled: Enabled) -> Option<ModSeq> {
        let believed = self.all.max(self.told.take());
        self.all = all;
        let owed = std::mem::take(&mut self.owed);
        let tells = match all.cmp(&believed) {
            Ordering::Greater => enabled.condstore,
            Ordering::Equal => owed,
            Ordering::Less => enabled.qresync,
        };
        tells.then_some(all)
    }
}

impl Selected {
    /// Ends a command: see [`Heard::settle`].
    pub(super) fn settle(&mut self, enabled: Enabled) -> Option<ModSeq> {
        // The client has not been told that these messages are gone.
        let all = match self.gone.is_empty() || made(Fault::HighestOverExpunge) {
            true => self.known,
            false => self.heard.all,
        };
        self.heard.settle(all, enabled)
    }

    /// Notes that the client was told of new messages between commands. If nothing else has
    /// changed, it knows all changes; returns the HIGHESTMODSEQ to send.
    pub(super) fn catch_up(&mut self, mailbox: &Mailbox, enabled: Enabled) -> Option<ModSeq> {
        let mut changes = match mailbox.changes_since(self.known) {
            Changes::Known(changes) => changes,
            Changes::Lost => return None,
        };
        if changes.next().is_some() || !self.gone.is_empty() {
            return None;
        }
        self.known = mailbox.counts().highest_modseq;
        self.settle(enabled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_what_it_would_not_conclude() {
        let enabled = Enabled { condstore: true, qresync: true, ..Enabled::default() };
        let mut heard = Heard::new(ModSeq(10));
        assert_eq!(heard.settle(ModSeq(10), enabled), None);
        // Messages were added or expunged.
        assert_eq!(heard.settle(ModSeq(11), enabled), Some(ModSeq(11)));
        // A FETCH response has sent it already.
        heard.tells(ModSeq(12));
        heard.tells(ModSeq(3));
        assert_eq!(heard.settle(ModSeq(12), enabled), None);
        // An EXPUNGE waits, and a FETCH response has sent the mod-sequence of a later change.
        heard.tells(ModSeq(14));
        assert_eq!(heard.settle(ModSeq(12), enabled), Some(ModSeq(12)));
        assert_eq!(heard.settle(ModSeq(12), enabled), None);
        assert_eq!(heard.settle(ModSeq(14), enabled), Some(ModSeq(14)));
        heard.owed = true;
        assert_eq!(heard.settle(ModSeq(14), enabled), Some(ModSeq(14)));
        assert_eq!(heard.settle(ModSeq(14), enabled), None);
        // The value never goes down without QRESYNC, and is never sent without CONDSTORE.
        let condstore = Enabled { condstore: true, ..Enabled::default() };
        heard.tells(ModSeq(16));
        assert_eq!(heard.settle(ModSeq(15), condstore), None);
        assert_eq!(heard.settle(ModSeq(16), condstore), Some(ModSeq(16)));
        assert_eq!(heard.settle(ModSeq(17), Enabled::default()), None);
    }
}
