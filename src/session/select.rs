//! SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3501 sections 6.3.1, 6.3.2 and 6.4.2; RFC 3691), and what
//! a session is told about its mailbox.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::BytesMut;

use super::dispatch::Session;
use crate::index::{Mailbox, View};
use crate::ingest::Owner;
use crate::log::Record;
use crate::protocol::response::{self, Code, Condition};
use crate::protocol::{Select, Tag};
use crate::types::{Flags, MailboxId, Uid, UidRange};

/// The mailbox that a session has selected.
pub(super) struct Selected {
    pub mailbox: MailboxId,
    /// What the session knows to be there.
    pub view: View,
    pub read_only: bool,
    /// The mailbox's UIDNEXT when the session was last told of new messages.
    uid_next: Uid,
    /// UIDs that are `\Recent` in this session.
    recent: Vec<UidRange>,
}

impl Selected {
    /// The session turns to something else.
    pub fn leave(&self, owner: &Owner) {
        if let Some(mailbox) = owner.account.borrow_mut().mailbox_mut(self.mailbox) {
            mailbox.unpin();
        }
    }

    /// New messages are `\Recent` to the first session that hears of them. A read-only one leaves
    /// that to others (RFC 3501 section 6.3.2).
    fn take_recent(&mut self, mailbox: &mut Mailbox) {
        let counts = mailbox.counts();
        let first = if self.read_only { counts.recent_from } else { mailbox.take_recent() };
        let known = self.recent.last().map_or(Uid(0), |range| range.last);
        let first = first.max(known.next());
        if first < counts.uid_next {
            self.recent.push(UidRange { first, last: Uid(counts.uid_next.0 - 1) });
        }
    }

    pub fn is_recent(&self, uid: Uid) -> bool {
        self.recent.iter().any(|range| range.contains(uid))
    }

    fn recent_count(&self) -> u32 {
        let of = |range: &UidRange| {
            let numbers = self.view.sequences(*range);
            (numbers.end() + 1).saturating_sub(*numbers.start())
        };
        self.recent.iter().map(of).sum()
    }
}

/// Tells the session what is new in its mailbox: EXISTS and RECENT (RFC 3501 section 7.3).
pub(super) fn announce(selected: &RefCell<Option<Selected>>, owner: &Owner, out: &mut BytesMut) {
    let mut selected = selected.borrow_mut();
    let Some(selected) = selected.as_mut() else { return };
    let mut account = owner.account.borrow_mut();
    let Some(mailbox) = account.mailbox_mut(selected.mailbox) else { return };
    let uid_next = mailbox.counts().uid_next;
    if selected.uid_next == uid_next {
        return;
    }
    let new = UidRange { first: selected.uid_next, last: Uid(uid_next.0 - 1) };
    selected.uid_next = uid_next;
    let before = selected.view.len();
    mailbox.range(new).for_each(|entry| selected.view.push(entry.uid()));
    if selected.view.len() == before {
        return;
    }
    selected.take_recent(mailbox);
    response::number(out, selected.view.len(), "EXISTS");
    response::number(out, selected.recent_count(), "RECENT");
}

impl Session {
    pub(super) fn announce(&self, out: &mut BytesMut) {
        if let Some((_, owner)) = &self.user {
            announce(&self.selected, owner, out);
        }
    }

