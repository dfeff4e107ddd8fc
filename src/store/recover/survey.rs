//! The headers of all segments: which logs there are, and which files belong to none.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Damage, Lost, LostFrames, RecoveryError};
use super::medium::Medium;
use super::plan::Plan;
use super::search::{self, Found, is_blank};
use super::visit::Visitor;
use crate::limits::BLOCK;
use crate::store::format::{
    Epoch, FrameHeader, HEADER, HeaderError, LogId, LogPosition, Lsn, ReadyHeader, SegmentHeader,
    SegmentId,
};
use crate::store::segments::{ReadySegment, usable};

/// The most UIDs that a hole of unknown size is assumed to have given in a mailbox. A mailbox has
/// room for 250 such holes.
pub(super) const GIVEN_MAX: u32 = 1 << 24;

/// What the headers say: see the [module](self).
pub(super) struct Survey {
    /// Logs by epoch and number, in the order in which they are visited.
    pub(super) logs: BTreeMap<(Epoch, LogId), Log>,
    /// Segments that were prepared and not used.
    pub(super) ready: Vec<ReadySegment>,
    /// Files without a valid header.
    headless: Vec<Headless>,
    /// All segments with the lengths of their files in bytes.
    pub(super) lengths: BTreeMap<SegmentId, u64>,
}

/// The segments of one log.
pub(super) struct Log {
    pub(super) epoch: Epoch,
    pub(super) id: LogId,
    pub(super) segments: BTreeMap<SegmentId, Segment>,
    /// For each segment that the log left, the one that it continued in.
    after: BTreeMap<SegmentId, SegmentId>,
}

/// A segment of a log.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    /// Length of the file in bytes; of a stripped segment, where its last frame ended.
    pub(super) length: u64,
}

struct Headless {
    segment: SegmentId,
    length: u64,
    why: HeaderError,
    /// The segment that the frame in the second block says it is of.
    first: Option<SegmentId>,
}

/// A segment without a header, with frames of which nothing proves that they were acknowledged.
pub(super) struct Stray {
    segment: SegmentId,
    pub(super) epoch: Epoch,
    pub(super) log: LogId,
    salt: u64,
    /// The highest watermark in it.
    pub(super) watermark: Lsn,
}

/// The header of a segment, or why it has none.
pub(super) fn header_of(
    medium: &dyn Medium,
    segment: SegmentId,
) -> Result<Result<SegmentHeader, HeaderError>, RecoveryError> {
    let mut block = [0; BLOCK];
    let read = medium.read_at(segment, 0, &mut block);
    let read = read.map_err(RecoveryError::io(segment, 0))?;
    let flaw = if read == 0 { medium.flaw(segment) } else { Ok(None) };
    match flaw.map_err(RecoveryError::io(segment, 0))? {
        Some(flaw) => Ok(Err(flaw)),
        None => Ok(SegmentHeader::decode(&block[..read])),
    }
}

/// The segment that the frame in the second block of this one says it is of.
pub(super) fn first_frame(
    medium: &dyn Medium,
    segment: SegmentId,
) -> Result<Option<SegmentId>, RecoveryError> {
    let mut header = [0; HEADER];
    let read = medium.read_at(segment, BLOCK as u64, &mut header);
    let read = read.map_err(RecoveryError::io(segment, BLOCK as u64))?;
    Ok(FrameHeader::decode(&header[..read]).ok().map(|frame| frame.segment))
}

/// Whether this segment, or the one before it in its log, is stripped. Everything before it was
/// durable then: a segment is stripped only after its log has left it and all of it was synced.
pub(super) fn was_left(medium: &dyn Medium, header: &SegmentHeader) -> bool {
    let previous = header.previous.map(|(segment, _)| segment);
    previous.into_iter().chain([header.segment]).any(|segment| medium.is_stripped(segment))
}

