//! A client that acts at random: what clients do, and sometimes what they should not do.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::rc::Rc;

use super::Shared;
use super::append::Style;
use super::commands::SHARED;
use super::mirror::Mirror;
use super::session::{Kind, Known, Session};
use super::wire::{Checked, Dial, Stop};
use crate::Random;

/// What a client is to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of its account.
    pub account: usize,
    /// About this many commands.
    pub commands: usize,
    /// How it appends.
    pub append: Style,
    /// Percent of steps that append.
    pub appends: usize,
    /// It works in the mailboxes that all clients share.
    pub shares: bool,
    /// It mostly moves, flags and expunges.
    pub races: bool,
}

/// What a client remembers of the mailboxes that it had selected, by UIDVALIDITY: HIGHESTMODSEQ and
/// the messages.
pub type Memory = BTreeMap<u32, (Rc<str>, u64, Known)>;

/// Runs one client to the end of its plan, over as many connections as needed. It ends early when
/// the server is not there.
///
/// # Errors
/// What the server did wrong, where, and what the model expected.
pub async fn client<D: Dial>(
    dial: &D,
    model: Shared,
    mut random: Random,
    plan: Plan,
) -> Result<(), String> {
    let (mut left, mut memory) = (plan.commands, Memory::new());
    while left > 0 {
        let run = connection(dial, &model, random.fork(), plan, &mut left, &mut memory);
        match run.await {
            Ok(()) => {}
            Err(Stop::Wrong(text)) => return Err(text),
            Err(Stop::Gone(_)) if left == 0 => {}
            // A failed attempt counts as a command, so that this ends.
            Err(Stop::Gone(_)) => left -= 1,
        }
        let longest = random.pick(&[1, 10, 100]);
        dial.pause(std::time::Duration::from_millis(random.below(longest) as u64)).await;
    }
    Ok(())
}

async fn connection<D: Dial>(
    dial: &D,
    model: &Shared,
    random: Random,
    plan: Plan,
    left: &mut usize,
    memory: &mut Memory,
) -> Checked {
    let mut session = Session::open(dial, model.clone(), plan.account, random).await?;
    session.qresync = session.random.chance(70);
    session.shares = plan.shares;
    let enable = if session.qresync { "ENABLE QRESYNC" } else { "ENABLE CONDSTORE" };
    session.ask(enable, Kind::Plain).await?;
    session.replies().await?;
    if plan.shares && session.random.one_in(2) {
        session.create(SHARED).await?;
    }
    let most = session.random.within(1, plan.commands);
    for _ in 0..most.min(*left) {
        *left -= 1;
        session.step(plan, memory).await?;
        session.remember(memory);
    }
    session.trace(|| format!("has had enough, {left} commands are left"));
    match session.random.below(4) {
        0 => session.connection.reset(),
        1 => session.connection.close(),
        _ => {
            session.ask("LOGOUT", Kind::Logout).await?;
            session.replies().await?;
        }
    }
    Ok(())
}

