//! A listening socket per reactor; the kernel spreads connections over them (SO_REUSEPORT). One
//! that was handed over is shared by all reactors.

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
    /// Somebody else listens on it, too.
    shared: bool,
}

/// A socket that was bound and listens, and belongs to no reactor yet.
pub struct Bound {
    socket: TcpListener,
    shared: bool,
}

impl Bound {
    /// As many sockets as there are reactors, all on one address.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn all(address: SocketAddr, reactors: usize) -> io::Result<Vec<Bound>> {
        // Sockets with SO_REUSEPORT join another server's; that it is there must be found out
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

    /// A socket that was handed over, for each reactor. Whoever is free takes the next connection.
    ///
    /// # Errors
    /// When there are no descriptors left.
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

    /// Where it listens; the port is a real one even when 0 was asked for.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Listener {
    /// Takes a bound socket to this reactor.
    #[must_use]
    pub fn new(bound: Bound) -> Listener {
        Listener { socket: Rc::new(bound.socket), shared: bound.shared }
    }

    /// The next connection.
    ///
    /// # Errors
    /// What the kernel says: out of descriptors, aborted before it was accepted, shut down.
    pub async fn accept(&self) -> io::Result<Peer> {
        let fd = types::Fd(self.socket.as_raw_fd());
        let (null, none) = (std::ptr::null_mut(), std::ptr::null_mut());
        let (stream, address) = loop {
            let entry = opcode::Accept::new(fd, null, none).flags(libc::SOCK_CLOEXEC).build();
            let accepted = submit(entry, self.socket.clone()).await.0?;
            let fd = i32::try_from(accepted).expect("a descriptor is an i32");
            // SAFETY: the kernel has just made this descriptor for us, nobody else knows it.
            let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
            // One that was reset before it was accepted has no address any more.
            if let Ok(address) = stream.peer_addr() {
                break (stream, address);
            }
        };
        // Peers that vanish without a word are noticed within a few minutes.
        let keepalive = TcpKeepalive::new().with_time(std::time::Duration::from_secs(120));
        let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        Ok(Peer::new(stream, address))
    }

    /// Ends accepting: an accept that waits returns with an error. On a socket that was handed over
    /// connections go on to wait, for whoever takes it next; another accept would take them.
    pub fn shutdown(&self) {
        if self.shared {
            let fd = types::Fd(self.socket.as_raw_fd());
            let entry = opcode::AsyncCancel2::new(types::CancelBuilder::fd(fd).all()).build();
            // Nobody waits for the answer: the accept has an answer of its own.
            spawn(submit(entry, self.socket.clone()));
            return;
        }
        let _ = socket2::SockRef::from(&*self.socket).shutdown(std::net::Shutdown::Both);
    }
}
