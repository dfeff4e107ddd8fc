//! Simulated listeners.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use super::conn::{Peer, the_machine};
use super::network::Backlog;
use crate::reactor::Inherited;

/// A listening socket that no reactor owns yet: the number of its backlog.
pub struct Bound(usize);

/// A listening socket.
pub struct Listener {
    backlog: Rc<Backlog>,
}

impl Bound {
    /// One socket per reactor.
    pub fn all(_: SocketAddr, reactors: usize) -> io::Result<Vec<Bound>> {
        let machine = the_machine();
        let listeners = &mut machine.network.borrow_mut().listeners;
        listeners.clear();
        listeners.resize_with(reactors, Rc::default);
        Ok((0..reactors).map(Bound).collect())
    }

    /// A simulated machine inherits no sockets.
    ///
    /// # Errors
    /// Always.
    pub fn adopt(_: &Inherited, _: usize) -> io::Result<Vec<Bound>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The local address.
    pub fn address(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 143)))
    }
}

impl Listener {
    /// Takes a bound socket over for this reactor.
    #[must_use]
    pub fn new(bound: Bound) -> Listener {
        Listener { backlog: the_machine().network.borrow().listeners[bound.0].clone() }
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    /// If the listener was shut down.
    pub async fn accept(&self) -> io::Result<Peer> {
        loop {
            let news = self.backlog.news.notified();
            if self.backlog.closed.get() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let next = self.backlog.waiting.borrow_mut().pop_front();
            match next {
                Some(end) => return Ok(Peer::park(end)),
                None => news.await,
            }
        }
    }

    /// Stops accepting.
    pub fn shutdown(&self) {
        self.backlog.closed.set(true);
        self.backlog.news.notify_waiters();
        // Refuses waiting connections, outside the borrow.
        let refused = std::mem::take(&mut *self.backlog.waiting.borrow_mut());
        drop(refused);
    }
}
