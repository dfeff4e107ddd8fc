//! APPEND with its I/O: octets are received from the socket into a lease, at the position from
//! which they are written to the disk.
//!
//! Up to the first literal, the command is in the session's buffer. From then on everything is
//! received into leases, including the text between literals. Input after the last APPEND of a
//! pipeline is moved back to the session's buffer before the frame is written, so that no other
//! command is ever written to the disk.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tracing::Span;

use super::admission::OwnKeywords;
use super::batch::Batch;
use super::current::{Current, Finished};
use super::machine::{Machine, Step};
use super::refusal::Refusal;
use super::uploader::{Client, Uploader};
use crate::home::{Credit, Home, Owner};
use crate::limits::{LARGE_LEASE, SMALL_LEASE};
use crate::reactor::{Instant, Lease, LeaseClass, receive_within, timeout, unix_seconds};
use crate::store::{Commit, EmailId, HEADER, LogError, Record};
use imap::protocol::response::Code;
use imap::protocol::{MailboxName, Options, Tag, is_append};
use imap::types::{ModSeq, Uid};

/// Frames of one connection that may be in flight while the next is filled.
const FRAMES_IN_FLIGHT: usize = 3;

/// Octets received at once outside of leases: the start of a command, or octets to discard.
const TEXT: usize = 8 << 10;
const DISCARDED: usize = 64 << 10;

/// Why an upload ended without a reply, so that the connection must be closed.
#[derive(Debug)]
pub enum Ended {
    /// The client has disconnected. Complete batches are kept, the last incomplete one is not.
    Gone,
    /// The client stopped sending within a command. Complete batches are kept, as with `Gone`.
    Idle,
    /// The log accepts no more writes.
    Broken(LogError),
}

/// Runs the APPENDs of a pipeline.
pub struct Upload {
    pub(super) by: Rc<Uploader>,
    /// Octets outside of leases: before the first literal, and after the last APPEND.
    heap: Vec<u8>,
    heap_at: usize,
    pub(super) open: Option<Open>,
    /// Complete batches without a commit. Their last octets are in `open` or in the log.
    pub(super) finished: Vec<Finished>,
    /// The batch being received.
    pub(super) current: Option<Current>,
    pub(super) frames: Arc<Semaphore>,
    /// Set when the disk had no room for the batch being received.
    pub(super) full: Option<Refusal>,
    /// Whether the current literal is synchronising: the client waited for `+`.
    synchronising: bool,
    /// Whether the client fills small leases quickly, so that it gets large ones from now on.
    eager: bool,
    /// An abandoned batch, to be dropped with yields.
    given_up: Option<Current>,
    /// The frame being filled has octets of an abandoned batch.
    pub(super) has_gap: bool,
    /// What it may log without charge to the account's allowance.
    pub(super) credit: Credit,
}

/// The frame being filled.
pub(super) struct Open {
    pub lease: Lease,
    /// End of the octets that the machine has consumed.
    pub parsed: usize,
    /// End of the received octets.
    pub filled: usize,
}

impl Upload {
    /// For the commands at the start of `heap`. The first is an APPEND whose first line is
    /// complete. Boxed, because each future that an upload passes through would hold a copy, and
    /// ten thousand connections may wait in an APPEND.
    #[must_use]
    pub fn new(home: Rc<Home>, owner: Rc<Owner>, client: Client, heap: Vec<u8>) -> Box<Upload> {
        Box::new(Upload {
            by: Rc::new(Uploader { home, owner, client, span: Span::current() }),
            heap,
            heap_at: 0,
            open: None,
            finished: Vec::new(),
            current: None,
            frames: Arc::new(Semaphore::new(FRAMES_IN_FLIGHT)),
            full: None,
            synchronising: false,
            eager: false,
            given_up: None,
            has_gap: false,
            credit: Credit::default(),
        })
    }

