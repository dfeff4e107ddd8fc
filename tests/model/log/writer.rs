//! The log of one reactor, written to the [`Disk`] step by step as the server does, without
//! waiting.

use std::collections::VecDeque;

use imap::types::{FlagChange, Flags, InternalDate, Keyword, ModSeq, Uid, UidRange};
use kit::Random;
use mailrace::store::{
    BatchId, Change, Commit, EmailId, Epoch, Fragment, LogId, Lsn, MailboxId, MessageRecord, Place,
    ReadySegment, Record, SegmentHeader, SegmentId, Sequencer, SyncPlan, frame,
};
use xxhash_rust::xxh3::xxh3_128;

use super::copying::Copying;

use crate::disk::Disk;

/// Most fragments of one message in a `Messages` record. The rest goes into records before it.
const FRAGMENTS: usize = 2;

/// Most messages that end in one frame. Their records leave it smaller than any segment.
const MESSAGES: usize = 100;

/// Stands for "this frame" until the frame has its place.
const HERE: SegmentId = SegmentId(0);

pub struct Writer {
    pub epoch: Epoch,
    pub log: LogId,
    pub sequencer: Sequencer,
    open: Vec<Batch>,
    in_flight: Vec<InFlight>,
    sync: Option<Sync>,
    next_batch: BatchId,
    copying: Copying,
    /// What recovery must find, in order.
    pub submitted: Vec<Entry>,
    pub frames: Vec<FrameInfo>,
}

/// A change that was submitted, or that recovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub epoch: Epoch,
    pub log: LogId,
    pub lsn: Lsn,
    pub change: Change,
    /// The octets of the messages, if it has any.
    pub octets: Vec<Vec<u8>>,
}

#[derive(Clone, Copy)]
pub struct FrameInfo {
    pub place: Place,
    pub payload: usize,
    pub records: usize,
    /// The first frame with records of a batch that was open at the end of this frame.
    pub open_since: Lsn,
}

/// The fate of a batch once all of its octets are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Committed,
    Cancelled,
    /// Cancelled without a record that says so.
    Forgotten,
}

struct Batch {
    id: BatchId,
    fate: Fate,
    waiting: VecDeque<Vec<u8>>,
    /// Bytes of the first waiting message that were sent, and their place.
    sent: usize,
    fragments: Vec<Fragment>,
    done: Vec<MessageRecord>,
    octets: Vec<Vec<u8>>,
    began: Option<Lsn>,
}

struct InFlight {
    segment: SegmentId,
    write: u64,
    /// `None` for the header of the segment.
    lsn: Option<Lsn>,
}

struct Sync {
    plan: SyncPlan,
    left: VecDeque<(SegmentId, Vec<u64>)>,
}

impl Writer {
    pub fn new(epoch: Epoch, log: LogId, logs: u16, salt: u64) -> Writer {
        Writer {
            epoch,
            log,
            sequencer: Sequencer::new(epoch, log, logs, salt),
            open: Vec::new(),
            in_flight: Vec::new(),
            sync: None,
            next_batch: BatchId(1),
            copying: Copying::default(),
            submitted: Vec::new(),
            frames: Vec::new(),
        }
    }

    pub fn submit(&mut self, messages: Vec<Vec<u8>>, fate: Fate) {
        let id = self.next_batch;
        self.next_batch = id.next();
        self.open.push(Batch {
            id,
            fate,
            waiting: messages.into(),
            sent: 0,
            fragments: Vec::new(),
            done: Vec::new(),
            octets: Vec::new(),
            began: None,
        });
    }

    /// Begins a copy of one of the batches that are durable.
    pub fn copy(&mut self, pick: usize) {
        let id = self.next_batch;
        self.next_batch = id.next();
        self.copying.begin(id, self.sequencer.durable(), pick);
    }

