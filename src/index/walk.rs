//! Walking from the UIDs of a command to the messages in the index: chunk by chunk, without copying
//! entries. The mailbox may change between two steps. A UID that the session's view has but the
//! mailbox has lost by then is counted as missing:
//!
//! ```text
//! UIDs 3:9, chunks 1..5 and 6..9     step 1 gives 3 4 5
//!                                    another session expunges 7
//!                                    step 2 gives 6 8 9, missing 1
//! ```

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
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Entry<'_>)> {
        self.messages.iter().filter_map(|&(number, index)| {
            Some((number, self.chunk.get(index as usize)?)) //
        })
    }

    /// Number of messages.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The message at an index of the batch.
    pub(crate) fn entry(&self, at: usize) -> Entry<'_> {
        let (_, index) = self.messages[at];
        self.chunk.get(index as usize).expect("it was found there, and chunks do not change")
    }

    /// The message at an index of the batch, detached from the batch.
    pub(crate) fn one(&self, at: usize) -> Found {
        let (number, index) = self.messages[at];
        Found { number, chunk: self.chunk.clone(), index }
    }

    /// The messages, each detached from the batch.
    pub(crate) fn found(&self) -> impl Iterator<Item = Found> + '_ {
        self.messages.iter().map(|&(number, index)| Found {
            number,
            chunk: self.chunk.clone(),
            index,
        })
    }
}

/// A message as it was when the walk found it. Its fragments stay readable, even if it is expunged
/// later.
#[derive(Clone)]
pub(crate) struct Found {
    /// Its sequence number.
    pub number: u32,
    chunk: Arc<Chunk>,
    index: u32,
}

impl Found {
    /// Its entry in the index.
    pub(crate) fn entry(&self) -> Entry<'_> {
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

/// A walk through ascending ranges of UIDs, all of which are in the session's view.
pub(crate) struct Walk {
    uids: Vec<UidRange>,
    /// The current range, from `next` on.
    range: usize,
    next: Uid,
    /// Number of messages that no longer exist.
    missing: u64,
    /// Only messages that changed after this.
    since: Option<ModSeq>,
    steps: usize,
}

impl Walk {
    /// A walk through the messages in these ranges that changed after `since`.
    pub(crate) fn new(uids: Vec<UidRange>, since: Option<ModSeq>) -> Walk {
        let next = uids.first().map_or(Uid(1), |range| range.first);
        Walk { uids, range: 0, next, missing: 0, since, steps: 0 }
    }

    /// Number of messages so far that are in the view and no longer in the mailbox.
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// Number of steps so far.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Ends the walk because the mailbox was deleted: the remaining messages are missing. Returns
    /// `false`, like a step after the last.
    pub(crate) fn give_up(&mut self) -> bool {
        while let Some(rest) = self.rest() {
            self.pass(rest.last);
        }
        false
    }

    /// Takes the next messages: at most those of one chunk, possibly none. `false` at the end.
    pub(crate) fn step(&mut self, view: &View, mailbox: &Mailbox, batch: &mut Batch) -> bool {
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
                // No entry can have changed if the chunk's highest mod-sequence is not above
                // `since`.
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

    /// Continues after `last`. Messages not found up to `last` are missing.
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
