//! What a tagged reply says about its command.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::Model;
use super::flags::written;
use super::message::{Message, Op, Outcome};
use super::mirror::Mirror;
use super::names::Said;
use super::session::{Kind, Known, Sent, Session, Told};
use super::wire::reply::Status;
use super::wire::{Checked, Dial, ensure, wrong};
use crate::numbers;

impl<D: Dial> Session<'_, D> {
    pub(super) fn tagged(&mut self, tag: &str, status: &Status<'_>) -> Checked {
        let Some(sent) = self.sent.pop_front() else {
            return wrong(format!("a reply to {tag}, which was not asked"));
        };
        ensure!(sent.tag == tag, "the reply to {tag} before that to {}", sent.tag);
        self.model.borrow_mut().replies += 1;
        let highest = match status.code {
            "HIGHESTMODSEQ" => status.data.parse().ok(),
            _ => sent.told.numbers.get("HIGHESTMODSEQ").copied(),
        };
        if let Some(modseq) = highest
            && let Some(mirror) = &mut self.mirror
        {
            // The session has heard of everything up to there, and resumes from there. It may be
            // lower than before, while an EXPUNGE waits.
            mirror.modseq = modseq;
            let mut model = self.model.borrow_mut();
            let now = model.tick();
            model.mailbox(self.account, mirror.validity).reaches(modseq, now);
        }
        if status.word == "BAD" && !matches!(sent.kind, Kind::Append { refused: true, .. }) {
            return wrong(format!("BAD to a command that makes sense: {}", status.text));
        }
        let model = self.model.clone();
        let mut model = model.borrow_mut();
        let unavailable = status.word == "NO" && status.code == "UNAVAILABLE";
        let weather = model.weather;
        let foul = weather.full || weather.ending || weather.rotten;
        ensure!(!unavailable || foul, "NO [UNAVAILABLE] without a reason: {}", status.text);
        let deleted = status.code == "NONEXISTENT" && self.may_be_deleted(&model, sent.since);
        // What COPYUID tells has happened, even if the rest of a MOVE has not.
        let in_part = matches!(sent.kind, Kind::Copy { .. }) && sent.told.copied.is_some();
        match sent.kind {
            Kind::Append { op, refused } => self.on_append(&mut model, op, refused, status),
            Kind::Login if unavailable => {
                self.over = true;
                Ok(())
            }
            Kind::Fetch { .. } if weather.rotten && !status.is_ok() => Ok(()),
            // It may have been written, and is in doubt until the server starts again.
            _ if unavailable && !in_part => Ok(()),
            Kind::Store { .. } | Kind::Expunge { .. } if deleted => Ok(()),
            Kind::Plain | Kind::Login | Kind::Logout => {
                ensure!(status.is_ok(), "{} to what must succeed: {}", status.word, status.text);
                Ok(())
            }
            Kind::Select { name, read_only, before } => {
                let known = (before.as_deref(), read_only);
                self.on_select(&mut model, &name, known, status, sent.since, sent.told)
            }
            Kind::Status(name) => self.on_status(&mut model, &name, status, sent.since, &sent.told),
            Kind::Metadata(name) => {
                let names = &mut model.accounts[self.account].names;
                if status.is_ok() {
                    return names.noted(&name, &sent.told.notes, sent.since);
                }
                ensure!(status.code == "NONEXISTENT", "[{}] {}", status.code, status.text);
                names.missed(&name, sent.since)
            }
            Kind::List => {
                model.accounts[self.account].names.listed(&sent.told.names, sent.since) //
            }
            Kind::Lsub => {
                let names = sent.told.names.into_keys().collect();
                model.accounts[self.account].names.subscriptions(&names, sent.since)
            }
            Kind::Store { .. } => self.on_store(&mut model, sent, status),
            Kind::Fetch { .. } => self.on_fetch(&mut model, sent, status),
            Kind::Search { uids } => self.on_search(&mut model, &uids, sent.since, &sent.told),
            Kind::Noop => {
                ensure!(status.is_ok(), "{}: {}", status.word, status.text);
                self.was_told_all(&mut model, sent.since)
            }
            Kind::Unselect => {
                ensure!(status.is_ok(), "{}: {}", status.word, status.text);
                self.mirror = None;
                Ok(())
            }
            Kind::Expunge { op, sure, closes } => {
                ensure!(status.is_ok(), "{}: {}", status.word, status.text);
                let Some(mirror) = &self.mirror else { return Ok(()) };
                let now = model.tick();
                let mailbox = model.mailbox(self.account, mirror.validity);
                if closes {
                    self.mirror = None;
                }
                mailbox.swept(op, &sure, Outcome::Either, now)
            }
            Kind::Copy { op, target } => self.on_copy(&mut model, op, &target, &sent.told, status),
            Kind::Names(op) => self.on_names(&mut model, op, status),
        }
    }

    fn on_append(
        &mut self,
        model: &mut Model,
        op: Op,
        refused: bool,
        status: &Status<'_>,
    ) -> Checked {
        if !status.is_ok() {
            model.append_refused(op);
            let batch = &model.batches[&op];
            let account = &model.accounts[self.account];
            let reason = match status.code {
                "TRYCREATE" => return account.names.missed(&batch.target, batch.begun),
                "LIMIT" => refused || model.may_be_too_much(batch.contents.len()),
                "OVERQUOTA" => account.person.quota.is_some(),
                "UNAVAILABLE" => true,
                _ => refused,
            };
            ensure!(reason, "{} [{}] {}", status.word, status.code, status.text);
            return Ok(());
        }
        ensure!(!refused, "OK to an APPEND that must be refused");
        let uids = (status.code == "APPENDUID").then(|| status.data.split_once(' ')).flatten();
        let uids = uids.and_then(|(validity, uids)| Some((validity.parse().ok()?, numbers(uids)?)));
        let Some((validity, uids)) = uids else { return wrong("OK without an APPENDUID") };
        model.appended(op, validity, &uids)
    }

    fn on_select(
        &mut self,
        model: &mut Model,
        name: &Rc<str>,
        (before, read_only): (Option<&Known>, bool),
        status: &Status<'_>,
        since: u64,
        told: Told,
    ) -> Checked {
        self.mirror = None;
        let names = &mut model.accounts[self.account].names;
        if !status.is_ok() {
            ensure!(status.code == "NONEXISTENT", "[{}] {}", status.code, status.text);
            return names.missed(name, since);
        }
        let number = |name: &str| told.numbers.get(name).copied();
        let (Some(validity), Some(next), Some(modseq), Some(exists)) = (
            number("UIDVALIDITY").and_then(|n| u32::try_from(n).ok()),
            number("UIDNEXT").and_then(|n| u32::try_from(n).ok()),
            number("HIGHESTMODSEQ"),
            told.exists,
        ) else {
            return wrong("SELECT without UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ or EXISTS");
        };
        names.found(name, validity, told.id.as_deref(), since)?;
        let now = model.tick();
        let mailbox = model.mailbox(self.account, validity);
        mailbox.uid_next(next, since, now)?;
        mailbox.highest(modseq, since, now)?;
        let messages = vec![super::mirror::Known::default(); exists as usize];
        let name = name.clone();
        let mut mirror = Mirror { name, validity, modseq, read_only, messages };
        if let Some(before) = before {
            resynchronised(model, self.account, &mut mirror, before, since, &told)?;
        }
        self.mirror = Some(mirror);
        Ok(())
    }

    fn on_status(
        &mut self,
        model: &mut Model,
        name: &str,
        status: &Status<'_>,
        since: u64,
        told: &Told,
    ) -> Checked {
        let names = &mut model.accounts[self.account].names;
        if !status.is_ok() {
            ensure!(status.code == "NONEXISTENT", "[{}] {}", status.code, status.text);
            return names.missed(name, since);
        }
        let number = |name: &str| told.status.get(name).copied();
        let (Some(validity), Some(next), Some(modseq)) = (
            number("UIDVALIDITY").and_then(|n| u32::try_from(n).ok()),
            number("UIDNEXT").and_then(|n| u32::try_from(n).ok()),
            number("HIGHESTMODSEQ"),
        ) else {
            return wrong("STATUS without what was asked for");
        };
        names.found(name, validity, None, since)?;
        let now = model.tick();
        let mailbox = model.mailbox(self.account, validity);
        mailbox.uid_next(next, since, now)?;
        mailbox.highest(modseq, since, now)
    }

    fn on_store(&mut self, model: &mut Model, sent: Sent, status: &Status<'_>) -> Checked {
        let Kind::Store { op, uids, conditional, uid, silent } = sent.kind else { return Ok(()) };
        let Some(mirror) = &mut self.mirror else { return Ok(()) };
        if silent {
            mirror.forget(&uids);
        }
        let limited = status.code == "LIMIT" && model.keywords_run_out();
        // A change that ended between its messages says where.
        let end = status.text.split("below UID ").nth(1).and_then(|text| text.split(' ').next());
        let end = end.and_then(|uid| uid.parse().ok()).unwrap_or(0);
        let gone = status.code == "EXPUNGEISSUED";
        ensure!(status.is_ok() || gone || limited, "[{}] {}", status.code, status.text);
        let modified = match status.code {
            "MODIFIED" => numbers(status.data).unwrap_or_default(),
            _ => Vec::new(),
        };
        ensure!(modified.is_empty() || conditional, "MODIFIED without a condition");
        let left_alone = |own: u32| match uid {
            true => modified.contains(&own),
            // Numbers do not change during this command.
            false => mirror.find(own).is_some_and(|at| modified.contains(&(at as u32 + 1))),
        };
        let now = model.tick();
        for own in uids {
            let known = mirror.find(own).is_some();
            let outcome = match status.code {
                // NO does not say which of these had changed before and were left alone.
                "LIMIT" if own < end && conditional => Outcome::Either,
                "LIMIT" if own < end => Outcome::Done,
                _ if limited || left_alone(own) => Outcome::Not,
                // Some were gone, and the answer does not say which.
                "EXPUNGEISSUED" | "MODIFIED" => Outcome::Done,
                // OK says nothing about messages that the session knew to be gone.
                _ if known => Outcome::Found,
                _ => Outcome::Done,
            };
            if let Some(message) = model.message(self.account, mirror.validity, own) {
                message.end(op, outcome, now).map_err(|stop| super::mailbox::at_uid(own, stop))?;
            }
        }
        Ok(())
    }

    fn on_fetch(&mut self, model: &mut Model, sent: Sent, status: &Status<'_>) -> Checked {
        let Kind::Fetch { op, uids, octets } = sent.kind else { return Ok(()) };
        let Some(mirror) = &self.mirror else { return Ok(()) };
        let (now, full) = (model.tick(), model.weather.full);
        if self.may_be_deleted(model, sent.since) {
            return Ok(());
        }
        let mailbox = model.mailbox(self.account, mirror.validity);
        // This includes messages whose UIDs no client was ever told.
        let may_be_gone = |message: &Message| message.is_gone() || message.may_be(None, sent.since);
        let gone = status.code == "EXPUNGEISSUED"
            && (mailbox.was_swept() || mailbox.messages.values().any(may_be_gone));
        ensure!(status.is_ok() || gone, "[{}] {}", status.code, status.text);
        for own in uids {
            let found = sent.told.fetched.contains(&own);
            if !found {
                mailbox.missed(own, sent.since)?;
            }
            let read = sent.told.read.contains(&own);
            ensure!(!found || read || !octets, "UID {own} is told of without its octets");
            if let (Some(op), Some(message)) = (op, mailbox.messages.get_mut(&own)) {
                // Mail can be read even without room to store `\Seen`.
                let outcome = if found && !full { Outcome::Done } else { Outcome::Either };
                message.end(op, outcome, now)?;
            }
        }
        Ok(())
    }

    /// Whether the selected mailbox may be deleted. Then BYE comes.
    fn may_be_deleted(&self, model: &Model, since: u64) -> bool {
        let names = &model.accounts[self.account].names;
        self.mirror.as_ref().is_some_and(|mirror| names.may_be_deleted(mirror.validity, since))
    }

    /// What any client knew before this session asked is known to the session now.
    fn was_told_all(&self, model: &mut Model, since: u64) -> Checked {
        let Some(mirror) = &self.mirror else { return Ok(()) };
        if self.may_be_deleted(model, since) {
            return Ok(());
        }
        let mailbox = model.mailbox(self.account, mirror.validity);
        for known in &mirror.messages {
            let Some((uid, message)) =
                known.uid.and_then(|uid| Some((uid, mailbox.messages.get(&uid)?)))
            else {
                continue;
            };
            ensure!(message.may_be_there(since), "nobody told that UID {uid} is gone");
            ensure!(
                known.flags.is_none_or(|flags| message.may_be(Some(flags), since)),
                "nobody told the flags of UID {uid}: ({}) as far as is known here; {}",
                written(known.flags.unwrap_or_default()),
                message.told()
            );
        }
        let there = mailbox.messages.values().filter(|message| {
            message.entered <= since && !message.may_be(None, since) //
        });
        let (there, told) = (there.count(), mirror.messages.len());
        ensure!(told >= there, "{there} messages are there, and only {told} were told");
        Ok(())
    }

    /// SEARCH finds what it should: `UID SEARCH ALL`.
    fn on_search(&mut self, model: &mut Model, uids: &[u32], since: u64, told: &Told) -> Checked {
        let Some(mirror) = &self.mirror else { return Ok(()) };
        let Some(found) = &told.found else { return wrong("SEARCH without a result") };
        if self.may_be_deleted(model, since) {
            return Ok(());
        }
        ensure!(found.is_sorted(), "SEARCH ALL finds {found:?}");
        let found: BTreeSet<u32> = found.iter().copied().collect();
        for uid in uids.iter().filter(|uid| !found.contains(uid)) {
            model.mailbox(self.account, mirror.validity).missed(*uid, since)?;
        }
        Ok(())
    }

    fn on_copy(
        &mut self,
        model: &mut Model,
        op: Op,
        target: &str,
        told: &Told,
        status: &Status<'_>,
    ) -> Checked {
        let begun = model.copies[&op].begun;
        let moved = model.copies[&op].moved;
        let copied = match (moved, status.code) {
            (true, _) => told.copied.as_deref(),
            (false, "COPYUID") => Some(status.data),
            (false, _) => None,
        };
        if let Some(copied) = copied {
            let words: Vec<&str> = copied.split(' ').collect();
            let [validity, from, to] = words[..] else { return wrong("COPYUID without its sets") };
            let (Ok(validity), Some(from), Some(to)) =
                (validity.parse(), numbers(from), numbers(to))
            else {
                return wrong("COPYUID without its numbers");
            };
            return model.copied(op, (Some(validity), status.is_ok()), &from, &to);
        }
        let deleted = self.may_be_deleted(model, begun);
        if status.is_ok() || status.code == "EXPUNGEISSUED" {
            return if deleted { Ok(()) } else { model.copied(op, (None, true), &[], &[]) };
        }
        model.copy_refused(op)?;
        let account = &model.accounts[self.account];
        match status.code {
            "NONEXISTENT" if deleted => Ok(()),
            "TRYCREATE" => account.names.missed(target, begun),
            "OVERQUOTA" if !moved && account.person.quota.is_some() => Ok(()),
            "LIMIT" if model.keywords_run_out() => Ok(()),
            code => wrong(format!("[{code}] {}", status.text)),
        }
    }

    fn on_names(&mut self, model: &mut Model, op: Op, status: &Status<'_>) -> Checked {
        let said = match (status.word, status.code) {
            ("OK", _) => Said::Ok,
            (_, "ALREADYEXISTS") => Said::AlreadyExists,
            (_, "NONEXISTENT" | "HASCHILDREN") => Said::NonExistent,
            (_, "CANNOT") => Said::Cannot,
            (_, "LIMIT") => Said::Limit,
            (_, code) => return wrong(format!("[{code}] {}", status.text)),
        };
        let id = (status.code == "MAILBOXID").then(|| status.data.trim_matches(['(', ')']));
        let now = model.tick();
        model.accounts[self.account].names.end(op, Some(said), id, now)
    }
}

