//! A client's connection, in clear text or with TLS; sessions and uploads see no difference.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::Security;
use super::tls::{Acceptor, Engine};
use crate::limits::HANDSHAKE;
use crate::reactor::{Conn, Interrupt, Lease, Peer, spawn, timeout};

/// Octets of records received at once from a client that sends a lot: worth a system call, and
/// still in cache when they are decrypted.
const MANY: usize = 128 << 10;

/// Octets received at once otherwise: a command, a handshake.
const FEW: usize = 4 << 10;

/// Time for a client to accept the last record.
const GRACE: Duration = Duration::from_secs(10);

/// Buffers that this thread keeps for reuse.
const SPARE: usize = 32;

thread_local! {
    static SPARES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A connection on its way to a reactor.
pub struct Guest {
    peer: Peer,
    tls: Option<Box<Engine>>,
}

/// A connection owned by this reactor.
pub struct Transport {
    conn: Rc<Conn>,
    tls: RefCell<Option<Box<Engine>>>,
    /// Sends records in the order in which they were made.
    order: Mutex<()>,
    /// Whether the client sends more than one command at a time.
    busy: Cell<bool>,
    /// Whether a receive must return although a record is incomplete.
    interrupted: Rc<Cell<bool>>,
    /// Octets from the client and to it, as plain text.
    octets: Cell<(u64, u64)>,
}

impl From<Peer> for Guest {
    fn from(peer: Peer) -> Guest {
        Guest { peer, tls: None }
    }
}

impl Guest {
    /// The peer's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.peer.address()
    }
}

impl Transport {
    /// Takes the connection over for this reactor.
    #[must_use]
    pub fn new(guest: Guest) -> Rc<Transport> {
        Rc::new(Transport {
            conn: Rc::new(Conn::new(guest.peer)),
            tls: RefCell::new(guest.tls),
            order: Mutex::new(()),
            busy: Cell::new(false),
            interrupted: Rc::default(),
            octets: Cell::default(),
        })
    }

    /// Hands the connection over to another reactor. Nothing may be in flight.
    ///
    /// # Errors
    /// See [`Conn::into_peer`].
    pub fn into_guest(self: Rc<Self>) -> io::Result<Guest> {
        let tls = self.tls.take();
        let conn = self.conn.clone();
        drop(self);
        Ok(Guest { peer: conn.into_peer()?, tls })
    }

