//! CREATE and DELETE (RFC 3501 sections 6.3.3 and 6.3.4, RFC 6154 section 3, RFC 8474 section 4.1).

use std::rc::Rc;

use super::mailbox_id;
use crate::home::{Home, Owner};
use crate::index::Mailbox;
use crate::limits::MAILBOXES;
use crate::reactor::{LeaseClass, unix_seconds};
use crate::session::observed::changes;
use crate::session::session::Session;
use crate::store::{LogError, MailboxId, Purpose, Record, sealed_len};
use imap::protocol::response::{Code, Condition, untagged};
use imap::protocol::{Create, MailboxName, NameError, Tag};
use imap::types::{SpecialUse, Uid};

const DELETED: &str = "DELETE completed";

/// Limit of the deleted hierarchy levels that a session remembers: more levels than a name has.
const LEVELS: usize = 64;

/// Why a mailbox was not created.
pub(in crate::session) enum CreateError {
    /// The name is taken.
    Exists,
    /// The account has the maximum number of mailboxes.
    TooMany,
    /// The account has no UIDVALIDITY left.
    NoUidValidity,
    /// The log does not accept the record.
    Log(LogError),
}

impl Session {
    /// Hierarchy levels above the new mailbox are not created: they exist as long as there is a
    /// name below them.
    pub(in crate::session) async fn create(&self, tag: &Tag, create: Create, owner: &Rc<Owner>) {
        let Some(name) = self.valid(tag, create.mailbox) else { return };
        if let Some(unknown) = create.unknown_use {
            return self.unknown_use(tag, &unknown);
        }
        match self.home.create(owner, &name, create.special_use).await {
            Ok(id) => {
                changes::created(name.as_str());
                self.ok_code(tag, Code::MailboxId(&mailbox_id(id)), "CREATE completed");
            }
            Err(error) => self.not_created(tag, &error),
        }
    }

    pub(super) fn unknown_use(&self, tag: &Tag, unknown: &str) {
        let text = format!("this server does not know the special use {unknown}");
        self.no(tag, Some(Code::UseAttr), &text);
    }

    pub(super) fn not_created(&self, tag: &Tag, error: &CreateError) {
        match error {
            CreateError::Exists => {
                self.no(tag, Some(Code::AlreadyExists), "there is a mailbox of that name");
            }
            CreateError::TooMany => {
                let text = format!("an account can have {MAILBOXES} mailboxes");
                self.no(tag, Some(Code::Limit), &text);
            }
            CreateError::NoUidValidity => {
                self.no(tag, Some(Code::Limit), "the account has no UIDVALIDITY left");
            }
            CreateError::Log(error) => self.not_written(tag, error),
        }
    }

    /// Mailboxes below the deleted one stay.
    pub(in crate::session) async fn delete(
        &mut self,
        tag: &Tag,
        name: Result<MailboxName, NameError>,
        owner: &Rc<Owner>,
    ) {
        let Some(name) = self.valid(tag, name) else { return };
        if name.is_inbox() {
            return self.no(tag, Some(Code::Cannot), "INBOX cannot be deleted");
        }
        match self.home.delete(owner, &name).await {
            Ok(Some((id, messages))) => {
                changes::deleted(name.as_str(), messages);
                if self.selected_mailbox() == Some(id) && self.leave() {
                    let text = "it was selected";
                    self.output.push(|out| untagged(out, Condition::Ok, Some(&Code::Closed), text));
                }
                self.note_levels_above(&name, owner);
                self.ok(tag, DELETED);
            }
            Ok(None) if self.was_level(&name) => self.ok(tag, DELETED),
            Ok(None) if owner.account.borrow().below(name.as_str()).next().is_some() => {
                let text = "there are mailboxes below that name, and none of that name";
                self.no(tag, Some(Code::HasChildren), text);
            }
            Ok(None) => self.no(tag, Some(Code::NonExistent), "there is no mailbox of that name"),
            Err(error) => self.not_written(tag, &error),
        }
    }
}

impl Session {
    /// Remembers the hierarchy levels that disappear with a mailbox, because nothing else is below
    /// them. A client that deletes a tree bottom-up deletes these levels next, and gets OK.
    fn note_levels_above(&mut self, name: &MailboxName, owner: &Owner) {
        let account = owner.account.borrow();
        let mut level = name.as_str();
        while let Some((above, _)) = level.rsplit_once(MailboxName::SEPARATOR) {
            level = above;
            let there = account.find(level).is_some() || account.below(level).next().is_some();
            if there || self.levels.iter().any(|known| **known == *level) {
                break;
            }
            if self.levels.len() >= LEVELS {
                self.levels.remove(0);
            }
            self.levels.push(level.into());
        }
    }

