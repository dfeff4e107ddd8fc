//! FETCH (RFC 3501 section 6.4.5).
//!
//! The [index](crate::index) finds the messages, a chunk at a time. [`items`] answers what the
//! index has; the [store](crate::store) reads the rest ahead. [`octets`] sends it, and [`parts`]
//! finds the parts of messages. A command buffers at most one buffer of output, then waits for the
//! client to read.

mod decoded;
pub(super) mod head;
mod items;
pub(super) mod large;
mod octets;
mod parts;
pub(super) mod section;
mod wanted;

use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;

use self::head::Reader;
use self::items::Items;
use self::octets::Scratch;
use self::wanted::Wanted;
use super::reply::EXPUNGED;
use super::selected::vanished;
use super::session::Session;
use super::trouble::Trouble;
use crate::home::Owner;
use crate::index::{Batch, Walk};
use crate::net::{BUFFER, Gone, buffer};
use crate::reactor::{breathe, timeout};
use crate::session::change::ChangeError;
use crate::store::{LogError, MailboxId};
use imap::protocol::response::{self, Code, FetchResponse};
use imap::protocol::{Fetch, FetchItem, PartialRange, SequenceSet, Tag};
use imap::types::{ModSeq, Uid, UidRange};

/// Chunks walked before the command yields, when there is nothing to send: half a millisecond.
const STEPS: usize = 64;

/// Messages queued in a reader: at 50 octets each they fill its two leases.
const KNOWN: usize = 8 << 10;

/// How long the command keeps its lease while it waits for the client to read.
const SOON: Duration = Duration::from_millis(50);

/// What went wrong during a FETCH.
#[derive(Default)]
struct Outcome {
    /// Messages that no longer exist.
    missing: u64,
    /// Messages that cannot be read.
    damaged: u64,
    /// Messages whose headers are too long for a requested item.
    too_long: u64,
    /// Whether a requested part has an unknown encoding.
    unknown_encoding: bool,
}

impl Session {
    pub(super) async fn fetch(&mut self, tag: &Tag, fetch: Fetch, owner: &Rc<Owner>) {
        if fetch.vanished && !self.enabled.qresync {
            return self.bad(tag, "VANISHED is for those who have enabled QRESYNC");
        }
        let Some((mailbox, mut uids)) = self.messages(tag, &fetch.set, fetch.uid) else { return };
        if let Some(partial) = fetch.partial {
            uids = part_of(&uids, partial);
        }
        let mut wanted = Wanted::new(fetch.items);
        if !fetch.uid && fetch.changed_since.is_none() && wanted.items == [FetchItem::Uid] {
            if self.answer_uids(&uids).await.is_ok() {
                self.ok(tag, "FETCH completed");
            }
            return;
        }
        if fetch.changed_since.is_some() {
            wanted.add(FetchItem::ModSeq);
        }
        if fetch.uid {
            wanted.add(FetchItem::Uid);
        }
        if wanted.items.contains(&FetchItem::ModSeq) {
            self.enable_condstore();
        }
        if wanted.sets_seen && !self.is_read_only() {
            match self.set_seen(mailbox, &uids, owner).await {
                Ok(unseen) if unseen.is_empty() => {}
                Ok(_) => self.tell_seen(&mut wanted),
                // Mail stays readable when the disk is full, and while its mailbox is being
                // deleted. The flag is set by a later FETCH.
                Err(ChangeError::Log(LogError::Full(_)) | ChangeError::Gone) => {}
                Err(error) => return self.not_changed(tag, &error),
            }
        }
        if let Some(since) = fetch.changed_since.filter(|_| fetch.vanished) {
            self.tell_vanished(&fetch.set, since, owner);
        }
        let walk = Walk::new(uids, fetch.changed_since);
        let answered = match wanted.reads {
            false => self.answer_from_index(mailbox, walk, &wanted, owner).await,
            true => self.answer_from_disk(mailbox, walk, &wanted, owner).await,
        };
        if let Ok(outcome) = answered {
            self.end_fetch(tag, &outcome);
        }
    }

    /// The flags that FETCH sets are part of its response (RFC 3501 section 6.4.5, RFC 7162 section
    /// 3.2.4).
    fn tell_seen(&self, wanted: &mut Wanted) {
        if self.enabled.condstore {
            wanted.add(FetchItem::ModSeq);
        }
        wanted.add(FetchItem::Flags);
        if self.enabled.qresync {
            wanted.add(FetchItem::Uid);
        }
    }

