//! Limits on connections: total, and per address.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::auth::network;

/// Counts the connections of a server, over all its reactors.
#[derive(Debug)]
pub struct ConnectionLimit {
    most: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_network: HashMap<Ipv6Addr, usize>,
}

/// One connection, counted until this is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    network: Ipv6Addr,
}

/// Why a connection is refused. The number is the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// The server already has this many connections.
    All(usize),
    /// This address already has this many connections.
    Address(usize),
}

impl ConnectionLimit {
    /// At most `most` connections, and `each` from one address (from one /64 of IPv6).
    #[must_use]
    pub fn new(most: usize, each: usize) -> Arc<ConnectionLimit> {
        Arc::new(ConnectionLimit { most, each, taken: Mutex::default() })
    }

    /// Counts a connection from this address.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn take(self: &Arc<Self>, from: IpAddr) -> Result<ConnectionPermit, Crowded> {
        let network = network(from);
        let mut taken = self.taken();
        if taken.all >= self.most {
            return Err(Crowded::All(self.most));
        }
        let theirs = taken.by_network.entry(network).or_default();
        if *theirs >= self.each {
            return Err(Crowded::Address(self.each));
        }
        *theirs += 1;
        taken.all += 1;
        Ok(ConnectionPermit { limit: self.clone(), network })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("nothing panics while it holds this lock")
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut taken = self.limit.taken();
        taken.all -= 1;
        let theirs = taken.by_network.get_mut(&self.network);
        let theirs = theirs.expect("a permit was counted when it was given");
        *theirs -= 1;
        if *theirs == 0 {
            taken.by_network.remove(&self.network);
        }
    }
}

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Crowded::All(most) => write!(f, "too many connections, {most} is the most; try later"),
            Crowded::Address(each) => {
                write!(f, "too many connections from your address, {each} is the most")
            }
        }
    }
}

impl Crowded {
    /// The reason for the operator's log, with the flag that sets the limit.
    #[must_use]
    pub fn for_operator(&self) -> String {
        match self {
            Crowded::All(most) => format!("{most} connections are the most; see --connections"),
            Crowded::Address(each) => format!(
                "{each} connections from one address are the most; see --connections-per-address"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn permits_run_out_and_come_back() {
        let limit = ConnectionLimit::new(3, 2);
        let first = limit.take(ip("192.0.2.1")).unwrap();
        let _second = limit.take(ip("192.0.2.1")).unwrap();
        assert_eq!(limit.take(ip("192.0.2.1")).unwrap_err(), Crowded::Address(2));
        let _third = limit.take(ip("192.0.2.2")).unwrap();
        assert_eq!(limit.take(ip("192.0.2.3")).unwrap_err(), Crowded::All(3));
        drop(first);
        let again = limit.take(ip("192.0.2.1")).unwrap();
        drop((again, _second, _third));
        assert!(limit.taken().by_network.is_empty() && limit.taken().all == 0);
    }
}
