//! Putting batches together from the frames that they are spread over, and checking every octet
//! that came with them.

use std::collections::BTreeMap;
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3Default;

use super::error::RecoveryError;
use super::medium::Medium;
use super::stop::{Broken, Stop};
use super::visit::Change;
use super::window::Window;
use crate::store::format::{
    BatchId, Commit, Fragment, Lsn, MailboxId, MessageRecord, Record, SegmentId,
};
use imap::types::Uid;

/// Bytes of a message that are read at a time.
const AHEAD: usize = 256 << 10;

/// The batches of one log that are not committed yet.
pub(super) struct Batches<'a> {
    medium: &'a dyn Medium,
    /// All segments with the lengths of their files in bytes.
    lengths: &'a BTreeMap<SegmentId, u64>,
    window: Window,
    open: BTreeMap<BatchId, Open>,
    /// Frames are lost. So batches may be there in part, and the octets that a reference points to
    /// may never have been checked.
    has_holes: bool,
    /// The highest segment in which a fragment lies.
    pub(super) highest: SegmentId,
}

/// What a frame commits.
#[derive(Default)]
pub(super) struct Taken {
    /// The changes.
    pub(super) changes: Vec<Change>,
    /// Messages among them whose octets are not those that were received.
    pub(super) wrong: Vec<Wrong>,
    /// Messages that should be among them.
    pub(super) missing: Vec<Missing>,
}

/// Messages of one batch whose octets are not those that were received.
pub(super) struct Wrong {
    /// Why the log stops here, if they were not durable.
    pub(super) stop: Stop,
    /// The first fragment of each.
    pub(super) first: Vec<Fragment>,
}

/// Messages of one batch whose records are lost.
pub(super) struct Missing {
    pub(super) account: Box<str>,
    pub(super) mailbox: MailboxId,
    pub(super) uids: (Uid, Uid),
}

#[derive(Default)]
struct Open {
    messages: Vec<MessageRecord>,
    /// Frames are lost that may have had messages of this batch: how many messages came before the
    /// first hole, and how many before the last.
    hole: Option<(usize, usize)>,
    /// Those that came as references: their octets are checked with the batch that brought them.
    references: Vec<Range<usize>>,
    /// Fragments of the message that comes next.
    ahead: Vec<Fragment>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(medium: &'a dyn Medium, lengths: &'a BTreeMap<SegmentId, u64>) -> Self {
        Batches {
            medium,
            lengths,
            window: Window::new(AHEAD),
            open: BTreeMap::new(),
            has_holes: false,
            highest: SegmentId(0),
        }
    }

    /// Frames are lost here: what follows may lack its beginning.
    pub(super) fn hole(&mut self) {
        self.has_holes = true;
        for open in self.open.values_mut() {
            let count = open.messages.len();
            let (first, _) = open.hole.unwrap_or((count, count));
            open.hole = Some((first, count));
            open.ahead.clear();
        }
    }

    /// How many messages belong to batches that are not committed yet.
    pub(super) fn uncommitted(&self) -> usize {
        self.open.values().map(|open| open.messages.len()).sum()
    }

    /// Takes the records of one frame, and returns the changes that it commits, checked. If they
    /// are
    /// `applied`, the catalog has them already: they are neither checked nor returned.
    ///
    /// `frame_of` gives the frame in which a fragment lies, or `Lsn(0)` for one that is known to
    /// have been durable.
    pub(super) fn take(
        &mut self,
        records: Vec<Record>,
        applied: bool,
        frame_of: &dyn Fn(&Fragment) -> Lsn,
    ) -> Result<Taken, Broken> {
        let mut taken = Taken::default();
        for record in records {
            match record {
                Record::Messages { batch, messages } => {
                    self.open(batch, &messages).add(messages);
                }
                Record::References { batch, messages } => {
                    let open = self.open(batch, &messages);
                    let from = open.messages.len();
                    open.add(messages);
                    open.references.push(from..open.messages.len());
                }
                Record::Fragments { batch, mut fragments } => {
                    self.open(batch, &[]).ahead.append(&mut fragments);
                }
                Record::Cancel { batch } => {
                    self.open.remove(&batch);
                }
                Record::Commit(commit) => {
                    self.open(commit.batch, &[]);
                    let open = self.open.remove(&commit.batch).unwrap_or_default();
                    if !applied {
                        self.commit(commit, open, frame_of, &mut taken)?;
                    }
                }
                _ if applied => {}
                other => taken.changes.push(Change::Other(other)),
            }
        }
        Ok(taken)
    }

    /// The open batch that these messages belong to.
    fn open(&mut self, batch: BatchId, messages: &[MessageRecord]) -> &mut Open {
        let fragments = messages.iter().flat_map(|message| &message.fragments);
        let highest = fragments.map(|fragment| fragment.segment).max();
        self.highest = self.highest.max(highest.unwrap_or_default());
        let hole = self.has_holes.then_some((0, 0));
        self.open.entry(batch).or_insert_with(|| Open { hole, ..Open::default() })
    }