impl Survey {
    /// Reads the headers of all segments but those of epochs of which the catalog has everything.
    pub(super) fn take(medium: &dyn Medium, from: &[LogPosition]) -> Result<Survey, RecoveryError> {
        let files = medium.segments().map_err(RecoveryError::io(None, 0))?;
        let mut survey = Survey {
            logs: BTreeMap::new(),
            ready: Vec::new(),
            headless: Vec::new(),
            lengths: files.into_iter().collect(),
        };
        let lowest = lowest(from);
        for (&segment, &length) in &survey.lengths {
            // Numbers without an epoch may be of any.
            if segment.epoch() < lowest && segment.epoch() != Epoch(0) {
                continue;
            }
            let why = match header_of(medium, segment)? {
                Ok(header) if header.segment == segment => {
                    let log = survey.logs.entry((header.epoch, header.log));
                    let log = log.or_insert_with(|| Log::new(header.epoch, header.log));
                    let length = medium.end(segment, length);
                    let length = length.map_err(RecoveryError::io(segment, 0))?;
                    log.add(Segment { header, length });
                    continue;
                }
                Ok(_) => HeaderError::Field("segment"),
                Err(HeaderError::OtherVersion { version }) => {
                    return Err(RecoveryError::OtherVersion { file: segment, version });
                }
                // With a frame of its own it was in use, and its header was lost.
                Err(HeaderError::Ready(ReadyHeader { reused }))
                    if usable(length) && first_frame(medium, segment)? != Some(segment) =>
                {
                    survey.ready.push(ReadySegment { segment, length, reused });
                    continue;
                }
                Err(why) => why,
            };
            let first = first_frame(medium, segment)?;
            survey.headless.push(Headless { segment, length, why, first });
        }
        survey.find_lost_headers(from);
        Ok(survey)
    }

    /// A segment that is named as a part of a log was in use, whatever its header says.
    fn find_lost_headers(&mut self, from: &[LogPosition]) {
        let left = self.logs.values().flat_map(|log| log.after.keys().copied());
        let named: BTreeSet<_> = left.chain(from.iter().map(|at| at.segment)).collect();
        for used in self.ready.extract_if(.., |ready| named.contains(&ready.segment)) {
            let ReadySegment { segment, length, reused } = used;
            let why = HeaderError::Ready(ReadyHeader { reused });
            self.headless.push(Headless { segment, length, why, first: None });
        }
    }

    /// The newest epoch. Only its logs can have torn tails: all older ones were cut clean before it
    /// began.
    pub(super) fn newest(&self) -> Epoch {
        self.logs.keys().next_back().map_or(Epoch(0), |&(epoch, _)| epoch)
    }

    /// Compares the headers of each log. One writer makes one chain of segments. If they form no
    /// chain, files of two logs were mixed, and which are the right ones cannot be known. If the
    /// visitor goes on, then without the segment that came second.
    pub(super) fn check_chains(&mut self, visitor: &mut dyn Visitor) -> Result<(), RecoveryError> {
        for log in self.logs.values_mut() {
            let (mut left, mut misfits) = (BTreeSet::new(), Vec::new());
            for Segment { header, .. } in log.segments.values() {
                let previous = header.previous.map(|(segment, _)| segment);
                let begins = previous.is_some() || header.first_lsn == Lsn(1);
                if header.salt == log.salt() && begins && left.insert(previous) {
                    continue;
                }
                misfits.push(header.segment);
                visitor.damage(Damage {
                    file: header.segment,
                    stripped: false,
                    offset: 0,
                    epoch: log.epoch,
                    log: log.id,
                    lsn: header.first_lsn,
                    what: "its header contradicts those of other segments".into(),
                    messages: Vec::new(),
                    lost: Lost::File,
                })?;
            }
            log.take_out(&misfits);
        }
        Ok(())
    }

