//! Changes of messages that are there: STORE, EXPUNGE, COPY, MOVE, and the `\Seen` of FETCH.
//!
//! A change of many messages is a row of steps. Each looks at some thousand messages as they are
//! written at that moment, decides, and writes one record, all in one go
//! ([`Ledger::step`]); other sessions get their turn between two steps. So a message that another
//! session unmarks, moves or flags while an EXPUNGE works its way up to it is judged by what it is
//! then.

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
    /// The log takes nothing.
    Log(LogError),
    /// The mailbox is gone, or somebody is deleting it, which may fail yet: to say that all is done
    /// would be to promise what the log does not hold.
    Gone,
    /// The mailbox has as many keywords, or sets of them, as it can hold.
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

/// What a command does about one message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is changed.
    Change,
    /// It is already what it is to be.
    Keep,
    /// It has changed since the client last looked (RFC 7162 section 3.1.3).
    Modified,
}

/// A change of messages of one mailbox.
trait MessageChange {
    /// What its records are for.
    fn purpose(&self) -> Purpose;

    /// Called in the step that writes the record, or finds that there is nothing to write.
    fn judge(&mut self, mailbox: &Mailbox, message: &AsWritten<'_>) -> Verdict;

    /// Whether the mailbox has room for what the change of these messages needs; makes it.
    fn admit(&self, mailbox: &mut Mailbox, uids: &[UidRange]) -> bool;

    /// Whether it sets or clears `\Deleted` of a message with these flags that it changes.
    fn turns_deleted(&self, _flags: Flags) -> bool {
        false
    }

    /// The record of one step.
    fn record(&self, account: Box<str>, modseq: ModSeq, uids: Vec<UidRange>) -> Record;
}

/// What came of a change. All ranges ascend.
#[derive(Default)]
pub(in crate::session) struct Changed {
    /// Of the records.
    pub modseqs: Vec<ModSeq>,
    /// Messages that were changed.
    pub changed: Vec<UidRange>,
    /// The same, and those that needed no change.
    pub done: Vec<UidRange>,
    /// Messages of which `\Deleted` was set or cleared.
    pub deleted: Vec<UidRange>,
    /// Messages that had changed before, and were left alone.
    pub modified: Vec<UidRange>,
    /// Some messages are not there any more.
    pub gone: bool,
    /// Why messages from this UID on are as they were. Those below were changed.
    pub unfinished: Option<(Uid, ChangeError)>,
}

/// What one step found.
#[derive(Default)]
struct Part {
    changed: Vec<UidRange>,
    deleted: Vec<UidRange>,
    done: Vec<UidRange>,
    modified: Vec<UidRange>,
    gone: bool,
    /// Where the next step begins; `None` after the last.
    next: Option<Uid>,
}

impl Session {
    /// Tells why messages were not changed, none of them.
    pub(in crate::session) fn not_changed(&self, tag: &Tag, error: &ChangeError) {
        match error {
            ChangeError::Log(error) => self.not_written(tag, error),
            ChangeError::Gone => self.no(tag, Some(Code::NonExistent), &error.to_string()),
            ChangeError::Keywords => self.no(tag, Some(Code::Limit), &error.to_string()),
        }
    }

    /// Tells why a change ended before this UID.
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
    /// Changes messages of a mailbox that is pinned and loaded. `uids` ascend. Returns when all
    /// that it tells of is durable, what others changed before included.
    ///
    /// # Errors
    /// When nothing was changed. What stops it later is told in [`Changed::unfinished`].
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

    /// One step. Gives where the next begins, and whether it saw what is not durable yet.
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
        // What changes nothing needs no lease, and no room on the disk.
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
    /// Adds what a step did. Gives where the next begins.
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
    /// Judges messages from this UID on, until there are so many ranges to change, or it has looked
    /// at [`STEP_MESSAGES`](crate::limits::STEP_MESSAGES).
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
