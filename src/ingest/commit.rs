//! From a lease to the log: frames, records, commit footers, replies.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::OwnedSemaphorePermit;

use super::admission::{DELETED, FULL_OF_KEYWORDS};
use super::current::{Current, Finished};
use super::refusal::Refusal;
use super::taking::{admit_many, arrive, free, many_sets};
use super::upload::{Ended, Open, Upload, UploadContext};
use crate::home::{FAULTY, ROOM};
use crate::index::{KeywordSet, Mailbox};
use crate::limits::LARGE_LEASE;
use crate::reactor::fault::{Fault, made};
use crate::reactor::{LeaseClass, thresholds, unix_seconds};
use crate::store::{
    self, BatchId, Commit, Frame, HEADER, KeywordList, LogError, MessageRecord, Place, Record,
    sealed_len,
};
use imap::protocol::Tag;
use imap::protocol::response::{Code, Condition, tagged};
use imap::types::{ModSeq, Uid, UidRange, UidValidity};

/// Records of an unfinished batch that may wait in memory for its footer; more are written to the
/// log ahead of it. So much still fits into a large lease with the footer.
const RECORDS_WAITING: usize = LARGE_LEASE / 4;

/// As many of them as may wait on this machine.
fn records_waiting() -> usize {
    RECORDS_WAITING.min(thresholds().records_waiting)
}

impl Upload {
    /// Writes out the frame being filled, and commits everything that is finished. When there is no
    /// room on the disk all of it is refused, and so is the batch being received.
    pub(super) async fn commit(&mut self) -> Result<(), Ended> {
        match self.write_out().await {
            Err(Ended::Broken(LogError::Full(why))) => {
                tracing::warn!("no room for mail: {why}");
                let refusal = Refusal::no(Some(Code::Unavailable), "there is no room on the disk");
                // Replies of earlier commands come first.
                self.context.log.durable().await.map_err(Ended::Broken)?;
                for one in std::mem::take(&mut self.finished) {
                    self.context.refused(&refusal);
                    self.context.reply(|out| refusal.write(out, Some(&one.tag)));
                    one.reply.replied();
                    one.current.free(&self.context.log).await;
                }
                if let Some(current) = self.current.take() {
                    self.full = Some(refusal);
                    current.free(&self.context.log).await;
                }
                Ok(())
            }
            result => result,
        }
    }

    async fn write_out(&mut self) -> Result<(), Ended> {
        for one in &mut self.finished {
            one.admit_ahead(&self.context).await;
        }
        if let Some(open) = self.open.take() {
            assert_eq!(open.parsed, open.filled, "only what was read is written");
            let records_len = records_len(&self.context, &self.finished);
            if sealed_len(open.parsed - HEADER, records_len) <= open.lease.len() {
                self.frame(open, records_len).await?;
            } else {
                self.octets_alone(open).await?;
            }
        }
        while !self.finished.is_empty() {
            self.footer_alone().await?;
        }
        self.log_ahead().await
    }

    /// The usual frame: octets, and the footers of what is finished.
    async fn frame(&mut self, open: Open, records_len: usize) -> Result<(), Ended> {
        let payload = open.parsed - HEADER;
        let permit = self.ready(sealed_len(payload, records_len)).await?;
        let mut footers = Footers::new(&self.context, std::mem::take(&mut self.finished));
        self.pay(footers.len(), payload);
        let first = footers.first().map(|current| current.id);
        let current = self.current.as_ref();
        let frame = Frame {
            lease: open.lease,
            stream: first.or(current.map(|current| current.id)).unwrap_or_default(),
            position: current.map_or(0, |current| current.frames),
            payload,
            records_len: footers.len(),
        };
        let mut still_open = self.current.as_mut();
        let (_, records) = self.context.log.write(
            frame,
            |place| {
                if let Some(current) = &mut still_open {
                    current.batch.placed(place);
                    current.frames += 1;
                }
                footers.placed(place)
            },
            permit,
        );
        footers.when_durable(&self.context, records);
        Ok(())
    }

