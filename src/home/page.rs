//! A frame of the log: the room it needs, the page composed in it, and the changes it makes once it
//! is durable.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::allowance::Credit;
use super::owner::Owner;
use crate::index::Account;
use crate::reactor::{Lease, LeaseClass, thresholds};
use crate::store::{
    BatchId, Begun, Commit, HEADER, Hold, Log, MessageRecord, Purpose, Record, SegmentId,
    sealed_len,
};
use imap::types::UidRange;

/// Bytes for records in the largest frame without payload.
pub(crate) const ROOM: usize = room_in(LeaseClass::Large);

/// Bytes for records in a frame that fills a lease and has no payload.
const fn room_in(class: LeaseClass) -> usize {
    class.size() - HEADER - 8
}

/// The requirements of a frame, before it is composed.
pub struct Room<'c> {
    pub(super) space: Space,
    /// Limit of the records, in bytes.
    pub(super) records: usize,
    pub(super) purpose: Purpose,
    pub(super) in_flight: Option<&'c Arc<Semaphore>>,
    pub(super) credit: Option<&'c mut Credit>,
    /// Whether the account pays for the frame with its allowance.
    pub(super) charged: bool,
}

/// The memory for a frame.
pub(super) enum Space {
    /// A lease with payload of this length, in bytes, after the header.
    Filled(Lease, usize),
    /// A lease of this class, still to be taken.
    Empty(LeaseClass),
}

impl<'c> Room<'c> {
    /// For a frame of at most `records` bytes of records that add something.
    #[must_use]
    pub fn of(records: usize) -> Room<'c> {
        Room::new(Space::Empty(LeaseClass::holding(sealed_len(0, records))), records)
    }

    /// For a frame with as many records as fit in a lease of this class.
    #[must_use]
    pub fn filling(class: LeaseClass) -> Room<'c> {
        Room::new(Space::Empty(class), room_in(class))
    }

    /// For a frame with payload that is in `lease`, and at most `records` bytes of records.
    #[must_use]
    pub fn around(lease: Lease, payload: usize, records: usize) -> Room<'c> {
        Room::new(Space::Filled(lease, payload), records)
    }

    fn new(space: Space, records: usize) -> Room<'c> {
        Room {
            space,
            records,
            purpose: Purpose::Adds,
            in_flight: None,
            credit: None,
            charged: true,
        }
    }

    /// Sets the purpose of the frame: a full disk has room for some purposes only.
    #[must_use]
    pub fn purpose(self, purpose: Purpose) -> Room<'c> {
        Room { purpose, ..self }
    }

    /// Limits the frames in flight: waits for a permit, and holds it until the frame is written.
    #[must_use]
    pub fn among(self, in_flight: &'c Arc<Semaphore>) -> Room<'c> {
        Room { in_flight: Some(in_flight), ..self }
    }

    /// Does not charge the frame to the account, because no client has asked for it.
    #[must_use]
    pub fn uncharged(self) -> Room<'c> {
        Room { charged: false, ..self }
    }

    /// Charges the frame to this credit first, and the rest to the allowance of the account.
    #[must_use]
    pub fn on_credit(self, credit: &'c mut Credit) -> Room<'c> {
        Room { credit: Some(credit), ..self }
    }
}

/// A frame while it is composed, in the step that writes it.
pub struct Page<'p> {
    /// The account in its written state.
    pub account: &'p mut Account,
    /// The segment and offset where the frame begins.
    pub begins_at: (SegmentId, u32),
    /// Room for records, in bytes.
    pub room: usize,
    pub(super) sheet: Sheet,
}

/// The contents of a page.
pub(super) struct Sheet {
    /// The batch of the frame, and its number of earlier frames.
    pub stream: (BatchId, u32),
    /// Size of all records, in bytes.
    pub len: usize,
    /// Records of a batch whose commit comes later.
    pub ahead: Vec<Record>,
    pub parts: Vec<Part>,
    /// Dropped one by one at the end.
    pub leftovers: Vec<Box<dyn Iterator<Item = ()>>>,
}

/// A part of a page, and what it does when the page is durable.
pub(super) enum Part {
    /// A record that is applied as it is.
    Change(Record),
    /// Messages and their commit.
    Batch(Batch),
    /// Runs when the parts before it have been applied.
    Then(Box<dyn FnOnce()>),
}

pub(super) struct Batch {
    /// The record with the last messages, if any, and the commit.
    records: Vec<Record>,
    whole: Whole,
}

/// Completes the messages of a batch, given those in its last record.
type Whole = Box<dyn FnOnce(Vec<MessageRecord>) -> Box<dyn Iterator<Item = MessageRecord>>>;

