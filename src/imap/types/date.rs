//! INTERNALDATE, kept exactly as the client gave it, and plain days.

use std::fmt;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A date with time and zone, exactly as APPEND gave it, so a migrated message keeps its original
/// date. Packed into 64 bits for the index.
///
/// Bits, from the low end: zone sign 1 (1 is minus), zone as four digits 14, second 6, minute 6,
/// hour 5, day 5, month 4, year 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InternalDate(u64);

/// Why a text is not a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateError {
    /// The text does not have the shape of `date-time`.
    Malformed,
    /// The shape is right but a number is not: 31 April, 25 o'clock.
    OutOfRange,
}

impl InternalDate {
    /// Reads the text between the quotes of a `date-time` (RFC 3501 section 9).
    ///
    /// ```abnf
    /// date-time       = DQUOTE date-day-fixed "-" date-month "-" date-year
    ///                   SP time SP zone DQUOTE
    /// date-day-fixed  = (SP DIGIT) / 2DIGIT
    /// date-year       = 4DIGIT
    /// time            = 2DIGIT ":" 2DIGIT ":" 2DIGIT
    /// zone            = ("+" / "-") 4DIGIT
    /// ```
    /// Clients omit the space before a one-digit day; that is accepted.
    ///
    /// # Errors
    /// If the text does not match, or names a day or time that does not exist.
    pub fn parse(text: &[u8]) -> Result<InternalDate, DateError> {
        let text = match text {
            [b' ', rest @ ..] => rest,
            [_, b'-', ..] | [_, _, b'-', ..] => text,
            _ => return Err(DateError::Malformed),
        };
        let dash = text.iter().position(|&o| o == b'-').ok_or(DateError::Malformed)?;
        let (day, rest) = text.split_at(dash);
        if day.is_empty() || day.len() > 2 || rest.len() != "-Feb-1994 21:52:25 -0800".len() {
            return Err(DateError::Malformed);
        }
        let punctuation = [(0, b'-'), (4, b'-'), (9, b' '), (12, b':'), (15, b':'), (18, b' ')];
        if punctuation.iter().any(|&(at, octet)| rest[at] != octet) {
            return Err(DateError::Malformed);
        }
        let month = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(&rest[1..4]));
        let minus = match rest[19] {
            b'+' => 0,
            b'-' => 1,
            _ => return Err(DateError::Malformed),
        };
        let date = Fields {
            year: digits(&rest[5..9])?,
            month: month.ok_or(DateError::Malformed)? as u64 + 1,
            day: digits(day)?,
            hour: digits(&rest[10..12])?,
            minute: digits(&rest[13..15])?,
            second: digits(&rest[16..18])?,
            zone: digits(&rest[20..24])?,
            minus,
        };
        if !date.exists() {
            return Err(DateError::OutOfRange);
        }
        Ok(date.pack())
    }

    /// The moment `seconds` after 1970-01-01T00:00:00Z, in UTC. Years are clamped to 1 to 9999.
    #[must_use]
    pub fn from_unix(seconds: i64) -> InternalDate {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u64);
        let (year, month, day) = civil_from_days(days);
        let fields = Fields {
            year: year.clamp(1, 9999) as u64,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            zone: 0,
            minus: 0,
        };
        fields.pack()
    }

    /// Seconds since 1970-01-01T00:00:00Z; negative for earlier dates.
    #[must_use]
    pub fn to_unix(self) -> i64 {
        let f = self.fields();
        let days = days_from_civil(f.year as i64, f.month as i64, f.day as i64);
        let local = days * 86_400 + (f.hour * 3600 + f.minute * 60 + f.second) as i64;
        let zone = (f.zone / 100 * 3600 + f.zone % 100 * 60) as i64;
        if f.minus == 1 { local + zone } else { local - zone }
    }

    /// The packed form, as stored on disk.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The date in this packed form; `None` if the bits are not a date, as after corruption.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<InternalDate> {
        let date = InternalDate(bits);
        (date.fields().exists() && date.fields().pack() == date).then_some(date)
    }

    fn fields(self) -> Fields {
        let mut bits = self.0;
        let mut take = |width: u32| {
            let value = bits & ((1 << width) - 1);
            bits >>= width;
            value
        };
        let (minus, zone, second, minute) = (take(1), take(14), take(6), take(6));
        let (hour, day, month, year) = (take(5), take(5), take(4), take(14));
        Fields { year, month, day, hour, minute, second, zone, minus }
    }
}