/// A returning client was told what it had missed: what it knows now must be complete.
fn resynchronised(
    model: &mut Model,
    account: usize,
    mirror: &mut Mirror,
    before: &Known,
    since: u64,
    told: &Told,
) -> Checked {
    let mut uids: BTreeSet<u32> = before.keys().copied().collect();
    uids.retain(|uid| !told.earlier.contains(uid));
    uids.extend(told.changed.iter().map(|(_, uid, ..)| *uid));
    let now = model.tick();
    for uid in before.keys().filter(|uid| told.earlier.contains(uid)) {
        model.mailbox(account, mirror.validity).gone(*uid, since, now)?;
    }
    ensure!(
        uids.len() == mirror.messages.len(),
        "{} messages are there, but by what QRESYNC told they are {uids:?}",
        mirror.messages.len()
    );
    for (known, uid) in mirror.messages.iter_mut().zip(&uids) {
        known.uid = Some(*uid);
        known.flags = before.get(uid).copied().flatten();
    }
    for &(number, uid, flags, modseq) in &told.changed {
        let at = mirror.messages.get_mut(number as usize - 1);
        ensure!(
            at.as_ref().is_some_and(|known| known.uid == Some(uid)),
            "message {number} is UID {uid}, but by what QRESYNC told it is {at:?}"
        );
        if let Some(known) = at {
            (known.flags, known.modseq) = (Some(flags), modseq);
        }
        model.seen((account, mirror.validity, uid), flags, Some(modseq), since)?;
    }
    // What was not told has not changed.
    for known in &mirror.messages {
        if let (Some(uid), Some(flags)) = (known.uid, known.flags) {
            model.seen((account, mirror.validity, uid), flags, None, since)?;
        }
    }
    Ok(())
}