impl<'p> Page<'p> {
    pub(super) fn new(
        account: &'p mut Account,
        begins_at: (SegmentId, u32),
        records: usize,
    ) -> Page<'p> {
        let stream = (BatchId::default(), 0);
        let sheet =
            Sheet { stream, len: 0, ahead: Vec::new(), parts: Vec::new(), leftovers: Vec::new() };
        Page { account, begins_at, room: records.min(thresholds().records_room), sheet }
    }

    /// Sets the batch of the frame and its number of earlier frames. Only for people who read a hex
    /// dump; recovery does not need it.
    pub fn belongs_to(&mut self, batch: BatchId, position: u32) {
        self.sheet.stream = (batch, position);
    }

    /// Adds a record that is applied as it is.
    pub fn change(&mut self, record: Record) {
        self.sheet.len += record.encoded_len();
        self.sheet.parts.push(Part::Change(record));
    }

    /// Adds the commit of a batch. `last` is the record with the messages that no earlier frame
    /// has, and its size in bytes. `whole` turns its messages into all messages of the batch.
    pub fn commit<I>(
        &mut self,
        last: Option<(Record, usize)>,
        commit: Commit,
        whole: impl FnOnce(Vec<MessageRecord>) -> I + 'static,
    ) where
        I: Iterator<Item = MessageRecord> + 'static,
    {
        let commit = Record::Commit(commit);
        self.sheet.len += last.as_ref().map_or(0, |(_, len)| *len) + commit.encoded_len();
        let records = last.map(|(record, _)| record).into_iter().chain([commit]).collect();
        let whole: Whole = Box::new(|last| Box::new(whole(last)));
        self.sheet.parts.push(Part::Batch(Batch { records, whole }));
    }

    /// Runs an action when the page is durable and the parts before it are applied. The action is
    /// dropped if the log fails.
    pub fn then(&mut self, action: impl FnOnce() + 'static) {
        self.sheet.parts.push(Part::Then(Box::new(action)));
    }

    /// Drops things one by one after everything else, with yields.
    pub fn drop_later<I: Iterator + 'static>(&mut self, things: I) {
        self.sheet.leftovers.push(Box::new(things.map(drop)));
    }

    /// Adds records of a batch whose commit comes later.
    pub(super) fn ahead(&mut self, records: Vec<Record>) {
        self.sheet.len += records.iter().map(Record::encoded_len).sum::<usize>();
        self.sheet.ahead = records;
    }
}

impl Sheet {
    /// All records, in the order in which they are written.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.ahead.iter().chain(self.parts.iter().flat_map(Part::records))
    }
}

impl Part {
    fn records(&self) -> &[Record] {
        match self {
            Part::Change(record) => std::slice::from_ref(record),
            Part::Batch(batch) => &batch.records,
            Part::Then(_) => &[],
        }
    }

    /// Applies the part after its frame is durable. Returns the number of messages processed since
    /// the last yield.
    pub(super) async fn apply(self, owner: &Rc<Owner>, log: &Log) -> usize {
        match self {
            Part::Change(record) => {
                owner.risk(|account| account.apply(&record));
                match record {
                    Record::SetFlags { uids, .. } | Record::Expunge { uids, .. } => {
                        UidRange::count(&uids) as usize
                    }
                    Record::Relocate { messages, .. } => messages.len(),
                    _ => 0,
                }
            }
            Part::Batch(batch) => batch.arrive(owner, log).await,
            Part::Then(action) => {
                action();
                0
            }
        }
    }

    /// Planted fault: applies the part out of turn.
    pub(super) fn apply_at_once(self, owner: &Rc<Owner>) {
        match self {
            Part::Change(record) => {
                owner.risk(|account| account.apply(&record));
            }
            Part::Batch(batch) => {
                let (commit, messages) = batch.open();
                owner.risk(|account| account.append(&commit, messages));
            }
            Part::Then(action) => action(),
        }
    }
}

impl Batch {
    /// Adds the messages in pieces with yields, then shows them all at once. The account does not
    /// change in between, because actions of the log run one after the other. Returns the number of
    /// messages in the last piece.
    async fn arrive(self, owner: &Rc<Owner>, log: &Log) -> usize {
        let (commit, mut messages) = self.open();
        let Some(mut arriving) = owner.risk(|account| account.expect(&commit)) else { return 0 };
        let piece = thresholds().chunk_messages;
        loop {
            let next = messages.by_ref().take(piece);
            match owner.risk(|account| account.take_in(&mut arriving, next)) {
                None => return 0,
                Some(taken) if taken < piece => {
                    owner.risk(|account| account.show(arriving));
                    return taken;
                }
                Some(taken) => log.worked(taken).await,
            }
        }
    }

    fn open(self) -> (Commit, Box<dyn Iterator<Item = MessageRecord>>) {
        let Batch { records, whole } = self;
        let (mut last, mut commit) = (Vec::new(), None);
        for record in records {
            match record {
                Record::Messages { messages, .. } | Record::References { messages, .. } => {
                    last = messages;
                }
                Record::Commit(own) => commit = Some(own),
                other => panic!("{other:?} is no part of a batch"),
            }
        }
        (commit.expect("a batch ends in its commit"), whole(last))
    }
}

/// A batch while it is written to the log, in any number of frames. Keep it until the batch is in
/// its mailbox.
pub struct Stream {
    /// The number of the batch.
    pub id: BatchId,
    /// Number of frames so far.
    frames: u32,
    /// Keeps the frames with its records within reach of recovery until the commit is durable.
    hold: Option<Hold>,
    /// Keeps the segments with its octets from being cleaned.
    _begun: Begun,
}

impl Stream {
    pub(super) fn new(begun: Begun) -> Stream {
        Stream { id: begun.id(), frames: 0, hold: None, _begun: begun }
    }

    /// Number of frames so far.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Counts a frame with payload of the batch. Returns the number of earlier frames.
    pub fn next_frame(&mut self) -> u32 {
        self.frames += 1;
        self.frames - 1
    }

    /// Takes the guard that keeps its records within reach of recovery. Drop it when the commit is
    /// durable.
    #[must_use]
    pub fn take_hold(&mut self) -> Option<Hold> {
        self.hold.take()
    }

    /// Counts a frame with records of the batch. `hold` is called for the first one.
    pub(super) fn wrote_records(&mut self, hold: impl FnOnce() -> Hold) {
        self.frames += 1;
        self.hold.get_or_insert_with(hold);
    }
}
