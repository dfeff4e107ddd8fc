//! The model of an account, of its mailboxes and messages: what a server may show after all that
//! its clients have sent and heard. All clients of a run share it, and it outlives crashes.
//!
//! A client registers a command before it sends the first octet, and then reports the answer. If
//! the client is dropped in between, or its connection breaks, the command stays *in doubt*: it may
//! have happened as a whole, may still happen, or never. [`verify`] looks at everything while no
//! session is left, and then nothing is in doubt any more.
//!
//! - Flags, expunges and moves: [`message`]. Names: [`names`].
//! - Batches of APPEND and COPY: below, and [`explain`] for those in doubt.
//! - EMAILIDs: [`identity`].
//! - What a client was told counts as much as what was acknowledged, because the server shows
//!   nothing that is not durable.
//! - [`client`] acts at random, through a [`session`] over a [`wire`].
//!
//! The tests of crashes have a model of their own, of durable state alone: their clients share no
//! mailbox, so that every state follows from the commands of one client.

pub mod append;
pub mod client;
mod commands;
pub mod connection;
pub mod content;
mod explain;
pub mod flags;
pub mod identity;
pub mod mailbox;
pub mod message;
pub mod mirror;
pub mod names;
mod resolve;
pub mod session;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod wire;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use content::{Content, Contents};
use flags::Flags;
use identity::Origins;
use mailbox::{Mailbox, at_uid};
use message::{Action, Message, Moment, Op, Outcome, Value};
use names::Names;
use wire::{Checked, ensure, wrong};

/// Failures that are not the fault of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// The disk may be full: `NO [UNAVAILABLE]`.
    pub full: bool,
    /// The disk may fail, or the server is being stopped: BYE.
    pub ending: bool,
    /// What was written may be damaged: mail may be refused, but never shown wrong.
    pub rotten: bool,
}

/// Sizes of the server that decide what it may answer, and where its code takes another path.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of a block of the disk.
    pub block: usize,
    /// Bytes of a small lease.
    pub small_lease: usize,
    /// Bytes of a large lease.
    pub large_lease: usize,
    /// Keywords of a mailbox.
    pub keywords: usize,
    /// Different sets of keywords in a mailbox.
    pub keyword_sets: usize,
    /// Messages of a batch that is never refused with `NO [LIMIT]`.
    pub small_batch: usize,
    /// Messages of unfinished batches.
    pub unfinished_messages: usize,
    /// Messages that one step of MOVE takes.
    pub step_messages: usize,
    /// A step of MOVE may end early for want of room for its records.
    pub little_room: bool,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// User name, an atom.
    pub name: &'static str,
    /// Password, an atom.
    pub password: &'static str,
    /// Bytes.
    pub quota: Option<u64>,
}

/// An account.
#[derive(Clone)]
pub struct Account {
    /// Its user.
    pub person: Person,
    /// Its mailboxes by name.
    pub names: Names,
    /// All mailboxes that ever existed, by UIDVALIDITY.
    pub boxes: BTreeMap<u32, Mailbox>,
    /// Where its messages come from.
    pub origins: Origins,
    /// The classes of the messages that it had when it was last verified.
    pub living: BTreeSet<u32>,
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Some octets of it may have been sent, not all.
    Partly,
    /// All of it was sent, or nearly.
    Sent,
    /// Refused.
    Refused,
    /// It is there, or was.
    There,
}

/// An APPEND.
#[derive(Clone)]
pub struct Batch {
    /// Its number.
    pub op: Op,
    /// Number of the account.
    pub account: usize,
    /// Name of the mailbox.
    pub target: Rc<str>,
    /// Messages.
    pub contents: Vec<Content>,
    /// A moment before it was sent.
    pub begun: Moment,
    /// The connection it was sent on.
    pub connection: u64,
    /// It may have been refused without an answer: because disk or memory was full, or because the
    /// mailbox did not exist.
    pub in_want: bool,
    /// See there.
    pub stage: Stage,
}