impl<D: Dial> Session<'_, D> {
    fn remember(&self, memory: &mut Memory) {
        let Some(mirror) = self.mirror.as_ref().filter(|mirror| mirror.is_whole()) else { return };
        let known = mirror.messages.iter().filter_map(|known| Some((known.uid?, known.flags)));
        memory.insert(mirror.validity, (mirror.name.clone(), mirror.modseq, known.collect()));
    }

    /// One step, with the replies to it.
    async fn step(&mut self, plan: Plan, memory: &Memory) -> Checked {
        if plan.races && self.mirror.as_ref().is_some_and(|mirror| !mirror.read_only) {
            match self.random.below(10) {
                0 => {}
                1 => return self.appends(plan).await,
                _ => return self.race().await,
            }
        }
        if self.random.chance(plan.appends) {
            return self.appends(plan).await;
        }
        if self.mirror.is_none() && self.random.chance(80) {
            return self.select(memory).await;
        }
        match self.random.below(100) {
            0..4 => self.select(memory).await,
            4..18 => self.change_names().await,
            18..23 => self.ask_names().await,
            23..30 => self.appends(plan).await,
            _ if self.mirror.is_none() => self.select(memory).await,
            30..34 => self.idle().await,
            34..37 => self.leave().await,
            37..50 => self.pipeline(plan).await,
            50..52 => {
                // Cancelled: the client does not wait for the reply.
                self.something().await?;
                self.trace(|| "gives up".into());
                self.connection.reset();
                Err(Stop::Gone(ErrorKind::BrokenPipe))
            }
            _ => {
                self.something().await?;
                self.replies().await?;
                self.synchronise().await
            }
        }
    }

    /// Several commands ahead of their replies. None names messages by number.
    async fn pipeline(&mut self, plan: Plan) -> Checked {
        for _ in 0..self.random.within(2, 5) {
            match self.random.below(6) {
                0 => {
                    let target = self.target();
                    self.append_one(&target, plan.append).await?;
                }
                1 => self.ask("NOOP", Kind::Noop).await?,
                2 => self.fetch_all().await?,
                _ => self.store(true).await?,
            }
        }
        self.replies().await
    }

    async fn appends(&mut self, plan: Plan) -> Checked {
        let target = self.target();
        for _ in 0..self.random.pick(&[1, 1, 2, 5]) {
            self.append_one(&target, plan.append).await?;
        }
        self.replies().await?;
        self.synchronise().await
    }

    /// One command on messages of the selected mailbox.
    async fn something(&mut self) -> Checked {
        let read_only = self.mirror.as_ref().is_none_or(|mirror| mirror.read_only);
        match self.random.below(16) {
            0..5 if !read_only => {
                let uid = self.random.one_in(2);
                self.store(uid).await
            }
            5 | 6 if !read_only => self.expunge().await,
            7 | 8 => self.copy(false).await,
            9 if !read_only => self.copy(true).await,
            10 | 11 => self.read().await,
            12 => self.search().await,
            13 => self.ask("CHECK", Kind::Plain).await,
            14 => self.fetch_all().await,
            _ => self.ask("NOOP", Kind::Noop).await,
        }
    }

    /// One or two changes, the second on its way before the first is answered.
    async fn race(&mut self) -> Checked {
        for _ in 0..self.random.within(1, 2) {
            match self.random.below(12) {
                0..4 => self.store(true).await?,
                4 | 5 => self.mark(true).await?,
                6 => self.mark(false).await?,
                7 | 8 => self.expunge().await?,
                9 => self.copy(false).await?,
                _ => self.copy(true).await?,
            }
        }
        self.replies().await?;
        self.synchronise().await
    }

    /// Asks for what the session does not know yet.
    async fn synchronise(&mut self) -> Checked {
        let whole = self.mirror.as_ref().is_none_or(Mirror::is_whole);
        if !whole && !self.random.one_in(6) {
            self.fetch_all().await?;
            self.replies().await?;
        }
        Ok(())
    }

    async fn select(&mut self, memory: &Memory) -> Checked {
        let read_only = self.random.one_in(6);
        let verb = if read_only { "EXAMINE" } else { "SELECT" };
        let name = self.target();
        let validity = self.model.borrow().accounts[self.account].names.validity(&name);
        let known = validity.and_then(|validity| Some((validity, memory.get(&validity)?)));
        let known = known.filter(|_| self.qresync && self.random.chance(75));
        let (parameter, before) = match known {
            Some((validity, (_, modseq, known))) => {
                let parameter = format!(" (QRESYNC ({validity} {modseq}))");
                (parameter, Some(Box::new(known.clone())))
            }
            None => (String::new(), None),
        };
        let validity = validity.filter(|_| before.is_some());
        let kind = Kind::Select { name: name.clone(), read_only, before: validity.and(before) };
        self.ask(&format!("{verb} \"{name}\"{parameter}"), kind).await?;
        self.replies().await?;
        self.synchronise().await
    }

    async fn idle(&mut self) -> Checked {
        self.ask("IDLE", Kind::Plain).await?;
        while !self.reply().await? {
            if self.sent.is_empty() {
                return Ok(());
            }
        }
        let longest = self.random.pick(&[1, 30, 1000]);
        let milliseconds = self.random.below(longest);
        self.connection.wait(milliseconds).await;
        self.connection.send(b"DONE\r\n").await?;
        self.replies().await?;
        self.synchronise().await
    }

    /// CLOSE or UNSELECT.
    async fn leave(&mut self) -> Checked {
        let read_only = self.mirror.as_ref().is_none_or(|mirror| mirror.read_only);
        match !read_only && self.random.one_in(2) {
            true => {
                let (op, sure) = self.sweep(None);
                self.ask("CLOSE", Kind::Expunge { op, sure, closes: true }).await?;
            }
            false => self.ask("UNSELECT", Kind::Unselect).await?,
        }
        self.replies().await
    }
}
