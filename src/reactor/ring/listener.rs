//! A listening socket per reactor; the kernel distributes connections among them (SO_REUSEPORT). An
//! inherited socket is shared by all reactors.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;

use io_uring::{opcode, types};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::conn::Peer;
use super::executor::submit;
use crate::reactor::{Inherited, spawn};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// A listening socket.
pub struct Listener {
    socket: Rc<TcpListener>,
    /// Whether other reactors or processes listen on the socket too.
    shared: bool,
}

/// A bound, listening socket that no reactor owns yet.
pub struct Bound {
    socket: TcpListener,
    shared: bool,
}

impl Bound {
    /// One socket per reactor, all on one address.
    ///
    /// # Errors
    /// If the address is not available.
    pub fn all(address: SocketAddr, reactors: usize) -> io::Result<Vec<Bound>> {
        // A socket with SO_REUSEPORT joins those of another server, so the port must be tested
        // first.
        if address.port() != 0 {
            TcpListener::bind(address)?;
        }
        let first = Bound::one(address)?;
        let real = first.address()?;
        let mut sockets = vec![first];
        for _ in 1..reactors {
            sockets.push(Bound::one(real)?);
        }
        Ok(sockets)
    }

    /// A handle to an inherited socket for each reactor. Whichever is free accepts the next
    /// connection.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub fn adopt(handed: &Inherited, reactors: usize) -> io::Result<Vec<Bound>> {
        let one = |_| Ok(Bound { socket: handed.0.try_clone()?, shared: true });
        (0..reactors).map(one).collect()
    }

    fn one(address: SocketAddr) -> io::Result<Bound> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Bound { socket: socket.into(), shared: false })
    }

    /// The local address; the port is the actual one even if 0 was requested.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Listener {
    /// Takes a bound socket over for this reactor.
    #[must_use]
    pub fn new(bound: Bound) -> Listener {
        Listener { socket: Rc::new(bound.socket), shared: bound.shared }
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    /// The kernel's error: no descriptors left, connection aborted before it was accepted, or shut
    /// down.
    pub async fn accept(&self) -> io::Result<Peer> {
        let fd = types::Fd(self.socket.as_raw_fd());
        let (null, none) = (std::ptr::null_mut(), std::ptr::null_mut());
        let (stream, address) = loop {
            let entry = opcode::Accept::new(fd, null, none).flags(libc::SOCK_CLOEXEC).build();
            let accepted = submit(entry, self.socket.clone()).await.0?;
            let fd = i32::try_from(accepted).expect("a descriptor is an i32");
            // SAFETY: the kernel has just made this descriptor for us; no other code knows it.
            let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
            // A connection reset before it was accepted no longer has an address.
            if let Ok(address) = stream.peer_addr() {
                break (stream, address);
            }
        };
        // Detects within a few minutes that a peer is gone.
        let keepalive = TcpKeepalive::new().with_time(std::time::Duration::from_secs(120));
        let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        Ok(Peer::new(stream, address))
    }

    /// Stops accepting: a waiting accept returns an error. On an inherited socket, connections keep
    /// waiting for its next owner; another accept here would take them.
    pub fn shutdown(&self) {
        if self.shared {
            let fd = types::Fd(self.socket.as_raw_fd());
            let entry = opcode::AsyncCancel2::new(types::CancelBuilder::fd(fd).all()).build();
            // The result is not needed: the accept reports its own.
            spawn(submit(entry, self.socket.clone()));
            return;
        }
        let _ = socket2::SockRef::from(&*self.socket).shutdown(std::net::Shutdown::Both);
    }
}
