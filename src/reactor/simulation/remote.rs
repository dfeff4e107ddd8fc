//! The client's end of a simulated connection.

use std::io;
use std::rc::Rc;

use super::machine::machine;
use super::network::{End, connect};

/// A client connected to the machine.
pub struct Remote {
    end: Rc<End>,
}

impl Remote {
    /// Connects to one of the reactors.
    ///
    /// # Errors
    /// If nothing listens.
    pub async fn dial() -> io::Result<Remote> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let machine = machine().ok_or_else(refused)?;
        let longest = machine.temper.borrow().network;
        machine.delay(longest).await;
        let listeners = machine.network.borrow().listeners.clone();
        let open: Vec<_> = listeners.into_iter().filter(|backlog| !backlog.closed.get()).collect();
        if open.is_empty() {
            return Err(refused());
        }
        let backlog = &open[machine.random(|random| random.below(open.len()))];
        let (server, client) = connect(&machine);
        backlog.waiting.borrow_mut().push_back(server);
        backlog.news.notify_waiters();
        Ok(Remote { end: client })
    }

    /// Sends everything, in pieces as the socket accepts them.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn send(&self, mut octets: &[u8]) -> io::Result<()> {
        while !octets.is_empty() {
            let news = self.end.sends.news.notified();
            match self.end.sends.send(octets)? {
                Some(sent) => {
                    if let Some(machine) = machine() {
                        let number = self.end.number;
                        machine.trace(format_args!("connection {number}: {sent} octets sent"));
                    }
                    octets = &octets[sent..];
                }
                None => news.await,
            }
        }
        Ok(())
    }

    /// Receives at least one octet; nothing at the end.
    ///
    /// # Errors
    /// If the connection was reset.
    pub async fn recv(&self) -> io::Result<Vec<u8>> {
        let mut octets = vec![0; 16 << 10];
        loop {
            let news = self.end.receives.news.notified();
            match self.end.receives.receive(&mut octets)? {
                Some(got) => {
                    octets.truncate(got);
                    return Ok(octets);
                }
                None => news.await,
            }
        }
    }

    /// Ends the stream.
    pub fn end(&self) {
        self.end.sends.end();
    }

    /// Resets the connection.
    pub fn reset(&self) {
        self.end.reset();
    }
}