    /// Runs APPENDs while the next command is one. Returns the input after them. Replies are sent
    /// when they are due, perhaps after this returns ([`Pending`](super::Pending)).
    ///
    /// # Errors
    /// When the connection must end.
    pub async fn run(mut self: Box<Self>) -> Result<Vec<u8>, Ended> {
        let result = self.commands().await;
        let finished = std::mem::take(&mut self.finished).into_iter().map(|one| one.current);
        for unwanted in finished.chain(self.current.take()).chain(self.given_up.take()) {
            Box::pin(unwanted.free(&self.by.home.log)).await;
        }
        result.map(|()| self.heap)
    }

    async fn commands(&mut self) -> Result<(), Ended> {
        loop {
            self.command().await?;
            let follows =
                memchr::memchr(b'\n', self.unread()).is_some() && is_append(self.unread());
            // Return to the session, which waits until the client has read its replies, or may
            // write again.
            let client = &self.by.client;
            let waits =
                client.output.is_full() || self.by.owner.wait().is_some() || client.one_by_one;
            if !follows || waits {
                break;
            }
        }
        self.retreat();
        self.commit().await?;
        self.heap.drain(..self.heap_at);
        Ok(())
    }

    async fn command(&mut self) -> Result<(), Ended> {
        let mut machine = Machine::new(self.by.client.utf8);
        loop {
            if machine.literal_left() > 0 && self.open.is_none() && !machine.is_refused() {
                self.advance(machine.literal_left()).await?;
            }
            let (taken, step) = machine.step(self.unread());
            match step {
                Step::Octets(octets) => {
                    if let Err(refusal) = self.octets(octets) {
                        self.give_up();
                        machine.refuse_message(refusal);
                    }
                }
                Step::MessageEnd => {
                    self.by.client.progress.message();
                    self.batch().end();
                }
                _ => {}
            }
            self.take(taken);
            if let Some(unwanted) = self.given_up.take() {
                Box::pin(unwanted.free(&self.by.home.log)).await;
            }
            match step {
                Step::Octets(_) | Step::MessageEnd => {}
                Step::More => {
                    self.more(&machine).await?;
                    self.refuse_if_full(&mut machine);
                }
                Step::Continue => self.invite(),
                Step::Mailbox(name) => self.mailbox(&name, &mut machine),
                Step::Message(options) => {
                    let work = 1 + options.keywords.len();
                    self.message(options, &mut machine);
                    // A lease can hold twenty thousand messages of one octet.
                    self.by.home.log.worked(work).await;
                    self.room(&mut machine).await?;
                }
                Step::Complete => {
                    self.complete(machine.tag());
                    return Ok(());
                }
                Step::Refused(refusal) => return self.refused(machine.tag(), refusal).await,
            }
        }
    }

    fn batch(&mut self) -> &mut Batch {
        &mut self.current.as_mut().expect("messages belong to a batch").batch
    }

    fn unread(&self) -> &[u8] {
        match &self.open {
            Some(open) => &open.lease.octets()[open.parsed..open.filled],
            None => &self.heap[self.heap_at..],
        }
    }

    fn take(&mut self, octets: usize) {
        match &mut self.open {
            Some(open) => open.parsed += octets,
            None => self.heap_at += octets,
        }
    }

    fn octets(&mut self, octets: usize) -> Result<(), Refusal> {
        let Some(open) = &self.open else { panic!("literals are received into leases") };
        let at = open.parsed;
        let current = self.current.as_mut().expect("messages belong to a batch");
        current.arrive(octets)?;
        current.batch.octets(&open.lease.octets()[at..at + octets], at);
        self.by.client.progress.octets(octets);
        self.credit.mail(octets);
        Ok(())
    }

    fn mailbox(&mut self, name: &MailboxName, machine: &mut Machine) {
        self.by.client.progress.asks_for(name.as_str());
        match self.by.owner.mailbox_named(name.as_str()) {
            Some(mailbox) => {
                self.by.client.progress.goes_to(name.as_str(), unix_seconds());
                self.current = Some(Current {
                    stream: self.by.home.ledger(&self.by.owner).begin(),
                    unnamed: self.by.home.log.writes_unnamed(),
                    batch: Batch::default(),
                    share: self.by.home.unfinished.share(),
                    keywords: OwnKeywords::default(),
                    mailbox,
                    claim: None,
                    unclaimed: 0,
                    begun: Instant::now(),
                });
            }
            None => machine
                .refuse(Refusal::no(Some(Code::TryCreate), "no such mailbox; CREATE it first")),
        }
    }

