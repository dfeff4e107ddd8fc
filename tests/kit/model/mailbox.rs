//! One mailbox: its messages, and the numbers that may only grow.

use std::collections::BTreeMap;

use super::flags::Flags;
use super::message::{Action, Message, Moment, Op, Outcome, Value};
use super::wire::{Checked, Stop, ensure};

/// See the [module](self).
#[derive(Clone, Default)]
pub struct Mailbox {
    /// All messages that ever existed, by UID.
    pub messages: BTreeMap<u32, Message>,
    /// A lower bound of UIDNEXT, and the moment since which clients know it.
    next: Vec<(Moment, u32)>,
    /// The same for HIGHESTMODSEQ.
    highest: Vec<(Moment, u64)>,
    /// UIDNEXT when everything was last verified.
    pub settled_next: u32,
    /// EXPUNGEs, and the moment at which each was over.
    sweeps: Vec<(Op, Option<Moment>)>,
}

fn at<T: Copy + Default>(told: &[(Moment, T)], moment: Moment) -> T {
    let after = told.partition_point(|(since, _)| *since <= moment);
    after.checked_sub(1).map_or_else(T::default, |last| told[last].1)
}

fn learn<T: Copy + PartialOrd>(told: &mut Vec<(Moment, T)>, number: T, now: Moment) {
    if told.last().is_none_or(|(_, last)| *last < number) {
        told.push((now, number));
    }
}

impl Mailbox {
    /// A client was told UIDNEXT.
    pub fn uid_next(&mut self, next: u32, since: Moment, now: Moment) -> Checked {
        let before = at(&self.next, since);
        ensure!(next >= before, "UIDNEXT was {before} and is {next}");
        learn(&mut self.next, next, now);
        Ok(())
    }

    /// A client was told HIGHESTMODSEQ.
    pub fn highest(&mut self, modseq: u64, since: Moment, now: Moment) -> Checked {
        let before = at(&self.highest, since);
        ensure!(modseq >= before, "HIGHESTMODSEQ was {before} and is {modseq}");
        learn(&mut self.highest, modseq, now);
        Ok(())
    }

    /// A client was told of a change with this mod-sequence.
    pub fn reaches(&mut self, modseq: u64, now: Moment) {
        learn(&mut self.highest, modseq, now);
    }

    /// A message arrived by a command begun at `since`, with one of these values. `source` has its
    /// octets and date, if they are known.
    pub fn arrives(
        &mut self,
        uid: u32,
        source: &Message,
        values: &[Value],
        since: Moment,
        now: Moment,
    ) -> Checked {
        let next = at(&self.next, since);
        let settled = self.settled_next;
        if let Some(message) = self.messages.get_mut(&uid) {
            ensure!(!message.explained, "UID {uid} was given before: {message:?}");
            message.explained = true;
            return message.is_like(source);
        }
        ensure!(uid >= next.max(settled), "UID {uid} was given when UIDNEXT was {next}");
        let mut message = Message::new(values);
        (message.class, message.date) = (source.class, source.date.clone());
        message.email.clone_from(&source.email);
        message.explained = true;
        if source.is_vague() {
            message.blur();
        }
        self.enter(uid, message, since, now)
    }

    fn enter(&mut self, uid: u32, mut message: Message, since: Moment, now: Moment) -> Checked {
        for (op, over) in &self.sweeps {
            if over.is_none_or(|over| over >= since) {
                message.begin(*op, Action::Expunge);
            }
            if over.is_some() {
                message.end(*op, Outcome::Either, now)?;
            }
        }
        message.entered = now;
        self.messages.insert(uid, message);
        learn(&mut self.next, uid + 1, now);
        Ok(())
    }

