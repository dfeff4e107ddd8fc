//! Replies on their way to one client.
//!
//! Replies are pushed by whoever has one: the session, or the log when a batch has become
//! durable. A task that exists only while there is something to send sends them. Small replies
//! gather in one buffer, so that they leave together; large buffers are handed on whole.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::Transport;
use crate::limits::{self, AUTOLOGOUT};
use crate::reactor::{spawn, timeout};

/// What is shorter is copied to what waits already instead of being sent by itself.
const SMALL: usize = limits::SHORT_REPLY;

/// Octets of a long reply that are gathered before they are passed on.
pub const GATHERED: usize = 64 << 10;

/// Room of a [`buffer`], and what should be in it before it is sent.
pub const BUFFER: usize = limits::REPLY;

/// Buffers of this thread that wait to be used again: as many as are on their way at a time to
/// some busy clients. Fresh memory costs more than the copying into it.
const SPARE: usize = 32;

thread_local! {
    static SPARES: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer of [`BUFFER`] octets and some more, used before if possible.
#[must_use]
pub fn buffer() -> BytesMut {
    let spare = SPARES.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| BytesMut::with_capacity(BUFFER + SMALL))
}

/// Takes a buffer that was sent, if it is one of [`buffer`] and nobody else holds it.
fn give_back(octets: Bytes) {
    let Ok(mut buffer) = octets.try_into_mut() else { return };
    buffer.clear();
    // One that had to grow is too large to be kept.
    if buffer.try_reclaim(BUFFER + SMALL) && buffer.capacity() <= 4 * BUFFER {
        SPARES.with_borrow_mut(|spares| {
            if spares.len() < SPARE {
                spares.push(buffer);
            }
        });
    }
}

/// Forgets the buffers that wait to be used again: runs that are to be alike begin alike.
#[cfg(test)]
pub(crate) fn forget_buffers() {
    SPARES.with_borrow_mut(Vec::clear);
}

/// The client is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Replies to one client, in order.
pub struct Output {
    conn: Rc<Transport>,
    queue: RefCell<Queue>,
    enough: Cell<usize>,
    sending: Cell<bool>,
    gone: Cell<bool>,
    patience: Cell<Duration>,
    progress: Notify,
}

/// What waits to be sent.
#[derive(Default)]
struct Queue {
    buffers: VecDeque<BytesMut>,
    octets: usize,
}

impl Queue {
    fn compose(&mut self, compose: impl FnOnce(&mut BytesMut)) {
        // To make a large buffer grow would cost a copy of all that is in it.
        let has_room =
            |last: &BytesMut| last.len() < SMALL || last.capacity() - last.len() >= SMALL;
        if !self.buffers.back().is_some_and(has_room) {
            self.buffers.push_back(BytesMut::new());
        }
        let Some(last) = self.buffers.back_mut() else { return };
        let before = last.len();
        compose(last);
        self.octets += last.len() - before;
    }

    fn pop(&mut self) -> Option<BytesMut> {
        let first = self.buffers.pop_front()?;
        self.octets -= first.len();
        Some(first)
    }
}

impl Output {
    /// Replies to this connection.
    #[must_use]
    pub fn new(conn: Rc<Transport>) -> Rc<Output> {
        Rc::new(Output {
            conn,
            queue: RefCell::default(),
            enough: Cell::new(limits::REPLIES_BEFORE_LOGIN),
            sending: Cell::new(false),
            gone: Cell::new(false),
            patience: Cell::new(AUTOLOGOUT),
            progress: Notify::new(),
        })
    }

    /// A client that reads nothing for so long has gone; [`AUTOLOGOUT`] otherwise.
    pub fn give_up_after(&self, patience: Duration) {
        self.patience.set(patience);
    }

    /// More may wait for somebody who has logged in.
    pub fn logged_in(&self) {
        self.enough.set(limits::REPLIES);
    }

    /// And no more than before for one who has logged out again.
    pub fn logged_out(&self) {
        self.enough.set(limits::REPLIES_BEFORE_LOGIN);
    }

    /// Sends what `compose` writes, after everything pushed before. It may only add to the buffer.
    pub fn push(self: &Rc<Self>, compose: impl FnOnce(&mut BytesMut)) {
        self.queue.borrow_mut().compose(compose);
        self.start();
    }

    /// Sends a buffer as it is, after everything pushed before.
    pub fn push_buffer(self: &Rc<Self>, buffer: BytesMut) {
        if buffer.len() < SMALL {
            self.push(|out| out.extend_from_slice(&buffer));
            return give_back(buffer.freeze());
        }
        let mut queue = self.queue.borrow_mut();
        queue.octets += buffer.len();
        queue.buffers.push_back(buffer);
        drop(queue);
        self.start();
    }

    /// Sends what was gathered, which leaves the buffer empty, and waits while the client does not
    /// read.
    ///
    /// # Errors
    /// When the client has gone.
    pub async fn pass_on(self: &Rc<Self>, gathered: &mut BytesMut) -> Result<(), Gone> {
        self.push_buffer(std::mem::take(gathered));
        self.room().await
    }

    fn start(self: &Rc<Self>) {
        if !self.sending.get() && self.queue.borrow().octets > 0 {
            self.sending.set(true);
            spawn(self.clone().send());
        }
    }

    async fn send(self: Rc<Self>) {
        loop {
            let next = self.queue.borrow_mut().pop();
            let Some(octets) = next else { break };
            if self.gone.get() {
                *self.queue.borrow_mut() = Queue::default();
                break;
            }
            match self.conn.send(octets.freeze(), false).await {
                Ok(octets) => give_back(octets),
                Err(_) => {
                    self.gone.set(true);
                    self.conn.shutdown();
                }
            }
            self.progress.notify_waiters();
        }
        self.sending.set(false);
        self.progress.notify_waiters();
    }

    /// Whether the client is known to have gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// Whether the client reads more slowly than replies are made.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue.borrow().octets >= self.enough.get()
    }

    /// Waits until there is room for more replies.
    ///
    /// # Errors
    /// When the client has gone, or has read nothing for too long.
    pub async fn room(&self) -> Result<(), Gone> {
        self.below(self.enough.get()).await
    }

    /// Waits until everything has been handed to the kernel.
    ///
    /// # Errors
    /// When the client has gone, or has read nothing for too long.
    pub async fn flush(&self) -> Result<(), Gone> {
        self.below(1).await
    }

    async fn below(&self, octets: usize) -> Result<(), Gone> {
        loop {
            let progress = self.progress.notified();
            if self.gone.get() {
                return Err(Gone);
            }
            let waiting = self.queue.borrow().octets;
            if waiting < octets && (octets > 1 || !self.sending.get()) {
                return Ok(());
            }
            if timeout(self.patience.get(), progress).await.is_none() {
                self.gone.set(true);
                self.conn.shutdown();
            }
        }
    }
}
