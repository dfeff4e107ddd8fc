//! Where connections come from.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use super::conn::{Peer, the_machine};
use super::network::Backlog;
use crate::reactor::Inherited;

/// A socket that listens and belongs to no reactor yet: the number of its backlog.
pub struct Bound(usize);

/// A listening socket.
pub struct Listener {
    backlog: Rc<Backlog>,
}

impl Bound {
    /// As many as there are reactors.
    ///
    /// # Errors
    /// Never, but as the real one.
    pub fn all(_: SocketAddr, reactors: usize) -> io::Result<Vec<Bound>> {
        let machine = the_machine();
        let listeners = &mut machine.network.borrow_mut().listeners;
        listeners.clear();
        listeners.resize_with(reactors, Rc::default);
        Ok((0..reactors).map(Bound).collect())
    }

    /// Nothing is handed over to a simulated machine.
    ///
    /// # Errors
    /// Always.
    pub fn adopt(_: &Inherited, _: usize) -> io::Result<Vec<Bound>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Never, but as the real one.
    pub fn address(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 143)))
    }
}

impl Listener {
    /// Takes a bound socket to this reactor.
    #[must_use]
    pub fn new(bound: Bound) -> Listener {
        Listener { backlog: the_machine().network.borrow().listeners[bound.0].clone() }
    }

    /// The next connection.
    ///
    /// # Errors
    /// When it was shut down.
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

    /// Ends accepting.
    pub fn shutdown(&self) {
        self.backlog.closed.set(true);
        self.backlog.news.notify_waiters();
        // Those who wait are refused, outside of the borrow.
        let refused = std::mem::take(&mut *self.backlog.waiting.borrow_mut());
        drop(refused);
    }
}