    /// Whether this level disappeared with the last mailbox below it. Forgets it.
    fn was_level(&mut self, name: &MailboxName) -> bool {
        let found = self.levels.iter().position(|level| **level == *name.as_str());
        found.map(|at| self.levels.remove(at)).is_some()
    }
}

impl Home {
    /// Creates INBOX when the account is first used, so that it always exists.
    ///
    /// # Errors
    /// When the log does not accept the record.
    pub(in crate::session) async fn inbox(&self, owner: &Rc<Owner>) -> Result<(), LogError> {
        match self.create(owner, &MailboxName::inbox(), SpecialUse::default()).await {
            Err(CreateError::Log(error)) => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) async fn create(
        &self,
        owner: &Rc<Owner>,
        name: &MailboxName,
        uses: SpecialUse,
    ) -> Result<MailboxId, CreateError> {
        let _one_at_a_time = owner.structure.lock().await;
        if owner.mailbox_named(name.as_str()).is_some() {
            return Err(CreateError::Exists);
        }
        if owner.account.borrow().mailboxes() >= MAILBOXES {
            return Err(CreateError::TooMany);
        }
        let (account, mailbox) = (owner.name(), self.new_mailbox_id());
        let uid_validity = owner.account.borrow_mut().reserve_uid_validity(unix_seconds());
        let uid_validity = uid_validity.ok_or(CreateError::NoUidValidity)?;
        let name = name.as_str().into();
        let record = Record::CreateMailbox { account, mailbox, name, uid_validity, uses };
        self.ledger(owner).add(record).await.map_err(CreateError::Log)?;
        Ok(mailbox)
    }

    /// Deletes the mailbox with this name. Returns it and its number of messages; `None` if there
    /// is none.
    pub(super) async fn delete(
        &self,
        owner: &Rc<Owner>,
        name: &MailboxName,
    ) -> Result<Option<(MailboxId, u32)>, LogError> {
        let _one_at_a_time = owner.structure.lock().await;
        let Some(mailbox) = owner.mailbox_named(name.as_str()) else { return Ok(None) };
        let mut messages = 0;
        let any = |found: &Mailbox| {
            messages = found.counts().messages;
            true
        };
        let deleted = self.delete_if(owner, mailbox, any).await?;
        Ok(deleted.then_some((mailbox, messages)))
    }

    /// Deletes a mailbox that was just created, unless another session has added something to it.
    pub(super) async fn delete_unused(
        &self,
        owner: &Rc<Owner>,
        mailbox: MailboxId,
    ) -> Result<(), LogError> {
        let _one_at_a_time = owner.structure.lock().await;
        let unused = |found: &Mailbox| found.counts().uid_next == Uid(1) && found.is_settled();
        self.delete_if(owner, mailbox, unused).await.map(drop)
    }

    pub(super) async fn delete_if(
        &self,
        owner: &Rc<Owner>,
        mailbox: MailboxId,
        allowed: impl FnOnce(&Mailbox) -> bool,
    ) -> Result<bool, LogError> {
        // From here on nothing is appended to the mailbox.
        owner.dying.borrow_mut().insert(mailbox);
        let result = self.write_deletion(owner, mailbox, allowed).await;
        owner.dying.borrow_mut().remove(&mailbox);
        result
    }

    async fn write_deletion(
        &self,
        owner: &Rc<Owner>,
        mailbox: MailboxId,
        allowed: impl FnOnce(&Mailbox) -> bool,
    ) -> Result<bool, LogError> {
        let record = Record::DeleteMailbox { account: owner.name(), mailbox };
        let class = LeaseClass::holding(sealed_len(0, record.encoded_len()));
        let ledger = self.ledger(owner);
        let step = ledger.step(class, Purpose::Removes, |page| {
            let found = page.account.mailbox(mailbox).is_some_and(allowed);
            if found {
                page.change(record);
            }
            Ok::<_, LogError>(found)
        });
        let written = step.await?;
        self.log.durable().await?;
        Ok(written)
    }
}
