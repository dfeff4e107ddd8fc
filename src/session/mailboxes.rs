//! LIST, CREATE, DELETE (RFC 3501 sections 6.3.3 to 6.3.8).

use std::collections::BTreeMap;
use std::rc::Rc;

use super::context::Home;
use super::dispatch::Session;
use crate::index::Account;
use crate::ingest::Owner;
use crate::log::{LogError, Record};
use crate::protocol::response::{self, Code};
use crate::protocol::{List, MailboxName, NameError, Pattern, Tag};
use crate::reactor::unix_seconds;

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
        let record = Record::CreateMailbox { account, mailbox, name, uid_validity, uses: 0 };
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
