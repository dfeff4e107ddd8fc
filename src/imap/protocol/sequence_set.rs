//! Sets of message numbers and UIDs.

use std::fmt;

use crate::types::{Uid, UidRange};

/// A set as the client wrote it.
///
/// ```abnf
/// sequence-set = (seq-number / seq-range) *("," sequence-set)
/// seq-range    = seq-number ":" seq-number
/// seq-number   = nz-number / "*"
/// ```
/// A set may also be `$`, the saved result of a SEARCH (RFC 5182): see [`SequenceSet::is_saved`].
///
/// ```abnf
/// sequence-set =/ "$"
/// ```
/// The value of `*` is known only when the command runs: see [`SequenceSet::resolve`]. The length
/// of the command line bounds the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceSet(
    /// Empty only for `$`.
    Vec<(u32, u32)>,
);

/// Stands for `*`; no message number or UID is 0.
const STAR: u32 = 0;

impl SequenceSet {
    /// Parses a set.
    ///
    /// # Errors
    /// The offset of the first octet that does not belong to a set.
    pub fn parse(text: &[u8]) -> Result<SequenceSet, usize> {
        let mut ranges = Vec::new();
        let mut at = 0;
        if text == b"$" {
            return Ok(SequenceSet(ranges));
        }
        loop {
            let first = number(text, &mut at)?;
            let last = if text.get(at) == Some(&b':') {
                at += 1;
                number(text, &mut at)?
            } else {
                first
            };
            ranges.push((first, last));
            match text.get(at) {
                None => return Ok(SequenceSet(ranges)),
                Some(b',') => at += 1,
                Some(_) => return Err(at),
            }
        }
    }

    /// Whether this is `$`: the numbers that the session saved.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers in the set, where `max` is the largest in use (0 if none is). A range to `*`
    /// that begins above `max` reaches down to it (RFC 3501 section 6.4.8: `559:*`). `$` resolves
    /// to nothing here.
    #[must_use]
    pub fn resolve(&self, max: u32) -> Ranges {
        let resolved = |number| if number == STAR { max } else { number };
        let ascending = |&(first, last): &(u32, u32)| {
            let (first, last) = (resolved(first), resolved(last));
            (first.min(last).max(1), first.max(last))
        };
        // Without messages there is no largest number: `*` is 0:0, made 1:0 above.
        let mut ranges: Vec<_> = self.0.iter().map(ascending).filter(|(f, l)| f <= l).collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, before| {
            let touches = next.0 <= before.1.saturating_add(1);
            if touches {
                before.1 = before.1.max(next.1);
            }
            touches
        });
        Ranges(ranges)
    }

    /// Whether the set contains `number`, where `max` is the largest in use. For many numbers, use
    /// [`SequenceSet::resolve`] first.
    #[must_use]
    pub fn contains(&self, number: u32, max: u32) -> bool {
        self.resolve(max).contains(number)
    }

    /// The largest number written in the set, not counting `*`.
    #[must_use]
    pub fn largest(&self) -> Option<u32> {
        let numbers = self.0.iter().filter(|&&(first, last)| first != STAR && last != STAR);
        numbers.map(|&(first, last)| first.max(last)).max()
    }

    /// Whether the set contains `*`.
    #[must_use]
    pub fn has_star(&self) -> bool {
        self.0.iter().any(|&(first, last)| first == STAR || last == STAR)
    }
}

/// As a client writes it.
impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_saved() {
            return f.write_str("$");
        }
        let shown = |number: u32| if number == STAR { "*".to_owned() } else { number.to_string() };
        for (n, &(first, last)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{}", shown(first))?;
            if last != first {
                write!(f, ":{}", shown(last))?;
            }
        }
        Ok(())
    }
}

/// ```abnf
/// nz-number = digit-nz *DIGIT   ; (0 < n < 4,294,967,296)
/// ```
fn number(text: &[u8], at: &mut usize) -> Result<u32, usize> {
    let start = *at;
    if text.get(start) == Some(&b'*') {
        *at += 1;
        return Ok(STAR);
    }
    let mut value = 0u32;
    while let Some(digit @ b'0'..=b'9') = text.get(*at) {
        let next = value.checked_mul(10).and_then(|v| v.checked_add(u32::from(digit - b'0')));
        value = next.ok_or(start)?;
        *at += 1;
    }
    if value == 0 { Err(start) } else { Ok(value) }
}

