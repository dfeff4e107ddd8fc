//! Torn or damaged: what to do about the first invalid frame of a log.

use super::error::Damage;
use super::search::{self, Found};
use super::survey::{Log, Segment, Stray, Survey};
use super::walk::{Stop, Walk};
use super::{Medium, RecoveryError};
use crate::limits::BLOCK;
use crate::log::frame::FrameHeader;
use crate::reactor::fault::{Fault, made};
use crate::types::{Lsn, SegmentId};

/// What to cut off, once all logs have been read without finding damage.
#[derive(Default)]
pub(super) struct Plan {
    /// To remove, in this order: newest first, so that what is left is always a log.
    remove: Vec<SegmentId>,
    /// To shorten to so many octets and sync.
    shorten: Vec<(SegmentId, u64)>,
    cut: Vec<String>,
}

impl Plan {
    /// Takes a file out that belongs to no log.
    pub(super) fn remove(&mut self, segment: SegmentId, why: &str) {
        self.remove.push(segment);
        self.cut.push(format!("segment {segment} was removed: it has no header, and {why}"));
    }

    /// Decides about the rest of a log behind the first invalid frame.
    pub(super) fn judge(
        &mut self,
        medium: &dyn Medium,
        survey: &Survey,
        strays: &[Stray],
        walk: &Walk<'_>,
        stop: Stop,
    ) -> Result<(), RecoveryError> {
        let later = walk.log.unreached(walk.start, &walk.reached);
        let torn = !stop.blank || !later.is_empty();
        // A frame that was durable had all before it.
        let lsn = stop.held_by.map_or(walk.lsn, |held_by| held_by.min(walk.lsn));
        if let Some(proof) = proof(medium, survey, strays, (walk, lsn), &later)? {
            Err(Damage {
                file: walk.segment,
                offset: u64::from(walk.offset),
                epoch: walk.log.epoch,
                log: walk.log.id,
                lsn: walk.lsn,
                what: format!("{}, but {proof}", stop.what),
                messages: stop.messages,
            })?;
        }
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
        Ok(())
    }

    /// Decides about a log whose first segment is not there.
    pub(super) fn remove_rootless(
        &mut self,
        medium: &dyn Medium,
        survey: &Survey,
        log: &Log,
        strays: &[Stray],
    ) -> Result<(), RecoveryError> {
        let mut all: Vec<&Segment> = log.segments.values().collect();
        all.sort_by_key(|segment| segment.header.first_lsn);
        let old = log.epoch < survey.newest();
        if old || is_durable(medium, log, strays, &all, Lsn(1))? {
            let missing = all.first().and_then(|segment| segment.header.previous);
            Err(Damage {
                file: missing.map_or(SegmentId(0), |(segment, _)| segment),
                offset: 0,
                epoch: log.epoch,
                log: log.id,
                lsn: Lsn(1),
                what: "the log goes on behind this segment, which is missing or has no header"
                    .into(),
                messages: Vec::new(),
            })?;
        }
        for segment in all.iter().rev() {
            self.remove.push(segment.header.segment);
        }
        self.cut.push(format!("log {} was removed: its first segment never was durable", log.id));
        Ok(())
    }

    /// Cuts. What was cut comes back in words.
    pub(super) fn apply(self, medium: &mut dyn Medium) -> Result<Vec<String>, RecoveryError> {
        for segment in self.remove {
            medium.remove(segment).map_err(RecoveryError::io(segment, 0))?;
        }
        for (segment, length) in self.shorten {
            medium.truncate(segment, length).map_err(RecoveryError::io(segment, length))?;
        }
        Ok(self.cut)
    }

    /// Gives back what segments did not use of their files. Those that were read in the newest
    /// epoch are synced in any case: until now, nothing promises that their octets stay.
    fn trim(&mut self, walk: &Walk<'_>, newest: bool) {
        let mut ends = walk.log.ancestors(walk.segment);
        ends.insert(walk.segment, walk.offset);
        for (segment, end) in ends {
            let length = walk.log.segments.get(&segment).map_or(0, |segment| segment.length);
            if length > u64::from(end) || newest && walk.reached.contains(&segment) {
                self.shorten.push((segment, u64::from(end)));
            }
        }
    }
}

/// How it is known that the frame the walk stopped at was durable, or `lsn` before it, which holds
/// the octets that are wrong.
fn proof(
    medium: &dyn Medium,
    survey: &Survey,
    strays: &[Stray],
    (walk, lsn): (&Walk<'_>, Lsn),
    later: &[&Segment],
) -> Result<Option<&'static str>, RecoveryError> {
    let here = &walk.log.segments[&walk.segment];
    if walk.applied >= walk.lsn {
        return Ok(Some("the catalog has read it"));
    }
    if walk.log.epoch < survey.newest() {
        let clean = here.length == u64::from(walk.offset) && later.is_empty();
        return Ok((!clean).then_some("this log was complete when a later epoch began"));
    }
    if walk.applied >= lsn {
        return Ok(Some("its octets were durable before it was written"));
    }
    let (segment, length, offset) = (here.header.segment, here.length, u64::from(walk.offset));
    let durable = search::frames(medium, segment, length, offset, |f| shows(f, walk.log, lsn))?
        || is_durable(medium, walk.log, strays, later, lsn)?;
    Ok(durable.then_some("later frames say that it was durable"))
}

/// Whether anything in these segments says that `lsn` was durable.
fn is_durable(
    medium: &dyn Medium,
    log: &Log,
    strays: &[Stray],
    segments: &[&Segment],
    lsn: Lsn,
) -> Result<bool, RecoveryError> {
    let mut ours = strays.iter().filter(|stray| (stray.epoch, stray.log) == (log.epoch, log.id));
    if ours.any(|stray| proves(stray.watermark, lsn))
        || segments.iter().any(|segment| proves(segment.header.watermark, lsn))
    {
        return Ok(true);
    }
    for Segment { header, length } in segments {
        let start = BLOCK as u64;
        if search::frames(medium, header.segment, *length, start, |f| shows(f, log, lsn))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a watermark says that a frame was durable.
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