    /// The octets, when the footers do not fit behind them.
    async fn octets_alone(&mut self, open: Open) -> Result<(), Ended> {
        let payload = open.parsed - HEADER;
        let permit = self.ready(sealed_len(payload, 0)).await?;
        let stream = self.finished.first().map_or(BatchId::default(), |one| one.current.id);
        let frame = Frame { lease: open.lease, stream, position: 0, payload, records_len: 0 };
        self.pay(0, payload);
        let (place, _) = self.context.log.write(frame, |_| Vec::new(), permit);
        let finished = self.finished.iter_mut().map(|one| &mut one.current);
        finished.chain(&mut self.current).for_each(|current| current.batch.placed(&place));
        Ok(())
    }

    /// The footer of the first batch that is finished, in a frame of its own: its octets have been
    /// written before.
    async fn footer_alone(&mut self) -> Result<(), Ended> {
        let mut one = self.finished.remove(0);
        let logged = self.log_messages(&mut one.current, records_waiting()).await;
        self.finished.insert(0, one);
        logged?;
        let lease = self.context.arena.lease(LeaseClass::Large).await;
        let len = records_len(&self.context, &self.finished[..1]);
        let permit = self.ready(sealed_len(0, len)).await?;
        let mut footers = Footers::new(&self.context, vec![self.finished.remove(0)]);
        let mut records = std::mem::take(&mut footers.records);
        if let Some(&Current { id: stream, frames: position, .. }) = footers.first() {
            let records_len = records.iter().map(Record::encoded_len).sum();
            let frame = Frame { lease, stream, position, payload: 0, records_len };
            self.pay(records_len, 0);
            (_, records) = self.context.log.write(frame, |_| records, permit);
        }
        footers.when_durable(&self.context, records);
        Ok(())
    }

    /// Of an unfinished batch that grows large, what is known already goes to the log.
    async fn log_ahead(&mut self) -> Result<(), Ended> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        let result = match self.log_fragments(&mut current).await {
            Ok(()) => self.log_messages(&mut current, records_waiting()).await,
            error => error,
        };
        self.current = Some(current);
        result
    }

    /// Writes complete messages until their records take no more than so many octets.
    async fn log_messages(&mut self, current: &mut Current, waiting: usize) -> Result<(), Ended> {
        while current.batch.messages_len() > waiting {
            let mut messages = std::mem::take(&mut current.batch.messages);
            let fit = Record::messages_that_fit(&messages, ROOM);
            current.batch.messages = messages.split_off(fit);
            // It would keep the room of all, and wait so until the batch ends.
            messages.shrink_to_fit();
            let record = Record::Messages { batch: current.id, messages };
            if let Record::Messages { messages, .. } = self.record(current, record).await? {
                current.batch.messages_logged(messages);
            }
        }
        Ok(())
    }

    /// A message of gigabytes has more fragments than one record holds. What goes ahead belongs to
    /// the message that comes next in the log, so the messages before it go first.
    async fn log_fragments(&mut self, current: &mut Current) -> Result<(), Ended> {
        if !current.batch.has_fragments_for(records_waiting()) {
            return Ok(());
        }
        self.log_messages(current, 0).await?;
        let fragments = current.batch.take_fragments();
        let record = Record::Fragments { batch: current.id, fragments };
        if let Record::Fragments { fragments, .. } = self.record(current, record).await? {
            current.batch.fragments_logged(fragments);
        }
        Ok(())
    }

    /// Writes one record of an unfinished batch and gives it back.
    async fn record(&mut self, current: &mut Current, record: Record) -> Result<Record, Ended> {
        let lease = self.context.arena.lease(LeaseClass::Large).await;
        let records_len = record.encoded_len();
        let permit = self.ready(sealed_len(0, records_len)).await?;
        let (stream, position) = (current.id, current.frames);
        let frame = Frame { lease, stream, position, payload: 0, records_len };
        self.pay(records_len, 0);
        let (place, mut records) = self.context.log.write(frame, |_| vec![record], permit);
        current.frames += 1;
        if current.hold.is_none() {
            current.hold = Some(self.context.log.hold(&place));
        }
        Ok(records.pop().expect("the record that was given"))
    }

    /// What a frame takes in the log beside mail is taken from the account's allowance.
    fn pay(&mut self, records: usize, payload: usize) {
        let cost = self.credit.frame(sealed_len(payload, records), payload);
        self.context.owner.logged(cost);
    }

    /// Waits until so many octets can be written, by this connection and by the log. To be
    /// followed by the write without an await.
    async fn ready(&self, length: usize) -> Result<OwnedSemaphorePermit, Ended> {
        let permit = self.frames.clone().acquire_owned().await;
        self.context.log.ready(length).await.map_err(Ended::Broken)?;
        Ok(permit.expect("nobody closes the semaphore"))
    }
}

