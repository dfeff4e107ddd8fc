//! The Date field: when a message was sent.

use super::fields::Fields;

/// A date read from a Date field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentDate {
    /// The day as written, regardless of time and zone, as days since 1970-01-01. SENTBEFORE,
    /// SENTON and SENTSINCE compare it (RFC 3501 section 6.4.4).
    pub day: i32,
    /// Seconds since 1970-01-01T00:00:00Z. SORT and THREAD compare it (RFC 5256 section 2.2).
    pub instant: i64,
}

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// The date in the first Date field of a header. `None` if the field is missing or unreadable;
/// callers then use the internal date.
#[must_use]
pub fn sent_date(header: &[u8]) -> Option<SentDate> {
    parse_date(Fields::find(header, b"Date")?.value)
}

/// Reads a date as in RFC 5322 section 3.3, or in a form found in real mail: two-digit years, no
/// zone, the order of asctime.
///
/// ```abnf
/// date-time   = [ day-of-week "," ] date time [CFWS]
/// date        = day month year
/// time-of-day = hour ":" minute [ ":" second ]
/// zone        = (FWS ( "+" / "-" ) 4DIGIT) / obs-zone
/// ```
/// An unknown zone, such as JST or CET, counts as UTC; an invalid time as midnight (RFC 5256
/// section 2.2).
#[must_use]
pub fn parse_date(value: &[u8]) -> Option<SentDate> {
    let mut words = Words { rest: value };
    let mut word = words.next()?;
    if month(word).is_none() && word[0].is_ascii_alphabetic() {
        // The day of the week, which is not checked.
        word = words.next()?;
    }
    let mut time = None;
    let (day, month, year) = match month(word) {
        // asctime: Nov 6 08:49:37 1994
        Some(month) => {
            let day = words.next()?;
            let mut year = words.next()?;
            if year.contains(&b':') {
                time = Some(year);
                year = words.next()?;
            }
            (day, month, year)
        }
        None => (word, month(words.next()?)?, words.next()?),
    };
    let day = number(day, 2).filter(|&day| day > 0)?;
    let year = match (number(year, 4)?, year.len()) {
        (year, 1 | 2) if year < 50 => 2000 + year,
        (year, 1..=3) => 1900 + year,
        (year, _) => year,
    };
    // RFC 5322 section 3.3 begins with 1900. 0102 was meant as 2002, but that would be a guess.
    if year < 1900 || day > days_of_month(year, month) {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    let seconds = time.or_else(|| words.next()).and_then(time_of_day);
    let zone = seconds.and_then(|_| words.next()).and_then(zone).unwrap_or_default();
    let instant = days * 86_400 + seconds.unwrap_or_default() - zone;
    Some(SentDate { day: days as i32, instant })
}

/// Splits a date at spaces, commas and dashes and drops comments. A dash after a space begins a
/// word: a zone.
struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let mut depth = 0_u32;
        let start = self.rest.iter().position(|&o| {
            match o {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => return depth == 0 && !o.is_ascii_whitespace() && o != b',',
            }
            false
        })?;
        let text = &self.rest[start..];
        let ends = |&o: &u8| o.is_ascii_whitespace() || matches!(o, b',' | b'-' | b'+' | b'(');
        let end = text.iter().skip(1).position(ends).map_or(text.len(), |at| at + 1);
        let (mut word, mut rest) = text.split_at(end);
        // 6-Nov-1994: this dash separates.
        if let [b'-', tail @ ..] = rest
            && word.iter().all(u8::is_ascii_alphanumeric)
        {
            rest = tail;
        }
        if word.len() > 1 && word.ends_with(b".") {
            word = &word[..word.len() - 1];
        }
        self.rest = rest;
        Some(word)
    }
}

fn month(word: &[u8]) -> Option<i64> {
    let start = word.get(..3)?;
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(start))?;
    Some(at as i64 + 1)
}

