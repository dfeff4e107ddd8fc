//! LIST, CREATE, DELETE (RFC 3501 sections 6.3.3 to 6.3.8).

use std::collections::BTreeMap;
use std::rc::Rc;

use super::context::Home;
use super::dispatch::Session;
use crate::index::Account;
use crate::ingest::Owner;
use crate::log::{Frame, LogError, Record, sealed_len};
use crate::protocol::response::{self, Code};
use crate::protocol::{List, MailboxName, NameError, Pattern, Tag};
use crate::reactor::{Lease, LeaseClass, unix_seconds};
use crate::types::{BatchId, MailboxId, ModSeq, UidRange};

/// Ranges of UIDs in one record.
const RANGES: usize = 16 << 10;

impl Session {
    pub(super) fn list(&self, tag: &Tag, list: &List, owner: &Rc<Owner>) {
        let [wanted] = list.patterns.as_slice() else {
            return self.bad(tag, "one pattern is wanted");
        };
        if wanted.is_empty() {
            self.output.push(|out| response::list_separator(out, "LIST"));
            return self.ok(tag, "LIST completed");
        }
        let pattern = match Pattern::new(&list.reference, wanted, false) {
            Ok(pattern) => pattern,
            Err(error) => return self.no(tag, Some(Code::Cannot), &error.to_string()),
        };
        let listed = levels(&owner.account.borrow());
        self.output.push(|out| {
            for Level { name, exists, children } in &listed {
                if pattern.matches(name) {
                    let children = if *children { "\\HasChildren" } else { "\\HasNoChildren" };
                    let attributes: &[_] = match exists {
                        true => &[children],
                        false => &["\\Noselect", children],
                    };
                    response::list(out, "LIST", attributes, name);
                }
            }
        });
        self.ok(tag, "LIST completed");
    }

    pub(super) async fn create(
        &self,
        tag: &Tag,
        name: Result<MailboxName, NameError>,
        owner: &Rc<Owner>,
    ) {
        let Some(name) = self.valid(tag, name) else { return };
        match self.home.create(owner, &name).await {
            Ok(true) => self.ok(tag, "CREATE completed"),
            Ok(false) => self.no(tag, Some(Code::AlreadyExists), "there is a mailbox of that name"),
            Err(error) => self.no(tag, Some(Code::Unavailable), &error.to_string()),
        }
    }

    pub(super) async fn delete(
        &self,
        tag: &Tag,
        name: Result<MailboxName, NameError>,
        owner: &Rc<Owner>,
    ) {
        let Some(name) = self.valid(tag, name) else { return };
        if name.is_inbox() {
            return self.no(tag, Some(Code::Cannot), "INBOX cannot be deleted");
        }
        match self.home.delete(owner, &name).await {
            Ok(true) => self.ok(tag, "DELETE completed"),
            Ok(false) => self.no(tag, Some(Code::NonExistent), "there is no mailbox of that name"),
            Err(error) => self.no(tag, Some(Code::Unavailable), &error.to_string()),
        }
    }
}

impl Home {
    /// INBOX exists from the start: it is made when the account is first used.
    ///
    /// # Errors
    /// When the log takes nothing.
    pub async fn inbox(&self, owner: &Rc<Owner>) -> Result<(), LogError> {
        self.create(owner, &MailboxName::inbox()).await.map(|_| ())
    }

    /// Creates a mailbox; `false` when it exists.
    async fn create(&self, owner: &Rc<Owner>, name: &MailboxName) -> Result<bool, LogError> {
        let _one_at_a_time = owner.structure.lock().await;
        if owner.mailbox_named(name.as_str()).is_some() {
            return Ok(false);
        }
        let (account, mailbox) = (owner.name(), self.new_mailbox_id());
        let uid_validity = owner.account.borrow_mut().reserve_uid_validity(unix_seconds());
        let name = name.as_str().into();
        let record = Record::CreateMailbox { account, mailbox, name, uid_validity };
        self.change(owner, record).await.map(|()| true)
    }

    /// Deletes a mailbox; `false` when there is none.
    async fn delete(&self, owner: &Rc<Owner>, name: &MailboxName) -> Result<bool, LogError> {
        let _one_at_a_time = owner.structure.lock().await;
        let Some(mailbox) = owner.mailbox_named(name.as_str()) else { return Ok(false) };
        // From here on nothing more is appended to it.
        owner.dying.borrow_mut().insert(mailbox);
        let record = Record::DeleteMailbox { account: owner.name(), mailbox };
        let result = self.change(owner, record).await;
        owner.dying.borrow_mut().remove(&mailbox);
        result.map(|()| true)
    }

    /// Writes one record, applies it once it is durable, and returns then.
    pub(super) async fn change(&self, owner: &Rc<Owner>, record: Record) -> Result<(), LogError> {
        let records_len = record.encoded_len();
        let large = sealed_len(0, records_len) > LeaseClass::Small.size();
        let class = if large { LeaseClass::Large } else { LeaseClass::Small };
        let lease = self.arena.lease(class).await;
        self.log.ready(sealed_len(0, records_len)).await?;
        self.write(owner, lease, record);
        self.log.durable().await
    }

    fn write(&self, owner: &Rc<Owner>, lease: Lease, record: Record) {
        let records_len = record.encoded_len();
        let frame = Frame { lease, stream: BatchId(0), position: 0, payload: 0, records_len };
        let (place, records) = self.log.write(frame, |_| vec![record], ());
        let applied = owner.clone();
        self.log.when_durable(&place, move || {
            for record in records {
                let result = applied.account.borrow_mut().apply(&record);
                result.expect("changes are checked before they are written");
            }
            applied.changed.notify_waiters();
        });
    }

    /// Changes messages of a mailbox: as many records as it takes for the UIDs to fit into frames.
    pub(super) async fn change_messages(
        &self,
        owner: &Rc<Owner>,
        mailbox: MailboxId,
        uids: Vec<UidRange>,
        record: impl Fn(Box<str>, ModSeq, Vec<UidRange>) -> Record,
    ) -> Result<(), LogError> {
        for part in uids.chunks(RANGES) {
            let lease = self.arena.lease(LeaseClass::Large).await;
            self.log.ready(LeaseClass::Large.size()).await?;
            if !owner.has(mailbox) {
                return Ok(());
            }
            // From here to the write nothing is awaited: mod-sequences ascend with the log.
            let reserved =
                owner.account.borrow_mut().mailbox_mut(mailbox).and_then(|m| m.reserve(0));
            let Some(reserved) = reserved else { return Ok(()) };
            self.write(owner, lease, record(owner.name(), reserved.modseq, part.to_vec()));
        }
        self.log.durable().await
    }
}

/// A name to list: a mailbox, or a level above one.
struct Level {
    name: MailboxName,
    exists: bool,
    children: bool,
}

/// All mailboxes with the levels above them, sorted.
fn levels(account: &Account) -> Vec<Level> {
    let mut levels = BTreeMap::<Box<str>, (bool, bool)>::new();
    for (name, _) in account.names() {
        levels.entry(name.into()).or_default().0 = true;
        let mut rest = name;
        while let Some((above, _)) = rest.rsplit_once(MailboxName::SEPARATOR) {
            levels.entry(above.into()).or_default().1 = true;
            rest = above;
        }
    }
    let level = |(name, (exists, children)): (Box<str>, _)| {
        MailboxName::from_utf8(&name).ok().map(|name| Level { name, exists, children })
    };
    levels.into_iter().filter_map(level).collect()
}
