//! STORE (RFC 3501 section 6.4.6), with UNCHANGEDSINCE (RFC 7162 section 3.1.3).

use std::rc::Rc;

use crate::index::{Entry, Mailbox};
use crate::ingest::Owner;
use crate::log::Record;
use crate::protocol::response::Code;
use crate::protocol::{FlagError, Store, Tag};
use crate::session::change::ChangeError;
use crate::session::dispatch::Session;
use crate::session::selected::Told;
use crate::types::{FlagChange, Flags, Keyword, MailboxId, ModSeq, UidRange};

/// What came of it.
#[derive(Default)]
struct Stored {
    /// Messages that had changed since: left alone.
    modified: Vec<UidRange>,
    /// All others that are there.
    stored: Vec<UidRange>,
    /// Those of them that do not have the flags already.
    changed: Vec<UidRange>,
    /// Some messages are not there any more.
    gone: bool,
    /// The mailbox has no room for the keywords.
    full: bool,
    /// A change was on its way when the mod-sequences were to be compared.
    unsettled: bool,
}

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
        let done = match self.store_flags(mailbox, &uids, &store, owner).await {
            Ok(done) => done,
            Err(error) => return self.not_changed(tag, &error),
        };
        if done.full {
            let text = "the mailbox has as many keywords as it can hold";
            return self.no(tag, Some(Code::Limit), text);
        }
        // The mod-sequence is told even to those who do not want the flags (section 3.1.3).
        let told = Told {
            uid: store.uid || self.enabled.tells_uids(),
            flags: !store.silent,
            modseq: self.enabled.condstore,
        };
        if (told.flags || told.modseq) && self.tell_flags(owner, &done.stored, told).await.is_err()
        {
            return;
        }
        match (done.modified.is_empty(), done.gone) {
            (false, _) => {
                let modified = self.as_asked(&done.modified, store.uid);
                let code = Some(Code::Modified(&modified));
                self.ok_code(tag, code, "some messages have changed since; they were left alone");
            }
            (true, true) => {
                let text = "some messages are not there any more";
                self.no(tag, Some(Code::ExpungeIssued), text);
            }
            (true, false) => self.ok(tag, "STORE completed"),
        }
    }

    async fn store_flags(
        &mut self,
        mailbox: MailboxId,
        uids: &[UidRange],
        store: &Store,
        owner: &Rc<Owner>,
    ) -> Result<Stored, ChangeError> {
        let (change, flags) = (store.change, store.flags.flags);
        let keywords = &store.flags.keywords;
        loop {
            if store.unchanged_since.is_some() {
                self.home.settled(owner, mailbox).await?;
            }
            let mut done = Stored::default();
            let choose = |found: &mut Mailbox| {
                done.unsettled = store.unchanged_since.is_some() && !found.is_settled();
                if done.unsettled {
                    return Vec::new();
                }
                done.sort(found, uids, store);
                done.full = !found.admit_change(&done.changed, change, keywords);
                if done.full { Vec::new() } else { std::mem::take(&mut done.changed) }
            };
            let record = |account, modseq, uids| Record::SetFlags {
                account,
                mailbox,
                modseq,
                uids,
                change,
                flags,
                keywords: keywords.clone(),
            };
            let modseqs = self.home.change_messages(owner, mailbox, choose, record).await?;
            if !done.unsettled {
                self.is_own(&modseqs);
                return Ok(done);
            }
        }
    }

    /// Marks messages as read that a FETCH has shown. Gives those that were not, for the client to
    /// be told.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub(in crate::session) async fn set_seen(
        &mut self,
        mailbox: MailboxId,
        uids: &[UidRange],
        owner: &Rc<Owner>,
    ) -> Result<Vec<UidRange>, ChangeError> {
        let unseen = owner.account.borrow().mailbox(mailbox).map(|found| unseen(found, uids));
        let unseen = unseen.unwrap_or_default();
        // Most mail is read again and again: that needs no lease and no room on the disk.
        if unseen.is_empty() {
            return Ok(unseen);
        }
        let record = |account, modseq, uids| Record::SetFlags {
            account,
            mailbox,
            modseq,
            uids,
            change: FlagChange::Add,
            flags: Flags::SEEN,
            keywords: Vec::<Keyword>::new(),
        };
        let choose = |_: &mut Mailbox| unseen.clone();
        let modseqs = self.home.change_messages(owner, mailbox, choose, record).await?;
        self.is_own(&modseqs);
        Ok(unseen)
    }

    fn is_own(&mut self, modseqs: &[ModSeq]) {
        if let Some(selected) = &mut *self.selected.borrow_mut() {
            selected.is_own(modseqs);
        }
    }

    /// UIDs, or the message numbers they have, as the command named messages.
    fn as_asked(&self, uids: &[UidRange], uid: bool) -> Vec<(u32, u32)> {
        match &*self.selected.borrow() {
            Some(selected) if !uid => selected.numbers(uids),
            _ => uids.iter().map(|range| (range.first.0, range.last.0)).collect(),
        }
    }
}

impl Stored {
    fn sort(&mut self, mailbox: &Mailbox, uids: &[UidRange], store: &Store) {
        // Messages often have the same keywords as the one before.
        let mut last = None;
        for range in uids {
            let mut there = 0;
            for entry in mailbox.range(*range) {
                there += 1;
                if store.unchanged_since.is_some_and(|since| entry.modseq().0 > since) {
                    UidRange::push(&mut self.modified, entry.uid());
                    continue;
                }
                UidRange::push(&mut self.stored, entry.uid());
                let same_keywords = match last {
                    Some((set, same)) if set == entry.keywords() => same,
                    _ => keeps_keywords(mailbox, entry, store),
                };
                last = Some((entry.keywords(), same_keywords));
                if !same_keywords || !keeps_flags(entry, store) {
                    UidRange::push(&mut self.changed, entry.uid());
                }
            }
            self.gone |= there != range.last.0 - range.first.0 + 1;
        }
    }
}

/// Those of these messages that do not have `\Seen`.
fn unseen(mailbox: &Mailbox, uids: &[UidRange]) -> Vec<UidRange> {
    let mut unseen = Vec::new();
    if mailbox.counts().unseen > 0 {
        let entries = uids.iter().flat_map(|range| mailbox.range(*range));
        let not_seen = entries.filter(|entry| !entry.flags().contains(Flags::SEEN));
        not_seen.for_each(|entry| UidRange::push(&mut unseen, entry.uid()));
    }
    unseen
}

/// Whether the system flags of a message are already what they are to be.
fn keeps_flags(entry: Entry<'_>, store: &Store) -> bool {
    let (old, named) = (entry.flags(), store.flags.flags);
    match store.change {
        FlagChange::Replace => old == named,
        FlagChange::Add => old.contains(named),
        FlagChange::Remove => old.without(named) == old,
    }
}

/// The same of its keywords.
fn keeps_keywords(mailbox: &Mailbox, entry: Entry<'_>, store: &Store) -> bool {
    let (table, set, named) = (mailbox.keywords(), entry.keywords(), &store.flags.keywords);
    let mut has = named.iter().map(|keyword| table.contains(set, keyword));
    match store.change {
        FlagChange::Replace => table.of(set).len() == named.len() && has.all(|has| has),
        FlagChange::Add => has.all(|has| has),
        FlagChange::Remove => !has.any(|has| has),
    }
}
