//! SELECT, EXAMINE, UNSELECT (RFC 3501 sections 6.3.1 and 6.3.2, RFC 9051 section 6.3.2, RFC 3691).

use std::rc::Rc;

use super::Selected;
use crate::home::{Owner, Pinned};
use crate::index::{Mailbox, View};
use crate::session::mailboxes::mailbox_id;
use crate::session::session::Session;
use crate::store::MailboxId;
use imap::protocol::response::{self, Code, Condition, ListEntry};
use imap::protocol::{MailboxName, Select, Tag};
use imap::types::{Flags, UidRange};

impl Session {
    pub(in crate::session) async fn select(
        &mut self,
        tag: &Tag,
        select: Select,
        read_only: bool,
        owner: &Rc<Owner>,
    ) {
        // The previous mailbox is deselected, even if the command fails.
        if self.leave() {
            let text = "the mailbox before is closed";
            self.output.push(|out| {
                response::untagged(out, Condition::Ok, Some(&Code::Closed), text);
            });
        }
        if let Some(unknown) = &select.unknown {
            let text = format!("SELECT does not know the parameter {unknown}");
            return self.bad(tag, &text);
        }
        if select.qresync.is_some() && !self.enabled.qresync {
            return self.bad(tag, "ENABLE QRESYNC comes before SELECT with it");
        }
        let Some(name) = self.valid(tag, select.mailbox) else { return };
        let Some(id) = owner.mailbox_named(name.as_str()) else {
            return self.no(tag, Some(Code::NonExistent), "there is no mailbox of that name");
        };
        let pinned = match self.home.load(owner, id).await {
            Ok(pinned) => pinned,
            Err(error) => {
                tracing::error!(mailbox = %name, "the mailbox cannot be opened: {error}");
                let text = "the mailbox cannot be opened; the log says why";
                return self.no(tag, Some(Code::Unavailable), text);
            }
        };
        self.enabled.condstore |= select.condstore;
        if !self.open(id, pinned, &name, read_only, owner) {
            return self.no(tag, Some(Code::NonExistent), "the mailbox was deleted meanwhile");
        }
        if let Some(qresync) = &select.qresync
            && self.resynchronise(qresync, owner).await.is_err()
        {
            return;
        }
        let (code, text) = match read_only {
            true => (Code::ReadOnly, "EXAMINE completed"),
            false => (Code::ReadWrite, "SELECT completed"),
        };
        self.ok_code(tag, code, text);
    }

    /// Selects a loaded mailbox. `false` if it no longer exists.
    fn open(
        &self,
        id: MailboxId,
        pinned: Pinned,
        name: &MailboxName,
        read_only: bool,
        owner: &Owner,
    ) -> bool {
        let mut account = owner.account.borrow_mut();
        let Some(mailbox) = account.mailbox_mut(id) else { return false };
        let selected = Selected::new(mailbox, pinned, read_only);
        let counts = mailbox.counts();
        let (enabled, mailbox_id) = (self.enabled, mailbox_id(id));
        self.output.push(|out| {
            let ok = |out: &mut _, code: &Code<'_>, text: &str| {
                response::untagged(out, Condition::Ok, Some(code), text);
            };
            selected.flags(mailbox.keywords(), out);
            response::number(out, selected.shown.view.len(), "EXISTS");
            if enabled.rev2 {
                let entry = ListEntry::new(name, &[]);
                response::list(out, "LIST", &entry, enabled.names());
            } else {
                response::number(out, selected.recent_told, "RECENT");
                if let Some(unseen) = first_unseen(mailbox, &selected.shown.view) {
                    ok(out, &Code::Unseen(unseen), "first unseen message");
                }
            }
            ok(out, &Code::UidValidity(mailbox.uid_validity()), "UIDs are valid");
            ok(out, &Code::UidNext(counts.uid_next), "the next UID");
            ok(out, &Code::HighestModSeq(counts.highest_modseq), "the highest mod-sequence");
            ok(out, &Code::MailboxId(&mailbox_id), "the same after a RENAME");
        });
        *self.selected.borrow_mut() = Some(selected);
        true
    }

    /// Deselects the mailbox. Returns whether one was selected.
    pub(in crate::session) fn leave(&self) -> bool {
        let selected = self.selected.borrow_mut().take();
        selected.is_some()
    }

    pub(in crate::session) fn unselect(&mut self, tag: &Tag) {
        if self.mailbox(tag).is_some() {
            self.leave();
            self.ok(tag, "UNSELECT completed");
        }
    }
}

fn first_unseen(mailbox: &Mailbox, view: &View) -> Option<u32> {
    if mailbox.counts().unseen == 0 {
        return None;
    }
    let mut all = mailbox.range(UidRange::ALL);
    let unseen = all.find(|entry| !entry.flags().contains(Flags::SEEN))?;
    view.sequence(unseen.uid())
}
