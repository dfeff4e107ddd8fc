//! A connection: octets in and out of leases and buffers.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;

use bytes::{Buf, Bytes};
use io_uring::{opcode, types};

use super::executor::submit;
use crate::reactor::{Interrupt, Lease, spawn};

/// What is thrown away at the end of a connection, at most: as much as the kernel keeps for one
/// that is not read.
const UNREAD: usize = 8 << 20;

/// A connection on its way between reactors, or from the listener: no operation is in flight.
pub struct Peer {
    stream: TcpStream,
    address: SocketAddr,
}

impl Peer {
    /// Takes an accepted socket.
    #[must_use]
    pub fn new(stream: TcpStream, address: SocketAddr) -> Peer {
        Peer { stream, address }
    }

    /// The address at the other end.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A connection that belongs to this reactor.
pub struct Conn {
    stream: Rc<TcpStream>,
    address: SocketAddr,
}

impl Conn {
    /// Makes the connection this reactor's own.
    #[must_use]
    pub fn new(peer: Peer) -> Conn {
        // Our replies leave at once; they are composed into few writes before they get here.
        let _ = peer.stream.set_nodelay(true);
        Conn { stream: Rc::new(peer.stream), address: peer.address }
    }

    /// Hands the connection over to another reactor. No operation but [`Conn::readable`] may be
    /// in flight.
    ///
    /// # Errors
    /// When somebody here still holds the connection and there is no descriptor for a second.
    pub fn into_peer(self: Rc<Self>) -> io::Result<Peer> {
        let address = self.address;
        let stream = match Rc::try_unwrap(self) {
            Ok(conn) => Rc::try_unwrap(conn.stream).or_else(|stream| stream.try_clone()),
            Err(shared) => shared.stream.try_clone(),
        };
        Ok(Peer { stream: stream?, address })
    }

    /// The address at the other end.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn fd(&self) -> types::Fd {
        types::Fd(self.raw())
    }

    fn raw(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Waits until there is something to receive (or the end, or an error). Holds no buffer, so
    /// ten thousand waiting connections cost no lease, and may be dropped at any time.
    ///
    /// # Errors
    /// When the kernel refuses to poll.
    pub async fn readable(&self) -> io::Result<()> {
        loop {
            match self.readable_or_interrupted().await {
                // An interrupt that was meant for a receive, which had just ended by itself.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// The same, which an interrupt ends.
    ///
    /// # Errors
    /// `Interrupted` after [`Interrupt::interrupt`]; when the kernel refuses to poll.
    pub async fn readable_or_interrupted(&self) -> io::Result<()> {
        let entry = opcode::PollAdd::new(self.fd(), libc::POLLIN as u32).build();
        submit(entry, self.stream.clone()).await.0.map(|_| ()).map_err(cancelled)
    }

    /// Receives into `range` of the lease: what there is, or all of the range when `all` is set
    /// (then fewer only at the end of the stream or after an interrupt). 0 is the end.
    ///
    /// # Errors
    /// `Interrupted` after [`Interrupt::interrupt`] when nothing had come yet; what the socket
    /// says.
    pub async fn recv(
        &self,
        lease: Lease,
        range: Range<usize>,
        all: bool,
    ) -> (io::Result<usize>, Lease) {
        let flags = if all { libc::MSG_WAITALL } else { 0 };
        let length = u32::try_from(range.len()).expect("a lease is small");
        let entry = opcode::Recv::new(self.fd(), lease.pointer(range), length).flags(flags).build();
        let (result, (_, lease)) = submit(entry, (self.stream.clone(), lease)).await;
        (result.map_err(cancelled), lease)
    }

    /// Receives what there is, at most `limit` octets, after those in `buffer`. 0 is the end.
    ///
    /// # Errors
    /// What the socket says.
    pub async fn recv_buf(
        &self,
        mut buffer: Vec<u8>,
        limit: usize,
    ) -> (io::Result<usize>, Vec<u8>) {
        let old = buffer.len();
        buffer.resize(old + limit, 0);
        let length = u32::try_from(limit).expect("command buffers are small");
        let entry = opcode::Recv::new(self.fd(), buffer[old..].as_mut_ptr(), length).build();
        let (result, (_, mut buffer)) = submit(entry, (self.stream.clone(), buffer)).await;
        buffer.truncate(old + *result.as_ref().unwrap_or(&0));
        (result.map_err(cancelled), buffer)
    }

    /// Sends all of `octets`. With `more`, the kernel may wait for what follows at once to fill
    /// a segment. The buffer comes back empty, to be used again.
    ///
    /// # Errors
    /// What the socket says.
    pub async fn send(&self, mut octets: Bytes, more: bool) -> io::Result<Bytes> {
        let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
        while !octets.is_empty() {
            let length = u32::try_from(octets.len()).unwrap_or(u32::MAX);
            let entry = opcode::Send::new(self.fd(), octets.as_ptr(), length).flags(flags).build();
            let (result, (_, back)) = submit(entry, (self.stream.clone(), octets)).await;
            octets = back;
            match result {
                Ok(sent) => octets.advance(sent),
                // An interrupt is meant for who waits to receive; what was to be sent still is.
                Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(octets)
    }

    /// Acknowledges what has arrived at once instead of up to 40 ms later. Clients that write a
    /// command or a message in several pieces wait for that before each further piece (Nagle's
    /// algorithm). The kernel forgets this wish, so it is repeated before every wait for the rest.
    pub fn quick_ack(&self) {
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.stream, true);
    }

    /// Whether the peer sends nothing more: it has closed the connection, or its half of it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.raw(), events: libc::POLLRDHUP, revents: 0 };
        // SAFETY: one descriptor, which is ours, and the call does not wait.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
        ready > 0
    }

    /// Takes nothing more from the peer: whoever receives sees the end of the stream. What is to be
    /// sent is still sent.
    pub fn shutdown_read(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Read);
    }

    /// Ends the connection in both directions; operations in flight complete.
    pub fn shutdown(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// Throws away what has come and was not read, after [`Conn::shutdown`]. The kernel would reset
    /// the connection for it, and the client lose replies that it has not read yet.
    pub fn discard_unread(&self) {
        let mut unread = [0; 16 << 10];
        let without_waiting = rustix::net::RecvFlags::DONTWAIT;
        for _ in 0..UNREAD / unread.len() {
            match rustix::net::recv(&self.stream, &mut unread, without_waiting) {
                Ok((1.., _)) => {}
                _ => return,
            }
        }
    }

    /// A handle that ends the receiving operations of this connection; they return what they have
    /// so far, or `Interrupted`.
    #[must_use]
    pub fn interrupt_handle(&self) -> Interrupt {
        let stream = self.stream.clone();
        Interrupt::new(move || {
            let stream = stream.clone();
            let fd = types::Fd(stream.as_raw_fd());
            let entry = opcode::AsyncCancel2::new(types::CancelBuilder::fd(fd).all()).build();
            // Now, not when the task runs: by then the client may have spoken, and the next
            // operation of the connection would be cancelled instead.
            let cancelling = submit(entry, stream);
            // Nobody waits for the answer: what was cancelled has an answer of its own.
            spawn(cancelling);
        })
    }
}

fn cancelled(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ECANCELED) => io::ErrorKind::Interrupted.into(),
        _ => error,
    }
}