    /// VANISHED (EARLIER), sent before all FETCH responses (RFC 7162 section 3.2.6).
    fn tell_vanished(&self, set: &SequenceSet, since: ModSeq, owner: &Owner) {
        let (selected, account) = (self.selected.borrow(), owner.account.borrow());
        let Some(selected) = &*selected else { return };
        let Some(mailbox) = account.mailbox(selected.mailbox) else { return };
        // `*` is the highest UID ever used: the newest messages may be among the expunged ones.
        let highest = mailbox.counts().uid_next.0 - 1;
        let known: Vec<_> = match set.is_saved() {
            true => selected.shown.saved.clone(),
            false => set.resolve(highest).uids().collect(),
        };
        let gone = vanished(mailbox, selected, since, &known, None);
        if !gone.is_empty() {
            self.output.push(|out| response::vanished(out, true, gone));
        }
    }

    fn end_fetch(&self, tag: &Tag, outcome: &Outcome) {
        if outcome.damaged > 0 {
            let text = "a message cannot be read; the log says which";
            return self.no(tag, Some(Code::Corruption), text);
        }
        if outcome.too_long > 0 {
            let text = "a message has headers too long to be told; its octets can be fetched";
            return self.no(tag, Some(Code::Limit), text);
        }
        if outcome.unknown_encoding {
            let text = "a part is encoded in a way that is not known";
            return self.no(tag, Some(Code::UnknownCte), text);
        }
        if outcome.missing > 0 {
            // OK, because the existing messages were sent. After NO many clients would repeat the
            // FETCH.
            return self.ok_code(tag, Code::ExpungeIssued, EXPUNGED);
        }
        self.ok(tag, "FETCH completed");
    }

    /// The next messages of a walk; `false` at its end.
    pub(super) fn step(
        &self,
        mailbox: MailboxId,
        walk: &mut Walk,
        batch: &mut Batch,
        owner: &Owner,
    ) -> bool {
        let selected = self.selected.borrow();
        let account = owner.account.borrow();
        match (selected.as_ref(), account.mailbox(mailbox)) {
            (Some(selected), Some(mailbox)) => walk.step(&selected.shown.view, mailbox, batch),
            // Another session has deleted the mailbox.
            _ => walk.give_up(),
        }
    }

    /// Answers FETCH of UIDs alone, from the session's view. It includes messages whose EXPUNGE the
    /// client has not been sent.
    async fn answer_uids(&self, uids: &[UidRange]) -> Result<(), Gone> {
        let mut out = buffer();
        for &UidRange { first, last } in uids {
            let number = self.selected.borrow().as_ref().and_then(|s| s.shown.view.sequence(first));
            let Some(number) = number else { continue };
            for uid in first.0..=last.0 {
                let mut message = FetchResponse::begin(&mut out, number + (uid - first.0));
                message.uid(&mut out, Uid(uid));
                message.end(&mut out);
                if out.len() >= BUFFER / 2 {
                    self.hand_on(&mut out, None).await?;
                    breathe().await;
                }
            }
        }
        self.output.push_buffer(out);
        Ok(())
    }

    async fn answer_from_index(
        &self,
        mailbox: MailboxId,
        mut walk: Walk,
        wanted: &Wanted,
        owner: &Owner,
    ) -> Result<Outcome, Gone> {
        let (mut batch, mut out) = (Batch::default(), buffer());
        let mut items = Items::new(self.enabled);
        while self.step(mailbox, &mut walk, &mut batch, owner) {
            if let (Some(selected), Some(mailbox)) =
                (&mut *self.selected.borrow_mut(), owner.account.borrow().mailbox(mailbox))
            {
                selected.tell_keywords(mailbox.keywords(), &mut out);
                for (number, entry) in batch.iter() {
                    let of = (mailbox.keywords(), &*selected);
                    items.begin(&mut out, number, entry, &wanted.items, of).end(&mut out);
                }
            }
            if out.len() >= BUFFER / 2 {
                self.hand_on(&mut out, None).await?;
            } else if walk.steps().is_multiple_of(STEPS) {
                breathe().await;
            }
        }
        self.output.push_buffer(out);
        Ok(Outcome { missing: walk.missing(), ..Outcome::default() })
    }

