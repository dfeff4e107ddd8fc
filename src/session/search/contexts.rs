//! Live search results (RFC 5267). After each change of the mailbox the client is told which
//! messages have entered or left the result of an earlier search.

use std::ops::ControlFlow;

use bytes::BytesMut;

use super::followed::{Context, Order, Part, insert, numbers_of};
use super::{Command, Failed, Place, Unread};
use crate::home::{HeldMemory, Owner};
use crate::limits::{CONTEXT_RANGES, CONTEXTS};
use crate::net::Gone;
use crate::reactor::JobError;
use crate::session::session::Session;
use imap::mime::Sorter;
use imap::protocol::Tag;
use imap::protocol::response::{self, Code, Condition, EsearchResponse};
use imap::types::UidRange;

/// Texts for the client: why a result does not receive updates.
const TOO_MUCH: &str = "too much to be followed";
const UNREADABLE: &str = "a message cannot be read, so it is not known what the result is";
const BROKEN: &str = "the disk cannot be read";

/// Why an update of a result failed.
enum Lost {
    /// The client has disconnected.
    Gone,
    /// The result can no longer receive updates, for this reason.
    Result(&'static str),
}

impl From<Gone> for Lost {
    fn from(_: Gone) -> Lost {
        Lost::Gone
    }
}

impl From<Failed> for Lost {
    fn from(failed: Failed) -> Lost {
        match failed {
            Failed::Gone => Lost::Gone,
            Failed::TooMuch => Lost::Result(TOO_MUCH),
            Failed::Broken(error) => {
                tracing::error!("the result of a search is not followed any more: {error}");
                Lost::Result(BROKEN)
            }
        }
    }
}

impl From<JobError> for Lost {
    fn from(error: JobError) -> Lost {
        Failed::from(error).into()
    }
}

/// What happened to messages of a result.
#[derive(Clone, Copy)]
enum Change {
    /// ADDTO
    Added,
    /// REMOVEFROM
    Removed,
}

impl Session {
    /// Starts updates for this result, or tells the client that there are none. `held` is the
    /// memory of the command; the result takes it over.
    pub(super) fn follow(
        &self,
        command: &Command<'_>,
        (result, unread): (Vec<UidRange>, Unread),
        sorter: Option<Sorter>,
        held: HeldMemory,
    ) {
        if !unread.is_none() {
            // The unreadable message may or may not belong to the result.
            return self.tell_no_update(command.tag, UNREADABLE);
        }
        let mut selected = self.selected.borrow_mut();
        let Some(selected) = selected.as_mut() else { return };
        let result = match sorter {
            None => Order::Mailbox(result),
            Some(sorter) => {
                let uids = numbers_of(&result).collect();
                Order::Sorted { uids, known: UidRange::ascending(&result), sorter }
            }
        };
        let (tag, uid) = (command.tag.clone(), command.uid);
        let mut context = Context { tag, uid, program: command.program.clone(), result, held };
        let contexts = &mut selected.contexts;
        if contexts.followed.len() >= CONTEXTS
            || contexts.ranges() + context.result.weight() > CONTEXT_RANGES
            || !context.may_stay()
        {
            return self.tell_no_update(&context.tag, TOO_MUCH);
        }
        if contexts.followed.is_empty() {
            contexts.next = selected.shown.view.last().unwrap_or_default().next();
            contexts.changed.clear();
        }
        contexts.followed.push(context);
    }

    /// Tells the client that this result gets no updates, or no more (RFC 5267 section 4.3.2).
    fn tell_no_update(&self, tag: &Tag, why: &str) {
        let code = Code::NoUpdate(tag.as_str());
        self.output.push(|out| response::untagged(out, Condition::No, Some(&code), why));
    }

    /// CANCELUPDATE (RFC 5267 section 4.3.5).
    pub(in crate::session) fn cancel_update(&self, tag: &Tag, tags: &[Vec<u8>]) {
        if self.mailbox(tag).is_none() {
            return;
        }
        let unknown = {
            let mut selected = self.selected.borrow_mut();
            let Some(selected) = selected.as_mut() else { return };
            let followed = &mut selected.contexts.followed;
            let is = |context: &Context, tag: &[u8]| context.tag.as_str().as_bytes() == tag;
            let unknown = tags.iter().any(|tag| !followed.iter().any(|context| is(context, tag)));
            if !unknown {
                followed.retain(|context| !tags.iter().any(|tag| is(context, tag)));
            }
            unknown
        };
        match unknown {
            true => self.bad(tag, "no results of a command with that tag are followed"),
            false => self.ok(tag, "CANCELUPDATE completed"),
        }
    }

    /// Sends REMOVEFROM for these messages, ascending, before the client is told that they are gone
    /// (RFC 5267 section 4.3.4).
    pub(in crate::session) async fn contexts_lose(&self, lost: &[UidRange]) -> Result<(), Gone> {
        if !self.follows() || lost.is_empty() {
            return Ok(());
        }
        let mut followed = self.take_followed();
        let mut result = Ok(());
        for context in &mut followed {
            let parts = context.result.remove(lost);
            if result.is_ok() {
                result = self.tell_parts(context, Change::Removed, parts).await;
            }
        }
        self.put_followed(followed);
        result
    }