    /// Compares the positions of the catalog with the files. Returns what is wrong with them.
    pub(super) fn check_positions(&self, from: &[LogPosition]) -> Vec<Damage> {
        let mut wrong = Vec::new();
        for position in from {
            let log = self.logs.get(&(position.epoch, position.log));
            let what = match log.and_then(|log| log.segments.get(&position.segment)) {
                None if !self.lengths.contains_key(&position.segment) => "the file is missing",
                None => "its header is not the one of this log",
                Some(segment) if segment.length < u64::from(position.offset) => {
                    "the file is too short"
                }
                Some(segment) if segment.header.first_lsn > position.lsn => {
                    "it begins with a later frame"
                }
                Some(_) => continue,
            };
            wrong.push(Damage {
                file: position.segment,
                stripped: false,
                offset: u64::from(position.offset),
                epoch: position.epoch,
                log: position.log,
                lsn: position.lsn,
                what: format!("{what}, though the catalog has read up to here"),
                messages: Vec::new(),
                lost: Lost::Frames(LostFrames {
                    until: None,
                    given: GIVEN_MAX,
                    logs: log.map_or(0, Log::count),
                }),
            });
        }
        wrong
    }

    /// Decides about the files without a header: torn, and removed, or damaged. If the visitor goes
    /// on, those whose frames can be recognised become part of their logs again.
    pub(super) fn judge_strays(
        &mut self,
        medium: &dyn Medium,
        from: &[LogPosition],
        plan: &mut Plan,
        visitor: &mut dyn Visitor,
    ) -> Result<Vec<Stray>, RecoveryError> {
        let (mut strays, mut adopted) = (Vec::new(), Vec::new());
        for headless in &self.headless {
            if medium.is_stripped(headless.segment) {
                // Its record file was durable before it got its name, so it is not torn.
                let hole = LostFrames { until: None, given: GIVEN_MAX, logs: 0 };
                let damage = headless.damage(Epoch(0), LogId(0), Lsn(0), headless.why.to_string());
                visitor.damage(Damage { lost: Lost::Frames(hole), ..damage })?;
                continue;
            }
            let frames = self.frames_of(medium, headless)?;
            let blank = is_blank(medium, headless.segment, headless.length, BLOCK as u64)?;
            let named = from.iter().any(|position| position.segment == headless.segment);
            let Some((stray, lowest)) = frames.filter(|_| !headless.was_reused()) else {
                let no_header = matches!(headless.why, HeaderError::Zeros | HeaderError::Ready(_));
                if !no_header && !blank && !headless.was_reused() {
                    let what = format!("{}, and no frame can be recognised", headless.why);
                    // It may have had changes of any account.
                    let hole = LostFrames { until: None, given: GIVEN_MAX, logs: 0 };
                    let damage = headless.damage(Epoch(0), LogId(0), Lsn(0), what);
                    visitor.damage(Damage { lost: Lost::Frames(hole), ..damage })?;
                    continue;
                }
                // Otherwise the visitor was told when the positions of the catalog were checked.
                if !named {
                    plan.doubt(headless.segment);
                }
                continue;
            };
            let key = (stray.epoch, stray.log);
            let read = from.iter().find(|position| (position.epoch, position.log) == key);
            let applied = read.map_or(Lsn(0), |position| position.applied);
            let proof = if stray.epoch < self.newest() {
                "it belongs to an older epoch"
            } else if named
                || stray.watermark >= lowest
                || applied >= lowest
                || self.was_left_after(medium, key, lowest)
            {
                "what stands in it was durable"
            } else {
                plan.remove(headless.segment, "nothing in it was acknowledged");
                strays.push(stray);
                continue;
            };
            let what = format!("{}, and {proof}", headless.why);
            visitor.damage(headless.damage(stray.epoch, stray.log, lowest, what))?;
            adopted.push(headless.adopt(&stray, lowest));
        }
        for segment in adopted {
            let header = segment.header;
            let log = self.logs.entry((header.epoch, header.log));
            log.or_insert_with(|| Log::new(header.epoch, header.log)).add(segment);
        }
        Ok(strays)
    }

    /// Whether a log has a stripped segment after this frame.
    fn was_left_after(&self, medium: &dyn Medium, log: (Epoch, LogId), lsn: Lsn) -> bool {
        let segments = self.logs.get(&log).into_iter().flat_map(|log| log.segments.values());
        segments.map(|segment| &segment.header).any(|header| {
            header.first_lsn > lsn && was_left(medium, header) //
        })
    }

