//! Sizes on the command line.

/// Parses a number of bytes: `4096`, `64K`, `16M`, `10G`, `1T`, in powers of 1,024. Lower case and
/// a trailing `iB` or `B` are accepted.
///
/// # Errors
/// A sentence for the user.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let bare = lower.strip_suffix("ib").or(lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, shift) = match bare.as_bytes() {
        [.., b'k'] => (&bare[..bare.len() - 1], 10),
        [.., b'm'] => (&bare[..bare.len() - 1], 20),
        [.., b'g'] => (&bare[..bare.len() - 1], 30),
        [.., b't'] => (&bare[..bare.len() - 1], 40),
        _ => (bare, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|o| o.is_ascii_digit()) {
        return Err(format!("{text:?} is not a size; use 4096, 64K, 16M or 10G"));
    }
    let number = digits.parse::<u64>().ok();
    let octets = number.and_then(|n| n.checked_mul(1 << shift));
    octets.ok_or_else(|| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, octets) in [
            ("0", 0),
            ("1", 1),
            ("64K", 65_536),
            ("64k", 65_536),
            ("16MiB", 16 << 20),
            ("10G", 10 << 30),
            ("10GB", 10 << 30),
            ("1t", 1 << 40),
            ("512b", 512),
        ] {
            assert_eq!(parse_size(text), Ok(octets), "{text}");
        }
        for text in ["", "K", "1.5G", "-1", "+1", "1X", "1KK", "99999999999T", "٣"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
