//! A session as its client sees it: commands in flight, untagged responses, replies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::rc::Rc;

use super::Shared;
use super::connection::Connection;
use super::message::{Moment, Op};
use super::mirror::Mirror;
use super::names::Notes;
use super::wire::reply::{Fetched, Reply, Status, parse};
use super::wire::{Checked, Dial, Stop, ensure, wrong};
use crate::Random;

/// The kind of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command that changes nothing and must succeed: ENABLE, CHECK, IDLE.
    Plain,
    /// NOOP. After it the session has been told everything.
    Noop,
    /// LOGIN.
    Login,
    /// LOGOUT.
    Logout,
    /// SELECT or EXAMINE, perhaps with QRESYNC from what was known before.
    Select { name: Rc<str>, read_only: bool, before: Option<Box<Known>> },
    /// UNSELECT.
    Unselect,
    /// STATUS.
    Status(Rc<str>),
    /// GETMETADATA of all that is noted about a mailbox.
    Metadata(Rc<str>),
    /// LIST "" * RETURN (SPECIAL-USE).
    List,
    /// LSUB "" *.
    Lsub,
    /// APPEND. Whether it must fail.
    Append { op: Op, refused: bool },
    /// STORE on these messages, by UID or number.
    Store { op: Op, uids: Vec<u32>, conditional: bool, uid: bool, silent: bool },
    /// FETCH of at least these messages, with an operation when it sets `\Seen`, of octets or not.
    Fetch { op: Option<Op>, uids: Vec<u32>, octets: bool },
    /// SEARCH.
    Search { uids: Vec<u32> },
    /// EXPUNGE, UID EXPUNGE, CLOSE.
    Expunge { op: Op, sure: Vec<u32>, closes: bool },
    /// COPY, MOVE.
    Copy { op: Op, target: Rc<str> },
    /// CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, SETMETADATA.
    Names(Op),
}

/// What a returning client knows: flags by UID.
pub type Known = BTreeMap<u32, Option<super::flags::Flags>>;

/// A command whose reply is still to be read.
pub struct Sent {
    /// Its tag.
    pub tag: String,
    /// A moment before its first octet was sent.
    pub since: Moment,
    /// What it asks for.
    pub kind: Kind,
    /// It names messages by number, so that no EXPUNGE may come.
    pub by_number: bool,
    /// What was told since the previous reply.
    pub told: Told,
}

/// See [`Sent::told`].
#[derive(Default)]
pub struct Told {
    /// EXISTS.
    pub exists: Option<u32>,
    /// Numbers by the names of their response codes.
    pub numbers: BTreeMap<String, u64>,
    /// MAILBOXID.
    pub id: Option<String>,
    /// VANISHED (EARLIER).
    pub earlier: BTreeSet<u32>,
    /// FETCH during SELECT: number, UID, flags, mod-sequence.
    pub changed: Vec<(u32, u32, super::flags::Flags, u64)>,
    /// UIDs in FETCH responses.
    pub fetched: BTreeSet<u32>,
    /// Those of them that came with octets.
    pub read: BTreeSet<u32>,
    /// Names, with the special uses of mailboxes.
    pub names: BTreeMap<Rc<str>, String>,
    /// Entries of metadata.
    pub notes: Notes,
    /// COPYUID.
    pub copied: Option<String>,
    /// STATUS.
    pub status: BTreeMap<String, u64>,
    /// SEARCH.
    pub found: Option<Vec<u32>>,
}

/// See the [module](self).
pub struct Session<'a, D: Dial> {
    /// The connection.
    pub connection: Connection<'a, D>,
    /// The model that all clients share.
    pub model: Shared,
    /// Number of the account.
    pub account: usize,
    /// Number of the connection.
    pub number: u64,
    /// Decides what to do.
    pub random: Random,
    /// Commands in flight, in order.
    pub sent: VecDeque<Sent>,
    /// The selected mailbox.
    pub mirror: Option<Mirror>,
    /// ENABLE QRESYNC was acknowledged or is in flight.
    pub qresync: bool,
    /// It works in the mailboxes that all clients share.
    pub shares: bool,
    tags: u32,
    /// The server said BYE.
    pub over: bool,
}

