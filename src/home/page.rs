//! What goes into one frame of the log: the room it needs, the page that is composed in it, and
//! what the page changes once it is durable.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::allowance::Credit;
use super::owner::Owner;
use crate::index::Account;
use crate::reactor::{Lease, LeaseClass, thresholds};
use crate::store::{
    BatchId, Commit, HEADER, Hold, Log, MessageRecord, Purpose, Record, SegmentId, sealed_len,
};
use imap::types::UidRange;

/// Bytes for records in the largest frame without payload.
pub const ROOM: usize = room_in(LeaseClass::Large);

/// Bytes for records in a frame that fills a lease and has no payload.
const fn room_in(class: LeaseClass) -> usize {
    class.size() - HEADER - 8
}

/// What a frame needs before it can be composed.
pub struct Room<'c> {
    pub(super) space: Space,
    /// Most bytes of records.
    pub(super) records: usize,
    pub(super) purpose: Purpose,
    pub(super) in_flight: Option<&'c Arc<Semaphore>>,
    pub(super) credit: Option<&'c mut Credit>,
}

/// Memory for a frame.
pub(super) enum Space {
    /// A lease that has payload of this length behind the header.
    Filled(Lease, usize),
    /// A lease that is still to be had.
    Empty(LeaseClass),
}

impl<'c> Room<'c> {
    /// For a frame of at most `records` bytes of records, which adds something.
    #[must_use]
    pub fn of(records: usize) -> Room<'c> {
        Room::new(Space::Empty(LeaseClass::holding(sealed_len(0, records))), records)
    }

    /// For a frame of as many records as a lease of this class holds.
    #[must_use]
    pub fn filling(class: LeaseClass) -> Room<'c> {
        Room::new(Space::Empty(class), room_in(class))
    }

    /// For a frame around payload that is in its lease, and at most `records` bytes of records.
    #[must_use]
    pub fn around(lease: Lease, payload: usize, records: usize) -> Room<'c> {
        Room::new(Space::Filled(lease, payload), records)
    }

    fn new(space: Space, records: usize) -> Room<'c> {
        Room { space, records, purpose: Purpose::Adds, in_flight: None, credit: None }
    }

    /// What the frame is for: on a full disk there is room for some purposes only.
    #[must_use]
    pub fn purpose(self, purpose: Purpose) -> Room<'c> {
        Room { purpose, ..self }
    }

    /// Counts the frame among these until its write is complete, and waits while there are too
    /// many.
    #[must_use]
    pub fn among(self, in_flight: &'c Arc<Semaphore>) -> Room<'c> {
        Room { in_flight: Some(in_flight), ..self }
    }

    /// Charges the frame to this credit first, and the rest to the allowance of the account.
    #[must_use]
    pub fn on_credit(self, credit: &'c mut Credit) -> Room<'c> {
        Room { credit: Some(credit), ..self }
    }
}

/// A frame while it is composed, in the step that writes it.
pub struct Page<'p> {
    /// The account, with what is written and not yet durable.
    pub account: &'p mut Account,
    /// The segment and offset where the frame begins.
    pub begins_at: (SegmentId, u32),
    /// Bytes of records that the frame has room for.
    pub room: usize,
    pub(super) sheet: Sheet,
}

/// What a page holds.
pub(super) struct Sheet {
    /// The batch the frame belongs to, and how many frames of it came before.
    pub stream: (BatchId, u32),
    /// Bytes that all records take.
    pub len: usize,
    /// Records of a batch whose commit comes later.
    pub ahead: Vec<Record>,
    pub parts: Vec<Part>,
    /// What is dropped in the end.
    pub leftovers: Vec<Box<dyn Iterator<Item = ()>>>,
}

/// A part of a page, and what it does when the page is durable.
pub(super) enum Part {
    /// A record that is applied as it is.
    Change(Record),
    /// Messages and the commit that brings them.
    Batch(Batch),
    /// Runs when the parts before it have been applied.
    Then(Box<dyn FnOnce()>),
}

pub(super) struct Batch {
    /// The record with the last messages, if there is one, and the commit.
    records: Vec<Record>,
    whole: Whole,
}

/// Makes all messages of a batch of those that its last record names.
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

    /// Names the batch that the frame belongs to, and how many frames of it came before. For
    /// people with a hex dump; recovery does not need it.
    pub fn belongs_to(&mut self, batch: BatchId, position: u32) {
        self.sheet.stream = (batch, position);
    }

    /// Adds a record that is applied as it is.
    pub fn change(&mut self, record: Record) {
        self.sheet.len += record.encoded_len();
        self.sheet.parts.push(Part::Change(record));
    }

    /// Adds the commit of a batch. `last` is the record with those of its messages that no frame
    /// has named before, and the bytes it takes. `whole` makes all messages of the batch of them.
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

    /// Runs an action when the page is durable and what was added before has been applied. It is
    /// dropped when the log breaks.
    pub fn then(&mut self, action: impl FnOnce() + 'static) {
        self.sheet.parts.push(Part::Then(Box::new(action)));
    }

    /// Drops things one by one after everything else, so that dropping very many holds nobody up.
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
    pub fn records(&self) -> impl Iterator<Item = &Record> {
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

    /// The frame is durable: the account has what the part says from now on. Gives how many
    /// messages others have not been given a turn for.
    pub async fn apply(self, owner: &Rc<Owner>, log: &Log) -> usize {
        match self {
            Part::Change(record) => {
                owner.risk(|account| account.apply(&record));
                match record {
                    Record::SetFlags { uids, .. } | Record::Expunge { uids, .. } => {
                        UidRange::count(&uids) as usize
                    }
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

    /// The mistake: not in its turn.
    pub fn apply_at_once(self, owner: &Rc<Owner>) {
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
    /// Shows the messages, all at once, after taking them in piece by piece. Nothing else happens
    /// to the account in between, because actions of the log run one after the other. Gives how
    /// many messages there were in the last piece.
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

/// A batch on its way into the log, in as many frames as it needs.
pub struct Stream {
    /// Its number.
    pub id: BatchId,
    /// Frames so far.
    frames: u32,
    /// Keeps the frames with its records within reach of recovery until the commit is durable.
    hold: Option<Hold>,
}

impl Stream {
    pub(super) fn new(id: BatchId) -> Stream {
        Stream { id, frames: 0, hold: None }
    }

    /// How many frames it has.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Counts a frame with payload of the batch. Gives how many came before it.
    pub fn next_frame(&mut self) -> u32 {
        self.frames += 1;
        self.frames - 1
    }

    /// What keeps its records within reach of recovery; to be dropped when the commit is durable.
    #[must_use]
    pub fn take_hold(&mut self) -> Option<Hold> {
        self.hold.take()
    }

    /// Counts a frame with records of the batch, which is held from the first on.
    pub(super) fn wrote_records(&mut self, hold: impl FnOnce() -> Hold) {
        self.frames += 1;
        self.hold.get_or_insert_with(hold);
    }
}
