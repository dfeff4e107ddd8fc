//! Runs the function of each command.

use std::rc::Rc;

use super::deadline::bye;
use super::login::Login;
use super::session::{Flow, Session};
use crate::home::Owner;
use imap::protocol::response;
use imap::protocol::{Command, Tag};

impl Session {
    pub(super) async fn execute(&mut self, tag: &Tag, command: Command) -> Flow {
        match command {
            Command::Capability => {
                let capabilities = self.capabilities().await;
                self.output.push(|out| response::words(out, "CAPABILITY", [&*capabilities]));
                self.ok(tag, "CAPABILITY completed");
            }
            Command::Noop => self.ok(tag, "NOOP completed"),
            Command::Id(fields) => {
                self.client_named(&fields);
                let fields = [("name", "mailrace"), ("version", env!("CARGO_PKG_VERSION"))];
                self.output.push(|out| response::id(out, &fields));
                self.ok(tag, "ID completed");
            }
            Command::Logout => {
                bye(&self.output, None, "logging out");
                self.ok(tag, "LOGOUT completed");
                return Flow::Over;
            }
            Command::StartTls => return self.start_tls(tag).await,
            Command::Login { user, password } => {
                return self.login(tag, Login::Command { user, password }).await;
            }
            Command::Authenticate { mechanism, initial } => {
                return self
                    .login(tag, Login::Sasl { mechanism, initial: initial.map(|secret| secret.0) })
                    .await;
            }
            command => match self.user.clone() {
                Some((_, owner)) => return self.for_user(tag, command, &owner).await,
                None => self.no(tag, None, "log in first"),
            },
        }
        Flow::On
    }

    async fn for_user(&mut self, tag: &Tag, command: Command, owner: &Rc<Owner>) -> Flow {
        self.waits_for_log(&command, owner).await;
        match command {
            Command::Enable(names) => self.enable(tag, &names),
            Command::Unauthenticate => self.unauthenticate(tag).await,
            Command::Namespace => {
                self.output.push(response::namespace);
                self.ok(tag, "NAMESPACE completed");
            }
            Command::List(list) => return self.list(tag, &list, owner).await,
            Command::Lsub { reference, pattern } => {
                return self.lsub(tag, &reference, &pattern, owner).await;
            }
            Command::Subscribe(mailbox) => self.subscribe(tag, mailbox, owner).await,
            Command::Unsubscribe(mailbox) => self.unsubscribe(tag, mailbox, owner).await,
            Command::Create(create) => self.create(tag, create, owner).await,
            Command::Rename { from, to } => self.rename(tag, from, to, owner).await,
            Command::Delete(mailbox) => self.delete(tag, mailbox, owner).await,
            Command::Status { mailbox, items } => self.status(tag, mailbox, &items, owner),
            Command::GetMetadata(get) => self.get_metadata(tag, get, owner),
            Command::SetMetadata(set) => self.set_metadata(tag, set, owner).await,
            Command::Select(select) => self.select(tag, select, false, owner).await,
            Command::Examine(select) => self.select(tag, select, true, owner).await,
            Command::Idle => return self.idle(tag, owner).await,
            Command::Check => {
                if self.mailbox(tag).is_some() {
                    self.ok(tag, "CHECK completed");
                }
            }
            Command::Close => self.close(tag, owner).await,
            Command::Unselect => self.unselect(tag),
            Command::Fetch(fetch) => self.fetch(tag, fetch, owner).await,
            Command::Store(store) => self.store(tag, store, owner).await,
            Command::Expunge(set) => self.expunge(tag, set, owner).await,
            Command::Copy { uid, set, mailbox } => {
                self.copy(tag, (&set, uid), mailbox, false, owner).await;
            }
            Command::Move { uid, set, mailbox } => {
                self.copy(tag, (&set, uid), mailbox, true, owner).await;
            }
            Command::Search(search) => self.search(tag, search, owner).await,
            Command::Sort(sort) => self.sort(tag, sort, owner).await,
            Command::Thread(thread) => self.thread(tag, thread, owner).await,
            Command::CancelUpdate(tags) => self.cancel_update(tag, &tags),
            _ => self.bad(tag, "this server does not have that command"),
        }
        Flow::On
    }
}