    /// What the frames in a file without a header say: their log, the highest watermark, and the
    /// lowest LSN.
    fn frames_of(
        &self,
        medium: &dyn Medium,
        headless: &Headless,
    ) -> Result<Option<(Stray, Lsn)>, RecoveryError> {
        let Headless { segment, length, .. } = *headless;
        let mut seen: Option<(Stray, Lsn)> = None;
        let mut salt = None;
        search::frames(medium, segment, (length, false), BLOCK as u64, |frame, _| {
            // If the log has no other segment, the first frame has to be trusted.
            let known = self.logs.get(&(frame.epoch, frame.log)).map(Log::salt);
            if frame.salt != *salt.get_or_insert(known.unwrap_or(frame.salt)) {
                return Found::Image;
            }
            let (epoch, log) = (frame.epoch, frame.log);
            let (salt, watermark) = (frame.salt, frame.watermark);
            let first = (Stray { segment, epoch, log, salt, watermark }, frame.lsn);
            let (stray, lowest) = seen.get_or_insert(first);
            stray.watermark = stray.watermark.max(frame.watermark);
            *lowest = frame.lsn.min(*lowest);
            Found::Frame
        })?;
        Ok(seen)
    }

    /// Above the epochs of all headers, files, positions and strays, and above that of `highest`, a
    /// segment that messages name.
    pub(super) fn next_epoch(
        &self,
        from: &[LogPosition],
        strays: &[Stray],
        highest: SegmentId,
    ) -> Result<Epoch, RecoveryError> {
        let files = self.lengths.keys().chain([&highest]).map(|&file| (file.epoch(), file));
        let named = from.iter().map(|at| (at.epoch.max(at.segment.epoch()), at.segment));
        let segments = self.logs.values().flat_map(|log| log.segments.values());
        let headers = segments.flat_map(|Segment { header, .. }| {
            let left = header.previous.map(|(file, _)| (file.epoch(), header.segment));
            left.into_iter().chain([(header.epoch, header.segment)])
        });
        let strays = strays.iter().map(|stray| (stray.epoch, stray.segment));
        let last = files.chain(named).chain(headers).chain(strays).max();
        let (epoch, file) = last.unwrap_or_default();
        match epoch < Epoch::LAST {
            true => Ok(epoch.next()),
            false => Err(RecoveryError::LastEpoch { file, epoch }),
        }
    }
}

/// The lowest epoch that has to be read. The catalog has all of those below it.
pub(super) fn lowest(from: &[LogPosition]) -> Epoch {
    from.iter().map(|position| position.epoch).min().unwrap_or_default()
}

/// Those of the segments that look ready in which no frame of their own can be found.
pub(super) fn without_frames(
    medium: &dyn Medium,
    ready: &[ReadySegment],
) -> Result<Vec<ReadySegment>, RecoveryError> {
    let mut unused = Vec::new();
    for &found in ready {
        let ReadySegment { segment, length, .. } = found;
        let start = BLOCK as u64;
        if !search::frames(medium, segment, (length, false), start, |_, _| Found::Enough)? {
            unused.push(found);
        }
    }
    Ok(unused)
}

impl Headless {
    /// Whether it had another use before and none since: its first frame is still that of another
    /// segment. So it became part of a log, if at all, at the moment of the crash, and its header
    /// is torn.
    fn was_reused(&self) -> bool {
        let torn = !matches!(self.why, HeaderError::Field(_));
        torn && self.first.is_some_and(|segment| segment != self.segment)
    }

    fn damage(&self, epoch: Epoch, log: LogId, lsn: Lsn, what: String) -> Damage {
        let (file, stripped) = (self.segment, false);
        let (messages, lost) = (Vec::new(), Lost::File);
        Damage { file, stripped, offset: 0, epoch, log, lsn, what, messages, lost }
    }

