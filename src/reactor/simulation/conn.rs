//! The server's end of a simulated connection.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use tokio::sync::Notify;

use super::machine::{Machine, machine};
use super::network::End;
use crate::reactor::{Interrupt, Lease};

/// A connection between reactors. Closed if no reactor takes it.
pub struct Peer(u64);

/// A connection owned by this reactor.
pub struct Conn {
    end: Rc<End>,
    interrupts: Rc<Interrupts>,
}

/// Counts interrupts of a connection.
#[derive(Default)]
struct Interrupts {
    count: Cell<u64>,
    news: Notify,
}

impl Peer {
    pub(super) fn park(end: Rc<End>) -> Peer {
        let number = end.number;
        if let Some(machine) = machine() {
            machine.network.borrow_mut().parked.insert(number, end);
        }
        Peer(number)
    }

    /// The peer's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        address(self.0)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Outside the borrow, because dropping an end borrows the network.
        let end = machine().and_then(|machine| machine.network.borrow_mut().parked.remove(&self.0));
        drop(end);
    }
}

fn address(number: u64) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 1024 + (number % 60_000) as u16))
}

impl Conn {
    /// Takes the connection over for this reactor.
    #[must_use]
    pub fn new(peer: Peer) -> Conn {
        let end = the_machine().network.borrow_mut().parked.remove(&peer.0);
        Conn { end: end.expect("a peer is taken once"), interrupts: Rc::default() }
    }

    /// Hands the connection over to another reactor.
    pub fn into_peer(self: Rc<Self>) -> io::Result<Peer> {
        Ok(Peer::park(self.end.clone()))
    }

    /// The peer's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        address(self.end.number)
    }

    /// Waits until there is something to receive.
    pub async fn readable(&self) -> io::Result<()> {
        loop {
            let news = self.end.receives.news.notified();
            if self.end.receives.is_readable() {
                return Ok(());
            }
            news.await;
        }
    }

    /// See the ring's.
    pub async fn readable_or_interrupted(&self) -> io::Result<()> {
        let since = self.interrupts.count.get();
        loop {
            let (news, interrupt) = (self.end.receives.news.notified(), self.interrupted());
            if self.end.receives.is_readable() {
                return Ok(());
            }
            self.wait(since, news, interrupt).await?;
        }
    }

    /// See the ring's.
    pub async fn recv(
        &self,
        mut lease: Lease,
        range: Range<usize>,
        all: bool,
    ) -> (io::Result<usize>, Lease) {
        let result = self.receive(&mut lease.octets_mut()[range], all).await;
        (result, lease)
    }

    /// See the ring's.
    pub async fn recv_buf(
        &self,
        mut buffer: Vec<u8>,
        limit: usize,
    ) -> (io::Result<usize>, Vec<u8>) {
        let old = buffer.len();
        buffer.resize(old + limit, 0);
        let result = self.receive(&mut buffer[old..], false).await;
        buffer.truncate(old + *result.as_ref().unwrap_or(&0));
        (result, buffer)
    }

    async fn receive(&self, out: &mut [u8], all: bool) -> io::Result<usize> {
        let machine = the_machine();
        let since = self.interrupts.count.get();
        machine.step_or_hang().await;
        let result = self.take(out, all, since).await;
        machine.trace(format_args!("connection {}: received {result:?}", self.end.number));
        result
    }

    async fn take(&self, out: &mut [u8], all: bool, since: u64) -> io::Result<usize> {
        let mut got = 0;
        loop {
            let (news, interrupt) = (self.end.receives.news.notified(), self.interrupted());
            match self.end.receives.receive(&mut out[got..]) {
                Ok(Some(0)) => return Ok(got),
                Ok(Some(octets)) => {
                    got += octets;
                    if !all || got == out.len() {
                        return Ok(got);
                    }
                }
                Ok(None) => match self.wait(since, news, interrupt).await {
                    Err(_) if got > 0 => return Ok(got),
                    result => result?,
                },
                Err(_) if got > 0 => return Ok(got),
                Err(error) => return Err(error),
            }
        }
    }

    /// See the ring's.
    pub async fn send(&self, mut octets: Bytes, _more: bool) -> io::Result<Bytes> {
        let machine = the_machine();
        while !octets.is_empty() {
            machine.step_or_hang().await;
            loop {
                let news = self.end.sends.news.notified();
                if let Some(sent) = self.end.sends.send(&octets)? {
                    octets.advance(sent);
                    break;
                }
                news.await;
            }
        }
        Ok(octets)
    }

    fn interrupted(&self) -> tokio::sync::futures::Notified<'_> {
        self.interrupts.news.notified()
    }

    async fn wait(
        &self,
        since: u64,
        news: impl Future<Output = ()>,
        interrupt: impl Future<Output = ()>,
    ) -> io::Result<()> {
        if self.interrupts.count.get() == since {
            tokio::select! {
                biased;
                () = news => {}
                () = interrupt => {}
            }
        }
        match self.interrupts.count.get() == since {
            true => Ok(()),
            false => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// Does nothing: the simulation does not delay acknowledgements.
    pub fn quick_ack(&self) {}

    /// Does nothing: the simulation loses nothing by it.
    pub fn discard_unread(&self) {}

    /// Whether the peer will send nothing more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.end.receives.has_ended()
    }

    /// Stops receiving.
    pub fn shutdown_read(&self) {
        self.end.receives.deafen();
    }

    /// Closes the connection in both directions.
    pub fn shutdown(&self) {
        self.end.receives.deafen();
        self.end.sends.end();
    }

    /// See the ring's.
    #[must_use]
    pub fn interrupt_handle(&self) -> Interrupt {
        let interrupts = self.interrupts.clone();
        Interrupt::new(move || {
            interrupts.count.set(interrupts.count.get() + 1);
            interrupts.news.notify_waiters();
        })
    }
}

pub(super) fn the_machine() -> Rc<Machine> {
    machine().expect("connections are a machine's")
}