    fn message(&mut self, options: Options, machine: &mut Machine) {
        match self.admit(&options) {
            Ok(keywords) => {
                self.synchronising = options.literal.synchronising;
                self.batch().begin(&options, keywords);
                if machine.accept() {
                    self.invite();
                }
            }
            Err(refusal) => {
                self.give_up();
                machine.refuse_message(refusal);
            }
        }
    }

    fn invite(&self) {
        self.by.client.output.push(|out| out.extend_from_slice(b"+ OK\r\n"));
    }

    /// Waits, without a lease, for a client that does not read its continuation requests.
    async fn room(&mut self, machine: &mut Machine) -> Result<(), Ended> {
        if !self.by.client.output.is_full() {
            return Ok(());
        }
        self.retreat();
        self.commit().await?;
        self.refuse_if_full(machine);
        self.by.client.output.room().await.map_err(|_| Ended::Gone)
    }

    /// Refuses the command if the disk had no room for the octets received so far.
    fn refuse_if_full(&mut self, machine: &mut Machine) {
        if let Some(refusal) = self.full.take() {
            machine.refuse(refusal);
        }
    }

    fn complete(&mut self, tag: Option<&Tag>) {
        let current = self.current.take().expect("a complete command has a batch");
        let tag = tag.expect("a complete command has a tag").clone();
        let commit = Commit {
            batch: current.stream.id,
            account: self.by.owner.name(),
            mailbox: current.mailbox,
            first_uid: Uid(0),
            first_email: EmailId(0),
            modseq: ModSeq(0),
            save_date: unix_seconds().cast_signed(),
            messages: u32::try_from(current.batch.count()).expect("fewer messages than octets"),
            octets: current.batch.octets,
        };
        self.finished.push(Finished {
            tag,
            current,
            reply: self.by.client.pending.begin(),
            complete: Instant::now(),
            commit_len: Record::Commit(commit.clone()).encoded_len(),
            commit,
            messages_len: 0,
            admitted: None,
        });
    }

    /// Abandons the batch. Its octets stay in the frame as a gap if other batches share it;
    /// otherwise the lease is dropped.
    fn give_up(&mut self) {
        self.given_up = self.current.take().or(self.given_up.take());
        if self.finished.is_empty() {
            self.retreat();
            self.open = None;
        }
        self.has_gap = self.open.is_some();
    }

    /// Sends a refusal after the replies of earlier commands.
    async fn refused(&mut self, tag: Option<&Tag>, refusal: Refusal) -> Result<(), Ended> {
        self.give_up();
        self.retreat();
        self.commit().await?;
        if !self.by.client.pending.none().await {
            return Err(Ended::Broken(LogError::Poisoned("the log broke".into())));
        }
        let pending = &self.by.client.pending;
        self.by.refuse(tag.cloned(), refusal, pending.begin());
        // The refusal comes before any later output, such as a continuation request.
        if !self.by.client.one_by_one && !pending.none().await {
            return Err(Ended::Broken(LogError::Poisoned("the log broke".into())));
        }
        Ok(())
    }

    /// Moves unread octets from the lease back to the buffer.
    fn retreat(&mut self) {
        if let Some(open) = &mut self.open {
            let unread = &open.lease.octets()[open.parsed..open.filled];
            self.heap.splice(..self.heap_at, unread.iter().copied());
            self.heap_at = 0;
            open.filled = open.parsed;
        }
    }

