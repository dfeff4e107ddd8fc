//! The life of a session: greeting, commands one after the other, the end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use tracing::Instrument;

use super::deadline::{Deadline, bye};
use super::enable::Enabled;
use super::input::{Input, Next};
use super::login::Login;
use super::reply::Reply;
use super::selected::{NoSuchMessage, Selected};
use crate::auth::User;
use crate::home::{Arrival, Attending, ConnectionPermit, Farewell, Home, Owner, Seat, Trail};
use crate::ingest::Pending;
use crate::net::{Guest, Output, Security, Transport};
use crate::reactor::sleep;
use crate::stats::{Counted, Progress, Standing};
use crate::store::MailboxId;
use imap::protocol::response::{self, Code, Condition, untagged};
use imap::protocol::{Command, SequenceSet, Tag, Tagged};
use imap::types::UidRange;

/// Commands that made no sense, before login, after which the session ends.
const NONSENSE: u32 = 10;

/// One client.
pub(super) struct Session {
    pub home: Rc<Home>,
    pub conn: Rc<Transport>,
    pub output: Rc<Output>,
    pub input: Input,
    /// What the transport says of itself.
    pub security: Security,
    /// Among the connections of the server, and among those of the user.
    pub permit: ConnectionPermit,
    pub seat: Option<Seat>,
    /// Among the sessions of the account.
    pub attending: Option<Attending>,
    /// Of the users' readings, the one that the user was last looked up in.
    pub generation: u64,
    /// Logins that failed.
    pub failures: u32,
    /// Commands before login.
    pub commands: u32,
    /// Who logged in.
    pub user: Option<(User, Rc<Owner>)>,
    /// The selected mailbox; shared with uploads, which announce new messages before their OK.
    pub selected: Rc<RefCell<Option<Selected>>>,
    pub pending: Rc<Pending>,
    /// Levels above mailboxes that this session has deleted, which went with them.
    pub levels: Vec<Box<str>>,
    /// Until somebody has logged in.
    pub deadline: Option<Deadline>,
    /// What the client has asked for beyond the base protocol.
    pub enabled: Enabled,
    /// How the command under way ends; sent behind the news.
    pub reply: RefCell<Reply>,
    /// What the client is told in the end, after every reply that it is owed.
    pub farewell: RefCell<Option<Farewell>>,
    /// The log broke under it.
    pub broken: Cell<bool>,
    nonsense: u32,
    /// Its number among the sessions of this reactor.
    pub number: u64,
    pub trail: Trail,
    /// Among the connections, by what they do.
    pub counted: Rc<Counted>,
    /// What it uploads, since its first APPEND.
    pub progress: Option<Rc<Progress>>,
}

/// How a session begins.
enum Begin {
    Greeting {
        implicit_tls: bool,
    },
    /// Another reactor let this user in, by the command of this tag; these octets came behind it.
    Login(User, Tag, Vec<u8>),
}

/// What a command leaves to do.
pub(super) enum Flow {
    /// The next command.
    On,
    /// The session is over; the client was told.
    Over,
    /// The account lives on another reactor.
    Move(User, Tag),
}

/// Serves a connection until it ends or moves to another reactor.
pub async fn serve(home: Rc<Home>, arrival: Arrival) {
    let (guest, permit, trail, begin) = match arrival {
        Arrival::New { guest, permit, implicit_tls } => {
            (guest, permit, Trail::default(), Begin::Greeting { implicit_tls })
        }
        Arrival::LoggedIn { guest, user, tag, input, permit, trail } => {
            (guest, permit, trail, Begin::Login(user, tag, input))
        }
        Arrival::Stop => return,
    };
    let number = home.next_session.get();
    home.next_session.set(number + 1);
    let span = home.span(number, guest.address());
    // In a box: as a part of this future it would take its room twice.
    let session = Box::pin(serve_guest(home, number, guest, (permit, trail), begin));
    session.instrument(span).await;
}

