//! The mailbox that a session has selected: what the client knows of it, and how it hears of more.

mod heard;
mod idle;
mod news;
mod qresync;
mod select;
mod shown;
#[cfg(test)]
mod tests;

use self::heard::Heard;
use super::search::Contexts;
use crate::home::Pinned;
use crate::index::Mailbox;
use crate::store::MailboxId;
use imap::types::{ModSeq, Uid, UidRange};

pub(super) use heard::tell_highest;
pub(super) use news::{Told, announce};
pub(super) use qresync::vanished;
pub(super) use shown::{NoSuchMessage, Shown};

/// See the head of this file.
pub(super) struct Selected {
    pub mailbox: MailboxId,
    /// So that its messages stay in memory.
    _pinned: Pinned,
    /// What the client knows to be there.
    pub shown: Shown,
    pub read_only: bool,
    /// Results of searches that the client has followed (RFC 5267).
    pub contexts: Contexts,
    /// The mailbox's UIDNEXT when the client was last told of new messages.
    uid_next: Uid,
    /// Changes up to here were looked at.
    known: ModSeq,
    /// Messages of the view that are gone, ascending; the client could not be told yet.
    gone: Vec<UidRange>,
    /// Changes of this session after `known` that its client need not be told of.
    own: Vec<ModSeq>,
    /// Up to where the client has heard of all changes.
    pub heard: Heard,
    /// Which keywords the client was told of, and whether more can be made.
    keywords: (u64, bool),
    /// RECENT as it was last told.
    recent_told: u32,
}

impl Selected {
    fn new(mailbox: &mut Mailbox, pinned: Pinned, read_only: bool) -> Selected {
        let counts = mailbox.counts();
        let mut selected = Selected {
            mailbox: mailbox.id(),
            _pinned: pinned,
            shown: Shown::new(mailbox.view()),
            read_only,
            contexts: Contexts::default(),
            uid_next: counts.uid_next,
            known: counts.highest_modseq,
            heard: Heard::new(counts.highest_modseq),
            gone: Vec::new(),
            own: Vec::new(),
            keywords: (mailbox.keywords().version(), mailbox.keywords().takes_more()),
            recent_told: 0,
        };
        selected.take_recent(mailbox);
        selected.recent_told = selected.shown.recent_count();
        selected
    }

    /// This session's own change: its client knows, or did not want to.
    pub fn is_own(&mut self, modseqs: &[ModSeq]) {
        self.own.extend_from_slice(modseqs);
    }

    /// New messages are `\Recent` to the first session that hears of them. A read-only one leaves
    /// that to others (RFC 3501 section 6.3.2).
    fn take_recent(&mut self, mailbox: &mut Mailbox) {
        let counts = mailbox.counts();
        let first = if self.read_only { counts.recent_from } else { mailbox.take_recent() };
        let known = self.shown.recent.last().map_or(Uid(0), |range| range.last);
        let first = first.max(known.next());
        if first < counts.uid_next {
            let last = Uid(counts.uid_next.0 - 1);
            match self.shown.recent.last_mut().filter(|range| range.last.next() == first) {
                // A client that appends one message after the other would have a range for each.
                Some(range) => range.last = last,
                None => self.shown.recent.push(UidRange { first, last }),
            }
        }
    }
}