    /// The segment, with what its frames tell in place of its header.
    fn adopt(&self, stray: &Stray, lowest: Lsn) -> Segment {
        let header = SegmentHeader {
            segment: self.segment,
            epoch: stray.epoch,
            log: stray.log,
            logs: 0,
            salt: stray.salt,
            first_lsn: lowest,
            watermark: Lsn(0),
            previous: None,
            size: 0,
            created: 0,
            reused: true,
        };
        Segment { header, length: self.length }
    }
}

impl Log {
    fn new(epoch: Epoch, id: LogId) -> Log {
        Log { epoch, id, segments: BTreeMap::new(), after: BTreeMap::new() }
    }

    fn add(&mut self, segment: Segment) {
        let header = segment.header;
        self.segments.insert(header.segment, segment);
        if let Some((previous, _)) = header.previous {
            self.after.insert(previous, header.segment);
        }
    }

    /// Removes these segments from the log, as if they did not exist.
    fn take_out(&mut self, misfits: &[SegmentId]) {
        self.segments.retain(|segment, _| !misfits.contains(segment));
        self.after.clear();
        for Segment { header, .. } in self.segments.values() {
            if let Some((previous, _)) = header.previous {
                self.after.insert(previous, header.segment);
            }
        }
    }

    /// How many logs its epoch had; 0 when no header says so.
    pub(super) fn count(&self) -> u16 {
        self.segments.values().map(|segment| segment.header.logs).max().unwrap_or_default()
    }

    /// The segment in which the log began.
    pub(super) fn root(&self) -> Option<SegmentId> {
        let begins =
            |header: &SegmentHeader| header.previous.is_none() && header.first_lsn == Lsn(1);
        let root = self.segments.values().find(|segment| begins(&segment.header));
        root.map(|segment| segment.header.segment)
    }

    /// The next segment for a walk that has to look for one: of those not reached that begin with
    /// frame `lsn` or a later one, the first.
    pub(super) fn next_from(&self, lsn: Lsn, reached: &BTreeSet<SegmentId>) -> Option<&Segment> {
        let later = self.segments.values().filter(|segment| {
            segment.header.first_lsn >= lsn && !reached.contains(&segment.header.segment)
        });
        later.min_by_key(|segment| segment.header.first_lsn)
    }

    /// The segment in which the log continued after `segment`, and the offset at which it left
    /// that.
    pub(super) fn successor(&self, segment: SegmentId) -> Option<(SegmentHeader, u32)> {
        let later = self.segments.get(self.after.get(&segment)?)?;
        later.header.previous.map(|(_, end)| (later.header, end))
    }

    /// The segments before `segment` in the log, and the offset at which each was left.
    pub(super) fn ancestors(&self, segment: SegmentId) -> BTreeMap<SegmentId, u32> {
        let mut ancestors = BTreeMap::new();
        let mut at = segment;
        while let Some((previous, end)) = self.segments.get(&at).and_then(|s| s.header.previous)
            && ancestors.insert(previous, end).is_none()
        {
            at = previous;
        }
        ancestors
    }

    /// Segments that come after `start` and were not reached from it, in order.
    pub(super) fn unreached(
        &self,
        start: SegmentId,
        reached: &BTreeSet<SegmentId>,
    ) -> Vec<&Segment> {
        let ancestors = self.ancestors(start);
        let first = self.segments.get(&start).map_or(Lsn(0), |segment| segment.header.first_lsn);
        let later = |segment: &&Segment| {
            let header = &segment.header;
            !reached.contains(&header.segment)
                && !ancestors.contains_key(&header.segment)
                && header.first_lsn >= first
        };
        let mut unreached: Vec<_> = self.segments.values().filter(later).collect();
        unreached.sort_by_key(|segment| segment.header.first_lsn);
        unreached
    }

    /// The salt, which is the same in all of its segments.
    pub(super) fn salt(&self) -> u64 {
        self.segments.values().next().map_or(0, |segment| segment.header.salt)
    }
}
