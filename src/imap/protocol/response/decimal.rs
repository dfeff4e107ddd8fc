//! Numbers and sets. A FETCH of a million messages consists of these, so they bypass the standard
//! library's formatting.

use bytes::{BufMut, BytesMut};

use crate::types::UidRange;

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// ```abnf
/// number64 = 1*DIGIT
/// ```
pub fn decimal(out: &mut BytesMut, number: u64) {
    decimal_to(out, number);
}

/// As [`decimal`], to any buffer.
pub(super) fn decimal_to(out: &mut impl BufMut, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    while number >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if number > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + number as u8;
    }
    out.put_slice(&digits[at..]);
}

/// Numbers in the order given; adjacent ranges are joined.
///
/// ```abnf
/// sequence-set = (seq-number / seq-range) *("," sequence-set)
/// ```
pub fn sequence_set(out: &mut BytesMut, ranges: impl IntoIterator<Item = (u32, u32)>) {
    let mut ranges = ranges.into_iter().peekable();
    while let Some((first, mut last)) = ranges.next() {
        while let Some((_, next)) = ranges.next_if(|next| Some(next.0) == last.checked_add(1)) {
            last = next;
        }
        decimal(out, first.into());
        if first != last {
            out.extend_from_slice(b":");
            decimal(out, last.into());
        }
        out.extend_from_slice(if ranges.peek().is_some() { b"," } else { b"" });
    }
}

/// UIDs in the order given; adjacent ranges are joined (RFC 4315 section 4).
///
/// ```abnf
/// uid-set   = (uniqueid / uid-range) *("," uid-set)
/// uid-range = (uniqueid ":" uniqueid)
/// ```
pub fn uid_set(out: &mut BytesMut, ranges: impl IntoIterator<Item = UidRange>) {
    sequence_set(out, ranges.into_iter().map(|range| (range.first.0, range.last.0)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(number: u64) -> String {
        let mut out = BytesMut::new();
        decimal(&mut out, number);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn the_ends_of_the_numbers() {
        for number in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, u64::MAX - 1, u64::MAX] {
            assert_eq!(written(number), number.to_string());
        }
    }

    #[test]
    fn sets_are_compact() {
        let set = |ranges: &[(u32, u32)]| {
            let mut out = BytesMut::new();
            sequence_set(&mut out, ranges.iter().copied());
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!(set(&[(1, 1), (2, 2), (3, 7), (9, 9)]), "1:7,9");
        assert_eq!(set(&[(9, 9), (1, 2)]), "9,1:2");
        assert_eq!(set(&[(u32::MAX, u32::MAX), (1, 1)]), "4294967295,1");
        assert_eq!(set(&[]), "");
    }

    proptest! {
        #[test]
        fn as_the_standard_library_writes_them(number in any::<u64>(), shift in 0u32..64) {
            prop_assert_eq!(written(number >> shift), (number >> shift).to_string());
        }
    }
}