/// A day without time or zone, as days since 1970-01-01. SEARCH keys compare these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

impl Date {
    /// Reads the text of a `date`, without its quotes (RFC 3501 section 9).
    ///
    /// ```abnf
    /// date      = date-text / DQUOTE date-text DQUOTE
    /// date-text = date-day "-" date-month "-" date-year
    /// date-day  = 1*2DIGIT
    /// date-year = 4DIGIT
    /// ```
    ///
    /// # Errors
    /// If the text does not match, or names a day that does not exist.
    pub fn parse(text: &[u8]) -> Result<Date, DateError> {
        let mut parts = text.split(|&o| o == b'-');
        let mut part = || parts.next().unwrap_or_default();
        let (day, month, year) = (part(), part(), part());
        if parts.next().is_some() || !matches!(day.len(), 1 | 2) || year.len() != 4 {
            return Err(DateError::Malformed);
        }
        let known = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(month));
        let month = known.ok_or(DateError::Malformed)? as u64 + 1;
        let (day, year) = (digits(day)?, digits(year)?);
        if year == 0 || !(1..=days_in(year, month)).contains(&day) {
            return Err(DateError::OutOfRange);
        }
        Ok(Date(days_from_civil(year as i64, month as i64, day as i64) as i32))
    }

    /// The day, in UTC, of the moment `seconds` after 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Date {
        let days = seconds.div_euclid(86_400);
        Date(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX }))
    }
}

impl InternalDate {
    /// The day as written: SEARCH disregards time and zone (RFC 3501 section 6.4.4).
    #[must_use]
    pub fn date(self) -> Date {
        let f = self.fields();
        Date(days_from_civil(f.year as i64, f.month as i64, f.day as i64) as i32)
    }
}

impl InternalDate {
    /// `date-time` without its quotes: ` 7-Feb-1994 21:52:25 -0800`.
    #[must_use]
    pub fn to_text(self) -> [u8; 26] {
        let d = self.fields();
        let mut text = *b" 0-Jan-0000 00:00:00 +0000";
        let mut put = |at: usize, width: usize, mut value: u64| {
            for octet in text[at..at + width].iter_mut().rev() {
                *octet = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(7, 4, d.year);
        put(12, 2, d.hour);
        put(15, 2, d.minute);
        put(18, 2, d.second);
        put(22, 4, d.zone);
        if d.day < 10 {
            put(1, 1, d.day)
        } else {
            put(0, 2, d.day)
        }
        text[3..6].copy_from_slice(MONTHS[d.month as usize - 1].as_bytes());
        text[21] = if d.minus == 1 { b'-' } else { b'+' };
        text
    }
}

impl fmt::Display for InternalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_text()).expect("digits, letters and signs"))
    }
}

#[derive(Clone, Copy)]
struct Fields {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    zone: u64,
    minus: u64,
}

