//! What an account with a quota may write to the log beside its mail.
//!
//! A quota bounds mail. It does not bound what is logged of it: a message of one octet takes a
//! hundred, a STORE of forty octets a block of 4 KiB, and a MOVE there and back 60 octets for each
//! message, as often as a client likes. All of that stays in the log, so a small quota would not
//! keep anybody from filling the disk. What is logged beside mail is paid from an allowance that
//! fills up again with time. A command of an account that has used it up waits until it has not:
//! it is carried out all the same, and nobody else waits for it.

use std::cell::Cell;
use std::time::Duration;

use crate::limits::{LOG_ALLOWANCE, LOG_ALLOWANCE_PER_SECOND, LOG_CREDIT, LOG_OF_MAIL};
use crate::reactor::Instant;

/// Of one account.
pub struct Allowance {
    /// Octets. Below zero after a command that wrote more than was left.
    left: Cell<i64>,
    /// When that was so.
    at: Cell<Instant>,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance { left: Cell::new(LOG_ALLOWANCE as i64), at: Cell::new(Instant::now()) }
    }
}

impl Allowance {
    /// So much was written.
    pub fn spend(&self, octets: usize) {
        self.left.set(self.left() - octets as i64);
    }

    /// How long until something is left.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        let owed = u64::try_from(-self.left()).ok().filter(|&owed| owed > 0)?;
        Some(Duration::from_secs_f64(owed as f64 / LOG_ALLOWANCE_PER_SECOND as f64))
    }

    /// Whether nothing would be lost if it were forgotten.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.left() == LOG_ALLOWANCE as i64
    }

    fn left(&self) -> i64 {
        let (now, before) = (Instant::now(), self.left.get());
        let grown =
            now.duration_since(self.at.get()).as_secs_f64() * LOG_ALLOWANCE_PER_SECOND as f64;
        // Less than an octet is not forgotten: the clock stays where it was.
        if grown >= 1.0 {
            self.left.set(before.saturating_add(grown as i64).min(LOG_ALLOWANCE as i64));
            self.at.set(now);
        }
        self.left.get()
    }
}

/// What one upload may log without paying for it: what its client has sent, and for each octet of
/// mail some more, which covers the records of real mail and the rest of its last block.
#[derive(Default)]
pub struct Credit {
    left: usize,
}

impl Credit {
    /// The client has sent octets of a message.
    pub fn mail(&mut self, octets: usize) {
        self.left += octets * (LOG_OF_MAIL - 1);
    }

    /// A frame is written that holds so many octets from the client. Gives what it costs.
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
