//! What lives in each segment, and which are worth cleaning.

use std::collections::{BTreeMap, BTreeSet};

use crate::index::Live;
use crate::limits::BLOCK;
use crate::server::config::CleaningConfig;
use crate::store::SegmentId;

/// Octets of records that relocating a message takes, about.
const RECORD: u64 = 40;

/// A segment is worth cleaning when at least this part of it comes back.
pub(super) const LEAST: f64 = 0.125;

/// Segments that are cleaned together, at most.
pub(super) const MOST: usize = 16;

/// A large lease has this many octets of messages for each octet of its header and the rest of its
/// last block, at least.
const HEADERS: u64 = 32;

/// A segment, its length, and what lives in it.
pub(super) type Candidate = (SegmentId, u64, Live);

/// What the catalog and the folder say.
pub(super) struct Survey {
    /// Sealed segments with their lengths and what lives in them.
    pub(super) segments: Vec<Candidate>,
    /// Octets of messages in all segments.
    pub(super) live: u64,
    /// Octets that cleaning would give back.
    pub(super) dead: u64,
}

impl Survey {
    pub(super) fn of(live: Vec<(SegmentId, Live)>, sealed: Vec<(SegmentId, u64)>) -> Survey {
        let octets = live.iter().map(|(_, live)| live.octets).sum();
        let live: BTreeMap<_, _> = live.into_iter().collect();
        let named = |segment: SegmentId| live.get(&segment).copied().unwrap_or_default();
        let segments: Vec<_> =
            sealed.iter().map(|&(segment, length)| (segment, length, named(segment))).collect();
        let dead = segments.iter().map(|&(_, length, live)| gain(length, live)).sum();
        Survey { segments, live: octets, dead }
    }

    /// The segments to clean next, beginning with the one that gives back the largest part: of
    /// those in which nothing lives, or of which at least this part comes back. Together, more than
    /// `stride` octets live in them only if there is just one.
    pub(super) fn next(
        &self,
        without: &BTreeSet<SegmentId>,
        least: f64,
        cost: f64,
        stride: u64,
    ) -> Vec<Candidate> {
        let candidates = self.worth(least, cost);
        let candidates = candidates.filter(|(segment, ..)| !without.contains(segment));
        let mut candidates: Vec<_> = candidates.collect();
        candidates.sort_by(|one, other| {
            part(other.1, other.2, cost).total_cmp(&part(one.1, one.2, cost)) //
        });
        fitting(candidates, stride, MOST)
    }

    /// The segments of which at least this part comes back.
    pub(super) fn worth(&self, least: f64, cost: f64) -> impl Iterator<Item = Candidate> {
        let worthy = move |&&(_, length, live): &&Candidate| {
            live.fragments == 0 || part(length, live, cost) >= least
        };
        self.segments.iter().filter(worthy).copied()
    }

    /// Whether there is enough to give back that cleaning begins.
    pub(super) fn is_due(&self, how: &CleaningConfig) -> bool {
        self.dead >= (self.live / how.begin).max(how.least)
    }
}

/// The first of these segments, at most `most`: together, more than `stride` octets live in them
/// only if there is just one.
pub(super) fn fitting(mut candidates: Vec<Candidate>, stride: u64, most: usize) -> Vec<Candidate> {
    let mut octets = 0;
    let fits = candidates.iter().enumerate().take_while(|(at, (_, _, live))| {
        octets += needed(*live);
        *at == 0 || *at < most && octets <= stride
    });
    let fits = fits.count();
    candidates.truncate(fits);
    candidates
}

/// The part of a segment of this length that comes back.
fn part(length: u64, live: Live, cost: f64) -> f64 {
    1.0 - needed(live) as f64 * cost / length as f64
}

/// What cleaning a segment of this length gives back.
pub(super) fn gain(length: u64, live: Live) -> u64 {
    length.saturating_sub(needed(live))
}

/// The same on a full disk, where it must not turn out to be more: octets in this many mailboxes,
/// each of which needs a frame for its records.
pub(super) fn needed_at_most(live: Live, mailboxes: u64) -> u64 {
    needed(live) + live.octets / HEADERS + (mailboxes + 1) * BLOCK as u64
}

/// Octets of log that living messages need.
pub(super) fn needed(live: Live) -> u64 {
    live.octets + live.fragments * RECORD
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn survey(segments: &[(u64, u64)]) -> Survey {
        let numbered = segments.iter().zip(1..);
        let live = numbered.clone().filter(|((_, live), _)| *live > 0);
        let live = live.map(|(&(_, octets), segment)| {
            (SegmentId(segment), Live { fragments: 1, octets: octets * MIB })
        });
        let sealed = numbered.map(|(&(length, _), segment)| (SegmentId(segment), length * MIB));
        Survey::of(live.collect(), sealed.collect())
    }

    fn next(survey: &Survey, stuck: &[u64], least: f64) -> Option<u64> {
        let stuck = stuck.iter().map(|&segment| SegmentId(segment)).collect();
        survey.next(&stuck, least, 1.0, 0).first().map(|(segment, ..)| segment.0)
    }

    #[test]
    fn the_segment_that_gives_back_most_is_next() {
        let survey = survey(&[(100, 90), (100, 60), (100, 99), (10, 5)]);
        assert_eq!((survey.live / MIB, survey.dead / MIB), (254, 55));
        assert_eq!(next(&survey, &[], LEAST), Some(4));
        assert_eq!(next(&survey, &[4], LEAST), Some(2));
        assert_eq!(next(&survey, &[2, 4], LEAST), None, "a tenth is not worth the writing");
        assert_eq!(next(&survey, &[], f64::INFINITY), None);
    }

    #[test]
    fn a_segment_in_which_nothing_lives_costs_nothing() {
        let survey = survey(&[(100, 10), (100, 0)]);
        assert_eq!(next(&survey, &[], f64::INFINITY), Some(2));
    }

    #[test]
    fn a_stride_has_as_much_as_it_may_write_again() {
        let survey = survey(&[(100, 60), (100, 50), (100, 20), (100, 0), (100, 0), (100, 90)]);
        let stride = |octets: u64| -> Vec<u64> {
            let next = survey.next(&BTreeSet::new(), LEAST, 1.0, octets * MIB);
            next.iter().map(|(segment, ..)| segment.0).collect()
        };
        assert_eq!(stride(0), [4, 5], "what is empty comes along");
        assert_eq!(stride(30), [4, 5, 3]);
        assert_eq!(stride(80), [4, 5, 3, 2]);
        assert_eq!(stride(1000), [4, 5, 3, 2, 1]);
    }
}