    /// Sends ADDTO and REMOVEFROM, after the client was told of new messages and changed flags.
    pub(in crate::session) async fn update_contexts(&self, owner: &Owner) -> Result<(), Gone> {
        let Some((mailbox, changed, new)) = self.unseen_changes() else { return Ok(()) };
        let place = Place { mailbox, owner };
        let mut followed = Vec::new();
        let mut result = Ok(());
        for mut context in self.take_followed() {
            let looked_at = match context.program.depends_on_flags() {
                true => UidRange::union(&changed, &new),
                false => new.clone(),
            };
            if result.is_ok() && !looked_at.is_empty() {
                match self.update(&mut context, place, looked_at).await {
                    Ok(()) => {}
                    Err(Lost::Gone) => result = Err(Gone),
                    Err(Lost::Result(why)) => {
                        self.tell_no_update(&context.tag, why);
                        continue;
                    }
                }
            }
            followed.push(context);
        }
        self.put_followed(followed);
        result
    }

    /// Brings one result up to date and sends the difference.
    async fn update(
        &self,
        context: &mut Context,
        place: Place<'_>,
        looked_at: Vec<UidRange>,
    ) -> Result<(), Lost> {
        let mut fit = Vec::new();
        let hit = |entry: crate::index::Entry<'_>| {
            UidRange::push(&mut fit, entry.uid());
            ControlFlow::Continue(())
        };
        let unread = self.scan(&context.program, place, looked_at.clone(), hit).await?;
        if !unread.is_none() {
            return Err(Lost::Result(UNREADABLE));
        }
        let removed = context.result.remove(&UidRange::difference(&looked_at, &fit));
        self.tell_parts(context, Change::Removed, removed).await?;
        let added = match &mut context.result {
            Order::Mailbox(uids) => {
                let new = UidRange::difference(&fit, uids);
                *uids = UidRange::union(uids, &new);
                vec![Part { position: 0, len: UidRange::count(&new), uids: new }]
            }
            Order::Sorted { uids, known, sorter } => {
                let unknown = UidRange::difference(&fit, known);
                *known = UidRange::union(known, &unknown);
                let held = &mut context.held;
                if !self.add_to_sorter(place, unknown, sorter, held).await?.is_none() {
                    return Err(Lost::Result(UNREADABLE));
                }
                let taken = std::mem::replace(sorter, Sorter::new(&[]));
                let work = move || (taken.order(), taken);
                let (order, taken) = self.home.offload.run(self.user_name(), work).await?;
                *sorter = taken;
                insert(uids, &order, &fit)
            }
        };
        self.tell_parts(context, Change::Added, added).await?;
        if context.may_stay() { Ok(()) } else { Err(Lost::Result(TOO_MUCH)) }
    }

    /// Sends what has entered or left a result, if anything.
    async fn tell_parts(
        &self,
        context: &Context,
        change: Change,
        parts: Vec<Part>,
    ) -> Result<(), Gone> {
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.uids.is_empty()).collect();
        if parts.is_empty() {
            return Ok(());
        }
        let mut out = BytesMut::new();
        let mut answer = EsearchResponse::begin(&mut out, context.tag.as_str(), context.uid);
        for (at, Part { position, uids, .. }) in parts.iter().enumerate() {
            let runs = self.told(context.uid, uids);
            self.write_set(&mut out, &mut answer, &runs, |answer, out, runs| match (at, change) {
                (0, Change::Added) => answer.add_to(out, *position, runs),
                (0, Change::Removed) => answer.remove_from(out, *position, runs),
                _ => answer.and_at(out, *position, runs),
            })
            .await?;
        }
        answer.close(&mut out);
        answer.end(&mut out);
        self.output.pass_on(&mut out).await
    }

    /// Whether any result receives updates.
    pub(in crate::session) fn follows(&self) -> bool {
        let selected = self.selected.borrow();
        selected.as_ref().is_some_and(|selected| !selected.contexts.followed.is_empty())
    }

    /// The mailbox, the messages whose flags have changed, and the new messages, within the
    /// client's view.
    fn unseen_changes(&self) -> Option<(crate::store::MailboxId, Vec<UidRange>, Vec<UidRange>)> {
        let mut selected = self.selected.borrow_mut();
        let selected = selected.as_mut()?;
        let contexts = &mut selected.contexts;
        if contexts.followed.is_empty() {
            return None;
        }
        let changed = UidRange::ascending(&std::mem::take(&mut contexts.changed));
        let last = selected.shown.view.last().unwrap_or_default();
        let mut new = Vec::new();
        if contexts.next <= last {
            new.push(UidRange { first: contexts.next, last });
            contexts.next = last.next();
        }
        let view: Vec<_> = selected.shown.view.runs().collect();
        let (changed, new) =
            (UidRange::intersection(&changed, &view), UidRange::intersection(&new, &view));
        let any = !changed.is_empty() || !new.is_empty();
        any.then_some((selected.mailbox, changed, new))
    }

    /// Takes the results out of the shared state, because sending their updates awaits.
    fn take_followed(&self) -> Vec<Context> {
        let mut selected = self.selected.borrow_mut();
        selected.as_mut().map(|s| std::mem::take(&mut s.contexts.followed)).unwrap_or_default()
    }

    fn put_followed(&self, followed: Vec<Context>) {
        if let Some(selected) = &mut *self.selected.borrow_mut() {
            selected.contexts.followed = followed;
        }
    }
}