/// A COPY or MOVE.
#[derive(Clone)]
pub struct Copying {
    /// Its number.
    pub op: Op,
    /// Number of the account.
    pub account: usize,
    /// UIDVALIDITY of the source.
    pub source: u32,
    /// UIDs, ascending.
    pub uids: Vec<u32>,
    /// Name of the target.
    pub target: Rc<str>,
    /// Whether it is a MOVE.
    pub moved: bool,
    /// Before it was sent.
    pub begun: Moment,
    /// Never `Partly`.
    pub stage: Stage,
}

/// Receives lines about what clients say and hear.
pub type Trace = Rc<dyn Fn(&str)>;

/// See the [module](self).
#[derive(Clone)]
pub struct Model {
    /// The accounts of the run.
    pub accounts: Vec<Account>,
    /// The octets of all messages.
    pub contents: Contents,
    /// APPENDs, by number.
    pub batches: BTreeMap<Op, Batch>,
    /// COPYs and MOVEs, by number.
    pub copies: BTreeMap<Op, Copying>,
    /// Failures that are to be expected.
    pub weather: Weather,
    /// Sizes of the server.
    pub bounds: Bounds,
    /// Receives what clients say and hear.
    pub trace: Option<Trace>,
    /// Replies that were read.
    pub replies: u64,
    now: Moment,
    last_op: Op,
    connections: u64,
}

/// A model that clients share.
pub type Shared = Rc<RefCell<Model>>;

impl Model {
    /// Accounts that were never used.
    pub fn new(people: &[Person], bounds: Bounds) -> Model {
        let account = |person: &Person| Account {
            person: person.clone(),
            names: Names::default(),
            boxes: BTreeMap::new(),
            origins: Origins::default(),
            living: BTreeSet::new(),
        };
        Model {
            accounts: people.iter().map(account).collect(),
            contents: Contents::new(bounds),
            batches: BTreeMap::new(),
            copies: BTreeMap::new(),
            weather: Weather::default(),
            bounds,
            trace: None,
            replies: 0,
            now: 0,
            last_op: 0,
            connections: 0,
        }
    }
    /// Whether a mailbox holds fewer keywords, or sets of them, than clients use.
    pub fn keywords_run_out(&self) -> bool {
        let Bounds { keywords, keyword_sets, .. } = self.bounds;
        let used = flags::NAMES.len() - flags::SYSTEM;
        keywords < used || keyword_sets < 1 << used
    }

    /// Whether a batch of this many messages may be refused with `NO [LIMIT]`.
    pub fn may_be_too_much(&self, messages: usize) -> bool {
        let Bounds { small_batch, unfinished_messages, .. } = self.bounds;
        let many = messages > small_batch && unfinished_messages < 1_000;
        many || self.keywords_run_out()
    }

    /// The next moment.
    pub fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    /// A new number of an operation.
    pub fn next_op(&mut self) -> Op {
        self.last_op += 1;
        self.last_op
    }

    /// A new number of a connection.
    pub fn next_connection(&mut self) -> u64 {
        self.connections += 1;
        self.connections
    }