impl<'a, D: Dial> Session<'a, D> {
    /// Connects, reads the greeting, logs in.
    pub async fn open(
        dial: &'a D,
        model: Shared,
        account: usize,
        mut random: Random,
    ) -> Checked<Session<'a, D>> {
        let number = model.borrow_mut().next_connection();
        model.borrow().trace(|| format!("c{number}/{account} dials"));
        let connection = Connection::open(dial, random.fork()).await?;
        let mut session = Session {
            connection,
            model,
            account,
            number,
            random,
            sent: VecDeque::new(),
            mirror: None,
            qresync: false,
            shares: false,
            tags: 0,
            over: false,
        };
        let greeting = session.connection.response().await?;
        session.trace(|| format!("< {}", shown(&greeting)));
        match parse(&greeting)? {
            Reply::Untagged(status) if status.is_ok() => {}
            Reply::Untagged(status) if status.word == "BYE" => session.bye(&status)?,
            _ => return wrong(format!("a greeting: {}", shown(&greeting))),
        }
        let person = session.model.borrow().accounts[account].person.clone();
        let login = format!("LOGIN {} {}", person.name, person.password);
        session.ask(&login, Kind::Login).await?;
        session.replies().await?;
        Ok(session)
    }

    /// Writes to the trace.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        let (account, number) = (self.account, self.number);
        self.model.borrow().trace(|| format!("c{number}/{account} {}", line()));
    }

    /// Returns an unused tag.
    pub fn tag(&mut self) -> String {
        self.tags += 1;
        format!("t{}", self.tags)
    }

    /// Registers a command that is about to be sent.
    pub fn register(&mut self, tag: &str, kind: Kind, by_number: bool) {
        let since = self.model.borrow_mut().tick();
        let told = Told::default();
        self.sent.push_back(Sent { tag: tag.into(), since, kind, by_number, told });
    }

    /// Sends a command. Its reply is still to be read.
    pub async fn ask(&mut self, command: &str, kind: Kind) -> Checked {
        let tag = self.tag();
        let word = command.split(' ').next().unwrap_or_default();
        let by_number = matches!(word, "FETCH" | "STORE" | "SEARCH");
        self.register(&tag, kind, by_number);
        self.trace(|| format!("> {tag} {command}"));
        self.connection.send(format!("{tag} {command}\r\n").as_bytes()).await
    }

    /// Reads until all commands are answered.
    pub async fn replies(&mut self) -> Checked {
        while !self.sent.is_empty() {
            self.reply().await?;
        }
        Ok(())
    }

    /// Reads until the first command is answered, or the server asks for more of it. Returns
    /// whether it asks.
    pub async fn reply(&mut self) -> Checked<bool> {
        loop {
            let count = self.sent.len();
            let wants = self.some_reply().await?;
            if wants || self.sent.len() < count {
                return Ok(wants);
            }
        }
    }

    /// Reads one response. Returns whether it is `+`.
    pub async fn some_reply(&mut self) -> Checked<bool> {
        let response = self.connection.response().await?;
        self.trace(|| format!("< {}", shown(&response)));
        let reply = parse(&response)?;
        let wants = reply == Reply::Continue;
        self.take(reply).map_err(|stop| self.of_response(&response, stop))?;
        if self.over { Err(Stop::Gone(ErrorKind::ConnectionAborted)) } else { Ok(wants) }
    }

    fn of_response(&self, response: &[u8], stop: Stop) -> Stop {
        let Stop::Wrong(text) = stop else { return stop };
        let name = self.model.borrow().accounts[self.account].person.name;
        let mailbox = self.mirror.as_ref().map_or("nothing", |mirror| &*mirror.name);
        let (number, said) = (self.number, shown(response));
        Stop::Wrong(format!("connection {number} of {name}, {mailbox} selected: {said}: {text}"))
    }

    fn take(&mut self, reply: Reply<'_>) -> Checked {
        let since = self.sent.front().map_or(0, |sent| sent.since);
        let mut unasked = Told::default();
        let told = self.sent.front_mut().map_or(&mut unasked, |sent| &mut sent.told);
        match reply {
            Reply::Tagged(tag, status) => return self.tagged(tag, &status),
            Reply::Untagged(status) => return self.untagged(&status),
            Reply::Exists(count) => {
                told.exists = Some(count);
                if let Some(mirror) = &mut self.mirror {
                    mirror.exists(count)?;
                }
            }
            Reply::Expunge(number) => self.told_expunge(number, since)?,
            Reply::Vanished(true, uids) => told.earlier.extend(uids),
            Reply::Vanished(false, uids) => self.vanished(&uids, since)?,
            Reply::Fetch(fetched) => self.fetched(&fetched, since)?,
            Reply::List(name, true, uses) => {
                let before = told.names.insert(name.into(), uses);
                ensure!(before.is_none(), "LIST tells a name twice");
            }
            Reply::Lsub(name) => {
                told.names.insert(name.into(), String::new());
            }
            Reply::Metadata(entries) => {
                let entry = |(name, value): (String, String)| (name.into(), value.into());
                told.notes.extend(entries.into_iter().map(entry));
            }
            Reply::Status(_, numbers) => {
                told.status = numbers.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
            }
            Reply::Search(found) => told.found = Some(found),
            Reply::List(_, false, _) | Reply::Continue | Reply::Other => {}
        }
        Ok(())
    }

    fn untagged(&mut self, status: &Status<'_>) -> Checked {
        match status.word {
            "BYE" => return self.bye(status),
            "OK" => {}
            word => return wrong(format!("an untagged {word}")),
        }
        if status.code == "CLOSED" {
            self.mirror = None;
        }
        let Some(sent) = self.sent.front_mut() else { return Ok(()) };
        match status.code {
            "COPYUID" => sent.told.copied = Some(status.data.into()),
            "MAILBOXID" => sent.told.id = Some(status.data.trim_matches(['(', ')']).into()),
            code => {
                if let Ok(number) = status.data.parse() {
                    sent.told.numbers.insert(code.into(), number);
                }
            }
        }
        Ok(())
    }

    /// BYE must have a reason.
    fn bye(&mut self, status: &Status<'_>) -> Checked {
        self.over = true;
        let asked = self.sent.front().is_some_and(|sent| sent.kind == Kind::Logout);
        if asked {
            self.over = false;
            return Ok(());
        }
        let model = self.model.borrow();
        let mirror = self.mirror.as_ref();
        let names = &model.accounts[self.account].names;
        let deleted = status.text.contains("deleted")
            && mirror.is_some_and(|mirror| names.may_be_deleted(mirror.validity, 0));
        let weather = model.weather;
        ensure!(deleted || weather.ending, "BYE without a reason: {}", status.text);
        Ok(())
    }

    fn told_expunge(&mut self, number: u32, since: Moment) -> Checked {
        self.may_expunge()?;
        ensure!(!self.qresync, "EXPUNGE where VANISHED is due");
        let Some(mirror) = &mut self.mirror else { return wrong("EXPUNGE, nothing selected") };
        if let Some(uid) = mirror.expunge(number)? {
            let validity = mirror.validity;
            let mut model = self.model.borrow_mut();
            let now = model.tick();
            model.mailbox(self.account, validity).gone(uid, since, now)?;
        }
        Ok(())
    }

    fn vanished(&mut self, uids: &[u32], since: Moment) -> Checked {
        self.may_expunge()?;
        ensure!(self.qresync, "VANISHED without QRESYNC");
        let Some(mirror) = &mut self.mirror else { return wrong("VANISHED, nothing selected") };
        mirror.vanished(uids)?;
        let validity = mirror.validity;
        let mut model = self.model.borrow_mut();
        let now = model.tick();
        for &uid in uids {
            model.mailbox(self.account, validity).gone(uid, since, now)?;
        }
        Ok(())
    }

    fn may_expunge(&self) -> Checked {
        let by_number = self.sent.front().is_some_and(|sent| sent.by_number);
        ensure!(!by_number, "numbers change amid a command that names messages by them");
        Ok(())
    }

    fn fetched(&mut self, fetched: &Fetched<'_>, since: Moment) -> Checked {
        let selecting = matches!(self.sent.front(), Some(Sent { kind: Kind::Select { .. }, .. }));
        if selecting && self.mirror.is_none() {
            let (Some(uid), Some(flags)) = (fetched.uid, fetched.flags) else {
                return wrong("FETCH amid SELECT without UID or flags");
            };
            let one = (fetched.number, uid, flags, fetched.modseq.unwrap_or(0));
            if let Some(sent) = self.sent.front_mut() {
                sent.told.changed.push(one);
            }
            return Ok(());
        }
        ensure!(!self.qresync || fetched.uid.is_some(), "FETCH without UID where it is due");
        let Some(mirror) = &mut self.mirror else { return wrong("FETCH, nothing selected") };
        let Some(uid) = mirror.learn(fetched)? else { return Ok(()) };
        let one = (self.account, mirror.validity, uid);
        if let Some(sent) = self.sent.front_mut() {
            sent.told.fetched.insert(uid);
            if fetched.octets.is_some() {
                sent.told.read.insert(uid);
            }
        }
        let mut model = self.model.borrow_mut();
        if let Some(flags) = fetched.flags {
            model.seen(one, flags, fetched.modseq, since)?;
        } else if let (Some(modseq), Some(message)) =
            (fetched.modseq, model.message(one.0, one.1, one.2))
        {
            message.not_before(modseq, since)?;
        }
        if let Some(email) = fetched.email {
            model.identified(one, email)?;
        }
        if fetched.octets.is_some() || fetched.date.is_some() {
            model.read(one, fetched.octets, fetched.date)?;
        }
        if let (Some(size), Some(octets)) = (fetched.size, fetched.octets) {
            ensure!(size == octets.len(), "RFC822.SIZE {size} of {} octets", octets.len());
        }
        Ok(())
    }
}

/// The start of a response, to be read by a person.
pub fn shown(octets: &[u8]) -> String {
    let line = octets.split(|&octet| octet == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
    match octets.len() {
        length if length > line.len() + 2 => format!("{line} … ({length} octets)"),
        _ => line,
    }
}
