//! The selected mailbox of a session: what the client knows of it, and how it learns of changes.

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

/// The selected mailbox, and what the client knows of it.
pub(super) struct Selected {
    pub mailbox: MailboxId,
    /// Keeps the messages of the mailbox in memory.
    _pinned: Pinned,
    /// The messages as the client knows them.
    pub shown: Shown,
    pub read_only: bool,
    /// Search results that receive updates (RFC 5267).
    pub contexts: Contexts,
    /// UIDNEXT of the mailbox when the client was last told of new messages.
    uid_next: Uid,
    /// Changes up to this mod-sequence have been processed.
    known: ModSeq,
    /// Expunged messages of the view, ascending, that the client could not be told yet.
    gone: Vec<UidRange>,
    /// Mod-sequences after `known` of changes by this session, which the client need not be told.
    own: Vec<ModSeq>,
    /// The mod-sequence up to which the client knows all changes.
    pub heard: Heard,
    /// Version of the keyword list that was sent, and whether it allowed new keywords.
    keywords: (u64, bool),
    /// The last RECENT that was sent.
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

    /// Notes a change by this session: its client knows, or has asked not to be told.
    pub(super) fn is_own(&mut self, modseqs: &[ModSeq]) {
        self.own.extend_from_slice(modseqs);
    }

    /// New messages are `\Recent` to the first session that is told of them. A read-only session
    /// does not take them (RFC 3501 section 6.3.2).
    fn take_recent(&mut self, mailbox: &mut Mailbox) {
        let counts = mailbox.counts();
        let first = if self.read_only { counts.recent_from } else { mailbox.take_recent() };
        let known = self.shown.recent.last().map_or(Uid(0), |range| range.last);
        let first = first.max(known.next());
        if first < counts.uid_next {
            let last = Uid(counts.uid_next.0 - 1);
            match self.shown.recent.last_mut().filter(|range| range.last.next() == first) {
                // Extends the last range: a client that appends messages one by one would get a
                // range for each.
                Some(range) => range.last = last,
                None => self.shown.recent.push(UidRange { first, last }),
            }
        }
    }
}
