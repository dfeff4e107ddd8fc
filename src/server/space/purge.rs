//! Octets of mail that nothing names any more go in time: `--purge-within`.
//!
//! The catalog knows since when a segment may have some (`index::live::deaths`). When that is long
//! ago, the segment is cleaned, whatever comes back. One that is still written to is left first:
//! an idle server would never fill it.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cleaner::Cleaner;
use super::steps::NotCleaned;
use super::survey::{Candidate, Survey};
use crate::reactor::unix_seconds;
use crate::store::{SegmentId, SegmentState};

/// Cleaning begins this long before octets have to be gone, or in the middle of the time if that is
/// later: at the slowest rate, some 5 TiB are written again by then.
const MARGIN: Duration = Duration::from_secs(2 * 24 * 3600);

/// A checkpoint tells of octets that have died up to this long ago. Where that is a large part of
/// the time, one is written before each look.
const SHORT: Duration = Duration::from_secs(120);

/// Looks within the time.
const LOOKS: u32 = 8;

/// Delays that are no reason for a warning.
const SLACK: Duration = Duration::from_secs(60);

/// What has to go.
#[derive(Debug, Default)]
pub(super) struct Purge {
    /// Segments with octets that have to go now, and since when, the earliest first.
    due: Vec<(u64, SegmentId)>,
    /// Whether half of the margin is over for one of them: then cleaning is as fast as it can be.
    pub(super) is_late: bool,
    /// The time is over, and the operator has been told.
    warned: bool,
}

/// How long octets may be dead before their segment is cleaned, and until when that should be
/// slow.
fn limits(within: Duration) -> (Duration, Duration) {
    let margin = MARGIN.min(within / 2);
    (within - margin, within - margin / 2)
}

impl Cleaner {
    /// Time between two looks for something to clean.
    pub(super) fn look(&self) -> Duration {
        let within = self.how.purge_within.unwrap_or(Duration::MAX);
        self.how.look.min(within / LOOKS)
    }

    /// Forgets what the catalog knows of segments that are no more.
    pub(super) async fn forget_gone(&self) {
        let segments = &self.shared.segments;
        let there = |segment: &SegmentId| {
            matches!(segments.state(*segment), Some(SegmentState::Sealed | SegmentState::Active))
        };
        let catalog = &self.shared.catalog;
        let forgotten = match catalog.deaths().await {
            Ok(known) => {
                let known = known.iter().map(|(segment, _)| *segment);
                catalog.forget_deaths_but(known.filter(there).collect()).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
            // The rows do no harm.
            tracing::debug!("rows of segments that are gone stay in the catalog: {error}");
        }
    }

    /// Finds out what has to go now, or with `all` what is dead, and leaves segments that are still
    /// written to.
    pub(super) async fn look_for_dead(&mut self, all: bool) -> Result<(), NotCleaned> {
        let Some(within) = self.how.purge_within else { return Ok(()) };
        if within < SHORT {
            self.cover().await?;
        }
        let deaths = self.shared.catalog.deaths().await;
        let deaths = deaths.map_err(|error| NotCleaned::Failed(error.to_string()))?;
        let (begin, late) = limits(within);
        let now = unix_seconds();
        let age = |since: u64| Duration::from_secs(now.saturating_sub(since));
        let (mut due, mut active, mut oldest) = (Vec::new(), Vec::new(), None);
        for (segment, since) in deaths {
            let state = self.shared.segments.state(segment);
            match state {
                Some(SegmentState::Active | SegmentState::Sealed) => {}
                _ => continue,
            }
            // What was there when the server started has been there for longer.
            let seen = if since == 0 { self.begun } else { since };
            oldest = oldest.min(Some(seen)).or(Some(seen));
            if all || age(since) >= begin {
                due.push((seen, segment));
                active.extend((state == Some(SegmentState::Active)).then_some(segment));
            }
        }
        due.sort_unstable();
        self.purge.is_late = due.first().is_some_and(|&(since, _)| age(since) >= late);
        self.purge.due = due;
        let oldest = oldest.map_or(Duration::ZERO, age);
        let micros = u64::try_from(oldest.as_micros()).unwrap_or(u64::MAX);
        self.counts.oldest_dead.store(micros, Ordering::Relaxed);
        self.warn_if_late(oldest, within);
        for segment in active {
            self.move_on(segment).await?;
        }
        Ok(())
    }

    /// The segments to clean now because of what is dead in them, at most `most`. Together, more
    /// than `stride` octets live in them only if there is just one.
    pub(super) fn due(
        &self,
        survey: &Survey,
        without: &BTreeSet<SegmentId>,
        stride: u64,
        most: usize,
    ) -> Vec<Candidate> {
        let due = self.purge.due.iter().filter(|(_, segment)| !without.contains(segment));
        let find = |segment: SegmentId| survey.segments.iter().find(|(one, ..)| *one == segment);
        let candidates = due.filter_map(|&(_, segment)| find(segment).copied());
        super::survey::fitting(candidates.collect(), stride, most)
    }

    fn warn_if_late(&mut self, oldest: Duration, within: Duration) {
        let is_over = oldest > within + SLACK;
        if is_over && !self.purge.warned {
            let mut what: Vec<(&str, &BTreeSet<SegmentId>)> = vec![
                ("have messages that cannot be read: run `mailrace verify`", &self.stuck),
                ("are held by uploads or copies that do not end", &self.busy),
            ];
            what.retain(|(_, held)| self.purge.due.iter().any(|(_, one)| held.contains(one)));
            what.sort_by_key(|(_, held)| Reverse(held.len()));
            let why = match what.first() {
                Some((why, held)) => {
                    let all = held.iter().map(|one| one.file_name()).collect::<Vec<_>>();
                    format!("{} {why}", all.join(", "))
                }
                None if self.is_short_of_room() => {
                    "the disk is nearly full: make room, so that living mail can be moved".into()
                }
                None if self.how.rate.is_some() => {
                    "cleaning does not keep up: raise --clean-rate, or leave it out".into()
                }
                None => "cleaning does not keep up with the disk, or was not running".to_owned(),
            };
            tracing::warn!(
                "octets of expunged mail have been on the disk for {} seconds, longer than \
                 --purge-within allows ({} seconds): {why}",
                oldest.as_secs(),
                within.as_secs()
            );
        }
        self.purge.warned = is_over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_begins_in_time() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(limits(hours(30 * 24)), (hours(28 * 24), hours(29 * 24)));
        assert_eq!(limits(hours(8)), (hours(4), hours(6)));
        assert_eq!(limits(Duration::from_secs(1)).0, Duration::from_millis(500));
    }
}