    /// Composes one frame, with at most `room` bytes of payload from the open batches and perhaps
    /// another record, and begins to write it. `new_segment` supplies the next file.
    pub fn frame(
        &mut self,
        disk: &mut Disk,
        random: &mut Random,
        room: usize,
        other: bool,
        new_segment: impl FnOnce(&mut Disk) -> ReadySegment,
    ) {
        let mut payload = Vec::new();
        let mut records = Vec::new();
        let first = self.open.first().map_or(BatchId(0), |batch| batch.id);
        let mut messages = MESSAGES;
        for batch in &mut self.open {
            batch.fill(&mut payload, room, &mut messages, random);
            batch.describe(&mut records);
        }
        if other {
            records.push(other_record(random));
        }
        records.extend(self.copying.records());
        if payload.is_empty() && records.is_empty() {
            return;
        }
        let records_len = records.iter().map(Record::encoded_len).sum();
        let length = frame::sealed_len(payload.len(), records_len);
        let place = self.reserve(disk, length as u32, new_segment);
        records.iter_mut().for_each(|record| settle(record, &place));
        self.settle_batches(&records, &place);
        if let Some((change, octets)) = self.copying.written(place.lsn) {
            let (epoch, log, lsn) = (self.epoch, self.log, place.lsn);
            self.submitted.push(Entry { epoch, log, lsn, change, octets });
        }

        let mut octets = vec![0xEE; length];
        octets[frame::HEADER..frame::HEADER + payload.len()].copy_from_slice(&payload);
        assert_eq!(frame::seal(&mut octets, &place, first, 0, payload.len(), &records), length);
        let write = disk.write(place.segment, place.offset, octets);
        self.in_flight.push(InFlight { segment: place.segment, write, lsn: Some(place.lsn) });
        let began = self.open.iter().filter_map(|batch| batch.began).chain(self.copying.began());
        let open_since = began.fold(place.lsn.next(), Lsn::min);
        let payload = payload.len();
        self.frames.push(FrameInfo { place, payload, records: records_len, open_since });
    }

    /// One of the writes in flight completes.
    pub fn complete(&mut self, disk: &mut Disk, pick: usize) {
        if self.in_flight.is_empty() {
            return;
        }
        let done = self.in_flight.swap_remove(pick % self.in_flight.len());
        disk.complete(done.segment, done.write);
        match done.lsn {
            Some(lsn) => self.sequencer.written(lsn),
            None => self.sequencer.header_written(done.segment),
        }
    }

    /// Begins a sync, or advances the running one by one file.
    pub fn sync(&mut self, disk: &mut Disk) {
        let Some(sync) = &mut self.sync else {
            if let Some(plan) = self.sequencer.begin_sync() {
                let left = plan.segments.iter().map(|&s| (s, disk.covered(s))).collect();
                self.sync = Some(Sync { plan, left });
            }
            return;
        };
        if let Some((segment, covered)) = sync.left.pop_front() {
            disk.synced(segment, &covered);
        }
        if sync.left.is_empty() {
            self.sequencer.synced(&sync.plan);
            self.sync = None;
        }
    }

    fn reserve(
        &mut self,
        disk: &mut Disk,
        length: u32,
        new_segment: impl FnOnce(&mut Disk) -> ReadySegment,
    ) -> Place {
        if let Some(place) = self.sequencer.reserve(length) {
            return place;
        }
        let ReadySegment { segment, length: size, reused } = new_segment(disk);
        let header = self.sequencer.open_segment(segment, size as u32, 1_700_000_000);
        let header = SegmentHeader { reused, ..header };
        let mut block = vec![0xEE; 4096];
        header.encode(&mut block);
        let write = disk.write(segment, 0, block);
        self.in_flight.push(InFlight { segment, write, lsn: None });
        self.sequencer.reserve(length).expect("every segment here holds the largest frame")
    }

    /// Applies the frame at `place` to the open batches.
    fn settle_batches(&mut self, records: &[Record], place: &Place) {
        for batch in &mut self.open {
            batch.fragments.iter_mut().for_each(|fragment| settle_fragment(fragment, place));
            for record in records {
                match record {
                    Record::Messages { batch: id, messages } if *id == batch.id => {
                        batch.done.extend_from_slice(messages);
                    }
                    Record::Fragments { batch: id, .. } if *id == batch.id => {}
                    _ => continue,
                }
                batch.began.get_or_insert(place.lsn);
            }
        }
        let (epoch, log, lsn) = (self.epoch, self.log, place.lsn);
        for record in records {
            let (change, octets) = match record {
                Record::Commit(commit) => {
                    let at = self.open.iter().position(|batch| batch.id == commit.batch);
                    let Some(at) = at else { continue };
                    let batch = self.open.remove(at);
                    self.copying.committed(lsn, &batch.done, &batch.octets);
                    let messages = whole(batch.done, &batch.octets);
                    (Change::Append { commit: commit.clone(), messages }, batch.octets)
                }
                Record::SetFlags { .. } => (Change::Other(record.clone()), Vec::new()),
                _ => continue,
            };
            self.submitted.push(Entry { epoch, log, lsn, change, octets });
        }
        self.open.retain(|batch| batch.fate == Fate::Committed || !batch.waiting.is_empty());
    }
}