    fn commit(
        &mut self,
        commit: Commit,
        open: Open,
        frame_of: &dyn Fn(&Fragment) -> Lsn,
        taken: &mut Taken,
    ) -> Result<(), Broken> {
        let Open { messages, references, ahead, hole } = open;
        let (count, octets) = (messages.len(), total(messages.iter().map(|m| m.size)));
        let complete = count == commit.messages as usize && octets == Some(commit.octets);
        let complete = complete && ahead.is_empty();
        if let Some((first, last)) = hole.filter(|_| !complete)
            && first + (count - last) <= commit.messages as usize
        {
            self.commit_in_part(&commit, messages, (first, last), frame_of, taken)?;
            return Ok(());
        }
        if !complete {
            let got = octets.unwrap_or(u64::MAX);
            let Commit { messages, octets, .. } = commit;
            let what = format!(
                "a batch of {messages} messages with {octets} octets is committed, \
                 the log has {count} with {got}"
            );
            return Err(Stop::new(what).affecting(commit.mailbox, messages).into());
        }
        let wrong = self.check(&commit, &messages, &references, frame_of)?;
        taken.wrong.extend(wrong);
        taken.changes.push(Change::Append { commit, messages });
        Ok(())
    }

    /// Commits the messages of a batch whose places in it are known: those before the first hole,
    /// and those after the last.
    fn commit_in_part(
        &mut self,
        commit: &Commit,
        mut messages: Vec<MessageRecord>,
        (first, last): (usize, usize),
        frame_of: &dyn Fn(&Fragment) -> Lsn,
        taken: &mut Taken,
    ) -> Result<(), RecoveryError> {
        let (start, end) = (commit.first_uid.0, commit.first_uid.0.saturating_add(commit.messages));
        let behind = messages.split_off(last);
        messages.truncate(first);
        let (lost, rest) = (start + messages.len() as u32, end - behind.len() as u32);
        if lost < rest {
            let (account, mailbox) = (commit.account.clone(), commit.mailbox);
            let uids = (Uid(lost), Uid(rest - 1));
            taken.missing.push(Missing { account, mailbox, uids });
        }
        // The second part always follows, even if empty: no UID of the batch may be given again.
        let first_email = commit.first_email;
        let rest_email = match first_email.is_given() {
            true => first_email.plus(rest - start).unwrap_or(first_email),
            false => first_email,
        };
        let parts = [(start, first_email, messages), (rest, rest_email, behind)];
        for (first_uid, first_email, messages) in parts {
            let first_uid = Uid(first_uid);
            let octets = total(messages.iter().map(|message| message.size)).unwrap_or_default();
            let count = messages.len() as u32;
            let commit =
                Commit { first_uid, first_email, messages: count, octets, ..commit.clone() };
            let wrong = self.check(&commit, &messages, &[], frame_of)?;
            taken.wrong.extend(wrong);
            taken.changes.push(Change::Append { commit, messages });
        }
        Ok(())
    }

    /// Compares the octets of all messages with their checksums, except for references while no
    /// frame is lost.
    fn check(
        &mut self,
        commit: &Commit,
        messages: &[MessageRecord],
        references: &[Range<usize>],
        frame_of: &dyn Fn(&Fragment) -> Lsn,
    ) -> Result<Option<Wrong>, RecoveryError> {
        let (count, mut wrong, mut first, mut held_by) = (messages.len(), 0, Vec::new(), None);
        let mut references = references.iter().peekable();
        for (number, message) in messages.iter().enumerate() {
            references.next_if(|range| range.end <= number);
            let referred = references.peek().is_some_and(|range| range.contains(&number));
            let adds_up = adds_up(message);
            let trusted = referred && !self.has_holes;
            if !adds_up || !trusted && !self.is_whole(message)? {
                wrong += 1;
                let last = message.fragments.iter().map(frame_of).max().filter(|_| adds_up);
                held_by = [held_by, last].into_iter().flatten().min();
                first.extend(message.fragments.first().copied());
            }
        }
        if wrong > 0 {
            let mut what = format!("{wrong} of {count} messages do not have their checksum");
            // The octets may lie in another file than their commit.
            if let Some(&Fragment { segment, offset, .. }) = first.first() {
                let file = segment.file_name();
                what.push_str(&format!(", the first begins at octet {offset} of {file}"));
            }
            let stop = Stop { held_by, ..Stop::new(what) };
            return Ok(Some(Wrong { stop: stop.affecting(commit.mailbox, wrong), first }));
        }
        Ok(None)
    }

    /// Whether the octets of the message are those that were received. Octets in a stripped segment
    /// are gone on purpose. Whether the message needs them is known only when everything was read.
    fn is_whole(&mut self, message: &MessageRecord) -> Result<bool, RecoveryError> {
        let end = |fragment: &Fragment| u64::from(fragment.offset) + u64::from(fragment.length);
        let mut needs_stripped = false;
        for fragment in &message.fragments {
            let Fragment { segment, offset, .. } = *fragment;
            let Some(&length) = self.lengths.get(&segment) else { return Ok(false) };
            let length = self.medium.end(segment, length);
            if end(fragment) > length.map_err(RecoveryError::io(segment, offset.into()))? {
                return Ok(false);
            }
            needs_stripped |= self.medium.is_stripped(segment);
        }
        if needs_stripped {
            return Ok(true);
        }
        let mut hash = Xxh3Default::new();
        for fragment in &message.fragments {
            let end = end(fragment);
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
