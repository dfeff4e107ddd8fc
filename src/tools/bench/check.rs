//! The check after a round: does the server have what it acknowledged?

use std::ops::RangeInclusive;

use super::plan::Plan;
use crate::tools::ToolError;
use crate::tools::lane::Lane;
use client::Comparison;

/// Number of stretches in a sample. They are evenly spread, with one at each end of the mailbox.
const STRETCHES: u32 = 8;

/// Number of messages in a stretch.
const STRETCH: u32 = 16;

/// Counts the messages of every mailbox, fetches a sample or all of them, and compares every octet.
pub(super) fn check(lanes: &mut [Lane], plan: &Plan, all: bool) -> Result<Comparison, ToolError> {
    let mut total = Comparison::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = lanes
            .iter_mut()
            .enumerate()
            .map(|(number, lane)| scope.spawn(move || check_lane(lane, number, plan, all)))
            .collect();
        for thread in threads {
            total.add(thread.join().expect("a checker does not panic")?);
        }
        Ok::<(), ToolError>(())
    })?;
    if total.differing > 0 {
        let (differing, messages) = (total.differing, total.messages);
        let first = total.differences.join("; ");
        let text = format!("{differing} of {messages} messages differ: {first}");
        return Err(ToolError::Differs(text));
    }
    Ok(total)
}

fn check_lane(
    lane: &mut Lane,
    number: usize,
    plan: &Plan,
    all: bool,
) -> Result<Comparison, ToolError> {
    lane.check_count()?;
    if lane.stored() == 0 {
        return Ok(Comparison::default());
    }
    lane.examine()?;
    let ranges = if all { vec![1..=lane.stored()] } else { sample(lane.stored()) };
    let first = plan.first_message(number);
    lane.compare(&ranges, |n| Some(&plan.message(first + n as usize - 1).mail), |_| {})
}

/// Message numbers of a sample of a mailbox with `count` messages.
fn sample(count: u32) -> Vec<RangeInclusive<u32>> {
    if count <= STRETCHES * STRETCH {
        return vec![1..=count];
    }
    let last_start = u64::from(count - STRETCH);
    let stretch = |n: u32| {
        let start = 1 + (last_start * u64::from(n) / u64::from(STRETCHES - 1)) as u32;
        start..=start + (STRETCH - 1)
    };
    (0..STRETCHES).map(stretch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_hold_both_ends() {
        assert_eq!(sample(1), [1..=1]);
        for count in [129, 10_000, u32::MAX] {
            let ranges = sample(count);
            assert_eq!((&ranges[0], ranges.len()), (&(1..=16), 8));
            assert_eq!(ranges[7], count - 15..=count);
            assert!(ranges.windows(2).all(|pair| pair[0].end() < pair[1].start()));
        }
    }
}
