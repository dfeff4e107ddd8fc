//! Sets of UIDs or sequence numbers.

/// As a command names them, with ranges of consecutive numbers: `1:3,7`.
pub fn set(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let written = runs.map(|run| match run {
        [only] => only.to_string(),
        _ => format!("{}:{}", run[0], run[run.len() - 1]),
    });
    written.collect::<Vec<_>>().join(",")
}

/// The numbers of a set without `*`, in its order. `None` when it is malformed, or a range of it
/// has more than a million numbers.
pub fn numbers(set: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for range in set.split(',') {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || last - first > 1_000_000 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[test]
fn sets_are_written_and_read() {
    assert_eq!(set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
    assert_eq!(numbers("1:3,7,9:10"), Some(vec![1, 2, 3, 7, 9, 10]));
    assert_eq!((set(&[]), numbers("3:1"), numbers("x")), (String::new(), None, None));
}
