//! Changes of existing messages: STORE, EXPUNGE, COPY, MOVE, and the `\Seen` of FETCH.
//!
//! A change of many messages is a series of steps. Each step looks at the current state of a few
//! thousand messages, decides, and writes one record, all without awaiting ([`Ledger::step`]).
//! Other sessions get a turn between two steps. If another session unmarks, moves or flags a
//! message before an EXPUNGE reaches it, the EXPUNGE sees the new state.

mod copy;
mod expunge;
mod store;

use std::fmt;
use std::rc::Rc;

use super::reply::NO_ROOM;
use super::session::Session;
#[cfg(doc)]
use crate::home::Ledger;
use crate::home::{Home, Owner};
use crate::index::{AsWritten, Mailbox};
use crate::reactor::fault::{Fault, made};
use crate::reactor::{LeaseClass, breathe, thresholds};
use crate::store::{LogError, MailboxId, Purpose, Record, sealed_len};
use imap::protocol::Tag;
use imap::protocol::response::Code;
use imap::types::{Flags, ModSeq, Uid, UidRange};

/// Why messages are not changed.
pub(in crate::session) enum ChangeError {
    /// The log does not accept the record.
    Log(LogError),
    /// The mailbox is gone, or being deleted. That deletion may still fail, so the change must not
    /// be reported as done: the log does not have it.
    Gone,
    /// The mailbox has reached its limit of keywords, or of sets of keywords.
    Keywords,
}

impl From<LogError> for ChangeError {
    fn from(error: LogError) -> ChangeError {
        ChangeError::Log(error)
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Log(error) => error.fmt(f),
            ChangeError::Gone => f.write_str("the mailbox was deleted meanwhile"),
            ChangeError::Keywords => f.write_str(
                "the mailbox has as many keywords, or combinations of them, as it can hold; use \
                 fewer keywords, or another mailbox",
            ),
        }
    }
}

/// The decision for one message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Change it.
    Change,
    /// It needs no change.
    Keep,
    /// It has changed since the client last saw it (RFC 7162 section 3.1.3).
    Modified,
}

/// A change of messages in one mailbox.
trait MessageChange {
    /// The purpose of its records, which decides what space they may use.
    fn purpose(&self) -> Purpose;

    /// Decides for one message. Called in the step that writes the record, or finds nothing to
    /// write.
    fn judge(&mut self, mailbox: &Mailbox, message: &AsWritten<'_>) -> Verdict;

    /// Makes room in the mailbox for the change of these messages. `false` if there is none.
    fn admit(&self, mailbox: &mut Mailbox, uids: &[UidRange]) -> bool;

    /// Whether the change of a message with these flags sets or clears `\Deleted`.
    fn turns_deleted(&self, _flags: Flags) -> bool {
        false
    }

    /// The record of one step.
    fn record(&self, account: Box<str>, modseq: ModSeq, uids: Vec<UidRange>) -> Record;
}

/// The result of a change. All ranges ascend.
#[derive(Default)]
pub(in crate::session) struct Changed {
    /// Mod-sequences of the records.
    pub modseqs: Vec<ModSeq>,
    /// Messages that were changed.
    pub changed: Vec<UidRange>,
    /// Messages that were changed, and those that needed no change.
    pub done: Vec<UidRange>,
    /// Messages whose `\Deleted` was set or cleared.
    pub deleted: Vec<UidRange>,
    /// Messages not changed, because they had changed since UNCHANGEDSINCE.
    pub modified: Vec<UidRange>,
    /// Whether some messages no longer exist.
    pub gone: bool,
    /// The first UID that was not processed, and why. Messages below it were changed.
    pub unfinished: Option<(Uid, ChangeError)>,
}

/// The result of one step.
#[derive(Default)]
struct Part {
    changed: Vec<UidRange>,
    deleted: Vec<UidRange>,
    done: Vec<UidRange>,
    modified: Vec<UidRange>,
    gone: bool,
    /// The first UID of the next step; `None` after the last.
    next: Option<Uid>,
}

impl Session {
    /// Replies why no message was changed.
    pub(in crate::session) fn not_changed(&self, tag: &Tag, error: &ChangeError) {
        match error {
            ChangeError::Log(error) => self.not_written(tag, error),
            ChangeError::Gone => self.no(tag, Some(Code::NonExistent), &error.to_string()),
            ChangeError::Keywords => self.no(tag, Some(Code::Limit), &error.to_string()),
        }
    }