    /// A client was told the flags of a message.
    pub fn seen(
        &mut self,
        uid: u32,
        flags: Flags,
        modseq: Option<u64>,
        since: Moment,
        now: Moment,
    ) -> Checked {
        if !self.messages.contains_key(&uid) {
            let settled = self.settled_next;
            ensure!(uid >= settled, "UID {uid} is there, and was not when UIDNEXT was {settled}");
            self.enter(uid, Message::new(&[Some(flags)]), since, now)?;
        }
        let message = self.messages.get_mut(&uid).expect("it is there");
        message.seen(flags, modseq, since, now).map_err(|stop| at_uid(uid, stop))?;
        learn(&mut self.highest, modseq.unwrap_or(0), now);
        Ok(())
    }

    /// A client was told that a message is gone.
    pub fn gone(&mut self, uid: u32, since: Moment, now: Moment) -> Checked {
        match self.messages.get_mut(&uid) {
            Some(message) => message.gone(since, now).map_err(|stop| at_uid(uid, stop)),
            None => Ok(()),
        }
    }

    /// A client did not find a message.
    pub fn missed(&self, uid: u32, since: Moment) -> Checked {
        let Some(message) = self.messages.get(&uid) else { return Ok(()) };
        ensure!(message.may_be(None, since), "UID {uid} was not found; {}", message.told());
        Ok(())
    }

    /// An EXPUNGE is about to be sent.
    pub fn sweep(&mut self, op: Op) {
        self.sweeps.push((op, None));
        self.messages.values_mut().for_each(|message| message.begin(op, Action::Expunge));
    }

    /// An EXPUNGE was answered. With OK the messages that the client knew and named are gone if
    /// they had `\Deleted`.
    pub fn swept(&mut self, op: Op, sure: &[u32], rest: Outcome, now: Moment) -> Checked {
        if rest == Outcome::Not {
            self.sweeps.retain(|(own, _)| *own != op);
        }
        self.sweeps.iter_mut().filter(|(own, _)| *own == op).for_each(|own| own.1 = Some(now));
        for (uid, message) in &mut self.messages {
            let known = sure.binary_search(uid).is_ok();
            let outcome = if known { Outcome::Done } else { rest };
            message.end(op, outcome, now).map_err(|stop| at_uid(*uid, stop))?;
        }
        Ok(())
    }

    /// Whether messages that no client knew may have vanished.
    pub fn was_swept(&self) -> bool {
        !self.sweeps.is_empty()
    }

    /// A batch in doubt, begun at `since`, was found from this UID on.
    pub fn not_used_before(&self, uid: u32, since: Moment) -> Checked {
        let next = at(&self.next, since).max(self.settled_next);
        ensure!(uid >= next, "UID {uid} was given when UIDNEXT was {next}");
        Ok(())
    }

    /// UIDNEXT as it was last told.
    pub fn last_next(&self) -> u32 {
        self.next.last().map_or(1, |(_, next)| *next)
    }

    /// Everything was verified.
    pub fn settle(&mut self, next: u32) {
        self.settled_next = next;
        self.sweeps.clear();
    }
}

impl Message {
    /// Takes octets, date and EMAILID over from another message, which must not contradict those
    /// known.
    pub fn is_like(&mut self, source: &Message) -> Checked {
        let (own, other) = (self.class, source.class);
        ensure!(
            own.is_none() || other.is_none() || own == other,
            "the octets are of class {own:?}, not {other:?}"
        );
        let (own, other) = (&self.date, &source.date);
        ensure!(
            own.is_none() || other.is_none() || own == other,
            "the internal date is {own:?}, not {other:?}"
        );
        let (own, other) = (&self.email, &source.email);
        ensure!(
            own.is_none() || other.is_none() || own == other,
            "the EMAILID is {own:?}, not {other:?}"
        );
        self.class = self.class.or(source.class);
        self.email = self.email.take().or_else(|| source.email.clone());
        self.date = self.date.take().or_else(|| source.date.clone());
        Ok(())
    }
}

/// Adds the UID to what is wrong.
pub fn at_uid(uid: u32, stop: Stop) -> Stop {
    stop.about(|| format!("UID {uid}"))
}
