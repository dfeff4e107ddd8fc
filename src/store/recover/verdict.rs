//! Torn or damaged: what to do about the first invalid frame of a log.

use super::error::{Damage, Lost, LostFrames, RecoveryError};
use super::medium::Medium;
use super::plan::Plan;
use super::search::{self, Found};
use super::stop::Stop;
use super::survey::{GIVEN_MAX, Log, Segment, Stray, Survey, was_left};
use super::walk::Walk;
use crate::limits::BLOCK;
use crate::reactor::fault::{Fault, made};
use crate::store::format::{FrameHeader, Lsn, SegmentId};

impl Plan {
    /// Cuts off the rest of a log from the first invalid frame on: it was never acknowledged.
    pub(super) fn cut(&mut self, survey: &Survey, walk: &Walk<'_>, stop: &Stop) {
        let later = walk.log.unreached(walk.start, &walk.reached);
        let torn = !stop.blank || !later.is_empty();
        self.trim(walk, walk.log.epoch == survey.newest());
        for segment in later.iter().rev() {
            self.remove.push(segment.header.segment);
        }
        if torn {
            let (segment, offset, lsn) = (walk.segment, walk.offset, walk.lsn);
            self.cut.push(format!(
                "log {} was cut at segment {segment}, octet {offset}, before frame {lsn} \
                 ({}); {} later segments were removed",
                walk.log.id,
                stop.what,
                later.len()
            ));
        }
    }

    /// Leaves a log with a damaged end as it is. What was read of it is synced like any other.
    pub(super) fn keep(&mut self, survey: &Survey, walk: &Walk<'_>) {
        if walk.log.epoch == survey.newest() {
            self.sync(walk);
        }
    }

    /// Decides about a log whose first segment is missing: never durable, or damaged.
    pub(super) fn remove_rootless(
        &mut self,
        judge: &Judge<'_>,
        log: &Log,
    ) -> Result<Option<Damage>, RecoveryError> {
        let mut all: Vec<&Segment> = log.segments.values().collect();
        all.sort_by_key(|segment| segment.header.first_lsn);
        let old = log.epoch < judge.survey.newest();
        if old || judge.is_durable(log, &all, Lsn(1))? {
            let first = all.first().map(|segment| segment.header);
            let missing = first.and_then(|header| header.previous);
            let until = first.map(|header| header.first_lsn);
            return Ok(Some(Damage {
                file: missing.map_or(SegmentId(0), |(segment, _)| segment),
                stripped: false,
                offset: 0,
                epoch: log.epoch,
                log: log.id,
                lsn: Lsn(1),
                what: "the log goes on behind this segment, which is missing or has no header"
                    .into(),
                messages: Vec::new(),
                lost: Lost::Frames(LostFrames { until, given: GIVEN_MAX, logs: log.count() }),
            }));
        }
        for segment in all.iter().rev() {
            self.remove.push(segment.header.segment);
        }
        self.cut.push(format!("log {} was removed: its first segment never was durable", log.id));
        Ok(None)
    }

    /// Cuts off what segments did not use of their files. Those that were read in the newest epoch
    /// are synced in any case: so far nothing guarantees that their octets stay.
    ///
    /// Where frames are lost, only what follows the end of the log is cut off. The rest is evidence
    /// for those who look into the damage.
    fn trim(&mut self, walk: &Walk<'_>, newest: bool) {
        if walk.has_holes {
            if newest {
                self.sync(walk);
            }
            self.shorten.retain(|(segment, _)| *segment != walk.segment);
            self.shorten.push((walk.segment, u64::from(walk.offset)));
            return;
        }
        let mut ends = walk.log.ancestors(walk.segment);
        ends.insert(walk.segment, walk.offset);
        for (segment, end) in ends {
            let length = walk.log.segments.get(&segment).map_or(0, |segment| segment.length);
            if length > u64::from(end) || newest && walk.reached.contains(&segment) {
                self.shorten.push((segment, u64::from(end)));
            }
        }
    }