    pub(super) async fn select(
        &mut self,
        tag: &Tag,
        select: Select,
        read_only: bool,
        owner: &Rc<Owner>,
    ) {
        // Whatever comes of it, the old mailbox is selected no more.
        self.leave(owner);
        let Some(name) = self.valid(tag, select.mailbox) else { return };
        if let Some(unknown) = select.unknown {
            let text = format!("SELECT does not know the parameter {unknown}");
            return self.bad(tag, &text);
        }
        let Some(id) = owner.mailbox_named(name.as_str()) else {
            return self.no(tag, Some(Code::NonExistent), "there is no mailbox of that name");
        };
        if let Err(error) = self.home.load(owner, id).await {
            tracing::error!(mailbox = %name, "the mailbox cannot be opened: {error}");
            return self.no(
                tag,
                Some(Code::Unavailable),
                "the mailbox cannot be opened; the log says why",
            );
        }
        let mut account = owner.account.borrow_mut();
        let Some(mailbox) = account.mailbox_mut(id) else {
            return self.no(tag, Some(Code::NonExistent), "the mailbox was deleted meanwhile");
        };
        let mut selected = Selected {
            mailbox: id,
            view: mailbox.view(),
            read_only,
            uid_next: mailbox.counts().uid_next,
            recent: Vec::new(),
        };
        selected.take_recent(mailbox);
        let keywords: Vec<_> = mailbox.keywords().all().to_vec();
        self.output.push(|out| {
            response::flags(out, &keywords);
            response::number(out, selected.view.len(), "EXISTS");
            response::number(out, selected.recent_count(), "RECENT");
            if let Some(unseen) = first_unseen(mailbox, &selected.view) {
                let code = Code::Unseen(unseen);
                response::untagged(out, Condition::Ok, Some(&code), "first unseen message");
            }
            let permanent = Code::PermanentFlags { keywords: &keywords, create: !read_only };
            response::untagged(out, Condition::Ok, Some(&permanent), "flags that last");
            let validity = Code::UidValidity(mailbox.uid_validity());
            response::untagged(out, Condition::Ok, Some(&validity), "UIDs are valid");
            let next = Code::UidNext(mailbox.counts().uid_next);
            response::untagged(out, Condition::Ok, Some(&next), "the next UID");
        });
        *self.selected.borrow_mut() = Some(selected);
        drop(account);
        let (code, text) = match read_only {
            true => (Code::ReadOnly, "EXAMINE completed"),
            false => (Code::ReadWrite, "SELECT completed"),
        };
        self.ok_code(tag, Some(code), text);
    }

    /// No mailbox is selected any more.
    pub(super) fn leave(&self, owner: &Rc<Owner>) {
        if let Some(selected) = self.selected.borrow_mut().take() {
            selected.leave(owner);
        }
    }

    pub(super) fn unselect(&mut self, tag: &Tag, owner: &Rc<Owner>) {
        if self.selected.borrow().is_none() {
            return self.bad(tag, "no mailbox is selected");
        }
        self.leave(owner);
        self.ok(tag, "UNSELECT completed");
    }

    /// CLOSE takes messages marked `\Deleted` out for good, unless the mailbox is read-only.
    pub(super) async fn close(&mut self, tag: &Tag, owner: &Rc<Owner>) {
        let (mailbox, view_last, read_only) = match &*self.selected.borrow() {
            None => return self.bad(tag, "no mailbox is selected"),
            Some(selected) => (selected.mailbox, selected.view.last(), selected.read_only),
        };
        if !read_only && let Some(last) = view_last {
            let uids = deleted(owner, mailbox, last);
            let change = |account, modseq, uids| Record::Expunge { account, mailbox, modseq, uids };
            if let Err(error) = self.home.change_messages(owner, mailbox, uids, change).await {
                return self.no(tag, Some(Code::Unavailable), &error.to_string());
            }
        }
        self.leave(owner);
        self.ok(tag, "CLOSE completed");
    }
}

fn first_unseen(mailbox: &Mailbox, view: &View) -> Option<u32> {
    if mailbox.counts().unseen == 0 {
        return None;
    }
    let mut all = mailbox.range(UidRange { first: Uid(1), last: Uid(u32::MAX) });
    let unseen = all.find(|entry| !entry.flags().contains(Flags::SEEN))?;
    view.sequence(unseen.uid())
}

/// UIDs of the messages marked `\Deleted`, up to the last that the session knows.
fn deleted(owner: &Owner, mailbox: MailboxId, last: Uid) -> Vec<UidRange> {
    let account = owner.account.borrow();
    let Some(mailbox) = account.mailbox(mailbox) else { return Vec::new() };
    if mailbox.counts().deleted == 0 {
        return Vec::new();
    }
    let mut uids = Vec::new();
    for entry in mailbox.range(UidRange { first: Uid(1), last }) {
        if entry.flags().contains(Flags::DELETED) {
            push_uid(&mut uids, entry.uid());
        }
    }
    uids
}

/// Adds a UID above all others to ascending ranges.
pub(super) fn push_uid(ranges: &mut Vec<UidRange>, uid: Uid) {
    match ranges.last_mut() {
        Some(range) if range.last.next() == uid => range.last = uid,
        _ => ranges.push(UidRange { first: uid, last: uid }),
    }
}
