//! How much an account with a quota may write to the log besides its mail.
//!
//! A quota limits mail, but not its log records: a message of one octet takes a hundred, a STORE of
//! forty octets a block of 4 KiB, and a MOVE there and back 60 octets per message, as often as a
//! client likes. All of that stays in the log, so a client with a small quota could still fill the
//! disk. Log space besides mail is therefore paid from an allowance that refills with time. When it
//! is used up, the next command of the account waits for a refill. The command still runs, and no
//! other account waits.

use std::cell::Cell;
use std::time::Duration;

use crate::limits::{LOG_ALLOWANCE, LOG_ALLOWANCE_PER_SECOND, LOG_CREDIT, LOG_OF_MAIL};
use crate::reactor::Instant;

/// The allowance of one account.
pub(super) struct Allowance {
    /// Octets left. Negative after a command that wrote more than was left.
    left: Cell<i64>,
    /// When `left` was computed.
    at: Cell<Instant>,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance { left: Cell::new(LOG_ALLOWANCE as i64), at: Cell::new(Instant::now()) }
    }
}

impl Allowance {
    /// Charges octets that were written.
    pub(super) fn spend(&self, octets: usize) {
        self.left.set(self.left() - octets as i64);
    }

    /// How long until some allowance is left; `None` when there is some now.
    #[must_use]
    pub(super) fn wait(&self) -> Option<Duration> {
        let owed = u64::try_from(-self.left()).ok().filter(|&owed| owed > 0)?;
        Some(Duration::from_secs_f64(owed as f64 / LOG_ALLOWANCE_PER_SECOND as f64))
    }

    /// Whether the allowance is full, so that it need not be remembered.
    #[must_use]
    pub(super) fn is_full(&self) -> bool {
        self.left() == LOG_ALLOWANCE as i64
    }

    fn left(&self) -> i64 {
        let (now, before) = (Instant::now(), self.left.get());
        let grown =
            now.duration_since(self.at.get()).as_secs_f64() * LOG_ALLOWANCE_PER_SECOND as f64;
        // Fractions of an octet are kept: `at` advances only with whole octets.
        if grown >= 1.0 {
            self.left.set(before.saturating_add(grown as i64).min(LOG_ALLOWANCE as i64));
            self.at.set(now);
        }
        self.left.get()
    }
}

/// The part of its log records that an upload is not charged for: the octets its client has sent,
/// and some more per octet of mail. That covers the records of ordinary mail and the padding of the
/// last block.
#[derive(Default)]
pub struct Credit {
    left: usize,
}

impl Credit {
    /// Adds credit for octets of a message that the client has sent.
    pub fn mail(&mut self, octets: usize) {
        self.left += octets * (LOG_OF_MAIL - 1);
    }

    /// Charges a frame of `length` octets, `payload` of them from the client. Returns the cost that
    /// the credit does not cover.
    #[must_use]
    pub fn frame(&mut self, length: usize, payload: usize) -> usize {
        let all = self.left + payload;
        self.left = all.saturating_sub(length).min(LOG_CREDIT);
        length.saturating_sub(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_comes_back_with_time() {
        let allowance = Allowance::default();
        assert!(allowance.is_full());
        allowance.spend(LOG_ALLOWANCE);
        assert_eq!(allowance.wait(), None);
        allowance.spend(300 * LOG_ALLOWANCE_PER_SECOND);
        let wait = allowance.wait().expect("it is used up");
        assert!(wait <= Duration::from_secs(300), "{wait:?}");
        allowance.at.set(allowance.at.get() - Duration::from_secs(301));
        assert_eq!(allowance.wait(), None);
        assert!(!allowance.is_full());
        allowance.at.set(allowance.at.get() - Duration::from_secs(1_000));
        assert!(allowance.is_full());
    }

    #[test]
    fn real_mail_costs_nothing() {
        // One message of a kilobyte each time: a block each.
        let mut credit = Credit::default();
        for _ in 0..1_000 {
            credit.mail(1_000);
            assert_eq!(credit.frame(4_096, 1_100), 0);
        }
        // Ten thousand in leases, then a frame with their records.
        for _ in 0..40 {
            credit.mail(250_000);
            assert_eq!(credit.frame(256 << 10, 260_000), 0);
        }
        assert_eq!(credit.frame(10_000 * 56, 0), 0);
    }

    #[test]
    fn messages_of_one_octet_cost_their_records() {
        let mut credit = Credit::default();
        credit.mail(1_000);
        assert_eq!(credit.frame(56_000, 8_000), 45_000);
        assert_eq!(credit.frame(4_096, 0), 4_096);
    }
}
