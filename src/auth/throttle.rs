//! Slows failed logins down, and finally refuses them.
//!
//! Failures are counted for an address, for a user, and for a user from an address. Each count is a
//! leaky bucket: failures are forgotten over time. This gives:
//!
//! - A right password is never slowed down. Only answers to failures are delayed, and only by a
//!   task.
//! - A client that guesses at one user from one address has [`limits::LOGIN_FAILURES_EACH`]
//!   guesses, then one a minute. So a program that repeats a wrong password is soon refused, and
//!   does not use up the guesses of its address: other logins from there still work.
//! - A client that guesses at many users has the number of guesses configured for an address, and
//!   that number again each [`limits::LOGIN_WINDOW`]. After that, logins from the address are
//!   refused without checking the password, because each check costs an argon2.
//! - A user who logged in a moment ago with the same password is admitted regardless: the hundreds
//!   of connections of a migration continue while their address is refused.
//! - A user is never refused for other people's failures. Guesses at one user from many addresses
//!   are only slowed down, or anyone could lock anyone out.
//!
//! The counts are in memory, for the most recent entries only; a restart forgets them.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::recent::Recent;
use crate::limits;
use crate::reactor::Instant;

/// Recent counts by hash, because names and addresses have any length and come from anywhere.
pub(super) struct Throttle {
    key: [u8; 32],
    each_address: u32,
    each_pair: u32,
    counts: Recent<[u8; 16], Bucket>,
}

/// A leaky bucket, stored as the time at which it will be empty. A failure moves that time by a
/// share of the window, so the bucket leaks without a timer, and nothing is stored for an empty
/// one. With 10 failures in a window of 600 s, a share is 60 s:
///
/// ```text
/// at 0 s      3 failures     empty at 180 s: 3 failures left
/// at 100 s    1 failure      empty at 240 s: 140 s left, rounded up to 3 failures
/// at 240 s                   empty
/// ```
///
/// A login is refused while one more share would exceed the window.
type Bucket = Instant;

impl Throttle {
    /// Allows an address `each_address` failures in [`limits::LOGIN_WINDOW`]. `key` keeps clients
    /// from learning which names share a bucket.
    pub(super) fn new(key: [u8; 32], each_address: u32, capacity: usize) -> Throttle {
        let each_address = each_address.max(1);
        let each_pair = limits::LOGIN_FAILURES_EACH.min(each_address);
        Throttle { key, each_address, each_pair, counts: Recent::new(capacity) }
    }

    /// Whether to check a login; if not, how long to wait.
    pub(super) fn admit(&mut self, from: IpAddr, name: &str, now: Instant) -> Result<(), Duration> {
        let address = self.wait(self.address(from), self.each_address, now);
        let pair = self.wait(self.pair(from, name), self.each_pair, now);
        let wait = address.max(pair);
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// Checks whether `more` further failures at once might exceed the limit of an address.
    pub(super) fn check_margin(&mut self, from: IpAddr, more: u32, now: Instant) -> bool {
        let key = self.address(from);
        let left = self.counts.get(&key).map_or(Duration::ZERO, |at| at.duration_since(now));
        left + share(self.each_address) * more > limits::LOGIN_WINDOW
    }

    /// A number for the user at this address, and one for the address.
    pub(super) fn numbers(&self, from: IpAddr, name: &str) -> [usize; 2] {
        [self.pair(from, name), self.address(from)].map(|key| {
            usize::from(u16::from_le_bytes([key[0], key[1]])) //
        })
    }

    /// Counts a failure. Returns how long to delay its answer.
    pub(super) fn failed(&mut self, from: IpAddr, name: &str, now: Instant) -> Duration {
        self.count(self.pair(from, name), self.each_pair, now);
        let address = self.count(self.address(from), self.each_address, now);
        let user = self.count(self.user(name), limits::LOGIN_FAILURES_EACH, now);
        delay(address.max(user))
    }

    fn wait(&mut self, key: [u8; 16], most: u32, now: Instant) -> Duration {
        let Some(&empty_at) = self.counts.get(&key) else { return Duration::ZERO };
        // One more failure must fit.
        let fits = limits::LOGIN_WINDOW - share(most);
        empty_at.saturating_duration_since(now).saturating_sub(fits)
    }

    /// Number of failures that have not leaked out, including the new one.
    fn count(&mut self, key: [u8; 16], most: u32, now: Instant) -> u32 {
        let left = self.counts.get(&key).map_or(Duration::ZERO, |at| at.duration_since(now));
        let left = left + share(most);
        self.counts.insert(key, now + left);
        u32::try_from(left.as_millis().div_ceil(share(most).as_millis().max(1))).unwrap_or(u32::MAX)
    }

    fn address(&self, from: IpAddr) -> [u8; 16] {
        self.hash(Some(from), None)
    }

    fn user(&self, name: &str) -> [u8; 16] {
        self.hash(None, Some(name))
    }

    fn pair(&self, from: IpAddr, name: &str) -> [u8; 16] {
        self.hash(Some(from), Some(name))
    }

    fn hash(&self, from: Option<IpAddr>, name: Option<&str>) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        let from = from.map_or([0; 16], |from| network(from).octets());
        hasher.update(&from).update(&[u8::from(name.is_some())]);
        hasher.update(name.unwrap_or_default().as_bytes());
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        key
    }
}

