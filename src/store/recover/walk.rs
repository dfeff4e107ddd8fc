//! Reading one log frame by frame, along its chain of segments.

use std::collections::{BTreeSet, VecDeque};

use super::batches::{Batches, Missing, Taken};
use super::error::{Damage, Lost, LostFrames, RecoveryError};
use super::medium::Medium;
use super::search::{self, Found};
use super::stop::{Broken, Stop};
use super::survey::{GIVEN_MAX, Log, Survey};
use super::verdict::{Judge, proves};
use super::visit::{Replayed, Visitor};
use super::window::Window;
use crate::limits::{BLOCK, LARGE_LEASE};
use crate::reactor::fault::{Fault, made};
use crate::store::format::{
    Fragment, FrameHeader, HEADER, HeaderError, LogPosition, Lsn, RecordError, SegmentHeader,
    SegmentId, decode_records, records_at,
};

/// Bytes read at a time: many small frames, or the header of a large one and little more.
const AHEAD: usize = 64 << 10;

/// The fewest bytes of records that give a UID or a mod-sequence: a message has a checksum and a
/// fragment of 16 bytes each, any other change takes more.
const LEAST: u64 = 32;

/// Frames in order, with segment and offset.
type Uncovered = VecDeque<(Lsn, SegmentId, u32)>;

/// A walk along one log: see the [module](self).
pub(super) struct Walk<'a> {
    medium: &'a dyn Medium,
    pub(super) log: &'a Log,
    window: Window,
    batches: Batches<'a>,
    /// Frames that were read and that no watermark has covered yet.
    uncovered: Uncovered,
    /// The catalog has everything up to here.
    pub(super) applied: Lsn,
    /// Where the walk began.
    pub(super) start: SegmentId,
    /// The segments it has reached, including the current one.
    pub(super) reached: BTreeSet<SegmentId>,
    /// The segment in which the next frame is expected. Its offset and number follow.
    pub(super) segment: SegmentId,
    pub(super) offset: u32,
    pub(super) lsn: Lsn,
    /// The next segment, and the offset at which the current one ends.
    next: Option<(SegmentHeader, u32)>,
    pub(super) frames: u64,
    pub(super) octets: u64,
    /// Frames are lost.
    pub(super) has_holes: bool,
    /// Nothing guarantees that what is read stays: no later epoch has begun.
    newest: bool,
    /// The last segment whose octets were made durable.
    settled: Option<SegmentId>,
}

/// How a walk ends.
pub(super) enum End {
    /// After the last frame, or at one that was never acknowledged.
    Torn(Stop),
    /// At one that was acknowledged, with nothing after it. The visitor was told.
    Damaged,
}

/// A frame, or the beginning of a segment.
type Spot = (SegmentId, u32, Lsn);

