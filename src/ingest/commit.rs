//! Writes leases to the log: frames, records, commits.

use std::rc::Rc;

use super::admission::{DELETED, FULL_OF_KEYWORDS};
use super::current::{Current, Finished};
use super::refusal::Refusal;
use super::taking::{admit_many, many_sets};
use super::upload::{Ended, Open, Upload};
use super::uploader::Uploader;
use crate::home::{Owner, Page, ROOM, Room, Stream};
use crate::index::Reserved;
use crate::limits::LARGE_LEASE;
use crate::reactor::thresholds;
use crate::store::{EmailId, HEADER, LogError, Record, place, sealed_len};
use imap::protocol::response::Code;
use imap::types::{Uid, UidRange};

/// Bytes of records of an unfinished batch that may wait in memory for its commit; more are written
/// to the log ahead of it. This number still fits in a large lease together with the commit.
const RECORDS_WAITING: usize = LARGE_LEASE / 4;

/// `RECORDS_WAITING`, or less on a machine with other thresholds.
fn records_waiting() -> usize {
    RECORDS_WAITING.min(thresholds().records_waiting)
}

impl Upload {
    /// Writes the open frame, and commits all finished batches. If the disk is full, all of them
    /// are refused, and so is the batch being received.
    pub(super) async fn commit(&mut self) -> Result<(), Ended> {
        // Boxed: most uploads wait for octets, and this future is large.
        Box::pin(self.commit_or_refuse()).await
    }

    async fn commit_or_refuse(&mut self) -> Result<(), Ended> {
        match self.write_out().await {
            Err(Ended::Broken(LogError::Full(why))) => {
                tracing::warn!("no room for mail: {why}");
                let refusal = Refusal::no(Some(Code::Unavailable), "there is no room on the disk");
                // Replies of earlier commands come first.
                self.by.home.log.durable().await.map_err(Ended::Broken)?;
                for one in std::mem::take(&mut self.finished) {
                    self.by.refuse(Some(one.tag), refusal.clone(), one.reply);
                    one.current.free(&self.by.home.log).await;
                }
                if let Some(current) = self.current.take() {
                    self.full = Some(refusal);
                    current.free(&self.by.home.log).await;
                }
                Ok(())
            }
            result => result,
        }
    }

    async fn write_out(&mut self) -> Result<(), Ended> {
        for one in &mut self.finished {
            one.admit_ahead(&self.by.owner).await;
        }
        if let Some(open) = self.open.take() {
            assert_eq!(open.parsed, open.filled, "only what was read is written");
            let records_len = self.finished.iter_mut().map(Finished::count).sum();
            if sealed_len(open.parsed - HEADER, records_len) <= open.lease.len() {
                self.frame(open, records_len).await?;
            } else {
                self.octets_alone(open).await?;
            }
        }
        while !self.finished.is_empty() {
            self.commit_alone().await?;
        }
        self.log_ahead().await
    }

