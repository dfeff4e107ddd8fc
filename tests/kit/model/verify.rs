//! Compares everything on the server with the model while no client is left: what must be there is,
//! nothing else is, and nothing stays in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::Shared;
use super::commands::{ALL, noted};
use super::explain::Found;
use super::mailbox::at_uid;
use super::names::Notes;
use super::session::{Kind, Session};
use super::wire::{Checked, Dial, Stop, ensure, wrong};
use crate::Random;

/// Verifies all accounts. No session of a client may be left in the server: call it after a start,
/// or when all sessions have ended.
///
/// # Errors
/// What is wrong, where, and what the model expected.
pub async fn verify<D: Dial>(dial: &D, model: &Shared, random: &mut Random) -> Result<(), String> {
    let accounts = model.borrow().accounts.len();
    for account in 0..accounts {
        match look(dial, model, account, random.fork()).await {
            Ok(()) => {}
            Err(Stop::Gone(_)) if model.borrow().weather.rotten => {}
            Err(Stop::Gone(why)) => return Err(format!("a session ended in quiet: {why}")),
            Err(Stop::Wrong(text)) => {
                let name = model.borrow().accounts[account].person.name;
                return Err(format!("looking at {name} in quiet: {text}"));
            }
        }
    }
    Ok(())
}

async fn look<D: Dial>(dial: &D, model: &Shared, account: usize, random: Random) -> Checked {
    let mut session = Session::open(dial, model.clone(), account, random).await?;
    session.ask("ENABLE CONDSTORE", Kind::Plain).await?;
    session.replies().await?;
    let names = session.listed(ALL, Kind::List).await?;
    let subscribed = session.listed("LSUB \"\" *", Kind::Lsub).await?;
    let (mut found, mut told, mut notes) = (Vec::new(), Vec::new(), BTreeMap::new());
    for name in &names {
        let (mailbox, messages) = session.mailbox(name).await?;
        found.push(mailbox);
        told.push(messages);
        notes.insert(name.clone(), session.notes(name).await?);
    }
    session.ask("LOGOUT", Kind::Logout).await?;
    session.replies().await?;

    let mut model = model.borrow_mut();
    let by_name: BTreeMap<Rc<str>, u32> =
        names.iter().cloned().zip(found.iter().map(|mailbox| mailbox.validity)).collect();
    model.explain(account, &found)?;
    model.accounts[account].names.settle(&by_name, &notes, &subscribed)?;
    let mut octets = 0;
    model.accounts[account].living.clear();
    for (mailbox, messages) in found.iter().zip(&told) {
        octets += settle(&mut model, account, mailbox, messages)
            .map_err(|stop| stop.about(|| mailbox.name.clone()))?;
    }
    model.compare_identities(account)?;
    let quota = model.accounts[account].person.quota;
    ensure!(
        quota.is_none_or(|quota| octets <= quota),
        "{octets} octets, with a quota of {quota:?}"
    );
    Ok(())
}

/// Flags and mod-sequence by UID.
type Messages = BTreeMap<u32, (u16, u64)>;

fn settle(
    model: &mut super::Model,
    account: usize,
    found: &Found,
    messages: &Messages,
) -> Checked<u64> {
    let now = model.tick();
    let mut classes = Vec::new();
    let mailbox = model.mailbox(account, found.validity);
    for (&uid, message) in &mut mailbox.messages {
        let told = messages.get(&uid);
        let (flags, modseq) = (told.map(|told| told.0), told.map_or(0, |told| told.1));
        message.settle(flags, modseq, now, now).map_err(|stop| at_uid(uid, stop))?;
        message.explained = true;
        classes.extend(told.and(message.class));
    }
    let next = mailbox.last_next();
    mailbox.settle(next);
    model.accounts[account].living.extend(&classes);
    Ok(classes.iter().map(|class| model.contents.octets(*class).len() as u64).sum())
}

impl<D: Dial> Session<'_, D> {
    async fn listed(&mut self, command: &str, kind: Kind) -> Checked<BTreeSet<Rc<str>>> {
        self.ask(command, kind).await?;
        let mut names = BTreeSet::new();
        while let Some(sent) = self.sent.front() {
            names = sent.told.names.keys().cloned().collect();
            self.some_reply().await?;
        }
        Ok(names)
    }

    /// All that is noted about a mailbox.
    async fn notes(&mut self, name: &Rc<str>) -> Checked<Notes> {
        self.ask(&noted(name), Kind::Metadata(name.clone())).await?;
        let mut notes = Notes::new();
        while let Some(sent) = self.sent.front() {
            notes.clone_from(&sent.told.notes);
            self.some_reply().await?;
        }
        Ok(notes)
    }

    async fn mailbox(&mut self, name: &Rc<str>) -> Checked<(Found, Messages)> {
        let (kind, rotten) = (
            Kind::Select { name: name.clone(), read_only: true, before: None },
            self.model.borrow().weather.rotten,
        );
        self.ask(&format!("EXAMINE \"{name}\""), kind).await?;
        self.replies().await?;
        let validity = match &self.mirror {
            Some(mirror) => mirror.validity,
            None => return Err(Stop::Wrong(format!("{name} is listed and cannot be opened"))),
        };
        let before: BTreeSet<u32> = self
            .model
            .borrow_mut()
            .mailbox(self.account, validity)
            .messages
            .keys()
            .copied()
            .collect();
        let fetch = Kind::Fetch { op: None, uids: Vec::new(), octets: false };
        if rotten {
            self.ask("UID FETCH 1:* (UID FLAGS MODSEQ EMAILID)", fetch.clone()).await?;
        }
        let items = "UID FLAGS EMAILID INTERNALDATE RFC822.SIZE MODSEQ BODY.PEEK[]";
        self.ask(&format!("UID FETCH 1:* ({items})"), fetch).await?;
        self.replies().await?;
        let Some(mirror) = &self.mirror else { return wrong("nothing is selected") };
        ensure!(mirror.is_whole(), "{name}: {} EXISTS, {:?}", mirror.messages.len(), mirror.uids());
        let mut messages = Messages::new();
        for known in &mirror.messages {
            let (Some(uid), Some(flags)) = (known.uid, known.flags) else { continue };
            ensure!(
                known.modseq <= mirror.modseq && known.modseq > 0,
                "{name}: UID {uid} has mod-sequence {}, HIGHESTMODSEQ is {}",
                known.modseq,
                mirror.modseq
            );
            let mut model = self.model.borrow_mut();
            let message = model.message(self.account, validity, uid);
            let (read, identified) =
                message.map_or((false, false), |m| (m.class.is_some(), m.email.is_some()));
            ensure!(read || rotten, "{name}: UID {uid} is told of without its octets");
            ensure!(identified, "{name}: UID {uid} has no EMAILID");
            messages.insert(uid, (flags, known.modseq));
        }
        let uids: BTreeSet<u32> = messages.keys().copied().collect();
        let fresh = uids.difference(&before).copied().collect();
        let found = Found { name: name.to_string(), validity, uids, fresh };
        Ok((found, messages))
    }
}
