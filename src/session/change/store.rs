//! STORE (RFC 3501 section 6.4.6), with UNCHANGEDSINCE (RFC 7162 section 3.1.3).

use std::rc::Rc;

use super::{ChangeError, MessageChange, Verdict};
use crate::home::Owner;
use crate::index::{AsWritten, KeywordChange, KeywordSet, Mailbox};
use crate::reactor::fault::{Fault, made};
use crate::session::observed::changes;
use crate::session::reply::EXPUNGED;
use crate::session::selected::Told;
use crate::session::session::Session;
use crate::store::{MailboxId, Purpose, Record};
use imap::protocol::response::Code;
use imap::protocol::{FlagError, Store, Tag};
use imap::types::{FlagChange, Flags, Keyword, ModSeq, UidRange};

impl Session {
    pub(in crate::session) async fn store(&mut self, tag: &Tag, store: Store, owner: &Rc<Owner>) {
        let Some((mailbox, uids)) = self.messages(tag, &store.set, store.uid) else { return };
        if !self.may_change(tag) {
            return;
        }
        match &store.flags.refused {
            None => {}
            Some(error @ FlagError::TooMany) => {
                return self.no(tag, Some(Code::Limit), &error.to_string());
            }
            Some(error) => return self.bad(tag, &error.to_string()),
        }
        if store.unchanged_since.is_some() {
            self.enable_condstore();
        }
        let mut change = SetFlags {
            mailbox,
            change: store.change,
            flags: store.flags.flags,
            keywords: &store.flags.keywords,
            unchanged_since: store.unchanged_since,
            purpose: Purpose::Changes,
            last: None,
            named: None,
        };
        let done = match self.home.change_messages(owner, mailbox, &uids, &mut change).await {
            Ok(done) => done,
            Err(error) => return self.not_changed(tag, &error),
        };
        self.is_own(&done.modseqs);
        let sets = change.change.of(Flags::default(), change.flags).contains(Flags::DELETED);
        changes::marked(owner, mailbox, &done.deleted, sets);
        // MODSEQ is sent even with .SILENT (section 3.1.3).
        let told = Told {
            uid: store.uid || self.enabled.tells_uids(),
            flags: !store.silent,
            modseq: self.enabled.condstore,
        };
        if (told.flags || told.modseq) && self.tell_flags(owner, &done.done, told).await.is_err() {
            return;
        }
        if let Some((from, error)) = &done.unfinished {
            return self.not_finished(tag, *from, error);
        }
        match (done.modified.is_empty(), done.gone) {
            (false, _) => {
                let modified = self.as_asked(&done.modified, store.uid);
                let text = "some messages have changed since; they were left alone";
                self.ok_code(tag, Code::Modified(&modified), text);
            }
            (true, true) => {
                // The existing messages were changed, which is success (RFC 2180 section 4.2.1).
                // Without .SILENT the missing FETCH responses and the response code tell the rest.
                self.ok_code(tag, Code::ExpungeIssued, EXPUNGED);
            }
            (true, false) => self.ok(tag, "STORE completed"),
        }
    }

    /// Sets `\Seen` on messages that a FETCH returned. Returns those that did not have it, so that
    /// the client can be told.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub(in crate::session) async fn set_seen(
        &mut self,
        mailbox: MailboxId,
        uids: &[UidRange],
        owner: &Rc<Owner>,
    ) -> Result<Vec<UidRange>, ChangeError> {
        // Fast path: most messages have been read before.
        let read = owner
            .account
            .borrow()
            .mailbox(mailbox)
            .is_some_and(|found| found.counts().unseen == 0 && found.unapplied() == 0);
        if read {
            return Ok(Vec::new());
        }
        let mut change = SetFlags {
            mailbox,
            change: FlagChange::Add,
            flags: Flags::SEEN,
            keywords: &[],
            unchanged_since: None,
            // The client did not request this change, so it may not use the reserved disk space.
            purpose: Purpose::Adds,
            last: None,
            named: None,
        };
        let done = self.home.change_messages(owner, mailbox, uids, &mut change).await?;
        self.is_own(&done.modseqs);
        Ok(done.changed)
    }

    fn is_own(&mut self, modseqs: &[ModSeq]) {
        if let Some(selected) = &mut *self.selected.borrow_mut() {
            selected.is_own(modseqs);
        }
    }

    /// UIDs, or their message numbers, as in the command.
    fn as_asked(&self, uids: &[UidRange], uid: bool) -> Vec<(u32, u32)> {
        match &*self.selected.borrow() {
            Some(selected) if !uid => selected.shown.numbers(uids),
            _ => uids.iter().map(|range| (range.first.0, range.last.0)).collect(),
        }
    }
}

/// A change of flags and keywords.
struct SetFlags<'a> {
    mailbox: MailboxId,
    change: FlagChange,
    flags: Flags,
    keywords: &'a [Keyword],
    /// Messages with a higher mod-sequence are not changed.
    unchanged_since: Option<u64>,
    purpose: Purpose,
    /// The last set of keywords, and whether the change leaves it as it is: consecutive messages
    /// often have the same set.
    last: Option<(KeywordSet, bool)>,
    /// The change in terms of the mailbox's keyword table, and the version of that table.
    named: Option<(u64, KeywordChange)>,
}

impl MessageChange for SetFlags<'_> {
    fn purpose(&self) -> Purpose {
        self.purpose
    }

    fn judge(&mut self, mailbox: &Mailbox, message: &AsWritten<'_>) -> Verdict {
        let modseq = match made(Fault::ConditionOfApplied) {
            true => message.entry.modseq(),
            false => message.modseq,
        };
        if self.unchanged_since.is_some_and(|since| modseq.0 > since) {
            return Verdict::Modified;
        }
        let keeps_keywords = match self.last {
            Some((set, keeps)) if set == message.keywords => keeps,
            _ => self.keeps_keywords(mailbox, message.keywords),
        };
        self.last = Some((message.keywords, keeps_keywords));
        match keeps_keywords && self.change.of(message.flags, self.flags) == message.flags {
            true => Verdict::Keep,
            false => Verdict::Change,
        }
    }

    fn admit(&self, mailbox: &mut Mailbox, uids: &[UidRange]) -> bool {
        mailbox.admit_change(uids, self.change, self.keywords)
    }

    fn turns_deleted(&self, flags: Flags) -> bool {
        let then = self.change.of(flags, self.flags);
        flags.contains(Flags::DELETED) != then.contains(Flags::DELETED)
    }

    fn record(&self, account: Box<str>, modseq: ModSeq, uids: Vec<UidRange>) -> Record {
        let (mailbox, change, flags) = (self.mailbox, self.change, self.flags);
        let keywords = self.keywords.to_vec();
        Record::SetFlags { account, mailbox, modseq, uids, change, flags, keywords }
    }
}

impl SetFlags<'_> {
    fn keeps_keywords(&mut self, mailbox: &Mailbox, set: KeywordSet) -> bool {
        let table = mailbox.keywords();
        let known = table.made();
        let named = match self.named.take() {
            Some((made, named)) if made == known => named,
            _ => table.look_up(self.change, self.keywords),
        };
        let keeps = table.keeps(set, &named);
        self.named = Some((known, named));
        keeps
    }
}