    /// The usual frame: octets, and the commits of finished batches.
    async fn frame(&mut self, open: Open, records_len: usize) -> Result<(), Ended> {
        let Upload { by, frames, credit, finished, current, has_gap, .. } = self;
        let has_gap = std::mem::take(has_gap);
        let payload = open.parsed - HEADER;
        let room = Room::around(open.lease, payload, records_len).among(frames).on_credit(credit);
        let compose = |page: &mut Page<'_>| {
            if has_gap {
                by.home.log.has_dead(page.begins_at.0);
            }
            let mut position = 0;
            if let Some(current) = current {
                current.batch.placed(page.begins_at);
                position = current.stream.next_frame();
                page.belongs_to(current.stream.id, position);
            }
            for (nth, mut one) in std::mem::take(finished).into_iter().enumerate() {
                place(None, one.current.batch.messages.iter_mut().rev(), page.begins_at);
                if nth == 0 {
                    page.belongs_to(one.current.stream.id, position);
                }
                one.commit(by, page);
            }
            Ok(())
        };
        by.home.ledger(&by.owner).write(room, compose).await.map_err(Ended::Broken)
    }

    /// A frame with octets only, because the commits do not fit behind them.
    async fn octets_alone(&mut self, open: Open) -> Result<(), Ended> {
        let Upload { by, frames, credit, finished, current, has_gap, .. } = self;
        let has_gap = std::mem::take(has_gap);
        let payload = open.parsed - HEADER;
        let room = Room::around(open.lease, payload, 0).among(frames).on_credit(credit);
        let compose = |page: &mut Page<'_>| {
            if has_gap {
                by.home.log.has_dead(page.begins_at.0);
            }
            if let Some(first) = finished.first() {
                page.belongs_to(first.current.stream.id, 0);
            }
            let batches = finished.iter_mut().map(|one| &mut one.current);
            let begins_at = page.begins_at;
            batches.chain(current).for_each(|current| current.batch.placed(begins_at));
            Ok(())
        };
        by.home.ledger(&by.owner).write(room, compose).await.map_err(Ended::Broken)
    }

    /// The commit of the first finished batch in a frame of its own, after its octets.
    async fn commit_alone(&mut self) -> Result<(), Ended> {
        let mut one = self.finished.remove(0);
        let logged = self.log_messages(&mut one.current, records_waiting()).await;
        let records_len = one.count();
        self.finished.insert(0, one);
        logged?;
        let Upload { by, frames, credit, finished, .. } = self;
        let room = Room::of(records_len).among(frames).on_credit(credit);
        let compose = |page: &mut Page<'_>| {
            let one = finished.remove(0);
            page.belongs_to(one.current.stream.id, one.current.stream.frames());
            one.commit(by, page);
            Ok(())
        };
        by.home.ledger(&by.owner).write(room, compose).await.map_err(Ended::Broken)
    }

    /// Writes the records of an unfinished batch to the log when they grow large.
    async fn log_ahead(&mut self) -> Result<(), Ended> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        let result = match self.log_fragments(&mut current).await {
            Ok(()) => self.log_messages(&mut current, records_waiting()).await,
            error => error,
        };
        self.current = Some(current);
        result
    }

    /// Writes records of complete messages until the rest takes at most `waiting` bytes.
    async fn log_messages(&mut self, current: &mut Current, waiting: usize) -> Result<(), Ended> {
        while current.batch.messages_len() > waiting {
            let mut messages = std::mem::take(&mut current.batch.messages);
            let fit = Record::messages_that_fit(&messages, ROOM);
            current.batch.messages = messages.split_off(fit);
            // Otherwise it would keep the memory for all records until the batch ends.
            messages.shrink_to_fit();
            let record = Record::Messages { batch: current.stream.id, messages };
            let record = self.record_ahead(&mut current.stream, record).await?;
            if let Record::Messages { messages, .. } = record {
                current.batch.messages_logged(messages);
            }
        }
        Ok(())
    }

    /// Writes fragments of a message of gigabytes, which has more than fit in one record. They
    /// belong to the next message in the log, so the messages before it are written first.
    async fn log_fragments(&mut self, current: &mut Current) -> Result<(), Ended> {
        if !current.batch.has_fragments_for(records_waiting()) {
            return Ok(());
        }
        self.log_messages(current, 0).await?;
        let fragments = current.batch.take_fragments();
        let record = Record::Fragments { batch: current.stream.id, fragments };
        let record = self.record_ahead(&mut current.stream, record).await?;
        if let Record::Fragments { fragments, .. } = record {
            current.batch.fragments_logged(fragments);
        }
        Ok(())
    }

    /// Writes one record of an unfinished batch, and returns it.
    async fn record_ahead(&mut self, stream: &mut Stream, record: Record) -> Result<Record, Ended> {
        let Upload { by, frames, credit, .. } = self;
        let room = Room::of(record.encoded_len()).among(frames).on_credit(credit);
        let ledger = by.home.ledger(&by.owner);
        let records = ledger.write_ahead(stream, room, vec![record]).await;
        let mut records = records.map_err(Ended::Broken)?;
        Ok(records.pop().expect("the record that was given"))
    }
}