/// An upper bound, exact unless a mailbox has vanished meanwhile.
fn records_len(context: &UploadContext, finished: &[Finished]) -> usize {
    let commit = |one| Record::Commit(footer(context, one)).encoded_len();
    finished.iter().map(|one| one.current.batch.messages_len() + commit(one)).sum()
}

/// The footer of a batch, but for UIDs and mod-sequence.
fn footer(context: &UploadContext, one: &Finished) -> Commit {
    Commit {
        batch: one.current.id,
        account: context.owner.name(),
        mailbox: one.current.mailbox,
        first_uid: Uid(0),
        modseq: ModSeq(0),
        save_date: unix_seconds().cast_signed(),
        messages: u32::try_from(one.current.batch.count()).expect("fewer messages than octets"),
        octets: one.current.batch.octets,
    }
}

/// Commit footers of one frame.
struct Footers {
    /// In order; some are refused at the last moment.
    finished: Vec<(Finished, Option<Refusal>)>,
    records: Vec<Record>,
}

impl Footers {
    /// Gives UIDs to the batches, in this order; the next frame of the log must hold the footers.
    /// A batch whose mailbox is gone, or out of UIDs, is refused here.
    fn new(context: &UploadContext, finished: Vec<Finished>) -> Footers {
        let mut footers = Footers { finished: Vec::new(), records: Vec::new() };
        for one in finished {
            match reserve(context, &one) {
                Ok(commit) => footers.add(one, commit),
                Err(refusal) => footers.finished.push((one, Some(refusal))),
            }
        }
        footers
    }

    fn add(&mut self, mut one: Finished, commit: Commit) {
        let messages = std::mem::take(&mut one.current.batch.messages);
        if !messages.is_empty() {
            self.records.push(Record::Messages { batch: commit.batch, messages });
        }
        self.records.push(Record::Commit(commit));
        self.finished.push((one, None));
    }

    /// The first batch that is committed.
    fn first(&self) -> Option<&Current> {
        let mut committed = self.finished.iter().filter(|(_, refusal)| refusal.is_none());
        committed.next().map(|(finished, _)| &finished.current)
    }

    fn len(&self) -> usize {
        self.records.iter().map(Record::encoded_len).sum()
    }

    /// The records, when the octets of the messages are in the same frame.
    fn placed(&mut self, place: &Place) -> Vec<Record> {
        for record in &mut self.records {
            if let Record::Messages { messages, .. } = record {
                store::place(None, messages.iter_mut().rev(), (place.segment, place.offset));
            }
        }
        std::mem::take(&mut self.records)
    }

    /// Once durable: the mailbox shows the messages, and the client gets its replies.
    fn when_durable(self, context: &UploadContext, records: Vec<Record>) {
        if self.finished.is_empty() {
            return;
        }
        let mut written = self.with(records);
        let context = context.clone();
        if made(Fault::ShownBeforeDurable) {
            written.iter_mut().for_each(|one| one.show_at_once(&context));
            context.owner.changed.notify_waiters();
        }
        context.log.clone().when_durable_in_turns(async move {
            let mut done = Vec::with_capacity(written.len());
            for one in written {
                done.push(one.reply(&context).await);
            }
            context.owner.changed.notify_waiters();
            for lists in done {
                free(&context.log, lists.into_values()).await;
            }
        });
    }

    /// Each batch with its own of the records.
    fn with(self, records: Vec<Record>) -> Vec<Written> {
        let mut records = records.into_iter();
        let mut committed = || {
            let mut last = Vec::new();
            loop {
                match records.next() {
                    Some(Record::Messages { messages, .. }) => last = messages,
                    Some(Record::Commit(commit)) => return (commit, Some(last)),
                    other => panic!("a footer ends in its commit, not in {other:?}"),
                }
            }
        };
        let finished = self.finished.into_iter();
        let written = finished.map(|(finished, refusal)| Written {
            finished,
            outcome: refusal.map_or_else(|| Ok(committed()), Err),
        });
        written.collect()
    }
}