async fn serve_guest(
    home: Rc<Home>,
    number: u64,
    guest: Guest,
    (permit, trail): (ConnectionPermit, Trail),
    begin: Begin,
) {
    tracing::debug!("opened");
    let conn = Transport::new(guest);
    let output = Output::new(conn.clone());
    output.give_up_after(home.settings.idle_time);
    home.roster.borrow_mut().insert(number, conn.clone());
    home.tally.sessions.fetch_add(1, Ordering::Relaxed);
    let session = Session {
        input: Input::new(conn.clone(), home.settings.idle_time),
        security: conn.security(),
        permit,
        seat: None,
        attending: None,
        generation: 0,
        failures: 0,
        commands: 0,
        deadline: Some(Deadline::new(home.settings.login_time, &conn, &output)),
        home: home.clone(),
        conn,
        output,
        user: None,
        selected: Rc::default(),
        pending: Rc::default(),
        levels: Vec::new(),
        enabled: Enabled::default(),
        reply: RefCell::default(),
        farewell: RefCell::default(),
        broken: Cell::default(),
        nonsense: 0,
        number,
        trail,
        counted: Rc::new(home.counters.census.count(Standing::Login)),
        progress: None,
    };
    let moved = session.run(begin).await;
    home.roster.borrow_mut().remove(&number);
    home.ended.notify_waiters();
    home.tally.sessions.fetch_sub(1, Ordering::Relaxed);
    if let Some((session, user, tag)) = moved {
        tracing::debug!(user = %user.name, "moves to the reactor of its account");
        session.move_to(user, tag).await;
    } else {
        tracing::debug!("closed");
    }
}

impl Session {
    async fn run(mut self, begin: Begin) -> Option<(Session, User, Tag)> {
        match begin {
            Begin::Greeting { implicit_tls } => {
                if implicit_tls && !self.secure().await {
                    return None;
                }
                let capabilities = self.capabilities().await;
                let code = Code::Capability(&capabilities);
                self.output.push(|out| untagged(out, Condition::Ok, Some(&code), "mailrace ready"));
            }
            Begin::Login(user, tag, input) => {
                self.input.put_back(input);
                self.welcome(user, &tag).await;
                self.conclude(Flow::On, true).await;
            }
        }
        loop {
            match self.turn().await {
                Flow::On => {}
                Flow::Over => break,
                Flow::Move(user, tag) => return Some((self, user, tag)),
            }
        }
        self.leave();
        // Batches that are complete are still answered; then the connection may go.
        self.pending.none().await;
        self.end_if_faulty();
        let farewell = self.farewell.take().or_else(|| self.home.ending.borrow().clone());
        if let Some((code, why)) = &farewell {
            bye(&self.output, code.as_ref(), why);
        }
        let _ = self.output.flush().await;
        self.logged_out(farewell.as_ref().map_or("the client ended it", |(_, why)| why));
        self.conn.close().await;
        None
    }

    /// One command.
    async fn turn(&mut self) -> Flow {
        if self.output.room().await.is_err() || self.home.ending.borrow().is_some() {
            return Flow::Over;
        }
        self.stands();
        let next = self.input.next(&self.output).await;
        if matches!(next, Next::Command(_) | Next::Append) && !self.may_command().await {
            return Flow::Over;
        }
        match next {
            Next::Command(octets) => Box::pin(self.command(&octets)).await,
            // Uploads are large futures; idle sessions should be small ones.
            Next::Append => Box::pin(self.append()).await,
            Next::Refused { tag, text } => self.no_sense(tag.as_ref(), &text).await,
            Next::LargeValue { tag, .. } if self.user.is_some() => self.large_value(&tag).await,
            Next::LargeValue { tag, text } => self.no_sense(Some(&tag), &text).await,
            Next::Idle => {
                self.farewell(None, "idle for too long");
                Flow::Over
            }
            Next::Flood => self.end_flood(),
            Next::End => Flow::Over,
        }
    }

