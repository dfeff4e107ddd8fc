//! HIGHESTMODSEQ: up to where a client has heard of all changes (RFC 7162 sections 3.1.2 and 3.2).
//!
//! A client that comes back asks for what has changed since the highest mod-sequence it knows: that
//! of the last HIGHESTMODSEQ, or a higher one that a FETCH response has told it since. So it is
//! told a new one after messages have come or gone, of which no FETCH response tells, or its next
//! QRESYNC would tell them once more. And it is told a lower one while an EXPUNGE has to wait, or
//! it would never hear of that (section 3.2). A client without QRESYNC hears of no EXPUNGE that it
//! has missed, and is told no lower one.

use std::cell::Cell;
use std::cmp::Ordering;

use bytes::BytesMut;

use super::Selected;
use crate::index::{Changes, Mailbox};
use crate::reactor::fault::{Fault, made};
use crate::session::enabled::Enabled;
use imap::protocol::response::{self, Code, Condition};
use imap::types::ModSeq;

/// What the client of a session knows of mod-sequences.
pub(in crate::session) struct Heard {
    /// It has heard of every change up to this one.
    all: ModSeq,
    /// Highest mod-sequence that it was told since, without having heard of all below it.
    told: Cell<ModSeq>,
    /// The tagged OK must say what `all` is.
    pub(super) owed: bool,
}

/// `* OK [HIGHESTMODSEQ n]`, as a response of its own.
pub(in crate::session) fn tell_highest(out: &mut BytesMut, highest: ModSeq) {
    let code = Code::HighestModSeq(highest);
    response::untagged(out, Condition::Ok, Some(&code), "the highest mod-sequence");
}

impl Heard {
    /// Of a client that is told this HIGHESTMODSEQ when it selects the mailbox.
    pub fn new(highest: ModSeq) -> Heard {
        Heard { all: highest, told: Cell::default(), owed: false }
    }

    /// The client is told the mod-sequence of a message.
    pub fn tells(&self, modseq: ModSeq) {
        self.told.set(self.told.get().max(modseq));
    }

    /// The command is over, and the client has heard of all changes up to `all`. Gives the
    /// HIGHESTMODSEQ to tell, if it would take another one for the highest, or is owed it.
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
    /// The end of a command: see [`Heard::settle`].
    pub(super) fn settle(&mut self, enabled: Enabled) -> Option<ModSeq> {
        // Of messages that are gone it has not heard yet.
        let all = match self.gone.is_empty() || made(Fault::HighestOverExpunge) {
            true => self.known,
            false => self.heard.all,
        };
        self.heard.settle(all, enabled)
    }

    /// The client was told of new messages, between commands. If nothing else has changed it has
    /// heard of all; gives the HIGHESTMODSEQ to tell.
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
        // New messages, or fewer.
        assert_eq!(heard.settle(ModSeq(11), enabled), Some(ModSeq(11)));
        // A FETCH response tells as much.
        heard.tells(ModSeq(12));
        heard.tells(ModSeq(3));
        assert_eq!(heard.settle(ModSeq(12), enabled), None);
        // An EXPUNGE waits, and a FETCH response has told a later change.
        heard.tells(ModSeq(14));
        assert_eq!(heard.settle(ModSeq(12), enabled), Some(ModSeq(12)));
        assert_eq!(heard.settle(ModSeq(12), enabled), None);
        assert_eq!(heard.settle(ModSeq(14), enabled), Some(ModSeq(14)));
        heard.owed = true;
        assert_eq!(heard.settle(ModSeq(14), enabled), Some(ModSeq(14)));
        assert_eq!(heard.settle(ModSeq(14), enabled), None);
        // Without QRESYNC none is lower than before, and without CONDSTORE there is none.
        let condstore = Enabled { condstore: true, ..Enabled::default() };
        heard.tells(ModSeq(16));
        assert_eq!(heard.settle(ModSeq(15), condstore), None);
        assert_eq!(heard.settle(ModSeq(16), condstore), Some(ModSeq(16)));
        assert_eq!(heard.settle(ModSeq(17), Enabled::default()), None);
    }
}
