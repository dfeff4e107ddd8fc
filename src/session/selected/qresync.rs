//! QRESYNC: what a client missed since its last session (RFC 7162 section 3.2.5).

use std::rc::Rc;

use bytes::BytesMut;

use super::{Selected, Told};
use crate::home::Owner;
use crate::index::Mailbox;
use crate::net::Gone;
use crate::session::session::Session;
use imap::protocol::response;
use imap::protocol::{QResync, SequenceSet};
use imap::types::{ModSeq, Uid, UidRange};

impl Session {
    /// Sends VANISHED (EARLIER) and FETCH for changed flags, after the responses of SELECT. Nothing
    /// is sent if the client's UIDVALIDITY is that of another mailbox.
    pub(super) async fn resynchronise(
        &self,
        asked: &QResync,
        owner: &Rc<Owner>,
    ) -> Result<(), Gone> {
        let changed = {
            let account = owner.account.borrow();
            let selected = self.selected.borrow();
            let Some(selected) = selected.as_ref() else { return Ok(()) };
            let Some(mailbox) = account.mailbox(selected.mailbox) else { return Ok(()) };
            if mailbox.uid_validity() != asked.validity {
                return Ok(());
            }
            let known = match &asked.known {
                Some(known) => known.resolve(u32::MAX).uids().collect(),
                None => vec![UidRange::ALL],
            };
            let from = asked.matched.as_ref().and_then(|pair| agreed(&selected.shown.view, pair));
            let vanished = vanished(mailbox, selected, asked.modseq, &known, from);
            if !vanished.is_empty() {
                self.output.push(|out: &mut BytesMut| response::vanished(out, true, vanished));
            }
            changed_since(mailbox, &known, asked.modseq)
        };
        self.output.room().await?;
        let told = Told { uid: true, flags: true, modseq: true };
        self.tell_flags(owner, &changed, told).await
    }
}

/// Messages in these ranges whose mod-sequence is above `since`, ascending.
fn changed_since(mailbox: &Mailbox, uids: &[UidRange], since: ModSeq) -> Vec<UidRange> {
    let mut changed = Vec::new();
    for range in uids {
        for chunk in mailbox.chunks(*range) {
            if chunk.max_modseq() <= since {
                continue;
            }
            let entries = chunk.range(*range).filter(|entry| entry.modseq() > since);
            entries.for_each(|entry| UidRange::push(&mut changed, entry.uid()));
        }
    }
    changed
}

/// The UIDs known to the client that are gone, ascending. Client and server agree up to the UID
/// `from`: nothing is missing below it. When the mailbox no longer remembers that many changes,
/// every UID without a message counts as gone (section 3.2.5.1).
pub(in crate::session) fn vanished(
    mailbox: &Mailbox,
    selected: &Selected,
    since: ModSeq,
    known: &[UidRange],
    from: Option<Uid>,
) -> Vec<UidRange> {
    let last = Uid(mailbox.counts().uid_next.0 - 1);
    let gone = match mailbox.vanished_since(since) {
        Some(gone) => gone,
        None => {
            let first = from.map_or(Uid(1), Uid::next);
            missing(selected, UidRange { first, last })
        }
    };
    UidRange::intersection(&gone, known)
}

/// The UIDs of a range that are not in the view.
fn missing(selected: &Selected, within: UidRange) -> Vec<UidRange> {
    if within.first > within.last {
        return Vec::new();
    }
    UidRange::difference(&[within], &selected.shown.view.runs().collect::<Vec<_>>())
}

/// The highest UID up to which the client's pairs of message numbers and UIDs match the view.
fn agreed(view: &crate::index::View, (numbers, uids): &(SequenceSet, SequenceSet)) -> Option<Uid> {
    let numbers = numbers.resolve(u32::MAX);
    let uids = uids.resolve(u32::MAX);
    let numbers = numbers.iter().flat_map(|(first, last)| first..=last);
    let uids = uids.iter().flat_map(|(first, last)| first..=last);
    let same = numbers.zip(uids).take_while(|&(number, uid)| view.uid(number) == Some(Uid(uid)));
    same.last().map(|(_, uid)| Uid(uid))
}
