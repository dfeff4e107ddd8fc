//! How many connections there may be: in all, from one address, of one user.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};

use std::cell::{Cell, RefCell};

use crate::auth::network;
use crate::limits::SORT_OCTETS;

/// The connections of a server, counted over all its reactors.
#[derive(Debug)]
pub struct Places {
    most: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_network: HashMap<Ipv6Addr, usize>,
}

/// The place of one connection, free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    network: Ipv6Addr,
}

/// Why a connection has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// There are so many connections.
    All(usize),
    /// There are so many from this address.
    Address(usize),
}

impl Places {
    /// For so many connections, and so many from one address (64 bits of one of IPv6).
    #[must_use]
    pub fn new(most: usize, each: usize) -> Arc<Places> {
        Arc::new(Places { most, each, taken: Mutex::default() })
    }

    /// A place for a connection from this address.
    ///
    /// # Errors
    /// When there is none.
    pub fn take(self: &Arc<Self>, from: IpAddr) -> Result<Place, Crowded> {
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
        Ok(Place { places: self.clone(), network })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("nothing panics while it holds this lock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        let theirs = taken.by_network.get_mut(&self.network);
        let theirs = theirs.expect("the place was counted when it was taken");
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
    /// The same for the operator.
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

/// What the sessions of a user share; they are all on one reactor.
#[derive(Debug, Default)]
pub struct Share {
    sessions: Cell<usize>,
    /// Memory in bytes that sorts, threads and followed results take.
    held: Cell<usize>,
}

/// Users of a reactor that have sessions.
pub type Seats = Rc<RefCell<BTreeMap<Box<str>, Rc<Share>>>>;

/// The seat of one session, free again when it is dropped.
pub(super) struct Seat {
    seats: Seats,
    user: Box<str>,
    share: Rc<Share>,
}

impl Seat {
    /// One of so many for this user, if there is one.
    pub fn take(seats: &Seats, user: &str, most: usize) -> Option<Seat> {
        let mut shares = seats.borrow_mut();
        let share = shares.entry(user.into()).or_default().clone();
        if share.sessions.get() >= most {
            return None;
        }
        share.sessions.set(share.sessions.get() + 1);
        Some(Seat { seats: seats.clone(), user: user.into(), share })
    }

    /// Memory of a command of this session, nothing yet.
    pub fn held(&self) -> Held {
        Held { share: self.share.clone(), octets: 0 }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let left = self.share.sessions.get() - 1;
        self.share.sessions.set(left);
        if left == 0 {
            self.seats.borrow_mut().remove(&self.user);
        }
    }
}

/// Memory that a sort, threads or a followed result take, as a part of what their user may have
/// ([`SORT_OCTETS`]); given back when this is dropped.
pub(super) struct Held {
    share: Rc<Share>,
    octets: usize,
}

impl Held {
    /// It takes so many bytes now. `false` when its user has more than may be.
    pub fn set(&mut self, octets: usize) -> bool {
        let all = self.share.held.get() - self.octets + octets;
        self.octets = octets;
        self.share.held.set(all);
        all <= SORT_OCTETS
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_run_out_and_come_back() {
        let places = Places::new(3, 2);
        let first = places.take(ip("192.0.2.1")).unwrap();
        let _second = places.take(ip("192.0.2.1")).unwrap();
        assert_eq!(places.take(ip("192.0.2.1")).unwrap_err(), Crowded::Address(2));
        let _third = places.take(ip("192.0.2.2")).unwrap();
        assert_eq!(places.take(ip("192.0.2.3")).unwrap_err(), Crowded::All(3));
        drop(first);
        let again = places.take(ip("192.0.2.1")).unwrap();
        drop((again, _second, _third));
        assert!(places.taken().by_network.is_empty() && places.taken().all == 0);
    }

    #[test]
    fn seats_run_out_and_come_back() {
        let seats = Seats::default();
        let first = Seat::take(&seats, "alice", 2).unwrap();
        let second = Seat::take(&seats, "alice", 2).unwrap();
        assert!(Seat::take(&seats, "alice", 2).is_none());
        assert!(Seat::take(&seats, "bob", 2).is_some());
        drop(first);
        let third = Seat::take(&seats, "alice", 2).unwrap();
        drop((second, third));
        assert!(seats.borrow().is_empty());
    }

    #[test]
    fn a_user_has_one_share_of_memory() {
        let seats = Seats::default();
        let one = Seat::take(&seats, "alice", 2).unwrap();
        let two = Seat::take(&seats, "alice", 2).unwrap();
        let other = Seat::take(&seats, "bob", 2).unwrap();
        let (mut first, mut second) = (one.held(), two.held());
        assert!(first.set(SORT_OCTETS) && !second.set(1));
        assert!(other.held().set(SORT_OCTETS));
        assert!(first.set(SORT_OCTETS - 1) && second.set(1));
        drop(first);
        assert!(second.set(SORT_OCTETS));
    }
}