    /// Takes a lease, and moves the octets that have arrived into it.
    async fn advance(&mut self, left: u64) -> Result<(), Ended> {
        if self.unread().is_empty() {
            // A client that announces a literal and sends nothing gets no memory.
            (self.heap, self.heap_at) = (Vec::new(), 0);
            self.wait().await?;
        }
        let large = self.eager || left > (SMALL_LEASE - HEADER) as u64;
        let class = if large { LeaseClass::Large } else { LeaseClass::Small };
        let lease = self.by.home.arena.lease(class).await;
        self.open = Some(Open { lease, parsed: HEADER, filled: HEADER });
        self.refill();
        Ok(())
    }

    /// Waits for input without holding memory.
    async fn wait(&self) -> Result<(), Ended> {
        let conn = &self.by.client.conn;
        conn.quick_ack();
        match timeout(self.by.home.settings.idle_time, conn.readable()).await {
            Some(result) => result.map_err(gone),
            None => Err(Ended::Idle),
        }
    }

    /// Moves octets from the buffer into the lease.
    fn refill(&mut self) {
        let Some(open) = &mut self.open else { return };
        let waiting = &self.heap[self.heap_at..];
        let moved = waiting.len().min(open.lease.len() - open.filled);
        open.lease.octets_mut()[open.filled..open.filled + moved]
            .copy_from_slice(&waiting[..moved]);
        open.filled += moved;
        self.heap_at += moved;
    }

    /// Gets more input, when everything received was consumed.
    async fn more(&mut self, machine: &Machine) -> Result<(), Ended> {
        // Commit first: a client that waits for a reply may not send more.
        if !self.finished.is_empty() {
            return self.commit().await;
        }
        let Some(open) = &self.open else { return self.receive_text(machine.is_refused()).await };
        if self.heap_at < self.heap.len() && open.filled < open.lease.len() {
            self.refill();
            return Ok(());
        }
        if open.filled == open.lease.len() {
            self.eager = true;
            return self.commit().await;
        }
        // A new lease is only taken for octets that have arrived, so returning it unused would free
        // nothing in use.
        if self.by.home.arena.is_short() && open.filled > HEADER {
            self.commit().await?;
            return self.wait().await;
        }
        self.receive(machine.literal_left()).await
    }

    async fn receive_text(&mut self, discarded: bool) -> Result<(), Ended> {
        self.heap.drain(..self.heap_at);
        self.heap_at = 0;
        self.heap.shrink_to_fit();
        self.wait().await?;
        let limit = if discarded { DISCARDED } else { TEXT };
        let heap = std::mem::take(&mut self.heap);
        let (result, heap) = self.by.client.conn.recv_buf(heap, limit).await;
        self.heap = heap;
        match result {
            Ok(0) => Err(Ended::Gone),
            // A late interrupt, meant for the previous lease of this connection.
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(gone(error)),
            _ => Ok(()),
        }
    }

    async fn receive(&mut self, left: u64) -> Result<(), Ended> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let room = open.lease.len() - open.filled;
        // Wait for the full lease in one operation if the literal fills it. Not if others need the
        // lease, and not if the client may wait for an ACK within the literal: clients with
        // synchronising literals also write them in pieces (c-client: the header, then the body).
        let all = left >= room as u64 && !self.synchronising && !self.by.home.arena.is_short();
        let conn = self.by.client.conn.clone();
        conn.quick_ack();
        let idle = self.by.home.arena.idle(open.lease.class(), conn.interrupt_handle());
        let receiving = conn.recv(open.lease, open.filled..open.filled + room, all);
        let ((result, lease), late) =
            receive_within(self.by.home.settings.idle_time, || conn.interrupt_handle(), receiving)
                .await;
        drop(idle);
        open.lease = lease;
        match result {
            Ok(0) => return Err(Ended::Gone),
            Ok(octets) => {
                open.filled += octets;
            }
            Err(_) if late => return Err(Ended::Idle),
            // Leases ran out while the client was slow; `more` returns this one.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(gone(error)),
        }
        self.open = Some(open);
        Ok(())
    }
}

pub(super) fn gone(error: io::Error) -> Ended {
    tracing::debug!("receiving failed: {error}");
    Ended::Gone
}

const _: () = assert!(LARGE_LEASE > HEADER && SMALL_LEASE > HEADER);