impl<'a> Walk<'a> {
    /// From the position of the catalog, or else from the beginning of the log. `None` when the
    /// segment in which it began is missing.
    pub(super) fn begin(
        medium: &'a dyn Medium,
        survey: &'a Survey,
        log: &'a Log,
        position: Option<&LogPosition>,
    ) -> Option<Walk<'a>> {
        let (at, applied) = match position {
            Some(at) => ((at.segment, at.offset, at.lsn), at.applied),
            None => ((log.root()?, BLOCK as u32, Lsn(1)), Lsn(0)),
        };
        Some(Walk::new(medium, survey, log, at, applied))
    }

    /// From the next segment on, when nothing is left at the place where the walk should begin.
    pub(super) fn begin_behind(
        medium: &'a dyn Medium,
        survey: &'a Survey,
        log: &'a Log,
        position: Option<&LogPosition>,
    ) -> Option<Walk<'a>> {
        let (lsn, applied) = position.map_or((Lsn(1), Lsn(0)), |at| (at.lsn, at.applied));
        let header = log.next_from(lsn, &BTreeSet::new())?.header;
        let at = (header.segment, BLOCK as u32, header.first_lsn);
        let mut walk = Walk::new(medium, survey, log, at, applied);
        walk.has_holes = true;
        walk.batches.hole();
        Some(walk)
    }

    fn new(
        medium: &'a dyn Medium,
        survey: &'a Survey,
        log: &'a Log,
        (segment, offset, lsn): Spot,
        applied: Lsn,
    ) -> Walk<'a> {
        Walk {
            medium,
            log,
            window: Window::new(AHEAD),
            batches: Batches::new(medium, &survey.lengths),
            uncovered: VecDeque::new(),
            applied,
            start: segment,
            reached: BTreeSet::from([segment]),
            segment,
            offset,
            lsn,
            next: log.successor(segment),
            frames: 0,
            octets: 0,
            has_holes: false,
            newest: log.epoch == survey.newest(),
            settled: None,
        }
    }

    /// Visits every change up to the first invalid frame that may be cut off. Invalid frames before
    /// that are damage: the visitor is told, and if it goes on, the walk continues after the
    /// damage.
    /// `told` says whether the visitor knows of damage already.
    pub(super) fn run(
        &mut self,
        judge: &Judge<'_>,
        told: bool,
        visitor: &mut dyn Visitor,
    ) -> Result<End, RecoveryError> {
        loop {
            self.settle()?;
            let mut stop = match self.step() {
                Ok(None) => continue,
                Ok(Some((taken, length))) => match self.pass(taken, length, judge, visitor)? {
                    None => continue,
                    Some(stop) => return Ok(End::Torn(stop)),
                },
                Err(Broken::Stop(stop)) => stop,
                Err(Broken::Failed(error)) => return Err(error),
            };
            let evidence = judge.evidence(self, self.lsn)?;
            let Some(proof) = evidence.proof else {
                stop.blank &= !evidence.frames;
                return Ok(End::Torn(stop));
            };
            let next = self.find()?;
            // If the log continues in the next segment with this frame, only that segment's header
            // is lost, and the visitor was told of it.
            let whole = |&(segment, _, lsn): &Spot| segment != self.segment && lsn == self.lsn;
            if !told || !stop.blank || !next.as_ref().is_some_and(whole) {
                let what = format!("{}, but {proof}", stop.what);
                let lost = Lost::Frames(self.lost(next));
                visitor.damage(Damage { messages: stop.messages, ..self.damage(what, lost) })?;
                self.has_holes = true;
                self.batches.hole();
            }
            let Some((segment, offset, lsn)) = next else { return Ok(End::Damaged) };
            self.reached.insert(segment);
            (self.segment, self.offset, self.lsn) = (segment, offset, lsn);
            self.next = self.log.successor(segment);
        }
    }

    /// Makes a segment durable before anything is read from it. Else, if this start failed later, a
    /// power loss could take away frames that the visitor has in the catalog by then.
    fn settle(&mut self) -> Result<(), RecoveryError> {
        let here = self.log.segments.contains_key(&self.segment);
        if here && self.newest && self.settled != Some(self.segment) && !made(Fault::TailUnsettled)
        {
            let settled = self.medium.settle(self.segment);
            settled.map_err(RecoveryError::io(self.segment, 0))?;
            self.settled = Some(self.segment);
        }
        Ok(())
    }

    /// Passes a frame and visits what it commits. Stops at it if octets that came with it are wrong
    /// and were never durable.
    fn pass(
        &mut self,
        taken: Taken,
        length: u32,
        judge: &Judge<'_>,
        visitor: &mut dyn Visitor,
    ) -> Result<Option<Stop>, RecoveryError> {
        for wrong in taken.wrong {
            // A frame was durable only together with all frames before it.
            let lsn = wrong.stop.held_by.map_or(self.lsn, |held_by| held_by.min(self.lsn));
            let proof = match judge.evidence(self, lsn)?.proof {
                Some(proof) => proof,
                // The octets may lie in lost frames, and then nothing tells whether they were
                // durable.
                None if self.has_holes => "frames before it are lost",
                None => return Ok(Some(wrong.stop)),
            };
            let what = format!("{}, but {proof}", wrong.stop.what);
            let messages = wrong.stop.messages;
            let damage = self.damage(what, Lost::Octets(wrong.first));
            visitor.damage(Damage { messages, ..damage })?;
        }
        for Missing { account, mailbox, uids } in taken.missing {
            let what = format!("of a batch of {account}, UIDs {} to {} are lost", uids.0, uids.1);
            let messages = vec![(mailbox, uids.1.0 - uids.0.0 + 1)];
            let damage = self.damage(what, Lost::Messages { account, uids });
            visitor.damage(Damage { messages, ..damage })?;
        }
        let (epoch, log, lsn) = (self.log.epoch, self.log.id, self.lsn);
        self.offset += length;
        self.lsn = self.lsn.next();
        self.frames += 1;
        self.octets += u64::from(length);
        for change in taken.changes {
            let replayed = Replayed { epoch, log, lsn, change };
            visitor.change(replayed).map_err(RecoveryError::Visit)?;
        }
        Ok(None)
    }

    fn damage(&self, what: String, lost: Lost) -> Damage {
        Damage {
            file: self.segment,
            stripped: false,
            offset: u64::from(self.offset),
            epoch: self.log.epoch,
            log: self.log.id,
            lsn: self.lsn,
            what,
            messages: Vec::new(),
            lost,
        }
    }

    /// The next frame of the log after the invalid one, or the beginning of the segment in which it
    /// continued.
    fn find(&self) -> Result<Option<Spot>, RecoveryError> {
        let here = &self.log.segments[&self.segment];
        let end = self.next.map_or(here.length, |(_, end)| here.length.min(u64::from(end)));
        let mut next = None;
        let from = u64::from(self.offset) + BLOCK as u64;
        let extent = (end, here.header.reused);
        search::frames(self.medium, self.segment, extent, from, |frame, at| {
            let ours = (frame.epoch, frame.log, frame.salt)
                == (self.log.epoch, self.log.id, self.log.salt());
            if !ours || frame.lsn <= self.lsn {
                return Found::Image;
            }
            next = u32::try_from(at).ok().map(|at| (self.segment, at, frame.lsn));
            Found::Enough
        })?;
        Ok(next.or_else(|| {
            let header = self.log.next_from(self.lsn, &self.reached)?.header;
            Some((header.segment, BLOCK as u32, header.first_lsn))
        }))
    }

    /// What is lost between here and the next frame.
    fn lost(&self, next: Option<Spot>) -> LostFrames {
        let here = self.log.segments.get(&self.segment);
        let rest = here.map_or(0, |here| here.length.saturating_sub(u64::from(self.offset)));
        let octets = match next {
            Some((segment, offset, _)) if segment == self.segment => {
                u64::from(offset - self.offset)
            }
            // Segments may be missing in between. Then only the number of frames is known.
            Some((.., lsn)) => rest.max((lsn.0 - self.lsn.0).saturating_mul(LARGE_LEASE as u64)),
            None => rest,
        };
        let given = octets / LEAST + self.batches.uncommitted() as u64;
        LostFrames {
            until: next.map(|(.., lsn)| lsn),
            given: u32::try_from(given).map_or(GIVEN_MAX, |given| given.min(GIVEN_MAX)),
            logs: self.log.count(),
        }
    }

    /// The highest segment in which a message lies.
    pub(super) fn highest(&self) -> SegmentId {
        self.batches.highest
    }

    /// The end of the log, once the walk has stopped: behind its last frame. `None` when it has no
    /// frame.
    pub(super) fn position(&self) -> Option<LogPosition> {
        let (mut segment, mut offset) = (self.segment, self.offset);
        if !self.has_holes
            && let Some(last) = self.frameless().last()
        {
            let before = self.log.segments[last].header.previous?;
            if self.log.segments.contains_key(&before.0) {
                (segment, offset) = before;
            }
        }
        Some(LogPosition {
            epoch: self.log.epoch,
            log: self.log.id,
            segment,
            offset,
            lsn: self.lsn,
            // Higher than that only where frames that the catalog had read are damaged.
            applied: self.applied.max(Lsn(self.lsn.0 - 1)),
        })
    }

    /// The segments at the end of the log that have no frame, the last one first.
    pub(super) fn frameless(&self) -> Vec<SegmentId> {
        let mut frameless = Vec::new();
        let (mut at, mut end) = (self.segment, self.offset);
        while end == BLOCK as u32
            && let Some(segment) = self.log.segments.get(&at)
            && !frameless.contains(&at)
        {
            frameless.push(at);
            let Some(previous) = segment.header.previous else { break };
            (at, end) = previous;
        }
        frameless
    }

    /// Reads one frame, which is still to be passed, and its length; or moves to the next segment.
    fn step(&mut self) -> Result<Option<(Taken, u32)>, Broken> {
        let Some((header, end)) = self.next else {
            return self.frame(u32::MAX).map(Some);
        };
        if self.offset < end {
            return self.frame(end).map(Some);
        }
        if header.first_lsn != self.lsn || self.offset > end {
            let next = header.segment;
            let what = format!("segment {next} goes on with frame {}", header.first_lsn);
            return Err(Stop::new(what).into());
        }
        if !self.reached.insert(header.segment) {
            let what = format!("segment {} comes twice", header.segment);
            return Err(Stop::new(what).into());
        }
        (self.segment, self.offset) = (header.segment, BLOCK as u32);
        self.next = self.log.successor(header.segment);
        Ok(None)
    }

    /// Reads and checks a frame that must end at `end` or before.
    fn frame(&mut self, end: u32) -> Result<(Taken, u32), Broken> {
        let start = u64::from(self.offset);
        let octets = self.window.read(self.medium, self.segment, start, HEADER)?;
        // Behind the end there are zeros, or what an earlier use of the file has left.
        let reused = self.log.segments[&self.segment].header.reused;
        let header = match FrameHeader::decode(octets) {
            Ok(header) => header,
            Err(HeaderError::OtherVersion { version }) if !reused => {
                let file = self.segment;
                return Err(Broken::Failed(RecoveryError::OtherVersion { file, version }));
            }
            Err(_) if octets.is_empty() => {
                let flaw = self.medium.flaw(self.segment);
                let flaw = flaw.map_err(RecoveryError::io(self.segment, start))?;
                let what = flaw.map_or("the file ends here".into(), |flaw| flaw.to_string());
                return Err(Stop { blank: flaw.is_none(), ..Stop::new(what) }.into());
            }
            Err(error) => {
                let blank = reused || error == HeaderError::Zeros;
                return Err(Stop { blank, ..Stop::new(error.to_string()) }.into());
            }
        };
        self.check_place(&header, end)?;
        let at = start + records_at(header.payload as usize) as u64;
        let wanted = header.records as usize;
        // Even a frame without records must have all of its payload.
        if at + wanted as u64 > self.log.segments[&self.segment].length {
            return Err(Stop::new("the file ends within this frame".into()).into());
        }
        let region = self.window.read(self.medium, self.segment, at, wanted)?;
        let records = decode_records(region, header.count).map_err(|error| match error {
            // Its checksum is right, so a newer mailrace wrote it.
            RecordError::Unknown { kind, version } => {
                let file = self.segment;
                Broken::Failed(RecoveryError::UnknownRecord { file, kind, version })
            }
            error => Stop::new(error.to_string()).into(),
        })?;
        self.uncovered.push_back((self.lsn, self.segment, self.offset));
        while self.uncovered.pop_front_if(|(lsn, ..)| proves(header.watermark, *lsn)).is_some() {}
        let (log, uncovered) = (self.log, &self.uncovered);
        let frame_of = |fragment: &Fragment| frame_of(log, uncovered, fragment);
        let taken = self.batches.take(records, self.lsn <= self.applied, &frame_of)?;
        Ok((taken, header.length))
    }

    /// Checks that the frame is the one that belongs here.
    fn check_place(&self, header: &FrameHeader, end: u32) -> Result<(), Stop> {
        let ours = header.epoch == self.log.epoch
            && header.log == self.log.id
            && header.salt == self.log.salt()
            && header.segment == self.segment;
        let what = if !ours {
            let what =
                format!("a frame of another log or segment ({}) stands here", header.segment);
            let blank = self.log.segments[&self.segment].header.reused;
            return Err(Stop { blank, ..Stop::new(what) });
        } else if header.lsn != self.lsn {
            format!("frame {} stands here", header.lsn)
        } else if self.offset.checked_add(header.length).is_none_or(|after| after > end) {
            "the frame runs over the end of the segment".into()
        } else {
            return Ok(());
        };
        Err(Stop::new(what))
    }
}

/// The frame in which a fragment lies, or `Lsn(0)` when that is before all uncovered frames.
fn frame_of(log: &Log, uncovered: &Uncovered, fragment: &Fragment) -> Lsn {
    let Some(&(_, segment, offset)) = uncovered.front() else { return Lsn(0) };
    let before = match fragment.segment == segment {
        true => fragment.offset < offset,
        false => log.ancestors(segment).contains_key(&fragment.segment),
    };
    let holds = |(_, own, offset): &&(Lsn, SegmentId, u32)| {
        *own == fragment.segment && *offset <= fragment.offset //
    };
    match before {
        true => Lsn(0),
        // A fragment in no known frame proves nothing.
        false => uncovered.iter().rev().find(holds).map_or(Lsn(u64::MAX), |(lsn, ..)| *lsn),
    }
}