    /// Writes a line to the trace, if there is one.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            trace(&line());
        }
    }

    /// A mailbox, made when it is first mentioned.
    pub fn mailbox(&mut self, account: usize, validity: u32) -> &mut Mailbox {
        self.accounts[account].boxes.entry(validity).or_default()
    }

    /// A message that was mentioned before.
    pub fn message(&mut self, account: usize, validity: u32, uid: u32) -> Option<&mut Message> {
        self.accounts[account].boxes.get_mut(&validity)?.messages.get_mut(&uid)
    }

    // ---- What is told ------------------------------------------------------------------------

    /// A client was told the flags of a message.
    pub fn seen(
        &mut self,
        (account, validity, uid): (usize, u32, u32),
        flags: Flags,
        modseq: Option<u64>,
        since: Moment,
    ) -> Checked {
        let now = self.tick();
        self.mailbox(account, validity).seen(uid, flags, modseq, since, now)
    }

    /// A client was told the octets of a message, and its date.
    pub fn read(
        &mut self,
        (account, validity, uid): (usize, u32, u32),
        octets: Option<&[u8]>,
        date: Option<&str>,
    ) -> Checked {
        let class = match octets {
            None => None,
            Some(octets) => match self.contents.find(octets) {
                Some(class) => Some(class),
                None => return wrong(self.strange(account, validity, uid, octets)),
            },
        };
        let known = Message::known(class, date.map(Into::into));
        let Some(message) = self.message(account, validity, uid) else { return Ok(()) };
        message.is_like(&known).map_err(|stop| at_uid(uid, stop))
    }

    fn strange(&self, account: usize, validity: u32, uid: u32, octets: &[u8]) -> String {
        let message = self.accounts[account].boxes.get(&validity);
        let message = message.and_then(|mailbox| mailbox.messages.get(&uid));
        let known = message.and_then(|message| message.class);
        let expected = known.map(|class| self.contents.octets(class));
        let differs = expected.map(|expected| {
            octets.iter().zip(expected.iter()).position(|(one, other)| one != other)
        });
        let start = String::from_utf8_lossy(&octets[..octets.len().min(24)]);
        format!(
            "UID {uid} has {} octets that nobody sent ({start:?}); expected {:?} octets, the first \
             that differs is {differs:?}",
            octets.len(),
            expected.map(|expected| expected.len())
        )
    }

    // ---- APPEND ------------------------------------------------------------------------------

    /// An APPEND is about to be sent.
    pub fn append(
        &mut self,
        account: usize,
        target: &Rc<str>,
        contents: Vec<Content>,
        connection: u64,
    ) -> Op {
        let (op, begun) = (self.next_op(), self.tick());
        let missing = self.accounts[account].names.missed(target, begun).is_ok();
        let in_want = missing || self.weather.full || self.may_be_too_much(contents.len());
        let (target, stage) = (target.clone(), Stage::Partly);
        let batch = Batch { op, account, target, contents, begun, connection, in_want, stage };
        self.batches.insert(op, batch);
        op
    }

    /// The last octets of an APPEND are about to be sent.
    pub fn append_whole(&mut self, op: Op) {
        if let Some(batch) = self.batches.get_mut(&op) {
            batch.stage = Stage::Sent;
        }
    }

    /// An APPEND was answered with NO or BAD.
    pub fn append_refused(&mut self, op: Op) {
        if let Some(batch) = self.batches.get_mut(&op) {
            batch.stage = Stage::Refused;
        }
    }

    /// An APPEND was answered with OK.
    pub fn appended(&mut self, op: Op, validity: u32, uids: &[u32]) -> Checked {
        let now = self.tick();
        let Some(batch) = self.batches.get_mut(&op) else { return Ok(()) };
        let (account, target, begun) = (batch.account, batch.target.clone(), batch.begun);
        ensure!(batch.stage == Stage::Sent, "APPEND succeeds in the stage {:?}", batch.stage);
        ensure!(
            uids.len() == batch.contents.len() && uids.windows(2).all(|two| two[0] + 1 == two[1]),
            "APPENDUID has {uids:?} for {} messages",
            batch.contents.len()
        );
        batch.stage = Stage::There;
        let contents = std::mem::take(&mut batch.contents);
        self.accounts[account].names.found(&target, validity, None, begun)?;
        let mailbox = self.mailbox(account, validity);
        for (&uid, content) in uids.iter().zip(contents) {
            let source = content.as_message();
            mailbox
                .arrives(uid, &source, &[Some(content.flags)], begun, now)
                .map_err(|stop| at_uid(uid, stop))?;
        }
        let origins = &mut self.accounts[account].origins;
        uids.iter().for_each(|&uid| origins.appended((validity, uid)));
        Ok(())
    }

    // ---- COPY and MOVE -----------------------------------------------------------------------

    /// A COPY or MOVE is about to be sent. The UIDs ascend.
    pub fn copy(
        &mut self,
        (account, source): (usize, u32),
        uids: Vec<u32>,
        target: &Rc<str>,
        moved: bool,
    ) -> Op {
        let (op, begun) = (self.next_op(), self.tick());
        if moved {
            for &uid in &uids {
                if let Some(message) = self.message(account, source, uid) {
                    message.begin(op, Action::Take);
                }
            }
        }
        let (target, stage) = (target.clone(), Stage::Sent);
        let copying = Copying { op, account, source, uids, target, moved, begun, stage };
        self.copies.insert(op, copying);
        op
    }

    /// The COPY or MOVE was refused: nothing was copied or moved.
    pub fn copy_refused(&mut self, op: Op) -> Checked {
        self.copies.get_mut(&op).expect("it was begun").stage = Stage::Refused;
        self.take(op, &[], Outcome::Not)
    }

    /// Ends the effect of a MOVE on its source: these messages are gone, the others as `rest`
    /// says.
    pub fn take(&mut self, op: Op, taken: &[u32], rest: Outcome) -> Checked {
        let now = self.tick();
        let copying = &self.copies[&op];
        if !copying.moved {
            return Ok(());
        }
        let (account, source, uids) = (copying.account, copying.source, copying.uids.clone());
        for uid in uids {
            let outcome = if taken.contains(&uid) { Outcome::Done } else { rest };
            if let Some(message) = self.message(account, source, uid) {
                message.end(op, outcome, now).map_err(|stop| at_uid(uid, stop))?;
            }
        }
        Ok(())
    }

    /// The COPY or MOVE was answered: `from` became `to`. Without a UIDVALIDITY there was nothing
    /// to copy. A MOVE that was not finished left the others where they were.
    pub fn copied(
        &mut self,
        op: Op,
        (validity, finished): (Option<u32>, bool),
        from: &[u32],
        to: &[u32],
    ) -> Checked {
        let copying = self.copies.get_mut(&op).expect("it was begun");
        copying.stage = Stage::There;
        let (account, source, begun) = (copying.account, copying.source, copying.begun);
        let (uids, target) = (copying.uids.clone(), copying.target.clone());
        ensure!(from.len() == to.len(), "COPYUID has {from:?} for {to:?}");
        ensure!(
            from.is_sorted() && from.iter().all(|uid| uids.binary_search(uid).is_ok()),
            "COPYUID names {from:?} when {uids:?} were asked for"
        );
        ensure!(to.windows(2).all(|two| two[0] < two[1]), "COPYUID gives {to:?}");
        if let Some(validity) = validity {
            self.accounts[account].names.found(&target, validity, None, begun)?;
            for (&from, &to) in from.iter().zip(to) {
                self.copied_one(op, (account, source, from), validity, to)?;
            }
        }
        self.take(op, from, Outcome::Not)?;
        // What was left out was already gone, not by this command.
        for uid in uids.iter().filter(|uid| finished && !from.contains(uid)) {
            if let Some(message) = self.message(account, source, *uid) {
                message.must_be_gone().map_err(|stop| at_uid(*uid, stop))?;
            }
        }
        Ok(())
    }

    /// One message was copied.
    fn copied_one(
        &mut self,
        op: Op,
        (account, source, from): (usize, u32, u32),
        validity: u32,
        to: u32,
    ) -> Checked {
        let now = self.tick();
        let (begun, moved) = (self.copies[&op].begun, self.copies[&op].moved);
        let Some(message) = self.message(account, source, from) else { return Ok(()) };
        let mut values: Vec<Value> = match moved {
            true => message.taken_by(op, now).map_err(|stop| at_uid(from, stop))?,
            false => message.values(begun),
        };
        values.retain(Option::is_some);
        ensure!(
            !values.is_empty() || message.is_vague(),
            "UID {from} was copied and was not there"
        );
        let mut known = message.to_copy();
        if message.is_vague() {
            known.blur();
        }
        self.accounts[account].origins.copied((source, from), (validity, to));
        let mailbox = self.mailbox(account, validity);
        mailbox.arrives(to, &known, &values, begun, now).map_err(|stop| at_uid(to, stop))
    }
}

impl Content {
    /// A message with this content.
    pub fn as_message(&self) -> Message {
        Message::known(Some(self.class), self.date.clone())
    }
}
