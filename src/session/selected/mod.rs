//! The mailbox that a session has selected: what the client knows of it, and how it hears of more.

mod heard;
mod idle;
mod news;
mod qresync;
mod select;
#[cfg(test)]
mod tests;

use self::heard::Heard;
use super::search::Contexts;
use crate::home::Pinned;
use crate::index::{Mailbox, View};
use crate::store::MailboxId;
use imap::protocol::SequenceSet;
use imap::types::{ModSeq, Uid, UidRange};

pub(super) use heard::tell_highest;
pub(super) use news::{Told, announce};
pub(super) use qresync::vanished;

/// See the head of this file.
pub(super) struct Selected {
    pub mailbox: MailboxId,
    /// So that its messages stay in memory.
    _pinned: Pinned,
    /// What the client knows to be there.
    pub view: View,
    pub read_only: bool,
    /// What SEARCH has kept for `$` (RFC 5182).
    pub saved: Vec<UidRange>,
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
    /// UIDs that are `\Recent` in this session.
    recent: Vec<UidRange>,
    /// RECENT as it was last told.
    recent_told: u32,
}

/// A message number that no message has (RFC 9051 section 9, `seq-number`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoSuchMessage(pub u32);

impl Selected {
    fn new(mailbox: &mut Mailbox, pinned: Pinned, read_only: bool) -> Selected {
        let counts = mailbox.counts();
        let mut selected = Selected {
            mailbox: mailbox.id(),
            _pinned: pinned,
            view: mailbox.view(),
            read_only,
            saved: Vec::new(),
            contexts: Contexts::default(),
            uid_next: counts.uid_next,
            known: counts.highest_modseq,
            heard: Heard::new(counts.highest_modseq),
            gone: Vec::new(),
            own: Vec::new(),
            keywords: (mailbox.keywords().version(), mailbox.keywords().takes_more()),
            recent: Vec::new(),
            recent_told: 0,
        };
        selected.take_recent(mailbox);
        selected.recent_told = selected.recent_count();
        selected
    }

    /// The messages that a set names, of those the client knows, as ranges that ascend and have no
    /// gap. UIDs that do not exist are passed over (RFC 3501 section 6.4.8).
    ///
    /// # Errors
    /// When a message number is beyond the last message: the client has lost count.
    pub fn resolve(&self, set: &SequenceSet, uid: bool) -> Result<Vec<UidRange>, NoSuchMessage> {
        match set.largest() {
            Some(number) if !uid && number > self.view.len() => Err(NoSuchMessage(number)),
            _ => Ok(self.named(set, uid)),
        }
    }

    /// The same, but message numbers that do not exist are passed over as well: SEARCH looks for
    /// messages, and finds those that there are.
    pub fn named(&self, set: &SequenceSet, uid: bool) -> Vec<UidRange> {
        if set.is_saved() {
            return self.known_of(self.saved.iter().copied());
        }
        if uid {
            let last = self.view.last().map_or(0, |uid| uid.0);
            return self.known_of(set.resolve(last).uids());
        }
        let numbers = set.resolve(self.view.len());
        numbers.iter().flat_map(|(first, last)| self.view.uids_of(first..=last)).collect()
    }

    /// The messages of the view in these ranges, which ascend.
    fn known_of(&self, uids: impl Iterator<Item = UidRange>) -> Vec<UidRange> {
        uids.flat_map(|range| self.view.uids_of(self.view.sequences(range))).collect()
    }

    /// The numbers of these messages, as ranges; of those that the client knows.
    pub fn numbers(&self, uids: &[UidRange]) -> Vec<(u32, u32)> {
        let of = |range: &UidRange| self.view.sequences(*range).into_inner();
        uids.iter().map(of).filter(|(first, last)| first <= last).collect()
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
        let known = self.recent.last().map_or(Uid(0), |range| range.last);
        let first = first.max(known.next());
        if first < counts.uid_next {
            let last = Uid(counts.uid_next.0 - 1);
            match self.recent.last_mut().filter(|range| range.last.next() == first) {
                // A client that appends one message after the other would have a range for each.
                Some(range) => range.last = last,
                None => self.recent.push(UidRange { first, last }),
            }
        }
    }

    pub fn is_recent(&self, uid: Uid) -> bool {
        let after = self.recent.partition_point(|range| range.first <= uid);
        after > 0 && uid <= self.recent[after - 1].last
    }

    fn recent_count(&self) -> u32 {
        let of = |range: &UidRange| {
            let numbers = self.view.sequences(*range);
            (numbers.end() + 1).saturating_sub(*numbers.start())
        };
        self.recent.iter().map(of).sum()
    }
}