    /// The peer's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.conn.address()
    }

    /// Whether the connection is encrypted and authenticated, so that no one in between can read or
    /// change it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.tls.borrow().is_some()
    }

    /// The security properties.
    #[must_use]
    pub fn security(&self) -> Security {
        self.tls.borrow().as_ref().map_or_else(Security::default, |tls| tls.security())
    }

    /// Switches to TLS: the client's next octets are a handshake. Nothing may be in flight, and the
    /// caller must discard everything received before (RFC 9051 section 6.2.1). Returns protocol
    /// version and cipher suite for the log.
    ///
    /// # Errors
    /// If the handshake fails, the client disconnects, or the connection is interrupted.
    pub async fn secure(self: &Rc<Self>, acceptor: &Acceptor) -> io::Result<String> {
        let engine = Engine::new(acceptor).map_err(not_tls)?;
        *self.tls.borrow_mut() = Some(Box::new(engine));
        loop {
            let done = self.with_tls(|tls| tls.read(&mut []));
            self.send_outgoing().await?;
            done?;
            if !self.with_tls(|tls| Ok(tls.is_handshaking()))? {
                return self.with_tls(|tls| Ok(tls.description()));
            }
            if !self.fill().await? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn with_tls<T>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, rustls::Error>,
    ) -> io::Result<T> {
        match self.tls.borrow_mut().as_mut() {
            Some(tls) => work(tls).map_err(not_tls),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Waits until there is something to receive, as [`Conn::readable`]. With TLS, that may turn
    /// out to contain no data.
    ///
    /// # Errors
    /// If the kernel refuses to poll.
    pub async fn readable(&self) -> io::Result<()> {
        match self.is_readable() {
            true => Ok(()),
            false => self.conn.readable().await,
        }
    }

    fn is_readable(&self) -> bool {
        self.tls.borrow().as_ref().is_some_and(|tls| tls.is_readable())
    }

    /// Receives into a lease, as [`Conn::recv`].
    ///
    /// # Errors
    /// As for [`Conn::recv`]; also if the octets are not TLS.
    pub async fn recv(
        self: &Rc<Self>,
        mut lease: Lease,
        range: Range<usize>,
        all: bool,
    ) -> (io::Result<usize>, Lease) {
        if !self.is_private() {
            let (result, lease) = self.conn.recv(lease, range, all).await;
            return (self.counted(result), lease);
        }
        let result = self.decrypt(&mut lease.octets_mut()[range], all).await;
        (self.counted(result), lease)
    }

    /// Appends received octets to a buffer, as [`Conn::recv_buf`].
    ///
    /// # Errors
    /// As for [`Conn::recv_buf`]; also if the octets are not TLS.
    pub async fn recv_buf(
        self: &Rc<Self>,
        mut buffer: Vec<u8>,
        limit: usize,
    ) -> (io::Result<usize>, Vec<u8>) {
        if !self.is_private() {
            let (result, buffer) = self.conn.recv_buf(buffer, limit).await;
            return (self.counted(result), buffer);
        }
        let old = buffer.len();
        buffer.resize(old + limit, 0);
        let result = self.decrypt(&mut buffer[old..], false).await;
        buffer.truncate(old + *result.as_ref().unwrap_or(&0));
        (self.counted(result), buffer)
    }

    fn counted(&self, received: io::Result<usize>) -> io::Result<usize> {
        let (from, to) = self.octets.get();
        self.octets.set((from + *received.as_ref().unwrap_or(&0) as u64, to));
        received
    }

    /// Octets from the client and to it on this reactor, without TLS overhead.
    #[must_use]
    pub fn octets(&self) -> (u64, u64) {
        self.octets.get()
    }

    async fn decrypt(self: &Rc<Self>, into: &mut [u8], all: bool) -> io::Result<usize> {
        let mut got = 0;
        // An interrupt meant for a receive that had just completed.
        self.interrupted.set(false);
        loop {
            let read = self.with_tls(|tls| tls.read(&mut into[got..]));
            self.send_outgoing_later();
            got += read?;
            let ended = self.with_tls(|tls| Ok(tls.has_ended()))?;
            if got == into.len() || ended || (got > 0 && !all) {
                return Ok(got);
            }
            let filled = match self.fill().await {
                // The interrupt came while part of a record arrived.
                Ok(true) if self.interrupted.get() && !self.is_readable() => {
                    Err(ErrorKind::Interrupted.into())
                }
                filled => filled,
            };
            match filled {
                Ok(true) => {}
                // A connection that was cut off leaves no message and no command complete.
                Ok(false) => return Ok(got),
                Err(_) if got > 0 => return Ok(got),
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives records; `false` at the end of the stream.
    async fn fill(&self) -> io::Result<bool> {
        let handshaking = self.with_tls(|tls| Ok(tls.is_handshaking()))?;
        if !self.busy.get() {
            // A slow client takes no memory except for its incomplete record.
            give_back(self.with_tls(|tls| Ok(tls.shrink()))?);
            self.conn.readable_or_interrupted().await?;
        }
        let limit = if self.busy.get() { MANY } else { FEW };
        let mut buffer = if limit == MANY { spare() } else { Vec::new() };
        self.with_tls(|tls| {
            buffer.extend_from_slice(tls.partial());
            Ok(())
        })?;
        if handshaking && buffer.len() > HANDSHAKE {
            return Err(io::Error::new(ErrorKind::InvalidData, "the TLS handshake is too large"));
        }
        let before = buffer.len();
        let (result, buffer) = self.conn.recv_buf(buffer, limit).await;
        match result {
            Ok(octets) => {
                self.busy.set(!handshaking && octets >= limit.min(MANY / 4));
                give_back(self.with_tls(|tls| Ok(tls.received(buffer)))?);
                Ok(octets > 0)
            }
            Err(error) => {
                debug_assert_eq!(buffer.len(), before, "nothing came");
                self.busy.set(false);
                give_back(buffer);
                Err(error)
            }
        }
    }

    /// Sends all of `octets`, as [`Conn::send`].
    ///
    /// # Errors
    /// The socket's error, or that TLS has ended.
    pub async fn send(&self, octets: Bytes, more: bool) -> io::Result<Bytes> {
        let (from, to) = self.octets.get();
        self.octets.set((from, to + octets.len() as u64));
        if !self.is_private() {
            return self.conn.send(octets, more).await;
        }
        let _order = self.order.lock().await;
        for piece in octets.chunks(MANY) {
            let mut records = spare();
            self.with_tls(|tls| tls.write(piece, &mut records))?;
            let sent = self.conn.send(Bytes::from(records), more).await?;
            give_back(Vec::from(sent));
        }
        Ok(octets)
    }

    /// Sends a close_notify if there is TLS, and closes the connection in both directions.
    pub async fn close(&self) {
        if self.is_private() {
            let _order = self.order.lock().await;
            let mut records = Vec::new();
            if self.with_tls(|tls| tls.close(&mut records)).is_ok() {
                // A client that is gone does not miss it, and one that does not read is not waited
                // for: the rest of the send ends with the connection.
                let _ = timeout(GRACE, self.conn.send(Bytes::from(records), false)).await;
            }
        }
        self.conn.shutdown();
        self.conn.discard_unread();
    }

    async fn send_outgoing(&self) -> io::Result<()> {
        let _order = self.order.lock().await;
        let records = self.with_tls(|tls| Ok(tls.take_outgoing()))?;
        self.conn.send(Bytes::from(records), false).await.map(drop)
    }

    /// A receive must not wait for a client that does not read.
    fn send_outgoing_later(self: &Rc<Self>) {
        if self.tls.borrow().as_ref().is_some_and(|tls| tls.has_outgoing()) {
            let this = self.clone();
            spawn(async move {
                // A client that is gone does not miss it.
                let _ = this.send_outgoing().await;
            });
        }
    }

    /// See [`Conn::quick_ack`].
    pub fn quick_ack(&self) {
        self.conn.quick_ack();
    }

    /// See [`Conn::has_ended`].
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.conn.has_ended()
    }

    /// See [`Conn::shutdown_read`].
    pub fn shutdown_read(&self) {
        self.conn.shutdown_read();
    }

    /// See [`Conn::shutdown`].
    pub fn shutdown(&self) {
        self.conn.shutdown();
    }

    /// See [`Conn::interrupt_handle`].
    #[must_use]
    pub fn interrupt_handle(&self) -> Interrupt {
        let (conn, interrupted) = (self.conn.interrupt_handle(), self.interrupted.clone());
        if !self.is_private() {
            return conn;
        }
        Interrupt::new(move || {
            interrupted.set(true);
            conn.interrupt();
        })
    }
}

fn not_tls(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

fn spare() -> Vec<u8> {
    SPARES.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps a used buffer for reuse, if it has the size for [`MANY`].
fn give_back(mut buffer: Vec<u8>) {
    if (MANY..=4 * MANY).contains(&buffer.capacity()) {
        buffer.clear();
        SPARES.with_borrow_mut(|spares| {
            if spares.len() < SPARE {
                spares.push(buffer);
            }
        });
    }
}
