//! Durations on the command line.

use std::time::Duration;

/// The longest duration: ten years.
const LONGEST: u64 = 3_650 * 24 * 3_600;

/// Parses a duration: `45s`, `15m`, `12h`, `30d`. `0` and `off` are no duration at all.
///
/// # Errors
/// A sentence for the user.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let lower = text.trim().to_ascii_lowercase();
    if lower == "0" || lower == "off" {
        return Ok(Duration::ZERO);
    }
    let wrong = || format!("{text:?} is not a duration; use 45s, 15m, 12h, 30d, or off");
    let unit = match lower.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 24 * 3_600,
        _ => return Err(wrong()),
    };
    let digits = &lower[..lower.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(wrong());
    }
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match seconds {
        Some(seconds) if seconds <= LONGEST => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("{text:?} is too long; the longest is 3650d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, seconds) in [
            ("1s", 1),
            ("15m", 900),
            ("12H", 43_200),
            ("30d", 2_592_000),
            ("0", 0),
            ("off", 0),
            ("0d", 0),
            ("3650d", LONGEST),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "30", "-1d", "1.5h", "1w", "3651d", "99999999999999999999d", "٣d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