impl Finished {
    /// Admits the keywords before the commit is composed, if it has too many sets to look up
    /// without a yield.
    async fn admit_ahead(&mut self, owner: &Rc<Owner>) {
        let lists = self.current.keywords.lists.values();
        if self.admitted.is_none() && lists.len() > many_sets() {
            self.admitted = Some(admit_many(owner, self.current.mailbox, lists).await);
        }
    }

    /// Counts the bytes of its records in the frame with the commit.
    fn count(&mut self) -> usize {
        self.messages_len = self.current.batch.messages_len();
        self.messages_len + self.commit_len
    }

    /// Assigns UIDs and EMAILIDs to the messages and adds the commit to the page. If the mailbox is
    /// gone or out of UIDs, the batch is refused. Either way the reply is sent when the page is
    /// durable.
    fn commit(self, by: &Rc<Uploader>, page: &mut Page<'_>) {
        let by = by.clone();
        let (uids, first_email) = match self.reserve(&by, page) {
            Ok(reserved) => reserved,
            Err(refusal) => {
                let Finished { tag, reply, current, admitted, .. } = self;
                let Current { claim, share, keywords, batch, .. } = current;
                page.then(move || {
                    drop((claim, share, admitted));
                    if !by.owner.is_faulty() {
                        by.refuse(Some(tag), refusal, reply);
                    }
                });
                page.drop_later(keywords.lists.into_values());
                return page.drop_later(batch.into_pieces());
            }
        };
        let Finished { tag, current, reply, complete, mut commit, messages_len, admitted, .. } =
            self;
        let Current { mut batch, begun, stream, unnamed, claim, share, keywords, .. } = current;
        (commit.first_uid, commit.modseq) = (uids.first_uid, uids.modseq);
        commit.first_email = first_email;
        let messages = std::mem::take(&mut batch.messages);
        let last = (!messages.is_empty())
            .then_some((Record::Messages { batch: stream.id, messages }, messages_len));
        let mailbox = commit.mailbox;
        let range =
            UidRange { first: uids.first_uid, last: Uid(uids.first_uid.0 + commit.messages - 1) };
        let octets = commit.octets;
        page.commit(last, commit, move |last| batch.into_all(last));
        page.then(move || {
            drop((stream, claim, share, admitted));
            unnamed.named();
            // If the account was abandoned after an error, no session can see the batch: the
            // session ends without a reply.
            if !by.owner.is_faulty() {
                by.committed(mailbox, range, octets, begun, complete);
                by.acknowledge(tag, mailbox, range, reply);
            }
        });
        page.drop_later(keywords.lists.into_values());
    }

    fn reserve(&self, by: &Uploader, page: &mut Page<'_>) -> Result<(Reserved, EmailId), Refusal> {
        let deleted = || Refusal::no(Some(Code::TryCreate), DELETED);
        let (id, messages) = (self.commit.mailbox, self.commit.messages);
        let used_up = |what| Refusal::no(Some(Code::Limit), what);
        // Before the UIDs: reserved UIDs must be used, while a gap in EMAILIDs is harmless.
        let first_email = page.account.reserve_emails(messages);
        let mailbox = page.account.mailbox_mut(id).filter(|_| !by.owner.is_dying(id));
        let mailbox = mailbox.ok_or_else(deleted)?;
        let admitted = match &self.admitted {
            Some(ahead) => ahead.is_some(),
            None => mailbox.admit_all(self.current.keywords.lists.values()),
        };
        if !admitted {
            return Err(Refusal::no(Some(Code::Limit), FULL_OF_KEYWORDS));
        }
        let no_email = || used_up("the account has run out of message identifiers");
        let first_email = first_email.ok_or_else(no_email)?;
        let uids = mailbox.reserve(messages);
        let uids = uids.ok_or_else(|| used_up("the mailbox has run out of UIDs"))?;
        Ok((uids, first_email))
    }
}
