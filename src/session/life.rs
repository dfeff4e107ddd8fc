//! The life of a session: greeting, commands, end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use tracing::Instrument;

use super::deadline::{Deadline, bye};
use super::enabled::Enabled;
use super::input::{Input, Next};
use super::session::{Flow, Session};
use crate::auth::User;
use crate::home::{Arrival, ConnectionPermit, Home, Trail};
use crate::net::{Guest, Output, Transport};
use crate::reactor::sleep;
use crate::stats::Standing;
use imap::protocol::response::{Code, Condition, untagged};
use imap::protocol::{Command, Tag, Tagged};

/// Unparseable commands before login after which the session ends.
const NONSENSE: u32 = 10;

/// How a session starts on this reactor.
enum Begin {
    Greeting {
        implicit_tls: bool,
    },
    /// After a login accepted by another reactor: the user, the tag of the command, and the octets
    /// received after it.
    Login(User, Tag, Vec<u8>),
}

/// Serves a connection until it ends or moves to another reactor.
pub(crate) async fn serve(home: Rc<Home>, arrival: Arrival) {
    let (guest, permit, trail, begin) = match arrival {
        Arrival::New { guest, permit, implicit_tls } => {
            (guest, permit, Trail::default(), Begin::Greeting { implicit_tls })
        }
        Arrival::LoggedIn { guest, user, tag, input, permit, trail } => {
            (guest, permit, trail, Begin::Login(user, tag, input))
        }
        Arrival::Clean(_) | Arrival::Purge(_) | Arrival::Stop => return,
    };
    let number = home.next_session.get();
    home.next_session.set(number + 1);
    let span = home.span(number, guest.address());
    // Boxed: as a part of this future it would need its memory twice.
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
        // Complete batches are still answered before the connection is closed.
        self.pending.none().await;
        self.end_if_faulty();
        self.end_if_removed();
        let farewell = self.farewell.take().or_else(|| self.home.ending.borrow().clone());
        if let Some((code, why)) = &farewell {
            bye(&self.output, code.as_ref(), why);
        }
        let _ = self.output.flush().await;
        self.logged_out(farewell.as_ref().map_or("the client ended it", |(_, why)| why));
        self.conn.close().await;
        None
    }

    /// Reads and runs one command.
    async fn turn(&mut self) -> Flow {
        if self.output.room().await.is_err() || self.home.ending.borrow().is_some() {
            return Flow::Over;
        }
        if self.end_if_removed() {
            return Flow::Over;
        }
        self.stands();
        let next = self.input.next(&self.output).await;
        if matches!(next, Next::Command(_) | Next::Append) && !self.may_command().await {
            return Flow::Over;
        }
        match next {
            Next::Command(octets) => Box::pin(self.command(&octets)).await,
            // Boxed: an upload is a large future, and an idle session should be small.
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
        // Some clients send an empty line after a cancelled APPEND. It is not a command.
        if octets.iter().all(|octet| matches!(octet, b'\r' | b'\n' | b' ')) {
            return Flow::On;
        }
        match imap::protocol::parse(octets, self.enabled.utf8_names()) {
            Ok(Tagged { tag, command }) => {
                // Replies come in the order of the commands, and a command sees the effect of
                // earlier ones.
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

    /// Replies NO to a SETMETADATA whose value was too large to read (RFC 5464 section 4.3).
    async fn large_value(&mut self, tag: &Tag) -> Flow {
        if !self.pending.none().await {
            return Flow::Over;
        }
        self.value_too_large(tag);
        self.conclude(Flow::On, false).await
    }

    /// Whether the next command may run. Before login the number of commands is limited, and after
    /// the first few they are paced. After login the user must still exist.
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

    /// Replies BAD to an unparseable command, after the replies that are owed.
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
}

/// Whether EXPUNGE responses may be sent during this command. Message numbers must not change
/// during a command that uses them, nor between a search and its result (RFC 3501 section 7.4.1,
/// RFC 5256 section 3).
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