/// Time in which one failure leaks out.
fn share(most: u32) -> Duration {
    limits::LOGIN_WINDOW / most
}

/// Half a second, doubled for each failure that is not forgotten.
fn delay(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (limits::LOGIN_DELAY * 2u32.pow(doublings)).min(limits::LOGIN_DELAY_MAX)
}

/// What belongs to one client: an IPv4 address, or the first 64 bits of an IPv6 address, because
/// clients choose the rest freely.
#[must_use]
pub(crate) fn network(address: IpAddr) -> Ipv6Addr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn throttle(each_address: u32) -> (Throttle, Instant) {
        (Throttle::new([7; 32], each_address, 1000), Instant::now())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn answers_to_failures_come_later_and_later_up_to_a_limit() {
        let (mut throttle, now) = throttle(50);
        let failed = |throttle: &mut Throttle| throttle.failed(ip("192.0.2.1"), "alice", now);
        let delays: Vec<_> = (0..8).map(|_| failed(&mut throttle).as_millis()).collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
    }

    #[test]
    fn failures_are_forgotten() {
        let (mut throttle, now) = throttle(50);
        for _ in 0..4 {
            throttle.failed(ip("192.0.2.1"), "alice", now);
        }
        // One a minute.
        let later = throttle.failed(ip("192.0.2.1"), "alice", now + 3 * MINUTE);
        assert_eq!(later.as_millis(), 1000);
        let later = throttle.failed(ip("192.0.2.1"), "alice", now + 30 * MINUTE);
        assert_eq!(later.as_millis(), 500);
    }

    #[test]
    fn only_the_address_with_too_many_failures_is_refused() {
        let (mut throttle, now) = throttle(50);
        for number in 0..50 {
            let name = format!("user{number}");
            assert_eq!(throttle.admit(ip("192.0.2.1"), &name, now), Ok(()), "{number}");
            throttle.failed(ip("192.0.2.1"), &name, now);
        }
        let wait = Duration::from_secs(12);
        assert_eq!(throttle.admit(ip("192.0.2.1"), "alice", now), Err(wait));
        assert_eq!(throttle.admit(ip("192.0.2.2"), "user1", now), Ok(()));
        assert_eq!(throttle.admit(ip("192.0.2.1"), "alice", now + wait), Ok(()));
        let nearly = now + wait - Duration::from_millis(1);
        assert!(throttle.admit(ip("192.0.2.1"), "alice", nearly).is_err());
    }

    #[test]
    fn one_wrong_password_over_and_over_does_not_use_up_the_guesses_of_an_address() {
        let (mut throttle, mut now) = throttle(50);
        let (from, begun) = (ip("192.0.2.1"), now);
        let mut looks = 0;
        // A program that retries every second for an hour.
        while now < begun + 60 * MINUTE {
            if throttle.admit(from, "alice", now).is_ok() {
                throttle.failed(from, "alice", now);
                looks += 1;
            }
            assert_eq!(throttle.admit(from, "bob", now), Ok(()));
            now += Duration::from_secs(1);
        }
        assert!((60..=71).contains(&looks), "{looks}");
    }

    #[test]
    fn a_user_is_not_locked_out_by_others() {
        let (mut throttle, now) = throttle(50);
        for number in 0..100 {
            let from = ip(&format!("198.51.100.{number}"));
            for _ in 0..10 {
                throttle.failed(from, "alice", now);
            }
        }
        assert_eq!(throttle.admit(ip("192.0.2.1"), "alice", now), Ok(()));
        assert_eq!(throttle.failed(ip("192.0.2.1"), "alice", now).as_secs(), 15);
    }

    #[test]
    fn an_ipv6_client_has_64_bits() {
        assert_eq!(network(ip("2001:db8::1")), network(ip("2001:db8::ffff:0:1")));
        assert_ne!(network(ip("2001:db8::1")), network(ip("2001:db8:0:1::1")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), network(ip("192.0.2.1")));
        assert_ne!(network(ip("192.0.2.1")), network(ip("192.0.2.2")));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut throttle, now) = throttle(50);
        for number in 0..10_000 {
            throttle.failed(ip("192.0.2.1"), &format!("user{number}"), now);
        }
        assert!(throttle.counts.len() <= 1000);
        // An entry in constant use is not forgotten.
        assert!(throttle.admit(ip("192.0.2.1"), "alice", now).is_err());
    }
}
