//! Explains messages whose arrival was never acknowledged: a batch in doubt is there whole, in its
//! order, under consecutive UIDs, or not at all.
//!
//! Several commands in doubt may fit the same message: an APPEND whose message was flagged and then
//! moved by a MOVE in doubt leaves one message that has the octets of the APPEND, the flags of the
//! MOVE, and belongs to the MOVE. So this is a search with backtracking over causes. The server is
//! wrong only if no choice explains everything.

use std::collections::BTreeSet;

use super::flags::DELETED;
use super::mailbox::{Mailbox, at_uid};
use super::message::{Message, Op, Outcome};
use super::wire::{Checked, ensure, wrong};
use super::{Batch, Copying, Model, Stage};

/// Causes tried for all messages of an account before the search gives up.
const TRIES: usize = 20_000;

/// Messages examined as possible copies before the search for copies ends.
const ALIGNED: usize = 1_000_000;

/// Ways that are tried in which one COPY or MOVE may have brought a message.
const ALIGNMENTS: usize = 50;

/// A mailbox as found on the server.
pub struct Found {
    /// Its name.
    pub name: String,
    /// UIDVALIDITY.
    pub validity: u32,
    /// UIDs, ascending.
    pub uids: BTreeSet<u32>,
    /// UIDs that no client had heard of before.
    pub fresh: BTreeSet<u32>,
}

/// The command that brought messages, and their place.
enum Cause {
    /// An APPEND, from this UID on.
    Append { op: Op, at: usize, first: u32 },
    /// A COPY or MOVE: UIDs of the source and of the target.
    Copy { op: Op, at: usize, pairs: Pairs },
}

/// A search for the causes of all messages of an account.
struct Search<'a> {
    model: &'a Model,
    account: usize,
    found: &'a [Found],
    chosen: Vec<Cause>,
    /// Operations that are already used as a cause.
    used: BTreeSet<Op>,
    /// UIDVALIDITY and UID of messages that have a cause.
    explained: BTreeSet<(u32, u32)>,
    tries: usize,
    /// Messages examined as possible copies.
    aligned: usize,
    /// The largest number of messages with a cause so far, and the first without one then.
    furthest: (usize, Option<(usize, u32, u32)>),
}

/// UIDs of the source and of the target.
type Pairs = Vec<(u32, u32)>;

/// Whether a certain COPY or MOVE brought a message.
struct Trial<'a> {
    target: &'a Found,
    /// The source, unless it is gone.
    source: Option<&'a Found>,
    copying: &'a Copying,
    /// The message, in the target.
    uid: u32,
    /// The ways in which it may have arrived.
    found: Vec<Pairs>,
}

/// The progress of one step of a MOVE. A MOVE of more messages than a step takes is done in several
/// steps, one after the other. A COPY is one step.
#[derive(Clone, Copy)]
struct Step {
    /// The next UID of the target.
    to: u32,
    /// Messages that it moved.
    moved: usize,
    /// Messages that it found gone, or did not find.
    gone: usize,
}

impl Model {
    /// Explains all messages of an account. `found` is everything in it.
    pub fn explain(&mut self, account: usize, found: &[Found]) -> Checked {
        let mut search = Search {
            model: self,
            account,
            found,
            chosen: Vec::new(),
            used: BTreeSet::new(),
            explained: BTreeSet::new(),
            tries: 0,
            aligned: 0,
            furthest: (0, None),
        };
        if !search.goes_on() {
            let Some((at, uid, class)) = search.furthest.1 else { return wrong("no cause found") };
            return wrong(self.unexplained(account, &found[at], uid, class));
        }
        for cause in search.chosen {
            match cause {
                Cause::Append { op, at, first } => self.is_there(account, &found[at], op, first)?,
                Cause::Copy { op, at, pairs } => self.is_copied(account, &found[at], op, &pairs)?,
            }
        }
        self.moves_are_over(account, found)?;
        self.pipelines(account, found)?;
        for batch in self.batches.values_mut().filter(|batch| batch.account == account) {
            if matches!(batch.stage, Stage::Partly | Stage::Sent) {
                batch.stage = Stage::Refused;
            }
        }
        Ok(())
    }

    fn unexplained(&self, account: usize, mailbox: &Found, uid: u32, class: u32) -> String {
        let has = |batch: &&Batch| batch.contents.iter().any(|content| content.class == class);
        let batches = self.batches.values().filter(|batch| batch.account == account);
        let about: Vec<_> = batches
            .filter(has)
            .map(|batch| {
                let classes: Vec<_> = batch.contents.iter().map(|content| content.class).collect();
                format!("APPEND {} to {}: {:?}, {classes:?}", batch.op, batch.target, batch.stage)
            })
            .collect();
        let there: Vec<_> = mailbox
            .uids
            .iter()
            .map(|uid| {
                let message = self.accounts[account].boxes[&mailbox.validity].messages.get(uid);
                (uid, message.and_then(|message| message.class))
            })
            .collect();
        format!(
            "UID {uid} of {}, class {class}, is of a batch in part, twice, refused or never sent: \
             {about:?}; there are {there:?}",
            mailbox.name
        )
    }