    async fn answer_from_disk(
        &self,
        mailbox: MailboxId,
        mut walk: Walk,
        wanted: &Wanted,
        owner: &Owner,
    ) -> Result<Outcome, Gone> {
        let (mut batch, mut out) = (Batch::default(), buffer());
        let (mut items, mut scratch) = (Items::new(self.enabled), Scratch::default());
        let mut reader = self.home.reader(wanted.reach);
        let mut outcome = Outcome::default();
        let mut more = true;
        loop {
            while more && reader.waiting() < KNOWN {
                more = self.step(mailbox, &mut walk, &mut batch, owner);
                reader.extend(batch.found());
                if walk.steps().is_multiple_of(STEPS) {
                    breathe().await;
                }
            }
            let Some(message) = reader.take_next() else { break };
            let size = usize::try_from(message.entry().size().min(wanted.reach));
            let room = out.capacity() - out.len();
            if out.len() >= BUFFER / 4 && size.is_ok_and(|size| size > room) {
                self.hand_on(&mut out, Some(&mut reader)).await?;
            }
            let start;
            let answer = {
                let (mut selected, account) = (self.selected.borrow_mut(), owner.account.borrow());
                let (Some(selected), Some(mailbox)) = (selected.as_mut(), account.mailbox(mailbox))
                else {
                    outcome.missing += 1;
                    continue;
                };
                selected.tell_keywords(mailbox.keywords(), &mut out);
                start = out.len();
                let of = (mailbox.keywords(), &*selected);
                items.begin(&mut out, message.number, message.entry(), &wanted.items, of)
            };
            let sent =
                self.octets(answer, &mut out, wanted, &message, &mut reader, &mut scratch).await;
            match sent {
                Ok(unknown_encoding) => {
                    outcome.unknown_encoding |= unknown_encoding;
                    self.trail.fetched.set(self.trail.fetched.get() + 1);
                    // A response has at least one item (RFC 3501 section 9, `msg-att`).
                    let written = out.get(start..).unwrap_or_default();
                    if unknown_encoding && written.ends_with(b" FETCH ()\r\n") {
                        out.truncate(start);
                    }
                }
                Err(Trouble::Gone) => return Err(Gone),
                Err(Trouble::TooLong) => {
                    out.truncate(start);
                    outcome.too_long += 1;
                }
                Err(error @ (Trouble::Octets(_) | Trouble::Thread(_))) => {
                    out.truncate(start);
                    outcome.damaged += 1;
                    if outcome.damaged <= 10 {
                        tracing::error!("FETCH: {error}");
                    }
                }
            }
            if out.len() >= BUFFER {
                self.hand_on(&mut out, Some(&mut reader)).await?;
            }
        }
        self.output.push_buffer(out);
        outcome.missing += walk.missing();
        Ok(outcome)
    }

    /// Sends the buffer, and waits while the client does not read.
    async fn hand_on(
        &self,
        out: &mut BytesMut,
        reader: Option<&mut Reader<'_>>,
    ) -> Result<(), Gone> {
        self.output.push_buffer(std::mem::replace(out, buffer()));
        if let Some(reader) = reader
            && self.output.is_full()
            && (self.home.arena.is_scarce() || timeout(SOON, self.output.room()).await.is_none())
        {
            reader.rest();
        }
        self.output.room().await
    }
}

/// The messages at these positions, counted from 1 or from the end (RFC 9394 section 3.3).
fn part_of(uids: &[UidRange], partial: PartialRange) -> Vec<UidRange> {
    let (first, last) = partial.of(UidRange::count(uids));
    UidRange::part(uids, first, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_in_what_was_asked_for() {
        let range = |(first, last)| UidRange { first: Uid(first), last: Uid(last) };
        let uids = [(3, 5), (9, 9), (20, 29)].map(range);
        let part = |first, last, from_end| {
            let part = part_of(&uids, PartialRange { first, last, from_end });
            part.iter().map(|r| (r.first.0, r.last.0)).collect::<Vec<_>>()
        };
        assert_eq!(part(1, 14, false), [(3, 5), (9, 9), (20, 29)]);
        assert_eq!(part(2, 5, false), [(4, 5), (9, 9), (20, 20)]);
        assert_eq!(part(14, 99, false), [(29, 29)]);
        assert_eq!(part(15, 99, false), []);
        assert_eq!(part(1, 1, true), [(29, 29)]);
        assert_eq!(part(10, 12, true), [(5, 5), (9, 9), (20, 20)]);
        assert_eq!(part(14, 99, true), [(3, 3)]);
        assert_eq!(part(15, 99, true), []);
        assert_eq!(part_of(&[], PartialRange { first: 1, last: 9, from_end: true }), []);
    }
}
