//! Adding a batch to a mailbox in steps. A million messages take a tenth of a second, so their
//! chunks are built beside the mailbox, in any number of steps. Linking the chunks makes them
//! visible at once and takes a millisecond.
//!
//! ```text
//! expect ─▶ take_in, take_in, ... ─▶ show
//!           no message is visible     all messages are visible
//! ```
//!
//! Between `expect` and `show` no other change of the account is applied and no checkpoint begins;
//! the [log](crate::store::Log::when_durable_in_turns) ensures both. Only keyword sets show early:
//! they count messages as these are taken in.

use std::borrow::Borrow;

use super::Mailbox;
use crate::index::chunk::{Chunk, Fill, Placed};
use crate::index::error::ApplyError;
use crate::index::keywords::Translation;
use crate::index::live::counts::LiveChanges;
use crate::reactor::fault::{Fault, made};
use crate::store::{Commit, EmailId, MessageRecord};
use imap::types::{Flags, Uid};

/// A batch that is being added to a mailbox.
#[derive(Debug)]
pub struct Arriving {
    commit: Commit,
    /// Fill of the mailbox's last chunk, which the first of `chunks` will join.
    before: Fill,
    chunks: Vec<Chunk>,
    by: Translation,
    live: LiveChanges,
    found: u32,
    unseen: u32,
    deleted: u32,
    octets: u64,
    /// The lowest EMAILID above those of the batch.
    next_email: EmailId,
}

impl Arriving {
    /// The batch's commit.
    pub(in crate::index) fn commit(&self) -> &Commit {
        &self.commit
    }

    /// The lowest EMAILID above those of the messages taken in and of the commit.
    pub(in crate::index) fn next_email(&self) -> EmailId {
        self.next_email
    }

    /// The EMAILID of the message taken in last: its own if it is a reference, otherwise the one
    /// that the commit gives it.
    fn email_of(&self, message: &MessageRecord) -> Option<EmailId> {
        match self.commit.first_email {
            _ if message.email.is_given() => Some(message.email),
            first if first.is_given() => first.plus(self.found - 1),
            _ => None,
        }
    }

    /// The chunk for the next message, new if the last one is full.
    fn chunk(&mut self) -> &mut Chunk {
        let full = match &self.chunks[..] {
            [] => true,
            [first] => self.before.and(first.fill()).is_full(),
            [.., last] => last.fill().is_full(),
        };
        if full {
            self.chunks.push(Chunk::default());
        }
        self.chunks.last_mut().expect("one was pushed")
    }
}

impl Mailbox {
    /// Begins adding a durable batch.
    pub(in crate::index) fn expect(&mut self, commit: &Commit) -> Result<Arriving, ApplyError> {
        let (mailbox, next) = (self.id, self.counts.uid_next);
        let disorder = ApplyError::UidOutOfOrder { mailbox, next, found: commit.first_uid };
        if commit.first_uid < next || commit.first_uid.0.checked_add(commit.messages).is_none() {
            return Err(disorder);
        }
        self.check_modseq(commit.modseq)?;
        if self.keywords.is_crowded() {
            self.collect_keywords();
        }
        Ok(Arriving {
            commit: commit.clone(),
            before: self.chunks.last_fill(),
            chunks: Vec::new(),
            by: Translation::default(),
            live: LiveChanges::default(),
            found: 0,
            unseen: 0,
            deleted: 0,
            octets: 0,
            // A commit of copies gives no numbers.
            next_email: match commit.first_email {
                first if first.is_given() => first.plus(commit.messages).unwrap_or(first),
                none => none,
            },
        })
    }

    /// Takes the next messages of the batch and returns their number.
    pub(in crate::index) fn take_in<M: Borrow<MessageRecord>>(
        &mut self,
        arriving: &mut Arriving,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<usize, ApplyError> {
        let mut taken = 0;
        for message in messages {
            let message = message.borrow();
            taken += 1;
            arriving.found += 1;
            let Commit { first_uid, messages, modseq, save_date, .. } = arriving.commit;
            if arriving.found > messages {
                continue;
            }
            let keywords = self.keywords.intern(&message.keywords, &mut arriving.by);
            let keywords = keywords.ok_or(ApplyError::TooManyKeywords(self.id))?;
            self.keywords.used(keywords, 1);
            let uid = Uid(first_uid.0 + arriving.found - 1);
            let email = arriving.email_of(message).ok_or(ApplyError::NoEmailId(self.id))?;
            // A message that was copied may have a number of lost frames.
            let beyond = email.plus(1).unwrap_or(email);
            arriving.next_email = arriving.next_email.max(beyond);
            arriving.unseen += u32::from(!message.flags.contains(Flags::SEEN));
            arriving.deleted += u32::from(message.flags.contains(Flags::DELETED));
            arriving.octets += message.size;
            if arriving.found > 1 || !made(Fault::LivingUncounted) {
                message.fragments.iter().for_each(|&fragment| arriving.live.comes(fragment));
            }
            let placed = Placed { uid, email, keywords, modseq, save_date };
            arriving.chunk().push(placed, message);
        }
        Ok(taken)
    }

    /// Makes the batch visible, once all its messages are taken in.
    pub(in crate::index) fn show(&mut self, arriving: Arriving) -> Result<(), ApplyError> {
        let Commit { first_uid, messages, modseq, .. } = arriving.commit;
        if arriving.found != messages {
            return Err(ApplyError::WrongCount { announced: messages, found: arriving.found });
        }
        let counts = &mut self.counts;
        let in_order = first_uid >= counts.uid_next && modseq > counts.highest_modseq;
        assert!(in_order, "another change was applied while a batch was arriving");
        counts.messages += messages;
        counts.recent += messages;
        counts.unseen += arriving.unseen;
        counts.deleted += arriving.deleted;
        counts.octets += arriving.octets;
        counts.uid_next = Uid(first_uid.0 + messages);
        self.chunks.link(arriving.chunks);
        self.live.join(arriving.live);
        self.changed_at(modseq);
        Ok(())
    }
}
