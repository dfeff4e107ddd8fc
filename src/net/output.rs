//! Replies on their way to a client.
//!
//! The session pushes replies, and so does the log when a batch becomes durable. A task sends them;
//! it exists only while there is something to send. Small replies are gathered in one buffer and
//! leave together; large buffers are passed on without a copy.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::Transport;
use crate::limits::{self, AUTOLOGOUT};
use crate::reactor::{spawn, timeout};

/// Shorter replies are copied to the waiting buffer instead of being sent on their own.
const SMALL: usize = limits::SHORT_REPLY;

/// Bytes of a long reply gathered before they are passed on.
pub(crate) const GATHERED: usize = 64 << 10;

/// Size of a [`buffer`] in bytes, and how full it should be before it is sent.
pub(crate) const BUFFER: usize = limits::REPLY;

/// Buffers that this thread keeps for reuse: as many as are in flight to a few busy clients.
/// Allocating fresh memory costs more than copying into it.
const SPARE: usize = 32;

thread_local! {
    static SPARES: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer of somewhat more than [`BUFFER`] bytes, reused if possible.
#[must_use]
pub(crate) fn buffer() -> BytesMut {
    let spare = SPARES.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| BytesMut::with_capacity(BUFFER + SMALL))
}

/// Takes back a sent buffer, if it is one of [`buffer`] and not in use elsewhere.
fn give_back(octets: Bytes) {
    let Ok(mut buffer) = octets.try_into_mut() else { return };
    buffer.clear();
    // A buffer that had to grow is too large to keep.
    if buffer.try_reclaim(BUFFER + SMALL) && buffer.capacity() <= 4 * BUFFER {
        SPARES.with_borrow_mut(|spares| {
            if spares.len() < SPARE {
                spares.push(buffer);
            }
        });
    }
}

/// Forgets the buffers kept for reuse, so that repeated runs of a simulation begin alike.
#[cfg(test)]
pub(crate) fn forget_buffers() {
    SPARES.with_borrow_mut(Vec::clear);
}

/// The client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// The replies to one client, in order.
pub struct Output {
    conn: Rc<Transport>,
    queue: RefCell<Queue>,
    enough: Cell<usize>,
    sending: Cell<bool>,
    gone: Cell<bool>,
    patience: Cell<Duration>,
    progress: Notify,
}

/// Replies waiting to be sent.
#[derive(Default)]
struct Queue {
    buffers: VecDeque<BytesMut>,
    octets: usize,
}

impl Queue {
    fn compose(&mut self, compose: impl FnOnce(&mut BytesMut)) {
        // Growing a large buffer would copy everything in it.
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
    /// An output for this connection.
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

    /// Sets how long a client may read nothing before it counts as gone; [`AUTOLOGOUT`] by default.
    pub fn give_up_after(&self, patience: Duration) {
        self.patience.set(patience);
    }

    /// Allows more waiting replies, after login.
    pub fn logged_in(&self) {
        self.enough.set(limits::REPLIES);
    }

    /// Allows only as many as before login again.
    pub fn logged_out(&self) {
        self.enough.set(limits::REPLIES_BEFORE_LOGIN);
    }

    /// Sends what `compose` appends to the buffer, after everything pushed before.
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

    /// Sends and empties the gathered buffer, and waits while the client does not read.
    ///
    /// # Errors
    /// If the client is gone.
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

    /// Whether the client is known to be gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// Whether replies are produced faster than the client reads them.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue.borrow().octets >= self.enough.get()
    }

    /// Waits until there is room for more replies.
    ///
    /// # Errors
    /// If the client is gone, or has read nothing for too long.
    pub async fn room(&self) -> Result<(), Gone> {
        self.below(self.enough.get()).await
    }

    /// Waits until everything was passed to the kernel.
    ///
    /// # Errors
    /// If the client is gone, or has read nothing for too long.
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
