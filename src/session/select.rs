//! SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3501 sections 6.3.1, 6.3.2 and 6.4.2; RFC 3691), and what
//! a session is told about its mailbox.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::BytesMut;

use super::dispatch::Session;
use crate::index::View;
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

    pub fn is_recent(&self, uid: Uid) -> bool {
        self.recent.iter().any(|range| range.contains(uid))
    }

    fn recent_count(&self) -> u32 {
        self.recent.iter().map(|range| range.last.0 - range.first.0 + 1).sum()
    }
}

/// Tells the session what is new in its mailbox: EXISTS and RECENT (RFC 3501 section 7.3).
pub(super) fn announce(selected: &RefCell<Option<Selected>>, owner: &Owner, out: &mut BytesMut) {
    let mut selected = selected.borrow_mut();
    let Some(selected) = selected.as_mut() else { return };
    let mut account = owner.account.borrow_mut();
    let Some(mailbox) = account.mailbox_mut(selected.mailbox) else { return };
    let known = selected.view.last().unwrap_or(Uid(0));
    if mailbox.uid_next().0 <= known.0 + 1 {
        return;
    }
    let before = selected.view.len();
    for uid in mailbox.uids_from(known.next()) {
        selected.view.push(uid);
    }
    if selected.view.len() == before {
        return;
    }
    if let Some(first) = mailbox.take_recent(selected.read_only) {
        let last = selected.view.last().expect("messages were just added");
        selected.recent.push(UidRange { first, last });
    }
    response::number(out, selected.view.len(), "EXISTS");
    response::number(out, selected.recent_count(), "RECENT");
}

impl Session {
    pub(super) fn announce(&self, out: &mut BytesMut) {
        if let Some((_, owner)) = &self.user {
            announce(&self.selected, owner, out);
        }
    }

    pub(super) async fn select(&mut self, tag: &Tag, select: Select, read_only: bool, owner: &Rc<Owner>) {
        // Whatever comes of it, the old mailbox is selected no more.
        self.leave(owner);
        let name = match select.mailbox {
            Ok(name) => name,
            Err(error) => return self.no(tag, Some(Code::Cannot), &error.to_string()),
        };
        if let Some(parameter) = select.parameters.first() {
            let text = format!("SELECT does not know the parameter {}", parameter.name);
            return self.bad(tag, &text);
        }
        let Some(id) = owner.mailbox_named(name.as_str()) else {
            return self.no(tag, Some(Code::NonExistent), "there is no mailbox of that name");
        };
        if let Err(error) = self.home.load(owner, id).await {
            tracing::error!(mailbox = %name, "the mailbox cannot be opened: {error}");
            return self.no(tag, Some(Code::Unavailable), "the mailbox cannot be opened; the log says why");
        }
        let mut account = owner.account.borrow_mut();
        let Some(mailbox) = account.mailbox_mut(id) else {
            return self.no(tag, Some(Code::NonExistent), "the mailbox was deleted meanwhile");
        };
        let mut view = View::default();
        for run in mailbox.runs() {
            view.push_run(run);
        }
        let mut selected = Selected { mailbox: id, view, read_only, recent: Vec::new() };
        if let (Some(first), Some(last)) = (mailbox.take_recent(read_only), selected.view.last()) {
            selected.recent.push(UidRange { first, last });
        }
        self.output.push(|out| {
            response::flags(out, &mailbox.keywords());
            response::number(out, selected.view.len(), "EXISTS");
            response::number(out, selected.recent_count(), "RECENT");
            let unseen = mailbox.first_unseen().and_then(|uid| selected.view.sequence(uid));
            if let Some(unseen) = unseen {
                let code = Code::Unseen(unseen);
                response::untagged(out, Condition::Ok, Some(&code), "first unseen message");
            }
            let permanent = Code::PermanentFlags { keywords: &mailbox.keywords(), more: !read_only };
            response::untagged(out, Condition::Ok, Some(&permanent), "flags that last");
            let validity = Code::UidValidity(mailbox.uid_validity());
            response::untagged(out, Condition::Ok, Some(&validity), "UIDs are valid");
            let next = Code::UidNext(mailbox.uid_next());
            response::untagged(out, Condition::Ok, Some(&next), "the next UID");
        });
        *self.selected.borrow_mut() = Some(selected);
        drop(account);
        let (code, text) = match read_only {
            true => (Code::ReadOnly, "EXAMINE completed"),
            false => (Code::ReadWrite, "SELECT completed"),
        };
        self.ok_code(tag, &code, text);
    }

    fn leave(&self, owner: &Rc<Owner>) {
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
        let uids = match view_last {
            Some(last) if !read_only => owner.with_flag(mailbox, Flags::DELETED, last),
            _ => Vec::new(),
        };
        if !uids.is_empty() {
            let modseq = match owner.account.borrow_mut().mailbox_mut(mailbox) {
                Some(mailbox) => mailbox.reserve_modseq(),
                None => return self.unselect(tag, owner),
            };
            let account = owner.name();
            let record = Record::Expunge { account, mailbox, modseq, uids };
            if let Err(error) = self.home.change(owner, record).await {
                return self.no(tag, Some(Code::Unavailable), &error.to_string());
            }
        }
        self.leave(owner);
        self.ok(tag, "CLOSE completed");
    }
}
