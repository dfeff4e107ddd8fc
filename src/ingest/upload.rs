//! APPEND with its I/O: octets go from the socket into a lease, at the place from which they are
//! written.
//!
//! Until the first literal the command stands in the session's buffer; from then on everything is
//! received into leases, the text between literals as well. What follows the last APPEND of a
//! pipeline goes back to the session's buffer before the frame is written, so that no other
//! command ever reaches the disk.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::Semaphore;

use super::admission::OwnKeywords;
use super::batch::Batch;
use super::current::{Current, Finished};
use super::machine::{Machine, Step};
use super::pending::Pending;
use super::refusal::Refusal;
use crate::home::{Committed, Credit, Owner, Unfinished};
use crate::limits::{LARGE_LEASE, SMALL_LEASE};
use crate::net::{Output, Transport};
use crate::reactor::{Arena, Instant, Lease, LeaseClass, receive_within, timeout, unix_seconds};
use crate::stats::{Counters, Progress};
use crate::store::{HEADER, Log, LogError};
use imap::protocol::response::Code;
use imap::protocol::{MailboxName, Options, Tag, is_append};

/// Frames of one connection that may be on their way to the disk while the next is filled.
const FRAMES_IN_FLIGHT: usize = 3;

/// What is received at once outside of leases: the start of a command, or octets to throw away.
const TEXT: usize = 8 << 10;
const DISCARDED: usize = 64 << 10;

/// Why an upload ended other than by a reply: the connection is to be closed.
#[derive(Debug)]
pub enum Ended {
    /// The client went away. Batches that were complete are kept, the last one vanished whole.
    Gone,
    /// The client fell silent amid a command. The same holds for its batches.
    Idle,
    /// The log takes nothing any more.
    Broken(LogError),
}

/// What an upload works with.
#[derive(Clone)]
pub struct UploadContext {
    /// The client.
    pub conn: Rc<Transport>,
    /// Replies to it.
    pub output: Rc<Output>,
    /// Its account.
    pub owner: Rc<Owner>,
    /// Memory.
    pub arena: Arena,
    /// Disk.
    pub log: Log,
    /// A client that sends nothing for so long has gone.
    pub idle_time: Duration,
    /// Largest message taken, in octets (RFC 7889).
    pub append_limit: u64,
    /// Whether the client enabled IMAP4rev2 or UTF8=ACCEPT: see [`Machine::new`].
    pub utf8: bool,
    /// Writes what the session has to tell before a tagged OK: EXISTS of its selected mailbox.
    pub announce: Rc<dyn Fn(&mut BytesMut)>,
    /// Where replies wait that the session sends itself, because it has to tell more before them
    /// than `announce` can write. Then one APPEND is carried out at a time.
    pub held: Option<Rc<RefCell<BytesMut>>>,
    /// Batches on their way.
    pub pending: Rc<Pending>,
    /// Messages of batches that are not committed.
    pub unfinished: Rc<Unfinished>,
    /// What was committed, for the operator.
    pub committed: Rc<Cell<Committed>>,
    /// What this connection uploads, likewise.
    pub progress: Rc<Progress>,
    /// What was refused, likewise.
    pub counters: Rc<Counters>,
    /// Which connection it is, for the log.
    pub span: tracing::Span,
}

/// Carries out the APPENDs of a pipeline.
pub struct Upload {
    pub(super) context: UploadContext,
    /// Octets that are not in a lease: before the first literal, and after the last APPEND.
    heap: Vec<u8>,
    heap_at: usize,
    pub(super) open: Option<Open>,
    /// Complete batches that are not committed. Their last octets are in `open`, or in the log.
    pub(super) finished: Vec<Finished>,
    /// The batch that is being received.
    pub(super) current: Option<Current>,
    pub(super) frames: Arc<Semaphore>,
    /// There was no room for the batch that was being received.
    pub(super) full: Option<Refusal>,
    /// The client asked whether it may send the literal that is being received.
    synchronising: bool,
    /// The client fills leases faster than they are small.
    eager: bool,
    /// A batch that will not be, to be dropped when there is time.
    given_up: Option<Current>,
    /// What it may log for nothing.
    pub(super) credit: Credit,
}

