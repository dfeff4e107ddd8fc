//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 sections 6.3.6 and 6.3.7).

use std::rc::Rc;

use crate::home::Owner;
use crate::reactor::thresholds;
use crate::session::session::Session;
use crate::store::Record;
use imap::protocol::response::Code;
use imap::protocol::{MailboxName, NameError, Tag};

impl Session {
    /// Subscribes to a name, which stays when its mailbox is deleted. A mailbox must exist with
    /// that name or below it.
    pub(in crate::session) async fn subscribe(
        &self,
        tag: &Tag,
        name: Result<MailboxName, NameError>,
        owner: &Rc<Owner>,
    ) {
        let Some(name) = self.valid(tag, name) else { return };
        let _one_at_a_time = owner.structure.lock().await;
        let (exists, subscribed, room) = {
            let account = owner.account.borrow();
            let name = name.as_str();
            let exists = account.find(name).is_some() || account.below(name).next().is_some();
            (exists, account.is_subscribed(name), account.can_subscribe(name))
        };
        match (exists, subscribed, room) {
            (_, true, _) => self.ok(tag, "SUBSCRIBE completed"),
            (false, false, _) => {
                self.no(tag, Some(Code::NonExistent), "there is no mailbox of that name");
            }
            (true, false, false) => {
                let text =
                    format!("an account can have {} subscriptions", thresholds().subscriptions);
                self.no(tag, Some(Code::Limit), &text);
            }
            (true, false, true) => self.write_subscription(tag, &name, true, owner).await,
        }
    }

    /// Succeeds even if there is no such subscription.
    pub(in crate::session) async fn unsubscribe(
        &self,
        tag: &Tag,
        name: Result<MailboxName, NameError>,
        owner: &Rc<Owner>,
    ) {
        let Some(name) = self.valid(tag, name) else { return };
        let _one_at_a_time = owner.structure.lock().await;
        let subscribed = owner.account.borrow().is_subscribed(name.as_str());
        match subscribed {
            true => self.write_subscription(tag, &name, false, owner).await,
            false => self.ok(tag, "there was no such subscription"),
        }
    }

    async fn write_subscription(
        &self,
        tag: &Tag,
        name: &MailboxName,
        subscribed: bool,
        owner: &Rc<Owner>,
    ) {
        let (account, name) = (owner.name(), name.as_str().into());
        match self.home.ledger(owner).add(Record::Subscribe { account, name, subscribed }).await {
            Ok(()) if subscribed => self.ok(tag, "SUBSCRIBE completed"),
            Ok(()) => self.ok(tag, "UNSUBSCRIBE completed"),
            Err(error) => self.not_written(tag, &error),
        }
    }
}
