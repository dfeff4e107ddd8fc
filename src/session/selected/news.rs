//! The untagged responses that tell a client of changes in its mailbox: expunged messages, new
//! messages, and flags changed by other sessions (RFC 3501 sections 7.3 and 7.4, RFC 2180, RFC
//! 7162).
//!
//! Before the reply to each command the view is compared with the mailbox. An EXPUNGE that may not
//! be sent yet (during FETCH, STORE and SEARCH) waits in [`Selected`]; the view keeps its message
//! numbers until then.

use std::cell::RefCell;

use bytes::BytesMut;

use super::Selected;
use super::heard::tell_highest;
use crate::home::Owner;
use crate::index::{Changes, Entry, Keywords, Mailbox, What};
use crate::net::{GATHERED, Gone};
use crate::session::enabled::Enabled;
use crate::session::session::Session;
use imap::protocol::response::{self, Code, Condition, FetchResponse};
use imap::types::{Keyword, ModSeq, Uid, UidRange};

/// Why changes cannot be sent.
pub(in crate::session) enum NoNews {
    /// The client has disconnected.
    Gone,
    /// Another session has deleted the mailbox.
    Deleted,
}

impl From<Gone> for NoNews {
    fn from(_: Gone) -> NoNews {
        NoNews::Gone
    }
}

/// The items of FETCH responses for changed flags.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Told {
    pub uid: bool,
    pub flags: bool,
    pub modseq: bool,
}

/// Sends EXISTS and RECENT to a client that uploads messages. All other changes can wait for the
/// reply to its next command.
pub(in crate::session) fn announce(
    selected: &RefCell<Option<Selected>>,
    owner: &Owner,
    enabled: Enabled,
    out: &mut BytesMut,
) {
    let mut selected = selected.borrow_mut();
    let Some(selected) = selected.as_mut() else { return };
    if let Some(mailbox) = owner.account.borrow_mut().mailbox_mut(selected.mailbox) {
        selected.tell_new(mailbox, enabled, out);
        if let Some(highest) = selected.catch_up(mailbox, enabled) {
            tell_highest(out, highest);
        }
    }
}

impl Selected {
    /// Processes the changes of the mailbox. Returns the messages whose flags other sessions have
    /// changed, ascending.
    fn look(&mut self, mailbox: &Mailbox) -> Vec<UidRange> {
        let (mut flags, mut gone) = (Vec::new(), Vec::new());
        match mailbox.changes_since(self.known) {
            Changes::Known(changes) => {
                for change in changes {
                    if let What::Flags(uids) = &change.what {
                        self.contexts.change(uids);
                    }
                    match &change.what {
                        What::Flags(_) if self.own.contains(&change.modseq) => {}
                        What::Flags(uids) => flags.extend_from_slice(uids),
                        What::Expunged(uids) => gone.extend_from_slice(uids),
                    }
                }
            }
            Changes::Lost => {
                self.compare(mailbox, &mut flags, &mut gone);
                self.contexts.change(&flags);
            }
        }
        self.known = mailbox.counts().highest_modseq;
        self.own.clear();
        self.gone = UidRange::union(&self.gone, &self.shown.known_of(gone.into_iter()));
        flags.sort_unstable_by_key(|range| range.first);
        flags
    }

    /// Compares every message, because the mailbox does not remember that many changes.
    fn compare(&self, mailbox: &Mailbox, flags: &mut Vec<UidRange>, gone: &mut Vec<UidRange>) {
        let mut there = mailbox.range(UidRange::ALL).peekable();
        for uid in self.shown.view.uids() {
            while there.next_if(|entry| entry.uid() < uid).is_some() {}
            match there.next_if(|entry| entry.uid() == uid) {
                None => UidRange::push(gone, uid),
                Some(entry) if entry.modseq() > self.known => UidRange::push(flags, uid),
                Some(_) => {}
            }
        }
    }

    fn tell_new(&mut self, mailbox: &mut Mailbox, enabled: Enabled, out: &mut BytesMut) {
        let uid_next = mailbox.counts().uid_next;
        let before = self.shown.view.len();
        if self.uid_next != uid_next {
            let new = UidRange { first: self.uid_next, last: Uid(uid_next.0 - 1) };
            self.uid_next = uid_next;
            mailbox.add_to(&mut self.shown.view, new);
            self.take_recent(mailbox);
        }
        if self.shown.view.len() != before {
            response::number(out, self.shown.view.len(), "EXISTS");
        }
        let recent = self.shown.recent_count();
        if !enabled.rev2 && (self.shown.view.len() != before || recent != self.recent_told) {
            response::number(out, recent, "RECENT");
        }
        self.recent_told = recent;
    }

    /// Sends the keyword list if it has changed: new keywords come before the first message that
    /// has them (RFC 3501 section 7.2.6). The list also tells whether the mailbox takes new
    /// keywords.
    pub(in crate::session) fn tell_keywords(&mut self, keywords: &Keywords, out: &mut BytesMut) {
        let now = (keywords.version(), keywords.takes_more());
        if self.keywords != now {
            self.keywords = now;
            self.flags(keywords, out);
        }
    }

    /// Sends FLAGS and PERMANENTFLAGS.
    pub(in crate::session) fn flags(&self, keywords: &Keywords, out: &mut BytesMut) {
        let (all, more) = (keywords.all(), keywords.takes_more());
        response::flags(out, &all);
        let keywords = (!self.read_only).then_some(&*all);
        let code = Code::PermanentFlags { keywords, more };
        response::untagged(out, Condition::Ok, Some(&code), "flags that last");
    }

