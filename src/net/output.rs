//! Replies on their way to one client.
//!
//! Replies are pushed by whoever has one: the session, or the log when a batch has become
//! durable. A task that exists only while there is something to send sends them, as many as there
//! are in one piece.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::BytesMut;
use tokio::sync::Notify;

use crate::reactor::{Conn, spawn};

/// Octets that may wait before the session stops taking commands: a client that does not read its
/// replies gets no new ones.
const ENOUGH: usize = 256 << 10;

/// The client is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Replies to one client, in order.
pub struct Output {
    conn: Rc<Conn>,
    queue: RefCell<BytesMut>,
    sending: Cell<bool>,
    gone: Cell<bool>,
    progress: Notify,
}

impl Output {
    /// Replies to this connection.
    #[must_use]
    pub fn new(conn: Rc<Conn>) -> Rc<Output> {
        Rc::new(Output {
            conn,
            queue: RefCell::default(),
            sending: Cell::new(false),
            gone: Cell::new(false),
            progress: Notify::new(),
        })
    }

    /// Sends what `compose` writes, after everything pushed before.
    pub fn push(self: &Rc<Self>, compose: impl FnOnce(&mut BytesMut)) {
        compose(&mut self.queue.borrow_mut());
        if !self.sending.get() && !self.queue.borrow().is_empty() {
            self.sending.set(true);
            spawn(self.clone().send());
        }
    }

    async fn send(self: Rc<Self>) {
        loop {
            let octets = std::mem::take(&mut *self.queue.borrow_mut());
            if octets.is_empty() || self.gone.get() {
                break;
            }
            if self.conn.send(octets.freeze(), false).await.is_err() {
                self.gone.set(true);
                self.conn.shutdown();
            }
            self.progress.notify_waiters();
        }
        self.sending.set(false);
        self.progress.notify_waiters();
    }

    /// Whether the client reads more slowly than replies are made.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue.borrow().len() >= ENOUGH
    }

    /// Waits until there is room for more replies.
    ///
    /// # Errors
    /// When the client has gone.
    pub async fn room(&self) -> Result<(), Gone> {
        self.below(ENOUGH).await
    }

    /// Waits until everything has been handed to the kernel.
    ///
    /// # Errors
    /// When the client has gone.
    pub async fn flush(&self) -> Result<(), Gone> {
        self.below(1).await
    }

    async fn below(&self, octets: usize) -> Result<(), Gone> {
        loop {
            let progress = self.progress.notified();
            if self.gone.get() {
                return Err(Gone);
            }
            let waiting = self.queue.borrow().len();
            if waiting < octets && (octets > 1 || !self.sending.get()) {
                return Ok(());
            }
            progress.await;
        }
    }
}