/// The frame being filled.
pub(super) struct Open {
    pub lease: Lease,
    /// Up to here the machine has read.
    pub parsed: usize,
    /// Up to here there are octets.
    pub filled: usize,
}

impl UploadContext {
    /// Sends a tagged response, or leaves that to the session.
    pub(super) fn reply(&self, compose: impl FnOnce(&mut BytesMut)) {
        match &self.held {
            Some(held) => compose(&mut held.borrow_mut()),
            None => self.output.push(compose),
        }
    }

    /// Waits for octets, holding no memory for them.
    async fn wait(&self) -> Result<(), Ended> {
        self.conn.quick_ack();
        match timeout(self.idle_time, self.conn.readable()).await {
            Some(result) => result.map_err(gone),
            None => Err(Ended::Idle),
        }
    }
}

impl Upload {
    /// For the commands at the start of `heap`, the first of which is an APPEND whose first line
    /// has arrived.
    #[must_use]
    pub fn new(context: UploadContext, heap: Vec<u8>) -> Upload {
        Upload {
            context,
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
            credit: Credit::default(),
        }
    }

    /// Reads APPENDs as long as one follows the other. Returns what came after them; replies are
    /// sent when they are due, perhaps later ([`Pending`]).
    ///
    /// # Errors
    /// When the connection has to end.
    pub async fn run(mut self) -> Result<Vec<u8>, Ended> {
        let result = self.commands().await;
        let finished = std::mem::take(&mut self.finished).into_iter().map(|one| one.current);
        for unwanted in finished.chain(self.current.take()).chain(self.given_up.take()) {
            unwanted.free(&self.context.log).await;
        }
        result.map(|()| self.heap)
    }