    fn is_there(&mut self, account: usize, mailbox: &Found, op: Op, first: u32) -> Checked {
        let Some(batch) = self.batches.get_mut(&op) else { return Ok(()) };
        batch.stage = Stage::There;
        let contents = std::mem::take(&mut batch.contents);
        let known = self.mailbox(account, mailbox.validity);
        for (uid, content) in (first..).zip(contents) {
            let Some(message) = known.messages.get_mut(&uid) else { continue };
            message.is_like(&content.as_message()).map_err(|stop| at_uid(uid, stop))?;
            message.explained = true;
        }
        Ok(())
    }

    fn is_copied(
        &mut self,
        account: usize,
        mailbox: &Found,
        op: Op,
        pairs: &[(u32, u32)],
    ) -> Checked {
        let Some(copying) = self.copies.get_mut(&op) else { return Ok(()) };
        copying.stage = Stage::There;
        for (_, to) in pairs {
            if let Some(message) = self.message(account, mailbox.validity, *to) {
                message.explained = true;
            }
        }
        let taken: Vec<u32> = pairs.iter().map(|(from, _)| *from).collect();
        self.take(op, &taken, Outcome::Either)
    }

    /// A MOVE in doubt whose messages are not in its target did not happen, unless they can have
    /// been removed from there.
    fn moves_are_over(&mut self, account: usize, found: &[Found]) -> Checked {
        let in_doubt = self
            .copies
            .values()
            .filter(|copying| copying.account == account && copying.stage == Stage::Sent);
        let ops: Vec<(Op, bool)> = in_doubt
            .map(|copying| {
                let steady = self.accounts[account].names.is_steady(&copying.target);
                let target = found.iter().find(|mailbox| *mailbox.name == *copying.target);
                (copying.op, steady && target.is_some_and(|target| self.is_intact(account, target)))
            })
            .collect();
        for (op, intact) in ops {
            self.take(op, &[], if intact { Outcome::Not } else { Outcome::Either })?;
            if let Some(copying) = self.copies.get_mut(&op) {
                copying.stage = Stage::Refused;
            }
        }
        Ok(())
    }

    /// Whether no unexplained message can have come to this mailbox and been removed again.
    fn is_intact(&self, account: usize, mailbox: &Found) -> bool {
        let known = &self.accounts[account].boxes[&mailbox.validity];
        !known.was_swept() && known.messages.values().all(|message| message.explained)
    }

    /// What one connection sent to one mailbox arrived in that order, and nothing without what was
    /// sent before it.
    fn pipelines(&self, account: usize, found: &[Found]) -> Checked {
        if self.accounts[account].person.quota.is_some() {
            return Ok(());
        }
        for mailbox in found {
            let names = &self.accounts[account].names;
            if !names.is_steady(&mailbox.name) || !self.is_intact(account, mailbox) {
                continue;
            }
            let own = self
                .batches
                .values()
                .filter(|batch| batch.account == account && *batch.target == *mailbox.name);
            let mut missing: Vec<&Batch> = Vec::new();
            for batch in own {
                match batch.stage {
                    // After a batch without room the next one may succeed.
                    Stage::Sent if batch.in_want => {}
                    Stage::Sent => missing.push(batch),
                    Stage::There => {
                        let before = missing.iter().find(|b| b.connection == batch.connection);
                        ensure!(
                            before.is_none(),
                            "APPEND {} to {} is there without APPEND {:?} before it",
                            batch.op,
                            mailbox.name,
                            before.map(|before| before.op)
                        );
                    }
                    Stage::Partly | Stage::Refused => {}
                }
            }
        }
        Ok(())
    }
}

impl Trial<'_> {
    /// Whether a message is still in the source, so that it was not moved.
    fn stays(&self, from: u32) -> bool {
        self.source.is_some_and(|source| source.uids.contains(&from))
    }

    /// Whether steps may end anywhere for want of room.
    fn has_little_room(model: &Model) -> bool {
        model.bounds.little_room
    }

    fn in_parts(&self, model: &Model) -> bool {
        let most = model.bounds.step_messages;
        self.copying.moved && (self.copying.uids.len() > most || Self::has_little_room(model))
    }

    /// Whether a step may end here. Messages that were gone may count or not.
    fn may_end(&self, model: &Model, at: Step) -> bool {
        let most = model.bounds.step_messages;
        Self::has_little_room(model) || at.moved <= most && most <= at.moved + at.gone
    }

    /// Records a way in which it may have arrived.
    fn is_found(&mut self, pairs: &Pairs) {
        if pairs.iter().any(|(_, to)| *to == self.uid) && !self.found.contains(pairs) {
            self.found.push(pairs.clone());
        }
    }
}