impl Fields {
    /// A second of 60 is a leap second. Any four digits are a zone, as in the grammar.
    fn exists(self) -> bool {
        (1..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
            && self.zone <= 9999
    }

    fn pack(self) -> InternalDate {
        let mut bits = 0;
        for (value, width) in [
            (self.year, 14),
            (self.month, 4),
            (self.day, 5),
            (self.hour, 5),
            (self.minute, 6),
            (self.second, 6),
            (self.zone, 14),
            (self.minus, 1),
        ] {
            bits = bits << width | value;
        }
        InternalDate(bits)
    }
}

fn digits(text: &[u8]) -> Result<u64, DateError> {
    text.iter().try_fold(0, |value, &octet| match octet {
        b'0'..=b'9' => Ok(value * 10 + u64::from(octet - b'0')),
        _ => Err(DateError::Malformed),
    })
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days since 1970-01-01 of a day in the proleptic Gregorian calendar. Howard Hinnant's
/// `days_from_civil`: years begin in March, so the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u64, u64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let doe = days.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let shifted = (5 * doy + 2) / 153;
    let day = doy - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month as u64, day as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        InternalDate::parse(text.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn dates_come_back_as_given() {
        for text in [
            " 7-Feb-1994 22:43:04 -0800",
            "17-Jul-1996 02:44:25 -0000",
            "31-Dec-9999 23:59:60 +9999",
            " 1-Jan-0001 00:00:00 +0000",
            "29-Feb-2000 12:00:00 +0545",
        ] {
            assert_eq!(round_trip(text), text);
        }
        assert_eq!(round_trip("7-feb-1994 22:43:04 -0800"), " 7-Feb-1994 22:43:04 -0800");
        assert_eq!(round_trip("07-Feb-1994 22:43:04 -0800"), " 7-Feb-1994 22:43:04 -0800");
    }

    #[test]
    fn invalid_dates_are_refused() {
        use DateError::{Malformed, OutOfRange};
        for (text, error) in [
            ("31-Apr-2001 00:00:00 +0000", OutOfRange),
            ("29-Feb-1900 00:00:00 +0000", OutOfRange),
            (" 0-Jan-2001 00:00:00 +0000", OutOfRange),
            ("10-Jan-0000 00:00:00 +0000", OutOfRange),
            ("10-Jan-2001 24:00:00 +0000", OutOfRange),
            ("10-Jan-2001 00:00:00 0000", Malformed),
            ("10-Jaz-2001 00:00:00 +0000", Malformed),
            ("10-Jan-2001", Malformed),
            ("1 -Jan-2001 00:00:00 +0000", Malformed),
            ("", Malformed),
            ("-", Malformed),
        ] {
            assert_eq!(InternalDate::parse(text.as_bytes()), Err(error), "{text}");
        }
    }

    #[test]
    fn unix_time_both_ways() {
        let date = InternalDate::parse(b" 7-Feb-1994 21:52:25 -0800").unwrap();
        assert_eq!(date.to_unix(), 760_686_745);
        for seconds in [0, 1, -1, 951_782_400, 1_700_000_000, -62_135_596_800, 253_402_300_799] {
            assert_eq!(InternalDate::from_unix(seconds).to_unix(), seconds);
        }
    }

    #[test]
    fn days() {
        for (text, day) in [
            ("1-Jan-1970", 0),
            ("01-jan-1970", 0),
            ("31-Dec-1969", -1),
            ("1-Feb-1994", 8797),
            ("29-Feb-2000", 11_016),
            ("1-Jan-0001", -719_162),
        ] {
            assert_eq!(Date::parse(text.as_bytes()), Ok(Date(day)), "{text}");
        }
        for (text, error) in [
            ("", DateError::Malformed),
            ("1-Feb", DateError::Malformed),
            ("1-Feb-94", DateError::Malformed),
            ("1-Feb-1994-", DateError::Malformed),
            ("001-Feb-1994", DateError::Malformed),
            ("1-2-1994", DateError::Malformed),
            ("x-Feb-1994", DateError::Malformed),
            ("-Feb-1994", DateError::Malformed),
            ("29-Feb-1993", DateError::OutOfRange),
            ("0-Feb-1993", DateError::OutOfRange),
            ("1-Feb-0000", DateError::OutOfRange),
        ] {
            assert_eq!(Date::parse(text.as_bytes()), Err(error), "{text}");
        }
        let date = InternalDate::parse(b" 1-Feb-1994 23:59:59 -0800").unwrap();
        assert_eq!((date.date(), Date::from_unix(date.to_unix())), (Date(8797), Date(8798)));
        assert_eq!(Date::from_unix(-1), Date(-1));
    }

    #[test]
    fn corrupt_bits_are_refused() {
        assert_eq!(InternalDate::from_bits(0), None);
        assert_eq!(InternalDate::from_bits(u64::MAX), None);
        let date = InternalDate::from_unix(1_000_000_000);
        assert_eq!(InternalDate::from_bits(date.to_bits()), Some(date));
    }
}