    /// Syncs what was read, and keeps its length.
    fn sync(&mut self, walk: &Walk<'_>) {
        let reached = walk.reached.iter().filter_map(|segment| walk.log.segments.get(segment));
        self.shorten.extend(reached.map(|Segment { header, length }| (header.segment, *length)));
    }
}

/// Decides between torn and damaged.
pub(super) struct Judge<'a> {
    pub(super) medium: &'a dyn Medium,
    pub(super) survey: &'a Survey,
    pub(super) strays: &'a [Stray],
}

/// What stands behind the place at which a walk stopped.
pub(super) struct Evidence {
    /// The proof, if there is one, that the frame there was durable; or an earlier frame, with the
    /// octets that are wrong.
    pub(super) proof: Option<&'static str>,
    /// Whether frames of the log were seen there.
    pub(super) frames: bool,
}

impl From<&'static str> for Evidence {
    fn from(proof: &'static str) -> Evidence {
        Evidence { proof: Some(proof), frames: false }
    }
}

impl Judge<'_> {
    /// The evidence about the frame at which the walk stopped; or about `lsn`, an earlier one.
    pub(super) fn evidence(&self, walk: &Walk<'_>, lsn: Lsn) -> Result<Evidence, RecoveryError> {
        let Judge { medium, survey, .. } = *self;
        let later = walk.log.unreached(walk.start, &walk.reached);
        let here = &walk.log.segments[&walk.segment];
        if walk.applied >= walk.lsn {
            return Ok("the catalog has read it".into());
        }
        if walk.log.epoch < survey.newest() {
            let clean = here.length == u64::from(walk.offset) && later.is_empty();
            let proof = (!clean).then_some("this log was complete when a later epoch began");
            return Ok(Evidence { proof, frames: false });
        }
        if medium.is_stripped(walk.segment) && here.length > u64::from(walk.offset) {
            return Ok("its log had left it when its records were put into this file".into());
        }
        if walk.applied >= lsn {
            return Ok("its octets were durable before it was written".into());
        }
        let (extent, mut frames) = ((here.length, here.header.reused), false);
        let look = |frame: &FrameHeader, _| {
            let found = shows(frame, walk.log, lsn);
            frames |= !matches!(found, Found::Image);
            found
        };
        let offset = u64::from(walk.offset);
        let durable = search::frames(medium, here.header.segment, extent, offset, look)?
            || self.is_durable(walk.log, &later, lsn)?;
        let proof = durable.then_some("later frames say that it was durable");
        Ok(Evidence { proof, frames })
    }

    /// Whether anything in these segments proves that `lsn` was durable.
    fn is_durable(
        &self,
        log: &Log,
        segments: &[&Segment],
        lsn: Lsn,
    ) -> Result<bool, RecoveryError> {
        let Judge { medium, strays, .. } = *self;
        if segments.iter().any(|segment| was_left(medium, &segment.header)) {
            return Ok(true);
        }
        let mut ours =
            strays.iter().filter(|stray| (stray.epoch, stray.log) == (log.epoch, log.id));
        if ours.any(|stray| proves(stray.watermark, lsn))
            || segments.iter().any(|segment| proves(segment.header.watermark, lsn))
        {
            return Ok(true);
        }
        for Segment { header, length } in segments {
            let (extent, start) = ((*length, header.reused), BLOCK as u64);
            if search::frames(medium, header.segment, extent, start, |f, _| shows(f, log, lsn))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a watermark proves that a frame was durable.
pub(super) fn proves(watermark: Lsn, lsn: Lsn) -> bool {
    watermark >= lsn && !made(Fault::WatermarkIgnored)
}

fn shows(frame: &FrameHeader, log: &Log, lsn: Lsn) -> Found {
    match frame.salt == log.salt() {
        false => Found::Image,
        true if proves(frame.watermark, lsn) => Found::Enough,
        true => Found::Frame,
    }
}