    async fn command(&mut self, octets: &[u8]) -> Flow {
        // An empty line is no command: clients send one after a cancelled APPEND.
        if octets.iter().all(|octet| matches!(octet, b'\r' | b'\n' | b' ')) {
            return Flow::On;
        }
        match imap::protocol::parse(octets, self.enabled.utf8_names()) {
            Ok(Tagged { tag, command }) => {
                // Replies come in the order of the commands, and commands see what came before.
                if !self.pending.none().await {
                    return Flow::Over;
                }
                self.nonsense = 0;
                let expunges = lets_expunges_be_told(&command);
                let flow = self.execute(&tag, command).await;
                self.conclude(flow, expunges).await
            }
            Err(error) => self.no_sense(error.tag.as_ref(), &error.to_string()).await,
        }
    }

    /// Whether one more command is taken. Before login there are not many, and after the first few
    /// they come one after the other in a measured step; after it, the user must still be there.
    async fn may_command(&mut self) -> bool {
        if self.user.is_some() {
            self.trail.commands += 1;
            return self.goes_on().await;
        }
        let most = self.home.settings.commands_before_login;
        if self.commands >= most {
            let text = format!("{most} commands and no login");
            tracing::info!("connection ended: {text}; see --commands-before-login");
            self.farewell(None, &text);
            return false;
        }
        self.commands += 1;
        if self.commands > most / crate::limits::COMMANDS_AT_ONCE {
            sleep(crate::limits::COMMAND_STEP).await;
        }
        true
    }

    /// BAD to what is no command, in its turn.
    async fn no_sense(&mut self, tag: Option<&Tag>, text: &str) -> Flow {
        if !self.pending.none().await {
            return Flow::Over;
        }
        self.misread(text);
        self.refuse(tag, text);
        self.nonsense += 1;
        let flow = self.conclude(Flow::On, false).await;
        if self.user.is_none() && self.nonsense >= NONSENSE {
            self.farewell(None, "too many commands that make no sense");
            return Flow::Over;
        }
        flow
    }

    /// NO to a value that was not read, in its turn (RFC 5464 section 4.3).
    async fn large_value(&mut self, tag: &Tag) -> Flow {
        if !self.pending.none().await {
            return Flow::Over;
        }
        self.value_too_large(tag);
        self.conclude(Flow::On, false).await
    }

    async fn execute(&mut self, tag: &Tag, command: Command) -> Flow {
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

    pub(super) fn selected_mailbox(&self) -> Option<MailboxId> {
        self.selected.borrow().as_ref().map(|selected| selected.mailbox)
    }

    /// The selected mailbox; BAD when there is none.
    pub(super) fn mailbox(&self, tag: &Tag) -> Option<MailboxId> {
        let mailbox = self.selected_mailbox();
        if mailbox.is_none() {
            self.bad(tag, "no mailbox is selected");
        }
        mailbox
    }

    /// The selected mailbox, and the messages in it that a set names; BAD when it cannot be.
    pub(super) fn messages(
        &self,
        tag: &Tag,
        set: &SequenceSet,
        uid: bool,
    ) -> Option<(MailboxId, Vec<UidRange>)> {
        let mailbox = self.mailbox(tag)?;
        let resolved = self.selected.borrow().as_ref()?.resolve(set, uid);
        match resolved {
            Ok(uids) => Some((mailbox, uids)),
            Err(NoSuchMessage(number)) => {
                self.bad(tag, &format!("there is no message number {number}"));
                None
            }
        }
    }

    /// Whether messages of the selected mailbox may be changed; NO when they may not.
    pub(super) fn may_change(&self, tag: &Tag) -> bool {
        let read_only = self.is_read_only();
        if read_only {
            self.no(tag, Some(Code::ReadOnly), "the mailbox was opened with EXAMINE");
        }
        !read_only
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.selected.borrow().as_ref().is_some_and(|selected| selected.read_only)
    }
}

/// Message numbers must not change while a command runs that names messages by them, nor may they
/// between the question and the answer of these (RFC 3501 section 7.4.1, RFC 5256 section 3).
fn lets_expunges_be_told(command: &Command) -> bool {
    let by_number = match command {
        Command::Fetch(fetch) => !fetch.uid,
        Command::Store(store) => !store.uid,
        Command::Search(search) => !search.uid,
        Command::Sort(sort) => !sort.uid,
        Command::Thread(thread) => !thread.uid,
        _ => false,
    };
    !by_number
}
