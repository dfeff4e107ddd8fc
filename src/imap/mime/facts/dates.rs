//! The column of dates.

use super::{put_number, take_number};
use crate::mime::{SentDate, sent_date};

/// When a message was sent; `None` if its header does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates(pub Option<SentDate>);

/// Days by which the day as written may differ from the day of the instant: the largest zone that
/// can be written is 100 hours.
const ZONE_DAYS: i64 = 5;

impl Dates {
    /// Reads the date of a header, a short header or a whole message.
    #[must_use]
    pub fn of_header(header: &[u8]) -> Dates {
        Dates(sent_date(header))
    }

    /// Appends the record: nothing without a date; otherwise the day as written relative to the
    /// day of the instant, and the instant, alternately from zero up and down.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Some(SentDate { day, instant }) = self.0 else { return };
        out.push((i64::from(day) - instant.div_euclid(86_400) + ZONE_DAYS) as u8);
        put_number(((instant << 1) ^ (instant >> 63)) as u64, out);
    }

    /// Reads a record. `None` if the octets are not one.
    #[must_use]
    pub fn decode(mut octets: &[u8]) -> Option<Dates> {
        let Some((&zone, rest)) = octets.split_first() else { return Some(Dates(None)) };
        octets = rest;
        let folded = take_number(&mut octets)?;
        let instant = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        let days = i64::from(zone) - ZONE_DAYS;
        let day = i32::try_from(instant.div_euclid(86_400) + days).ok()?;
        let valid = octets.is_empty() && days.abs() <= ZONE_DAYS;
        valid.then_some(Dates(Some(SentDate { day, instant })))
    }
}