    fn tell_message(
        &self,
        mailbox: &Mailbox,
        entry: Entry<'_>,
        told: Told,
        enabled: Enabled,
        out: &mut BytesMut,
    ) {
        let Some(number) = self.shown.view.sequence(entry.uid()) else { return };
        let mut answer = FetchResponse::begin(out, number);
        if told.uid {
            answer.uid(out, entry.uid());
        }
        if told.flags {
            let keywords = mailbox.keywords().of(entry.keywords()).map(Keyword::as_str);
            let recent = !enabled.rev2 && self.shown.is_recent(entry.uid());
            answer.flags(out, entry.flags(), keywords, recent);
        }
        if told.modseq {
            self.heard.tells(entry.modseq());
            answer.modseq(out, entry.modseq());
        }
        answer.end(out);
    }
}

impl Session {
    /// The HIGHESTMODSEQ to send at the end of a command, after the changes.
    pub(in crate::session) fn highest_to_tell(&self) -> Option<ModSeq> {
        let mut selected = self.selected.borrow_mut();
        selected.as_mut()?.settle(self.enabled)
    }

    /// Makes the tagged OK carry HIGHESTMODSEQ, because messages were expunged (RFC 7162 section
    /// 3.2.7, RFC 6851 section 4.4).
    pub(in crate::session) fn owes_highest(&self) {
        if let Some(selected) = self.selected.borrow_mut().as_mut().filter(|_| self.enabled.qresync)
        {
            selected.heard.owed = true;
        }
    }
}

impl Session {
    /// Sends all changes of the mailbox. Expunged messages are included only if `expunges` allows
    /// it.
    pub(in crate::session) async fn news(&mut self, expunges: bool) -> Result<(), NoNews> {
        let Some((_, owner)) = self.user.clone() else { return Ok(()) };
        let Some(id) = self.selected_mailbox() else { return Ok(()) };
        let enabled = self.enabled;
        let (flags, gone) = {
            let account = owner.account.borrow();
            let mailbox = account.mailbox(id).ok_or(NoNews::Deleted)?;
            let mut selected = self.selected.borrow_mut();
            let selected = selected.as_mut().expect("it was just there");
            let unchanged = selected.known == mailbox.counts().highest_modseq;
            if unchanged && (selected.gone.is_empty() || !expunges) {
                return Ok(());
            }
            let flags = selected.look(mailbox);
            let gone = if expunges { std::mem::take(&mut selected.gone) } else { Vec::new() };
            (flags, gone)
        };
        Box::pin(self.contexts_lose(&gone)).await?;
        self.tell_gone(gone).await?;
        let mut out = BytesMut::new();
        if let Some(mailbox) = owner.account.borrow_mut().mailbox_mut(id)
            && let Some(selected) = &mut *self.selected.borrow_mut()
        {
            selected.tell_new(mailbox, enabled, &mut out);
            if selected.keywords.1 != mailbox.keywords().takes_more() {
                selected.tell_keywords(mailbox.keywords(), &mut out);
            }
        }
        self.output.push_buffer(out);
        let (uid, modseq) = (enabled.tells_uids(), enabled.condstore);
        let told = Told { uid, flags: true, modseq };
        self.tell_flags(&owner, &flags, told).await?;
        Ok(Box::pin(self.update_contexts(&owner)).await?)
    }

    /// Ends the session, with the reason if the client is still connected.
    pub(in crate::session) fn end_without_news(&self, why: &NoNews) {
        match why {
            NoNews::Gone => {}
            NoNews::Deleted => self.farewell(None, "the selected mailbox was deleted"),
        }
    }

    /// Sends EXPUNGE, or VANISHED to a client with QRESYNC (RFC 7162 section 3.2.10).
    async fn tell_gone(&mut self, gone: Vec<UidRange>) -> Result<(), Gone> {
        if gone.is_empty() {
            return Ok(());
        }
        let numbers = match &mut *self.selected.borrow_mut() {
            Some(selected) => selected.shown.view.remove_all(&gone),
            None => return Ok(()),
        };
        if self.enabled.qresync {
            self.output.push(|out| response::vanished(out, false, gone));
            return self.output.room().await;
        }
        for part in numbers.chunks(GATHERED / 16) {
            self.output.push(|out| {
                part.iter().for_each(|&number| response::number(out, number, "EXPUNGE"));
            });
            self.output.room().await?;
        }
        Ok(())
    }

    /// Sends FETCH responses for those of these messages that still exist. The ranges ascend; they
    /// may overlap.
    pub(in crate::session) async fn tell_flags(
        &self,
        owner: &Owner,
        uids: &[UidRange],
        told: Told,
    ) -> Result<(), Gone> {
        let (mut out, mut next) = (BytesMut::new(), Uid(1));
        for range in uids {
            next = next.max(range.first);
            while next <= range.last {
                next = self.tell_some(owner, UidRange { first: next, ..*range }, told, &mut out);
                if out.len() >= GATHERED {
                    self.output.pass_on(&mut out).await?;
                }
            }
        }
        self.output.pass_on(&mut out).await
    }

    /// Writes responses until the buffer is worth sending. Returns the UID to continue with.
    fn tell_some(&self, owner: &Owner, uids: UidRange, told: Told, out: &mut BytesMut) -> Uid {
        let end = Uid(uids.last.0.saturating_add(1));
        let mut selected = self.selected.borrow_mut();
        let Some(selected) = selected.as_mut() else { return end };
        let account = owner.account.borrow();
        let Some(mailbox) = account.mailbox(selected.mailbox) else { return end };
        if told.flags {
            selected.tell_keywords(mailbox.keywords(), out);
        }
        for entry in mailbox.range(uids) {
            if out.len() >= GATHERED {
                return entry.uid();
            }
            selected.tell_message(mailbox, entry, told, self.enabled, out);
        }
        end
    }
}