impl<'a> Search<'a> {
    fn known(&self, mailbox: &Found) -> &'a Mailbox {
        &self.model.accounts[self.account].boxes[&mailbox.validity]
    }

    fn is_explained(&self, mailbox: &Found, uid: u32, message: &Message) -> bool {
        message.explained || self.explained.contains(&(mailbox.validity, uid))
    }

    /// The first message without a cause, and its class.
    fn next(&self) -> Option<(usize, u32, u32)> {
        self.found.iter().enumerate().find_map(|(at, mailbox)| {
            let known = self.known(mailbox);
            mailbox.uids.iter().find_map(|&uid| {
                let message = known.messages.get(&uid)?;
                let open = !self.is_explained(mailbox, uid, message);
                Some((at, uid, message.class.filter(|_| open)?))
            })
        })
    }

    /// Whether there are causes for all messages that have none yet.
    fn goes_on(&mut self) -> bool {
        let Some((at, uid, class)) = self.next() else { return true };
        if self.furthest.1.is_none() || self.explained.len() > self.furthest.0 {
            self.furthest = (self.explained.len(), Some((at, uid, class)));
        }
        let mut causes = self.appends(at, uid, class);
        causes.extend(self.copies(at, uid));
        for cause in causes {
            self.tries += 1;
            if self.tries > TRIES {
                return false;
            }
            let (op, at, uids) = self.of(&cause);
            let new: Vec<_> = uids
                .into_iter()
                .map(|uid| (self.found[at].validity, uid))
                .filter(|message| self.explained.insert(*message))
                .collect();
            self.used.insert(op);
            self.chosen.push(cause);
            if self.goes_on() {
                return true;
            }
            self.chosen.pop();
            self.used.remove(&op);
            new.iter().for_each(|message| {
                self.explained.remove(message);
            });
        }
        false
    }

    /// The operation, the mailbox, and the UIDs that a cause explains.
    fn of(&self, cause: &Cause) -> (Op, usize, Vec<u32>) {
        match cause {
            Cause::Append { op, at, first } => {
                let count = self.model.batches[op].contents.len() as u32;
                (*op, *at, (*first..first + count).collect())
            }
            Cause::Copy { op, at, pairs } => (*op, *at, pairs.iter().map(|(_, to)| *to).collect()),
        }
    }

    fn appends(&self, at: usize, uid: u32, class: u32) -> Vec<Cause> {
        let (mailbox, names) = (&self.found[at], &self.model.accounts[self.account].names);
        let mut causes = Vec::new();
        for batch in self.model.batches.values() {
            let in_doubt = batch.account == self.account && batch.stage == Stage::Sent;
            let elsewhere = names.is_steady(&batch.target) && *batch.target != *mailbox.name;
            if !in_doubt || elsewhere || self.used.contains(&batch.op) {
                continue;
            }
            let places = batch.contents.iter().enumerate();
            for (place, _) in places.filter(|(_, content)| content.class == class) {
                let Some(first) = uid.checked_sub(place as u32) else { continue };
                if self.fits(mailbox, batch, first) {
                    causes.push(Cause::Append { op: batch.op, at, first });
                }
            }
        }
        causes
    }

    fn fits(&self, mailbox: &Found, batch: &Batch, first: u32) -> bool {
        let known = self.known(mailbox);
        if known.not_used_before(first, batch.begun).is_err() {
            return false;
        }
        (first..).zip(&batch.contents).all(|(uid, content)| {
            let message = known.messages.get(&uid);
            match message.filter(|_| mailbox.uids.contains(&uid)) {
                // One that could not be read because of damage may be any.
                Some(message) => {
                    !self.is_explained(mailbox, uid, message)
                        && message.clone().is_like(&content.as_message()).is_ok()
                        && (!mailbox.fresh.contains(&uid)
                            || message.may_be(Some(content.flags), batch.begun))
                }
                // It may have been removed before this verification.
                None => match message {
                    Some(message) => {
                        !self.is_explained(mailbox, uid, message)
                            && message.may_be(None, batch.begun)
                    }
                    None => content.flags & DELETED != 0 && known.was_swept(),
                },
            }
        })
    }

    fn copies(&mut self, at: usize, uid: u32) -> Vec<Cause> {
        let (model, found) = (self.model, self.found);
        let (mailbox, names) = (&found[at], &model.accounts[self.account].names);
        let mut causes = Vec::new();
        for copying in model.copies.values() {
            let in_doubt = copying.account == self.account && copying.stage == Stage::Sent;
            let elsewhere = names.is_steady(&copying.target) && *copying.target != *mailbox.name;
            if !in_doubt || elsewhere || self.used.contains(&copying.op) {
                continue;
            }
            let source = found.iter().find(|mailbox| mailbox.validity == copying.source);
            let mut trial = Trial { target: mailbox, source, copying, uid, found: Vec::new() };
            // Those before it may have been removed.
            let most = if trial.in_parts(model) { uid } else { copying.uids.len() as u32 };
            for before in 0..most {
                let Some(first) = uid.checked_sub(before).filter(|first| *first > 0) else { break };
                if self.known(mailbox).not_used_before(first, copying.begun).is_err() {
                    break;
                }
                let step = Step { to: first, moved: 0, gone: 0 };
                self.align(&mut trial, &copying.uids, step, &mut Vec::new());
            }
            causes.extend(trial.found.into_iter().map(|pairs| {
                Cause::Copy { op: copying.op, at, pairs } //
            }));
        }
        causes
    }

    /// Finds all ways in which the messages from `at` on are copies of these, in order. Messages
    /// that may have been gone are left out.
    fn align(&mut self, trial: &mut Trial<'_>, uids: &[u32], at: Step, pairs: &mut Pairs) {
        self.aligned += 1;
        // That message is not one of them.
        let passed = at.to > trial.uid && !pairs.iter().any(|(_, to)| *to == trial.uid);
        if passed || self.aligned > ALIGNED || trial.found.len() >= ALIGNMENTS {
            return;
        }
        let Some((&from, rest)) = uids.split_first() else { return trial.is_found(pairs) };
        let copying = trial.copying;
        let may_end = copying.moved && trial.may_end(self.model, at);
        if may_end && uids.iter().all(|&uid| trial.stays(uid) || self.may_be_gone(trial, uid)) {
            trial.is_found(pairs);
        }
        if may_end && at.moved + at.gone > 0 {
            self.align(trial, uids, Step { moved: 0, gone: 0, ..at }, pairs);
        }
        if copying.moved && at.moved == self.model.bounds.step_messages {
            return;
        }
        let stays = trial.stays(from);
        if !(copying.moved && stays) {
            let source = self.model.accounts[copying.account].boxes.get(&copying.source);
            let source = source.and_then(|source| source.messages.get(&from));
            // Between two steps of a MOVE other messages may arrive.
            let last = match at.moved == 0 && copying.moved && !pairs.is_empty() {
                true if at.to <= trial.uid => trial.uid,
                true => self.known(trial.target).messages.keys().last().copied().unwrap_or(0),
                false => at.to,
            };
            for to in at.to..=last.max(at.to) {
                if self.is_copy(trial, source, to) {
                    pairs.push((from, to));
                    self.align(trial, rest, Step { to: to + 1, moved: at.moved + 1, ..at }, pairs);
                    pairs.pop();
                }
            }
        }
        if !stays && self.may_be_gone(trial, from) {
            self.align(trial, rest, Step { gone: at.gone + 1, ..at }, pairs);
        }
    }

    /// Whether a message may have left the source before its turn.
    fn may_be_gone(&self, trial: &Trial<'_>, from: u32) -> bool {
        let copying = trial.copying;
        let source = self.model.accounts[copying.account].boxes.get(&copying.source);
        let message = source.and_then(|source| source.messages.get(&from));
        message.is_none_or(|message| match copying.moved {
            true => trial.source.is_none() || message.may_be_gone_without(copying.op),
            false => message.may_be(None, copying.begun),
        })
    }

    fn is_copy(&self, trial: &Trial<'_>, source: Option<&Message>, to: u32) -> bool {
        let Trial { target: mailbox, copying, .. } = trial;
        let target = self.known(mailbox);
        let Some(source) = source else { return false };
        let Some(copied) = target.messages.get(&to) else { return target.was_swept() };
        let there = mailbox.uids.contains(&to);
        let flags = match copying.moved {
            true => source.flags_taken(copying.op),
            false => source.values(copying.begun),
        };
        !self.is_explained(mailbox, to, copied)
            && copied.clone().is_like(&source.to_copy()).is_ok()
            && (there || copied.may_be(None, copying.begun))
            && (!mailbox.fresh.contains(&to)
                || source.is_vague()
                || flags.iter().any(|value| copied.may_be(*value, copying.begun)))
    }
}