/// Numbers as ascending ranges that neither overlap nor touch, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// The ranges.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }

    /// The ranges, as UIDs.
    pub fn uids(&self) -> impl DoubleEndedIterator<Item = UidRange> + '_ {
        self.iter().map(|(first, last)| UidRange { first: Uid(first), last: Uid(last) })
    }

    /// Whether a range contains `number`.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let after = self.0.partition_point(|&(first, _)| first <= number);
        after > 0 && number <= self.0[after - 1].1
    }

    /// The largest number, if any.
    #[must_use]
    pub fn max(&self) -> Option<u32> {
        self.0.last().map(|&(_, last)| last)
    }

    /// Whether there are no numbers: the set was `*` and the mailbox is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolve(text: &str, max: u32) -> Vec<(u32, u32)> {
        SequenceSet::parse(text.as_bytes()).unwrap().resolve(max).iter().collect()
    }

    #[test]
    fn the_examples_of_rfc_3501() {
        assert_eq!(resolve("2,4:7,9,12:*", 15), [(2, 2), (4, 7), (9, 9), (12, 15)]);
        assert_eq!(resolve("*:4,5:7", 10), [(4, 10)]);
        assert_eq!(resolve("4:2", 99), [(2, 4)]);
        assert_eq!(resolve("3291:*", 7), [(7, 3291)]);
        let saved = SequenceSet::parse(b"$").unwrap();
        assert!(saved.is_saved() && !saved.has_star() && saved.resolve(9).is_empty());
    }

    #[test]
    fn the_ends_of_the_numbers() {
        assert_eq!(resolve("*", 0), []);
        assert_eq!(resolve("1:*", 0), [(1, 1)]);
        assert_eq!(resolve("4294967295,1:4294967294", 5), [(1, u32::MAX)]);
        assert_eq!(resolve("4294967295,4294967295:*", 5), [(5, u32::MAX)]);
        assert_eq!(resolve("007", 5), [(7, 7)]);
    }

    #[test]
    fn invalid_sets_are_refused_at_the_first_bad_octet() {
        for (text, at) in [
            ("", 0),
            ("0", 0),
            ("1,0", 2),
            ("1,,2", 2),
            ("1,", 2),
            ("1:", 2),
            ("1:2:3", 3),
            (",1", 0),
            ("1 ", 1),
            ("4294967296", 0),
            ("1,99999999999999999999", 2),
            ("**", 1),
            ("$,1", 0),
            ("1,$", 2),
            ("a", 0),
            ("-1", 0),
        ] {
            assert_eq!(SequenceSet::parse(text.as_bytes()), Err(at), "{text}");
        }
    }

    proptest! {
        #[test]
        fn ranges_contain_the_numbers_of_the_set(
            pairs in prop::collection::vec((0u32..30, 0u32..30), 1..6), max in 1u32..30,
        ) {
            let text = |n: u32| if n == 0 { "*".to_string() } else { n.to_string() };
            let parts: Vec<_> =
                pairs.iter().map(|&(a, b)| format!("{}:{}", text(a), text(b))).collect();
            let set = SequenceSet::parse(parts.join(",").as_bytes()).unwrap();
            let ranges = set.resolve(max);
            let value = |n| if n == 0 { max } else { n };
            for n in 1..=30 {
                let named = pairs.iter().any(|&(a, b)| {
                    (value(a).min(value(b))..=value(a).max(value(b))).contains(&n)
                });
                prop_assert_eq!(ranges.contains(n), named);
                prop_assert_eq!(ranges.iter().any(|(f, l)| f <= n && n <= l), named);
            }
            let apart = ranges.iter().zip(ranges.iter().skip(1));
            prop_assert!(apart.into_iter().all(|(a, b)| a.1 + 1 < b.0));
        }
    }
}