/// A number of at most `most` digits, with nothing else.
fn number(word: &[u8], most: usize) -> Option<i64> {
    let plausible = !word.is_empty() && word.len() <= most && word.iter().all(u8::is_ascii_digit);
    plausible.then(|| word.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0')))
}

/// Seconds since midnight.
fn time_of_day(word: &[u8]) -> Option<i64> {
    let mut parts = word.split(|&o| o == b':' || o == b'.');
    let hour = number(parts.next()?, 2).filter(|&hour| hour < 24)?;
    let minute = number(parts.next()?, 2).filter(|&minute| minute < 60)?;
    let second = match parts.next() {
        Some(second) => number(second, 2).filter(|&second| second <= 60)?,
        None => 0,
    };
    Some(hour * 3600 + minute * 60 + second)
}

/// Seconds east of Greenwich.
///
/// ```abnf
/// obs-zone = "UT" / "GMT" / "EST" / "EDT" / "CST" / "CDT" / "MST" / "MDT" / "PST" / "PDT" / ...
/// ```
fn zone(word: &[u8]) -> Option<i64> {
    if let [sign @ (b'+' | b'-'), digits @ ..] = word {
        let zone = number(digits, 4)?;
        let seconds = zone / 100 * 3600 + zone % 100 * 60;
        return Some(if *sign == b'-' { -seconds } else { seconds });
    }
    let hours = match word.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => return None,
    };
    Some(hours * 3600)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        // The example of RFC 5256 section 2.2: the next day in UTC, but not for SENTON.
        let date = parse_date(b" Sun, 31 Dec 2000 16:01:33 -0800\r\n").expect("a date");
        assert_eq!(date, SentDate { day: 11_322, instant: 978_307_293 });
        for (text, expected) in [
            ("1 Jan 1970 00:00:00 +0000", Some(0)),
            ("1 Jan 1970 00:00 +0000", Some(0)),
            ("Thu,  1 Jan 1970 01:00:00 +0100 (CET)", Some(0)),
            ("(c) Thu (d), 1 (e (f)) JAN 1970 00:00:00 gmt", Some(0)),
            ("Thursday, 1-Jan-70 00:00:00 GMT", Some(0)),
            ("Thu Jan  1 00:00:00 1970", Some(0)),
            ("1 January 1970 00:00:00 EST", Some(5 * 3600)),
            ("1 Jan 1970 00:00:00 nonsense", Some(0)),
            ("1 Jan 1970 00:00:00", Some(0)),
            ("1 Jan 1970 25:00:00 +0100", Some(0)),
            ("1 Jan 1970", Some(0)),
            ("1 Jan 1970 12", Some(0)),
            ("1 Jan 1970 00:00:60 -0030", Some(1860)),
            ("1 Jan 70", Some(0)),
            ("1 Jan 100", Some(946_684_800)),
            ("1 Jan 00", Some(946_684_800)),
            ("29 Feb 2000 00:00:00 Z", Some(951_782_400)),
            ("29 Feb 1900", None),
            ("5 Jun 0102 05:50:03 +0600", None),
            ("1 Jan 1900", Some(-2_208_988_800)),
            ("31 Dec 1969 23:59:59 +0000", Some(-1)),
            ("0 Jan 1970", None),
            ("32 Jan 1970", None),
            ("1 Foo 1970", None),
            ("1 Jan", None),
            ("Thu,", None),
            ("1 Jan 99999", None),
            ("", None),
            ("\u{1}é(", None),
        ] {
            let date = parse_date(text.as_bytes());
            assert_eq!(date.map(|date| date.instant), expected, "{text}");
        }
    }

    #[test]
    fn the_header_has_it() {
        let header = b"Subject: 2 Jan 1970\r\nDATE: 2 Jan 1970 23:00:00 -0200\r\nDate: x\r\n\r\n";
        assert_eq!(sent_date(header), Some(SentDate { day: 1, instant: 86_400 + 25 * 3600 }));
        assert_eq!(sent_date(b"Subject: x\r\n\r\nDate: 2 Jan 1970"), None);
    }
}
