//! LIST, CREATE, DELETE (RFC 3501 sections 6.3.3 to 6.3.8).

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::context::Home;
use super::dispatch::Session;
use super::reply;
use crate::ingest::Owner;
use crate::limits::BLOCK;
use crate::log::{Change, Frame, LogError, Record, sealed_len};
use crate::protocol::{List, MailboxName, NameError, Pattern};
use crate::reactor::LeaseClass;
use crate::types::{BatchId, UidValidity};

impl Session {
    pub(super) fn list(&self, tag: &[u8], list: &List, owner: &Rc<Owner>) {
        if list.pattern.is_empty() {
            self.output.push(|out| out.extend_from_slice(b"* LIST (\\Noselect) \"/\" \"\"\r\n"));
            return self.ok(tag, "LIST completed");
        }
        let pattern = match Pattern::new(&list.reference, &list.pattern) {
            Ok(pattern) => pattern,
            Err(error) => return self.no(tag, Some("CANNOT"), &error.to_string()),
        };
        let listed = levels(&owner.names());
        self.output.push(|out| {
            for Level { name, exists, children } in &listed {
                if pattern.matches(name) {
                    let children = if *children { "\\HasChildren" } else { "\\HasNoChildren" };
                    let inner = if *exists { "" } else { "\\Noselect " };
                    reply::list(out, &format!("{inner}{children}"), name);
                }
            }
        });
        self.ok(tag, "LIST completed");
    }

    pub(super) async fn create(&self, tag: &[u8], name: Result<MailboxName, NameError>, owner: &Rc<Owner>) {
        let name = match name {
            Ok(name) => name,
            Err(error) => return self.no(tag, Some("CANNOT"), &error.to_string()),
        };
        match self.home.create(owner, &name).await {
            Ok(true) => self.ok(tag, "CREATE completed"),
            Ok(false) => self.no(tag, Some("ALREADYEXISTS"), "there is a mailbox of that name"),
            Err(error) => self.no(tag, Some("UNAVAILABLE"), &error.to_string()),
        }
    }

    pub(super) async fn delete(&self, tag: &[u8], name: Result<MailboxName, NameError>, owner: &Rc<Owner>) {
        let name = match name {
            Ok(name) => name,
            Err(error) => return self.no(tag, Some("CANNOT"), &error.to_string()),
        };
        if name.is_inbox() {
            return self.no(tag, Some("CANNOT"), "INBOX cannot be deleted");
        }
        match self.home.delete(owner, &name).await {
            Ok(true) => self.ok(tag, "DELETE completed"),
            Ok(false) => self.no(tag, Some("NONEXISTENT"), "there is no mailbox of that name"),
            Err(error) => self.no(tag, Some("UNAVAILABLE"), &error.to_string()),
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
        let uid_validity = owner.account.borrow().new_uid_validity(now());
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
        self.log.ready(sealed_len(0, records_len).max(BLOCK)).await?;
        let frame = Frame { lease, stream: BatchId(0), position: 0, payload: 0, records_len };
        let (place, records) = self.log.write(frame, |_| vec![record], ());
        let applied = owner.clone();
        self.log.when_durable(&place, move || {
            let mut account = applied.account.borrow_mut();
            for record in records {
                account.apply(Change::Other(record));
            }
            drop(account);
            applied.changed.notify_waiters();
        });
        self.log.durable().await
    }
}

fn now() -> UidValidity {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UidValidity(u32::try_from(since.as_secs()).unwrap_or(u32::MAX - 1))
}

/// A name to list: a mailbox, or a level above one.
struct Level {
    name: MailboxName,
    exists: bool,
    children: bool,
}

/// All mailboxes with the levels above them, sorted. `names` is sorted.
fn levels(names: &[MailboxName]) -> Vec<Level> {
    let mut levels = std::collections::BTreeMap::<String, (bool, bool)>::new();
    for name in names {
        levels.entry(name.as_str().to_owned()).or_default().0 = true;
        let mut above = name.parent();
        while let Some(parent) = above {
            levels.entry(parent.as_str().to_owned()).or_default().1 = true;
            above = parent.parent();
        }
    }
    let level = |(name, (exists, children)): (String, _)| {
        MailboxName::from_utf8(&name).ok().map(|name| Level { name, exists, children })
    };
    levels.into_iter().filter_map(level).collect()
}
