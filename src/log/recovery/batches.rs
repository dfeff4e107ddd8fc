//! Putting batches together from the frames they are spread over, and checking every octet that
//! came with them.

use std::collections::BTreeMap;
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3Default;

use super::walk::{Broken, Stop};
use super::window::Window;
use super::{Change, Medium, RecoveryError};
use crate::log::record::{Commit, MessageRecord, Record};
use crate::log::segment::SegmentHeader;
use crate::types::{BatchId, Fragment, Lsn, SegmentId};

/// How much of a message is read at a time.
const AHEAD: usize = 256 << 10;

/// The batches of one log that are not committed yet.
pub(super) struct Batches<'a> {
    medium: &'a dyn Medium,
    /// All segments with their lengths.
    lengths: &'a BTreeMap<SegmentId, u64>,
    window: Window,
    open: BTreeMap<BatchId, Open>,
}

#[derive(Default)]
struct Open {
    messages: Vec<MessageRecord>,
    /// Which of them came as references: their octets are checked for the batch they came with.
    references: Vec<Range<usize>>,
    /// Fragments of the message that comes next.
    ahead: Vec<Fragment>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(medium: &'a dyn Medium, lengths: &'a BTreeMap<SegmentId, u64>) -> Self {
        Batches { medium, lengths, window: Window::new(AHEAD), open: BTreeMap::new() }
    }

    /// Takes the records of one frame; the changes that it makes valid come back, checked. With
    /// `applied`, the catalog has them already: they are neither checked nor given back.
    ///
    /// `frame_of` says of a fragment in which frame it lies; `Lsn(0)` is one that is known to have
    /// been durable.
    pub(super) fn take(
        &mut self,
        records: Vec<Record>,
        applied: bool,
        frame_of: &dyn Fn(&Fragment) -> Lsn,
    ) -> Result<Vec<Change>, Broken> {
        let mut changes = Vec::new();
        for record in records {
            match record {
                Record::Messages { batch, messages } => {
                    self.open.entry(batch).or_default().add(messages);
                }
                Record::References { batch, messages } => {
                    let open = self.open.entry(batch).or_default();
                    let from = open.messages.len();
                    open.add(messages);
                    open.references.push(from..open.messages.len());
                }
                Record::Fragments { batch, mut fragments } => {
                    self.open.entry(batch).or_default().ahead.append(&mut fragments);
                }
                Record::Cancel { batch } => {
                    self.open.remove(&batch);
                }
                Record::Commit(commit) => {
                    let open = self.open.remove(&commit.batch).unwrap_or_default();
                    if !applied {
                        changes.push(self.commit(commit, open, frame_of)?);
                    }
                }
                _ if applied => {}
                other => changes.push(Change::Other(other)),
            }
        }
        Ok(changes)
    }

    fn commit(
        &mut self,
        commit: Commit,
        open: Open,
        frame_of: &dyn Fn(&Fragment) -> Lsn,
    ) -> Result<Change, Broken> {
        let Open { messages, references, ahead } = open;
        let (count, octets) = (messages.len(), total(messages.iter().map(|m| m.size)));
        let complete = count == commit.messages as usize && octets == Some(commit.octets);
        if !complete || !ahead.is_empty() {
            let got = octets.unwrap_or(u64::MAX);
            let Commit { messages, octets, .. } = commit;
            let what = format!(
                "a batch of {messages} messages with {octets} octets is committed, \
                 the log has {count} with {got}"
            );
            return Err(Stop::new(what).affecting(commit.mailbox, messages).into());
        }
        let (mut wrong, mut first, mut held_by) = (0, None, None);
        let mut references = references.into_iter().peekable();
        for (number, message) in messages.iter().enumerate() {
            references.next_if(|range| range.end <= number);
            let referred = references.peek().is_some_and(|range| range.contains(&number));
            let adds_up = adds_up(message);
            if !adds_up || !referred && !self.is_whole(message)? {
                wrong += 1;
                let last = message.fragments.iter().map(frame_of).max().filter(|_| adds_up);
                held_by = [held_by, last].into_iter().flatten().min();
                first = first.or_else(|| message.fragments.first().copied());
            }
        }
        if wrong > 0 {
            let mut what = format!("{wrong} of {count} messages do not have their checksum");
            // They may lie in another file than their commit.
            if let Some(Fragment { segment, offset, .. }) = first {
                let file = SegmentHeader::file_name(segment);
                what.push_str(&format!(", the first begins at octet {offset} of {file}"));
            }
            let stop = Stop { held_by, ..Stop::new(what) };
            return Err(stop.affecting(commit.mailbox, wrong).into());
        }
        Ok(Change::Append { commit, messages })
    }

    /// Whether the message's octets are what was received.
    fn is_whole(&mut self, message: &MessageRecord) -> Result<bool, RecoveryError> {
        let mut hash = Xxh3Default::new();
        for fragment in &message.fragments {
            let end = u64::from(fragment.offset) + u64::from(fragment.length);
            if self.lengths.get(&fragment.segment).is_none_or(|&length| length < end) {
                return Ok(false);
            }
            let mut at = u64::from(fragment.offset);
            while at < end {
                let length = AHEAD.min((end - at) as usize);
                let octets = self.window.read(self.medium, fragment.segment, at, length)?;
                if octets.is_empty() {
                    return Ok(false);
                }
                hash.update(octets);
                at += octets.len() as u64;
            }
        }
        Ok(hash.digest128() == message.checksum)
    }
}

impl Open {
    fn add(&mut self, messages: Vec<MessageRecord>) {
        for mut message in messages {
            if !self.ahead.is_empty() {
                self.ahead.append(&mut message.fragments);
                message.fragments = std::mem::take(&mut self.ahead);
            }
            self.messages.push(message);
        }
    }
}

fn adds_up(message: &MessageRecord) -> bool {
    let lengths = message.fragments.iter().map(|fragment| u64::from(fragment.length));
    total(lengths) == Some(message.size)
}

fn total(mut sizes: impl Iterator<Item = u64>) -> Option<u64> {
    sizes.try_fold(0_u64, u64::checked_add)
}
