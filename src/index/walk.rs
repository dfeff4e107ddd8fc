//! From the UIDs of a command to the messages in the index: chunk by chunk, without copying them.

use std::sync::Arc;

use super::chunk::{Chunk, Entry};
use super::mailbox::Mailbox;
use super::view::View;
use crate::store::{Fragment, Stored};
use imap::types::{ModSeq, Uid, UidRange};

/// Messages of one chunk, with their sequence numbers.
#[derive(Default)]
pub(crate) struct Batch {
    chunk: Arc<Chunk>,
    /// Sequence number, and index in the chunk.
    messages: Vec<(u32, u32)>,
}

impl Batch {
    /// The messages, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Entry<'_>)> {
        self.messages.iter().filter_map(|&(number, index)| {
            Some((number, self.chunk.get(index as usize)?)) //
        })
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// One of them, by its place in the batch.
    pub fn entry(&self, at: usize) -> Entry<'_> {
        let (_, index) = self.messages[at];
        self.chunk.get(index as usize).expect("it was found there, and chunks do not change")
    }

    /// One of them, detached from the batch.
    pub fn one(&self, at: usize) -> Found {
        let (number, index) = self.messages[at];
        Found { number, chunk: self.chunk.clone(), index }
    }

    /// The messages, each detached from the batch.
    pub fn found(&self) -> impl Iterator<Item = Found> + '_ {
        self.messages.iter().map(|&(number, index)| Found {
            number,
            chunk: self.chunk.clone(),
            index,
        })
    }
}

/// A message as the index had it when it was found. Its octets stay where they are, even if it is
/// expunged in the meantime.
#[derive(Clone)]
pub(crate) struct Found {
    /// Its sequence number.
    pub number: u32,
    chunk: Arc<Chunk>,
    index: u32,
}

impl Found {
    /// What the index says of it.
    pub fn entry(&self) -> Entry<'_> {
        self.chunk.get(self.index as usize).expect("it was found there, and chunks do not change")
    }
}

impl Stored for Found {
    fn size(&self) -> u64 {
        self.entry().size()
    }

    fn checksum(&self) -> u128 {
        self.entry().checksum()
    }

    fn fragment(&self, index: usize) -> Option<Fragment> {
        self.entry().fragment(index)
    }
}

/// Walks through the messages of ascending ranges of UIDs, all of which the view has. Between two
/// steps the mailbox may change.
pub(crate) struct Walk {
    uids: Vec<UidRange>,
    /// The current range, from `next` on.
    range: usize,
    next: Uid,
    /// Messages skipped because they no longer exist.
    missing: u64,
    /// Only messages that changed after this.
    since: Option<ModSeq>,
    steps: usize,
}

impl Walk {
    /// Through the messages of these ranges that changed after `since`.
    pub fn new(uids: Vec<UidRange>, since: Option<ModSeq>) -> Walk {
        let next = uids.first().map_or(Uid(1), |range| range.first);
        Walk { uids, range: 0, next, missing: 0, since, steps: 0 }
    }

    /// Messages so far that the view has and the mailbox no longer has.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Steps taken so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The mailbox no longer exists: all that is left is missing. Returns `false`: no more steps.
    pub fn give_up(&mut self) -> bool {
        while let Some(rest) = self.rest() {
            self.pass(rest.last);
        }
        false
    }

    /// The next messages: at most a chunk of them, perhaps none. `false` when there are no more.
    pub fn step(&mut self, view: &View, mailbox: &Mailbox, batch: &mut Batch) -> bool {
        batch.messages.clear();
        self.steps += 1;
        let Some(rest) = self.rest() else { return false };
        let mut chunks = mailbox.chunks(rest);
        let found = chunks.find(|chunk| !chunk.find_range(rest.first, rest.last).is_empty());
        let Some(chunk) = found else {
            self.pass(rest.last);
            return true;
        };
        let last = chunk.iter().next_back().map_or(rest.last, Entry::uid);
        while let Some(rest) = self.rest().filter(|rest| rest.first <= last) {
            let indexes = chunk.find_range(rest.first, rest.last);
            if let Some(number) = view.sequence(rest.first) {
                // In a chunk that is older as a whole, no entry needs a look.
                let changed = self.since.is_none_or(|since| chunk.max_modseq() > since);
                for index in indexes {
                    let Some(entry) = chunk.get(index) else { break };
                    self.missing += u64::from(entry.uid().0 - self.next.0);
                    self.next = entry.uid().next();
                    if changed && self.since.is_none_or(|since| entry.modseq() > since) {
                        let number = number + (entry.uid().0 - rest.first.0);
                        batch.messages.push((number, index as u32));
                    }
                }
            }
            self.pass(rest.last.min(last));
        }
        batch.chunk = chunk;
        true
    }

    /// The rest of the current range.
    fn rest(&self) -> Option<UidRange> {
        Some(UidRange { first: self.next, last: self.uids.get(self.range)?.last })
    }

    /// Goes on after `last`. What was not found up to there is missing.
    fn pass(&mut self, last: Uid) {
        self.missing += u64::from((last.0 + 1).saturating_sub(self.next.0));
        self.next = last.next();
        if let Some(range) = self.uids.get(self.range)
            && last >= range.last
        {
            self.range += 1;
            self.next = self.uids.get(self.range).map_or(self.next, |range| range.first);
        }
    }
}