    async fn commands(&mut self) -> Result<(), Ended> {
        loop {
            self.command().await?;
            let follows =
                memchr::memchr(b'\n', self.unread()).is_some() && is_append(self.unread());
            // The session goes on when the client has read its replies, or may write again.
            let waits = self.context.output.is_full()
                || self.context.owner.wait().is_some()
                || self.context.held.is_some();
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
        let mut machine = Machine::new(self.context.utf8);
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
                    self.context.progress.message();
                    self.batch().end();
                }
                _ => {}
            }
            self.take(taken);
            if let Some(unwanted) = self.given_up.take() {
                unwanted.free(&self.context.log).await;
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
                    // A lease holds twenty thousand messages of an octet.
                    self.context.log.worked(work).await;
                    self.room(&mut machine).await?;
                }
                Step::Complete => {
                    self.complete(machine.tag());
                    return Ok(());
                }
                Step::Refused(refusal) => return self.refused(machine.tag(), &refusal).await,
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
        self.context.progress.octets(octets);
        self.credit.mail(octets);
        Ok(())
    }

    fn mailbox(&mut self, name: &MailboxName, machine: &mut Machine) {
        self.context.progress.asks_for(name.as_str());
        match self.context.owner.mailbox_named(name.as_str()) {
            Some(mailbox) => {
                self.context.progress.goes_to(name.as_str(), unix_seconds());
                let id = self.context.log.next_batch();
                let batch = Batch::default();
                let share = self.context.unfinished.share();
                self.current = Some(Current {
                    id,
                    batch,
                    share,
                    keywords: OwnKeywords::default(),
                    mailbox,
                    claim: None,
                    unclaimed: 0,
                    frames: 0,
                    hold: None,
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
        self.context.output.push(|out| out.extend_from_slice(b"+ OK\r\n"));
    }

    /// A client that sends without reading what invites it waits here, and holds no lease.
    async fn room(&mut self, machine: &mut Machine) -> Result<(), Ended> {
        if !self.context.output.is_full() {
            return Ok(());
        }
        self.retreat();
        self.commit().await?;
        self.refuse_if_full(machine);
        self.context.output.room().await.map_err(|_| Ended::Gone)
    }

    /// There was no room on the disk for what has arrived of the command.
    fn refuse_if_full(&mut self, machine: &mut Machine) {
        if let Some(refusal) = self.full.take() {
            machine.refuse(refusal);
        }
    }

    fn complete(&mut self, tag: Option<&Tag>) {
        let current = self.current.take().expect("a complete command has a batch");
        let reply = self.context.pending.begin();
        let tag = tag.expect("a complete command has a tag").clone();
        let complete = Instant::now();
        self.finished.push(Finished { tag, current, reply, complete, admitted: None });
    }

    /// The batch will not be. Its octets stay behind as a gap, if others in the frame count; or go
    /// with the lease.
    fn give_up(&mut self) {
        self.given_up = self.current.take().or(self.given_up.take());
        if self.finished.is_empty() {
            self.retreat();
            self.open = None;
        }
    }

    /// Replies of earlier commands come first.
    async fn refused(&mut self, tag: Option<&Tag>, refusal: &Refusal) -> Result<(), Ended> {
        self.give_up();
        self.retreat();
        self.commit().await?;
        if !self.context.pending.none().await {
            return Err(Ended::Broken(LogError::Poisoned("the log broke".into())));
        }
        self.context.refused(refusal);
        self.context.reply(|out| refusal.write(out, tag));
        Ok(())
    }

    /// What is unread in the lease goes back to the buffer.
    fn retreat(&mut self) {
        if let Some(open) = &mut self.open {
            let unread = &open.lease.octets()[open.parsed..open.filled];
            self.heap.splice(..self.heap_at, unread.iter().copied());
            self.heap_at = 0;
            open.filled = open.parsed;
        }
    }

    /// Gets a lease, and moves what has arrived already into it.
    async fn advance(&mut self, left: u64) -> Result<(), Ended> {
        if self.unread().is_empty() {
            // No memory for a client that announces and does not send.
            (self.heap, self.heap_at) = (Vec::new(), 0);
            self.context.wait().await?;
        }
        let large = self.eager || left > (SMALL_LEASE - HEADER) as u64;
        let class = if large { LeaseClass::Large } else { LeaseClass::Small };
        let lease = self.context.arena.lease(class).await;
        self.open = Some(Open { lease, parsed: HEADER, filled: HEADER });
        self.refill();
        Ok(())
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

    /// Everything at hand was read: gets more.
    async fn more(&mut self, machine: &Machine) -> Result<(), Ended> {
        // Whoever waits for a reply does not wait for octets that may never come.
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
        // A lease that was just taken is for octets that are there already: to give it up unused
        // would bring nobody on.
        if self.context.arena.is_short() && open.filled > HEADER {
            self.commit().await?;
            return self.context.wait().await;
        }
        self.receive(machine.literal_left()).await
    }

    async fn receive_text(&mut self, discarded: bool) -> Result<(), Ended> {
        self.heap.drain(..self.heap_at);
        self.heap_at = 0;
        self.heap.shrink_to_fit();
        self.context.wait().await?;
        let limit = if discarded { DISCARDED } else { TEXT };
        let heap = std::mem::take(&mut self.heap);
        let (result, heap) = self.context.conn.recv_buf(heap, limit).await;
        self.heap = heap;
        match result {
            Ok(0) => Err(Ended::Gone),
            // An interrupt that was meant for the lease this connection had a moment ago.
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(gone(error)),
            _ => Ok(()),
        }
    }

    async fn receive(&mut self, left: u64) -> Result<(), Ended> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let room = open.lease.len() - open.filled;
        // A literal that fills the lease is worth one wake-up only, unless others want the lease,
        // or the client may wait for our ACK amid the literal: those that ask before they send a
        // literal also write it in pieces (c-client: the header, then the body).
        let all = left >= room as u64 && !self.synchronising && !self.context.arena.is_short();
        let conn = self.context.conn.clone();
        conn.quick_ack();
        let idle = self.context.arena.idle(open.lease.class(), conn.interrupt_handle());
        let receiving = conn.recv(open.lease, open.filled..open.filled + room, all);
        let ((result, lease), late) =
            receive_within(self.context.idle_time, || conn.interrupt_handle(), receiving).await;
        drop(idle);
        open.lease = lease;
        match result {
            Ok(0) => return Err(Ended::Gone),
            Ok(octets) => {
                open.filled += octets;
            }
            Err(_) if late => return Err(Ended::Idle),
            // Leases ran out while the client was slow: `more` gives this one up.
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