    /// Replies why a change stopped before this UID.
    fn not_finished(&self, tag: &Tag, from: Uid, error: &ChangeError) {
        let (code, why) = match error {
            ChangeError::Log(LogError::Full(why)) => {
                tracing::warn!("no room for the rest of a change: {why}");
                (Code::Unavailable, NO_ROOM.to_owned())
            }
            ChangeError::Log(error @ LogError::Poisoned(_)) => return self.not_written(tag, error),
            ChangeError::Gone => (Code::NonExistent, error.to_string()),
            ChangeError::Keywords => (Code::Limit, error.to_string()),
        };
        let text = format!("messages below UID {from} were dealt with, the others not: {why}");
        self.no(tag, Some(code), &text);
    }
}

impl Home {
    /// Changes messages of a pinned, loaded mailbox. `uids` ascend. Returns when its result is
    /// durable, including earlier changes by others that the result depends on.
    ///
    /// # Errors
    /// When nothing was changed. An error after the first change is in [`Changed::unfinished`].
    async fn change_messages(
        &self,
        owner: &Rc<Owner>,
        mailbox: MailboxId,
        uids: &[UidRange],
        change: &mut impl MessageChange,
    ) -> Result<Changed, ChangeError> {
        let mut all = Changed::default();
        let (mut next, mut waits) = (uids.first().map(|range| range.first), false);
        while let Some(from) = next {
            match self.change_some(owner, mailbox, uids, from, change, &mut all).await {
                Ok((then, unapplied)) => {
                    next = then;
                    waits |= unapplied;
                }
                Err(error) => {
                    next = None;
                    all.unfinished = Some((from, error));
                }
            }
            if next.is_some() {
                breathe().await;
            }
        }
        if (waits || !all.modseqs.is_empty()) && !made(Fault::ChangeUnawaited) {
            self.log.durable().await?;
        }
        match all.unfinished.take() {
            Some((_, error)) if all.changed.is_empty() => Err(error),
            unfinished => Ok(Changed { unfinished, ..all }),
        }
    }

    /// Runs one step. Returns the first UID of the next step, and whether this step depends on
    /// changes that are not durable yet.
    async fn change_some(
        &self,
        owner: &Rc<Owner>,
        mailbox: MailboxId,
        uids: &[UidRange],
        from: Uid,
        change: &mut impl MessageChange,
        all: &mut Changed,
    ) -> Result<(Option<Uid>, bool), ChangeError> {
        self.ledger(owner).not_too_far_ahead(mailbox).await?;
        let empty = change.record(owner.name(), ModSeq(0), Vec::new()).encoded_len() + 8;
        // A step without changes needs no lease and no space on the disk.
        let (looked, unapplied) = {
            let account = owner.account.borrow();
            let found = account.mailbox(mailbox).filter(|_| !owner.is_dying(mailbox));
            let found = found.ok_or(ChangeError::Gone)?;
            (Part::look(found, uids, from, thresholds().uid_ranges, change), found.unapplied() > 0)
        };
        if looked.changed.is_empty() {
            return Ok((all.take(looked), unapplied));
        }
        if made(Fault::ChangeDecidedEarly) {
            self.log.durable().await?;
        }
        let ranges = looked.changed.len() * size_of::<UidRange>();
        let class = LeaseClass::holding(sealed_len(0, empty + ranges));
        let ledger = self.ledger(owner);
        let step = ledger.step(class, change.purpose(), |page| {
            let name: Box<str> = page.account.name().into();
            let room = page.room;
            let found = page.account.mailbox_mut(mailbox).filter(|_| !owner.is_dying(mailbox));
            let found = found.ok_or(ChangeError::Gone)?;
            let ranges =
                thresholds().uid_ranges.min(room.saturating_sub(empty) / size_of::<UidRange>());
            let part = match made(Fault::ChangeDecidedEarly) {
                true => looked,
                false => Part::look(found, uids, from, ranges, change),
            };
            if part.changed.is_empty() {
                return Ok((None, part));
            }
            if !change.admit(found, &part.changed) {
                return Err(ChangeError::Keywords);
            }
            let reserved = found.reserve(0).expect("a reservation of no UID never runs out");
            page.change(change.record(name, reserved.modseq, part.changed.clone()));
            Ok((Some(reserved.modseq), part))
        });
        let (modseq, part) = step.await?;
        let next = all.take(part).filter(|_| modseq.is_none() || !made(Fault::ChangeInPart));
        all.modseqs.extend(modseq);
        Ok((next, true))
    }
}

impl Changed {
    /// Adds the result of a step. Returns the first UID of the next step.
    fn take(&mut self, part: Part) -> Option<Uid> {
        self.changed.extend(part.changed);
        self.deleted.extend(part.deleted);
        self.done.extend(part.done);
        self.modified.extend(part.modified);
        self.gone |= part.gone;
        part.next
    }
}

impl Part {
    /// Judges messages from this UID on, until there are `ranges` ranges to change, or
    /// [`STEP_MESSAGES`](crate::limits::STEP_MESSAGES) messages were judged.
    fn look(
        mailbox: &Mailbox,
        uids: &[UidRange],
        from: Uid,
        ranges: usize,
        change: &mut impl MessageChange,
    ) -> Part {
        let mut part = Part::default();
        let mut looked_at = 0;
        let begun = uids.partition_point(|range| range.last < from);
        for range in &uids[begun..] {
            let mut expected = range.first.max(from);
            for (uid, message) in mailbox.as_written(UidRange { first: expected, ..*range }) {
                part.gone |= uid != expected || message.is_none();
                if looked_at == thresholds().step_messages || part.changed.len() == ranges {
                    let skips = made(Fault::StepSkipsOne);
                    part.next = Some(if skips { uid.next() } else { uid });
                    return part;
                }
                (looked_at, expected) = (looked_at + 1, uid.next());
                let Some(message) = message else { continue };
                match change.judge(mailbox, &message) {
                    Verdict::Modified => UidRange::push(&mut part.modified, uid),
                    Verdict::Keep => UidRange::push(&mut part.done, uid),
                    Verdict::Change => {
                        UidRange::push(&mut part.done, uid);
                        UidRange::push(&mut part.changed, uid);
                        if change.turns_deleted(message.flags) {
                            UidRange::push(&mut part.deleted, uid);
                        }
                    }
                }
            }
            part.gone |= expected <= range.last;
        }
        part
    }
}