impl Batch {
    /// Adds octets of this batch to a frame, with command text between them.
    fn fill(
        &mut self,
        payload: &mut Vec<u8>,
        room: usize,
        messages: &mut usize,
        random: &mut Random,
    ) {
        if self.fate != Fate::Committed && random.below(3) == 0 {
            self.waiting.clear();
        }
        while let Some(message) = self.waiting.front()
            && payload.len() < room
            && *messages > 0
        {
            let gap = random.below(40);
            payload.extend_from_slice(&random.octets(gap));
            let length = (message.len() - self.sent).min(room.saturating_sub(payload.len()).max(1));
            let offset = payload.len() as u32;
            payload.extend_from_slice(&message[self.sent..self.sent + length]);
            self.fragments.push(Fragment { segment: HERE, offset, length: length as u32 });
            self.sent += length;
            if self.sent < message.len() {
                return;
            }
            *messages -= 1;
            self.sent = 0;
            self.octets.extend(self.waiting.pop_front());
            self.finish_message();
        }
    }

    fn finish_message(&mut self) {
        let octets = self.octets.last().expect("a message has just ended");
        let checksum = xxh3_128(octets);
        self.done.push(MessageRecord {
            size: octets.len() as u64,
            date: InternalDate::from_unix((checksum >> 96) as i64),
            flags: Flags(checksum as u8 & 0x1F),
            keywords: (0..checksum as usize >> 8 & 3).map(|n| keyword(&format!("k{n}"))).collect(),
            email: EmailId::default(),
            checksum,
            fragments: std::mem::take(&mut self.fragments),
        });
    }

    /// The records about what this frame holds of the batch, and its end.
    fn describe(&mut self, records: &mut Vec<Record>) {
        let batch = self.id;
        // Messages of earlier frames were described there.
        let (known, mut new): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.done).into_iter().partition(|message| {
                message.fragments.last().is_some_and(|fragment| fragment.segment != HERE)
            });
        self.done = known;
        if let Some(first) = new.first_mut()
            && first.fragments.len() > FRAGMENTS
        {
            let rest = first.fragments.split_off(first.fragments.len() - 1);
            let fragments = std::mem::replace(&mut first.fragments, rest);
            records.push(Record::Fragments { batch, fragments });
        }
        if !new.is_empty() {
            records.push(Record::Messages { batch, messages: new });
        }
        if self.waiting.is_empty() {
            match self.fate {
                Fate::Committed => records.push(Record::Commit(self.commit())),
                Fate::Cancelled => records.push(Record::Cancel { batch }),
                Fate::Forgotten => {}
            }
        } else if self.fragments.len() > FRAGMENTS {
            let fragments = std::mem::take(&mut self.fragments);
            records.push(Record::Fragments { batch, fragments });
        }
    }

    fn commit(&self) -> Commit {
        Commit {
            batch: self.id,
            account: "anna".into(),
            mailbox: MailboxId(self.id.0 % 5 + 1),
            first_uid: Uid(self.id.0 as u32 * 1000),
            first_email: EmailId(self.id.0 * 1000),
            modseq: ModSeq(self.id.0 + 7),
            save_date: -5,
            messages: self.octets.len() as u32,
            octets: self.octets.iter().map(|octets| octets.len() as u64).sum(),
        }
    }
}

/// The records of a batch as recovery returns them, with the fragments of earlier records.
fn whole(mut done: Vec<MessageRecord>, octets: &[Vec<u8>]) -> Vec<MessageRecord> {
    assert_eq!(done.len(), octets.len());
    for message in &mut done {
        // Fragments are checked by their octets, not by how they were split.
        message.fragments.clear();
    }
    done
}

fn other_record(random: &mut Random) -> Record {
    let first = Uid(random.below(1000) as u32 + 1);
    Record::SetFlags {
        account: "anna".into(),
        mailbox: MailboxId(3),
        modseq: ModSeq(random.number() >> 1),
        uids: vec![UidRange { first, last: Uid(first.0 + 3) }],
        change: FlagChange::Add,
        flags: Flags::SEEN,
        keywords: vec![keyword("$Junk")],
    }
}

fn keyword(text: &str) -> Keyword {
    Keyword::new(text.as_bytes()).expect("an atom")
}

fn settle(record: &mut Record, place: &Place) {
    match record {
        Record::Messages { messages, .. } => {
            let fragments = messages.iter_mut().flat_map(|message| &mut message.fragments);
            fragments.for_each(|fragment| settle_fragment(fragment, place));
        }
        Record::Fragments { fragments, .. } => {
            fragments.iter_mut().for_each(|fragment| settle_fragment(fragment, place));
        }
        _ => {}
    }
}

fn settle_fragment(fragment: &mut Fragment, place: &Place) {
    if fragment.segment == HERE {
        fragment.segment = place.segment;
        fragment.offset = frame::payload_offset(place, fragment.offset as usize);
    }
}
