//! Where messages came from whose arrival was never acknowledged: a batch in doubt is there whole,
//! in its order, under consecutive UIDs, or not at all.

use std::collections::BTreeSet;

use super::flags::DELETED;
use super::mailbox::at_uid;
use super::message::{Op, Outcome};
use super::model::{Batch, Copying, Model, Stage};
use super::wire::{Checked, ensure, wrong};

/// A mailbox as it was found.
pub struct Found {
    /// Its name.
    pub name: String,
    /// UIDVALIDITY.
    pub validity: u32,
    /// UIDs, ascending.
    pub uids: BTreeSet<u32>,
    /// Those that no client had heard of before.
    pub fresh: BTreeSet<u32>,
}

/// Whether messages came by a certain COPY or MOVE.
struct Trial<'a> {
    target: &'a Found,
    /// Unless it is gone.
    source: Option<&'a Found>,
    copying: &'a Copying,
}

impl Model {
    /// Explains all messages of an account. Everything in it was just looked at.
    pub fn explain(&mut self, account: usize, found: &[Found]) -> Checked {
        for mailbox in found {
            for &uid in &mailbox.uids {
                let known = self.message(account, mailbox.validity, uid);
                let Some(known) = known.filter(|message| !message.explained) else { continue };
                let Some(class) = known.class else { continue };
                if !self.by_append(account, mailbox, uid, class)?
                    && !self.by_copy(account, (mailbox, found), uid)?
                {
                    return wrong(self.unexplained(account, mailbox, uid, class));
                }
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

    fn by_append(
        &mut self,
        account: usize,
        mailbox: &Found,
        uid: u32,
        class: u32,
    ) -> Checked<bool> {
        let in_doubt = self
            .batches
            .values()
            .filter(|batch| batch.account == account && batch.stage == Stage::Sent);
        let mut starts = Vec::new();
        for batch in in_doubt {
            let steady = self.accounts[account].names.is_steady(&batch.target);
            if steady && *batch.target != *mailbox.name {
                continue;
            }
            let places = batch.contents.iter().enumerate();
            let same = places.filter(|(_, content)| content.class == class);
            starts.extend(same.filter_map(|(at, _)| Some((batch.op, uid.checked_sub(at as u32)?))));
        }
        for (op, first) in starts {
            if self.fits(account, mailbox, &self.batches[&op], first) {
                self.is_there(account, mailbox, op, first)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fits(&self, account: usize, mailbox: &Found, batch: &Batch, first: u32) -> bool {
        let known = &self.accounts[account].boxes[&mailbox.validity];
        (first..).zip(&batch.contents).all(|(uid, content)| {
            let message = known.messages.get(&uid);
            match message.filter(|_| mailbox.uids.contains(&uid)) {
                // One that could not be read, because it has rotted, may be any.
                Some(message) => {
                    !message.explained && message.class.is_none_or(|class| class == content.class)
                }
                // It may have gone again before this look.
                None => match message {
                    Some(message) => !message.explained && message.may_be(None, batch.begun),
                    None => content.flags & DELETED != 0 && known.was_swept(),
                },
            }
        })
    }

    fn is_there(&mut self, account: usize, mailbox: &Found, op: Op, first: u32) -> Checked {
        let Some(batch) = self.batches.get_mut(&op) else { return Ok(()) };
        batch.stage = Stage::There;
        let (contents, begun) = (std::mem::take(&mut batch.contents), batch.begun);
        let known = self.mailbox(account, mailbox.validity);
        known.not_used_before(first, begun)?;
        for (uid, content) in (first..).zip(contents) {
            let Some(message) = known.messages.get_mut(&uid) else { continue };
            message.is_like(&content.as_message()).map_err(|stop| at_uid(uid, stop))?;
            message.explained = true;
            ensure!(
                !mailbox.fresh.contains(&uid) || message.may_be(Some(content.flags), begun),
                "UID {uid} was sent with ({}); {}",
                super::flags::written(content.flags),
                message.told()
            );
        }
        Ok(())
    }

    fn by_copy(
        &mut self,
        account: usize,
        (mailbox, all): (&Found, &[Found]),
        uid: u32,
    ) -> Checked<bool> {
        let known = &self.accounts[account].boxes[&mailbox.validity];
        let in_doubt = self.copies.values().filter(|copying| {
            let steady = self.accounts[account].names.is_steady(&copying.target);
            copying.account == account
                && copying.stage == Stage::Sent
                && known.not_used_before(uid, copying.begun).is_ok()
                && (!steady || *copying.target == *mailbox.name)
        });
        let mut found = in_doubt.filter_map(|copying| {
            let mut pairs = Vec::new();
            let source = all.iter().find(|mailbox| mailbox.validity == copying.source);
            let trial = Trial { target: mailbox, source, copying };
            let fits = self.align(&trial, &copying.uids, uid, &mut pairs);
            fits.then_some((copying.op, pairs))
        });
        let Some((op, pairs)) = found.next() else { return Ok(false) };
        let Some(copying) = self.copies.get_mut(&op) else { return Ok(false) };
        copying.stage = Stage::There;
        let (source, begun) = (copying.source, copying.begun);
        for &(from, to) in &pairs {
            let values = self.message(account, source, from).map(|message| message.values(begun));
            let fresh = mailbox.fresh.contains(&to);
            let Some(message) = self.message(account, mailbox.validity, to) else { continue };
            message.explained = true;
            let may_be = |value: &super::message::Value| message.may_be(*value, begun);
            ensure!(
                !fresh || values.is_none_or(|values| values.iter().any(may_be)),
                "UID {to}, a copy of UID {from}, has other flags: {}",
                message.told()
            );
        }
        let taken: Vec<u32> = pairs.iter().map(|(from, _)| *from).collect();
        self.take(op, &taken, Outcome::Either)?;
        Ok(true)
    }

    /// Whether the messages from `to` on are copies of these, in their order; those that may have
    /// been gone are left out.
    fn align(&self, trial: &Trial<'_>, uids: &[u32], to: u32, pairs: &mut Vec<(u32, u32)>) -> bool {
        let Some((&from, rest)) = uids.split_first() else { return !pairs.is_empty() };
        let Trial { target: mailbox, copying, .. } = trial;
        // What is in the source now was there all the time, and was not moved.
        let stays = trial.source.is_some_and(|source| source.uids.contains(&from));
        let boxes = &self.accounts[copying.account].boxes;
        let source = boxes.get(&copying.source).and_then(|source| source.messages.get(&from));
        let target = &boxes[&mailbox.validity];
        let copied = target.messages.get(&to);
        let same = match (source, copied) {
            (Some(source), Some(copied)) => {
                let there = mailbox.uids.contains(&to);
                !copied.explained
                    && (source.class == copied.class
                        || source.class.is_none()
                        || copied.class.is_none())
                    && (there || copied.may_be(None, copying.begun))
            }
            (Some(_), None) => target.was_swept(),
            (None, _) => false,
        };
        if same && !(copying.moved && stays) {
            pairs.push((from, to));
            if self.align(trial, rest, to + 1, pairs) {
                return true;
            }
            pairs.pop();
        }
        let may_be_gone = source.is_none_or(|source| source.may_be(None, copying.begun));
        may_be_gone && !stays && self.align(trial, rest, to, pairs)
    }

    /// A MOVE in doubt whose messages were not found in its target did not happen, if they cannot
    /// have gone from there.
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

    /// Nothing that is not explained can have come to this mailbox and gone again.
    fn is_intact(&self, account: usize, mailbox: &Found) -> bool {
        let known = &self.accounts[account].boxes[&mailbox.validity];
        !known.was_swept() && known.messages.values().all(|message| message.explained)
    }

    /// What one connection sent to one mailbox came in that order, and nothing without what was
    /// sent before it.
    fn pipelines(&self, account: usize, found: &[Found]) -> Checked {
        if self.weather.full || self.accounts[account].person.quota.is_some() {
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