/// See [`OwnKeywords`](super::admission::OwnKeywords).
type Lists = BTreeMap<KeywordSet, KeywordList>;

/// A batch whose end was written, or refused.
struct Written {
    finished: Finished,
    /// Its commit, and the messages of its last frame until it is shown.
    outcome: Result<(Commit, Option<Vec<MessageRecord>>), Refusal>,
}

impl Written {
    /// The mailbox has the messages from now on.
    async fn show(&mut self, context: &UploadContext) {
        let Ok((commit, last)) = &mut self.outcome else { return };
        let Some(last) = last.take() else { return };
        let messages = self.finished.current.batch.all(last);
        arrive(&context.owner, &context.log, commit, messages).await;
    }

    /// The mistake: not in its turn.
    fn show_at_once(&mut self, context: &UploadContext) {
        let Ok((commit, last)) = &mut self.outcome else { return };
        let Some(last) = last.take() else { return };
        let messages = self.finished.current.batch.all(last);
        context.owner.risk(|account| account.append(commit, messages));
    }

    /// Gives what is left of the batch, for which there may be a list for each message.
    async fn reply(mut self, context: &UploadContext) -> Lists {
        self.show(context).await;
        let Written { finished: Finished { tag, mut current, reply, complete, .. }, outcome } =
            self;
        let lists = std::mem::take(&mut current.keywords.lists);
        drop(current.claim.take());
        if context.owner.is_faulty() {
            // The batch is durable, but nobody can see it: the session ends without an answer.
            return lists;
        }
        match outcome {
            Ok((commit, _)) => {
                context.committed(&commit, current.begun, complete);
                acknowledge(context, &tag, &commit);
            }
            Err(refusal) => {
                context.refused(&refusal);
                context.reply(|out| refusal.write(out, Some(&tag)));
            }
        }
        reply.replied();
        lists
    }
}

impl Finished {
    /// Makes room for keywords before the commit is composed, when there are too many sets of them
    /// to be looked up in the turn that does.
    async fn admit_ahead(&mut self, context: &UploadContext) {
        let lists = self.current.keywords.lists.values();
        if self.admitted.is_none() && lists.len() > many_sets() {
            self.admitted = Some(admit_many(&context.owner, self.current.mailbox, lists).await);
        }
    }
}

fn acknowledge(context: &UploadContext, tag: &Tag, commit: &Commit) {
    let (first, count, octets) = (commit.first_uid, commit.messages, commit.octets);
    let validity = {
        let account = context.owner.account.borrow();
        account.mailbox(commit.mailbox).map_or_else(UidValidity::default, Mailbox::uid_validity)
    };
    let mut committed = context.committed.get();
    committed.batches += 1;
    committed.messages += u64::from(count);
    committed.octets += octets;
    context.committed.set(committed);
    let announce: &Rc<_> = &context.announce;
    context.reply(|out| {
        announce(out);
        let uids = [UidRange { first, last: Uid(first.0 + count - 1) }];
        let code = Code::AppendUid { validity, uids: &uids };
        tagged(out, tag, Condition::Ok, Some(&code), "APPEND completed");
    });
}

fn reserve(context: &UploadContext, one: &Finished) -> Result<Commit, Refusal> {
    if context.owner.is_faulty() {
        return Err(Refusal::no(Some(Code::Unavailable), FAULTY));
    }
    if !context.owner.has(one.current.mailbox) {
        return Err(Refusal::no(Some(Code::TryCreate), DELETED));
    }
    let mut commit = footer(context, one);
    let mut account = context.owner.account.borrow_mut();
    let mailbox = account.mailbox_mut(commit.mailbox);
    let mailbox = mailbox.ok_or_else(|| Refusal::no(Some(Code::TryCreate), DELETED))?;
    let admitted = match &one.admitted {
        Some(ahead) => ahead.is_some(),
        None => mailbox.admit_all(one.current.keywords.lists.values()),
    };
    if !admitted {
        return Err(Refusal::no(Some(Code::Limit), FULL_OF_KEYWORDS));
    }
    let Some(reserved) = mailbox.reserve(commit.messages) else {
        return Err(Refusal::no(Some(Code::Limit), "the mailbox has run out of UIDs"));
    };
    (commit.first_uid, commit.modseq) = (reserved.first_uid, reserved.modseq);
    Ok(commit)
}
